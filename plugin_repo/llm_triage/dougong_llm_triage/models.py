"""Where the language model is asked."""

from sqlalchemy import Boolean, String, true
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, encrypted, label, plugin_base

Base = plugin_base("llm_triage")


class Endpoint(InCommunity, Base):
    """A service with OpenAI's chat completions; url ends before ``/chat/completions``."""

    __tablename__ = "endpoint"

    url: Mapped[str] = mapped_column(String(300), info=label("Address", "服务地址"))
    model: Mapped[str] = mapped_column(String(120), info=label("Model", "模型名称"))
    api_key: Mapped[str | None] = encrypted(mask="all", info=label("Key", "密钥"))
    is_active: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=true(), info=label("In use", "启用")
    )

    def __str__(self) -> str:
        return self.model
