"""Who wants to hear of which facts, and what was sent to them."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Index, Integer, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, KernelBase, encrypted, label, labels, ref, state, to_one


class WebhookState(StrEnum):
    """Where one delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"

    __labels__ = labels(
        WAITING=("Waiting", "等待"),
        DELIVERED=("Delivered", "已送达"),
        FAILED=("Given up", "已放弃"),
    )


def names_in(events: str) -> list[str]:
    """Return the names of facts between the commas of a subscription."""
    return [name.strip() for name in events.split(",") if name.strip()]


class WebhookSubscription(InCommunity, KernelBase):
    """A system outside that is told of facts in this community by signed HTTPS requests.

    events: full names (``fees.bill_paid``), ``fees.*`` or ``*``, between commas.
    secret: under which requests are signed; the receiver has the same.
    """

    __tablename__ = "webhook_subscription"
    __table_args__ = (UniqueConstraint("community_id", "name"),)

    name: Mapped[str] = mapped_column(String(120), info=label("Name", "名称"))
    url: Mapped[str] = mapped_column(String(500), info=label("Address", "地址"))
    secret: Mapped[str] = encrypted(mask="all", info=label("Signing secret", "签名密钥"))
    events: Mapped[str] = mapped_column(
        String(2000), default="*", server_default="*", info=label("Facts", "事件")
    )
    is_active: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=text("true"), info=label("Active", "启用")
    )
    failing_since: Mapped[datetime | None] = mapped_column(
        info={**label("Failing since", "开始失败时间"), "api": "read"}
    )

    def __str__(self) -> str:
        return self.name

    def wants(self, event: str) -> bool:
        """Tell whether a fact of this name is sent."""
        wider = f"{event.partition('.')[0]}.*"
        return any(name in ("*", wider, event) for name in names_in(self.events))


class WebhookDelivery(InCommunity, KernelBase):
    """One fact on its way to one subscriber; kept for a month."""

    __tablename__ = "webhook_delivery"
    __named_by__ = ("subscription",)
    __audited__ = False
    __table_args__ = (
        UniqueConstraint("community_id", "subscription_id", "event_id"),
        Index(
            "ix_webhook_delivery_due",
            "community_id",
            "due_at",
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    subscription_id: Mapped[UUID] = ref(
        "dougong.webhook_subscription",
        ondelete="CASCADE",
        index=False,
        info=label("Subscriber", "订阅方"),
    )
    subscription: Mapped[WebhookSubscription] = to_one(subscription_id, WebhookSubscription)
    event_id: Mapped[UUID]
    event: Mapped[str] = mapped_column(String(80), info=label("Fact", "事件"))
    ids: Mapped[dict[str, Any]] = mapped_column(JSONB, info=label("About", "对象"))
    happened_at: Mapped[datetime] = mapped_column(info=label("At", "时间"))
    state: Mapped[WebhookState] = state(
        WebhookState, default=WebhookState.WAITING, info=label("State", "状态")
    )
    attempts: Mapped[int] = mapped_column(
        Integer, default=0, server_default=text("0"), info=label("Attempts", "尝试次数")
    )
    due_at: Mapped[datetime] = mapped_column(info=label("Due at", "计划时间"))
    status: Mapped[int | None] = mapped_column(SmallInteger, info=label("Answer", "响应状态"))
    error: Mapped[str | None] = mapped_column(String(300), info=label("Error", "错误"))

    def __str__(self) -> str:
        return f"{self.subscription} {self.event}"
