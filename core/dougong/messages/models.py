"""Messages to people, how each was delivered, and the wordings a community has chosen."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, KernelBase, encrypted, label, labels, ref, state, to_one
from dougong.tenancy.models import Person

ONE_RECIPIENT = "(person_id is null) <> (user_id is null)"


class DeliveryState(StrEnum):
    """Where one delivery stands. On standby: it is used when the one before it fails."""

    STANDBY = "standby"
    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"

    __labels__ = labels(
        STANDBY=("On standby", "备用"),
        WAITING=("Waiting", "待发送"),
        SENT=("Sent", "已发送"),
        FAILED=("Failed", "失败"),
    )


class ContactPoint(InCommunity, KernelBase):
    """Where a person or login can be reached by a channel, and in which language."""

    __tablename__ = "contact_point"
    __named_by__ = ("person",)
    __table_args__ = (
        CheckConstraint(ONE_RECIPIENT, name="one_recipient"),
        Index("ix_contact_point_user_id", "community_id", "user_id"),
    )

    person_id: Mapped[UUID | None] = ref("dougong.person", info=label("Person", "人员"))
    person: Mapped[Person | None] = to_one(person_id, Person)
    user_id: Mapped[UUID | None] = mapped_column(info=label("Login", "账号"))
    channel: Mapped[str] = mapped_column(String(20), default="email", info=label("Channel", "渠道"))
    address: Mapped[str] = encrypted(search="exact", info=label("Address", "地址"))
    locale: Mapped[str] = mapped_column(
        String(20), default="zh_Hans_CN", info=label("Language", "语言")
    )
    is_active: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=text("true"), info=label("In use", "启用")
    )

    def __str__(self) -> str:
        return f"{self.person} {self.channel}" if self.person else self.channel


class Message(InCommunity, KernelBase):
    """A message to one person or login; it always lies in the inbox, whatever else carries it.

    key: what makes a repeated call the same message. template: ``<plugin>:<name>``.
    """

    __tablename__ = "message"
    __named_by__ = ("person",)
    __table_args__ = (
        CheckConstraint(ONE_RECIPIENT, name="one_recipient"),
        UniqueConstraint("community_id", "key"),
        Index("ix_message_user_id", "community_id", "user_id", "id"),
        Index(
            "ix_message_unread_user",
            "community_id",
            "user_id",
            postgresql_where=text("read_at is null"),
        ),
        Index(
            "ix_message_unread_person",
            "community_id",
            "person_id",
            postgresql_where=text("read_at is null"),
        ),
    )

    person_id: Mapped[UUID | None] = ref("dougong.person", info=label("Person", "人员"))
    person: Mapped[Person | None] = to_one(person_id, Person)
    user_id: Mapped[UUID | None] = mapped_column(info=label("Login", "账号"))
    template: Mapped[str] = mapped_column(String(80), info=label("Template", "模板"))
    key: Mapped[str | None] = mapped_column(String(120), info={"api": "hidden"})
    locale: Mapped[str] = mapped_column(String(20), info=label("Language", "语言"))
    subject: Mapped[str] = encrypted(info=label("Subject", "标题"))
    body: Mapped[str] = encrypted(info=label("Text", "内容"))
    link: Mapped[str | None] = mapped_column(String(300), info=label("Link", "链接"))
    is_urgent: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=text("false"), info=label("Urgent", "紧急")
    )
    created_at: Mapped[datetime] = mapped_column(info=label("Written at", "创建时间"))
    read_at: Mapped[datetime | None] = mapped_column(info=label("Read at", "阅读时间"))

    def __str__(self) -> str:
        return f"{self.local(self.created_at)} {self.person or self.template}"


class MessageAttachment(InCommunity, KernelBase):
    """A file that goes with a message; the content is kept encrypted, as base64."""

    __tablename__ = "message_attachment"

    message_id: Mapped[UUID] = ref("dougong.message", ondelete="CASCADE")
    message: Mapped[Message] = to_one(message_id, Message)
    filename: Mapped[str] = mapped_column(String(200), info=label("File", "文件"))
    media_type: Mapped[str] = mapped_column(String(100), info=label("Kind", "类型"))
    content: Mapped[str] = encrypted(info={"api": "hidden"})


class MessageDelivery(InCommunity, KernelBase):
    """One message by one channel, at most once each; rank is the order in which they are tried."""

    __tablename__ = "message_delivery"
    __table_args__ = (
        UniqueConstraint("community_id", "message_id", "channel"),
        Index(
            "ix_message_delivery_due",
            "community_id",
            "due_at",
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    message_id: Mapped[UUID] = ref("dougong.message", ondelete="CASCADE", index=False)
    message: Mapped[Message] = to_one(message_id, Message)
    channel: Mapped[str] = mapped_column(String(20), info=label("Channel", "渠道"))
    rank: Mapped[int] = mapped_column(
        Integer, default=0, info={**label("Order", "顺序"), "api": "read"}
    )
    state: Mapped[DeliveryState] = state(
        DeliveryState, default=DeliveryState.WAITING, info=label("State", "状态")
    )
    address: Mapped[str | None] = encrypted(info=label("Address", "地址"))
    due_at: Mapped[datetime] = mapped_column(info=label("Due at", "计划发送时间"))
    attempts: Mapped[int] = mapped_column(Integer, default=0, info=label("Attempts", "次数"))
    sent_at: Mapped[datetime | None] = mapped_column(info=label("Sent at", "发送时间"))
    provider_id: Mapped[str | None] = mapped_column(
        String(200), info=label("Provider's number", "对方编号")
    )
    detail: Mapped[str] = mapped_column(String(200), default="", info=label("Detail", "说明"))

    def __str__(self) -> str:
        return f"{self.local(self.due_at)} {self.channel}"


class MessageTemplate(InCommunity, KernelBase):
    """A community's own wording of a message, in one language."""

    __tablename__ = "message_template"
    __table_args__ = (UniqueConstraint("community_id", "template", "locale"),)

    template: Mapped[str] = mapped_column(String(80), info=label("Template", "模板"))
    locale: Mapped[str] = mapped_column(
        String(20), default="zh_Hans_CN", info=label("Language", "语言")
    )
    subject: Mapped[str] = mapped_column(String(200), info=label("Subject", "标题"))
    body: Mapped[str] = mapped_column(Text, info=label("Text", "内容"))

    def __str__(self) -> str:
        return self.template
