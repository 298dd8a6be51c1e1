"""The outbox: facts, and to which plugin each has still to be delivered."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Integer, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, KernelBase, label, labels, ref, state, to_one


class EventState(StrEnum):
    """Where one delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    SKIPPED = "skipped"

    __labels__ = labels(
        WAITING=("Waiting", "等待"),
        DELIVERED=("Delivered", "已送达"),
        FAILED=("Failed", "失败"),
        SKIPPED=("Plugin is off", "插件已停用"),
    )


class OutboxEvent(InCommunity, KernelBase):
    """A past fact, such as ``fees.bill_paid``, with the ids of what it is about."""

    __tablename__ = "outbox_event"
    __audited__ = False

    name: Mapped[str] = mapped_column(String(80), info=label("Fact", "事件"))
    ids: Mapped[dict[str, Any]] = mapped_column(JSONB, info=label("About", "对象"))
    at: Mapped[datetime] = mapped_column(server_default=text("now()"), info=label("At", "时间"))


class EventDelivery(InCommunity, KernelBase):
    """That a plugin has to hear of a fact, or has heard of it."""

    __tablename__ = "event_delivery"
    __audited__ = False
    __table_args__ = (
        Index("ix_event_delivery_due", "due_at", postgresql_where=text("state = 'waiting'")),
    )

    event_id: Mapped[UUID] = ref("dougong.outbox_event", ondelete="CASCADE")
    event: Mapped[OutboxEvent] = to_one(event_id, OutboxEvent)  # type: ignore[arg-type]
    plugin: Mapped[str] = mapped_column(String(40), info=label("Plugin", "插件"))
    state: Mapped[EventState] = state(
        EventState, default=EventState.WAITING, info=label("State", "状态")
    )
    attempts: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    due_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    error: Mapped[str | None] = mapped_column(info=label("Error", "错误"))
