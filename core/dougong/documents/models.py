"""Wordings of documents that a community has replaced."""

from sqlalchemy import String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, KernelBase, label


class DocumentText(InCommunity, KernelBase):
    """A community's own wording for one text of a document, in one language."""

    __tablename__ = "document_text"
    __table_args__ = (UniqueConstraint("community_id", "document", "name", "locale"),)

    document: Mapped[str] = mapped_column(String(80), info=label("Document", "单据"))
    name: Mapped[str] = mapped_column(String(60), info=label("Text", "文案"))
    locale: Mapped[str] = mapped_column(
        String(20), default="zh_Hans_CN", info=label("Language", "语言")
    )
    body: Mapped[str] = mapped_column(Text, info=label("Wording", "内容"))

    def __str__(self) -> str:
        return f"{self.document} · {self.name}"
