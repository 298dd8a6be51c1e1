"""Keys, reveals, consents and the erasure ledger."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, KernelBase, OnPlatform, label, labels, ref, state, to_one
from dougong.db.columns import member_label
from dougong.tenancy.models import Person

KEEP = "select, insert"


class KeyPurpose(StrEnum):
    """What a key is for: sealing values, or indexing them blindly."""

    DATA = "data"
    INDEX = "index"

    __labels__ = labels(DATA=("Sealing", "加密"), INDEX=("Searching", "检索"))


class KeyState(StrEnum):
    """Where a key stands.

    A coming key is announced, so that every process searches under it before values are tagged
    with it. A current key seals. A retiring one still opens while its values are sealed anew, a
    retired one opens old copies (audit images, backups); a destroyed one is gone, and what it
    sealed with it.
    """

    COMING = "coming"
    CURRENT = "current"
    RETIRING = "retiring"
    RETIRED = "retired"
    DESTROYED = "destroyed"

    __labels__ = labels(
        COMING=("Coming", "即将启用"),
        CURRENT=("Current", "当前"),
        RETIRING=("Retiring", "轮换中"),
        RETIRED=("Retired", "已停用"),
        DESTROYED=("Destroyed", "已销毁"),
    )


class DataKeyRow(OnPlatform, KernelBase):
    """A wrapped key of a community, a group or the platform (nil).

    number: the key id in the envelopes that it sealed. provider: what wrapped it.
    """

    __tablename__ = "data_key"
    __table_args__ = (
        UniqueConstraint("scope_id", "purpose", "number"),
        Index(
            "uq_data_key_current",
            "scope_id",
            "purpose",
            unique=True,
            postgresql_where=text("state = 'current'"),
        ),
        {"info": {"grants": {"dougong_access": "select, insert, update"}}},
    )

    scope_id: Mapped[UUID]
    purpose: Mapped[KeyPurpose] = state(KeyPurpose)
    number: Mapped[int] = mapped_column(Integer)
    suite: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[KeyState] = state(KeyState, default=KeyState.CURRENT)
    provider: Mapped[str] = mapped_column(String(60))
    wrapped: Mapped[bytes | None] = mapped_column(LargeBinary)
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
    retired_at: Mapped[datetime | None]
    destroyed_at: Mapped[datetime | None]


class RevealReason(StrEnum):
    """Why someone looks at a personal value in clear."""

    CALL = "call"
    IDENTITY_CHECK = "identity_check"
    EMERGENCY = "emergency"
    LEGAL = "legal"
    SUBJECT_REQUEST = "subject_request"
    CORRECTION = "correction"

    __labels__ = labels(
        CALL=("To call or write to them", "联系当事人"),
        IDENTITY_CHECK=("To check their identity", "核验身份"),
        EMERGENCY=("Emergency", "紧急情况"),
        LEGAL=("Court or authority asks", "司法或行政机关要求"),
        SUBJECT_REQUEST=("They asked for it", "本人请求"),
        CORRECTION=("To correct it", "更正信息"),
    )


class Reveal(OnPlatform, KernelBase):
    """That someone looked at a personal value; written before it is shown, and kept."""

    __tablename__ = "reveal"
    __table_args__ = (
        Index("ix_reveal_user_id", "user_id", "at"),
        {"info": {"grants": {"dougong_access": KEEP, "dougong_platform": KEEP}}},
    )

    community_id: Mapped[UUID | None]
    group_id: Mapped[UUID | None]
    user_id: Mapped[UUID | None]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    table: Mapped[str] = mapped_column(String(130))
    row_id: Mapped[UUID]
    field: Mapped[str] = mapped_column(String(63))
    reason: Mapped[RevealReason] = state(RevealReason)
    note: Mapped[str] = mapped_column(String(200), default="")
    is_alarm: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())


class Consent(InCommunity, KernelBase):
    """That a person agreed to a purpose, and when they took it back."""

    __tablename__ = "consent"

    person_id: Mapped[UUID] = ref("dougong.person", info=label("Person", "人员"))
    purpose: Mapped[str] = mapped_column(String(200), info=label("Purpose", "处理目的"))
    notice_hash: Mapped[str] = mapped_column(String(64), info=label("Notice version", "告知书版本"))
    channel: Mapped[str] = mapped_column(String(40), info=label("Given through", "同意方式"))
    given_at: Mapped[datetime] = mapped_column(info=label("Given at", "同意时间"))
    withdrawn_at: Mapped[datetime | None] = mapped_column(info=label("Withdrawn at", "撤回时间"))


class Restriction(InCommunity, KernelBase):
    """That the data of a person is only stored and not used, until the law lets it go."""

    __tablename__ = "restriction"
    __table_args__ = (UniqueConstraint("community_id", "person_id"),)

    person_id: Mapped[UUID] = ref("dougong.person", info=label("Person", "人员"))
    since_at: Mapped[datetime] = mapped_column(info=label("Since", "开始时间"))
    reason: Mapped[str] = mapped_column(String(200), info=label("Reason", "原因"))


class RequestKind(StrEnum):
    """What someone asks about the data that is kept of him."""

    COPY = "copy"
    CORRECTION = "correction"
    ERASURE = "erasure"
    RESTRICTION = "restriction"

    __labels__ = labels(
        COPY=("A copy of the data", "查阅、复制"),
        CORRECTION=("A correction", "更正、补充"),
        ERASURE=("Erasure", "删除"),
        RESTRICTION=("Stop using it", "停止处理"),
    )


class RequestState(StrEnum):
    """Where a request stands."""

    OPEN = "open"
    ANSWERED = "answered"
    REFUSED = "refused"

    __labels__ = labels(
        OPEN=("Open", "待处理"), ANSWERED=("Answered", "已答复"), REFUSED=("Refused", "已拒绝")
    )


class PrivacyRequest(InCommunity, KernelBase):
    """What a person asked about his data, by when it is due, and how it was answered.

    note, answer: free text; kept as proof that the request was dealt with.
    """

    __tablename__ = "privacy_request"

    person_id: Mapped[UUID] = ref("dougong.person", info=label("Person", "人员"))
    person: Mapped[Person] = to_one(person_id, Person)
    kind: Mapped[RequestKind] = state(RequestKind, info=label("Asked for", "请求事项"))
    state: Mapped[RequestState] = state(
        RequestState, default=RequestState.OPEN, info=label("State", "状态")
    )
    asked_on: Mapped[date] = mapped_column(info=label("Asked on", "提出日期"))
    due_on: Mapped[date] = mapped_column(info=label("Due on", "答复期限"))
    reminded_on: Mapped[date | None] = mapped_column(info=label("Reminded on", "催办日期"))
    answered_at: Mapped[datetime | None] = mapped_column(info=label("Closed at", "办结时间"))
    note: Mapped[str | None] = mapped_column(
        String(500), info={**label("In their words", "说明"), "free_text": True}
    )
    answer: Mapped[str | None] = mapped_column(
        String(500), info={**label("Answer", "答复"), "free_text": True}
    )

    def __str__(self) -> str:
        return f"{member_label(self.kind)} {self.asked_on}"


class Erasure(OnPlatform, KernelBase):
    """One entry of the erasure ledger: who was erased, what was emptied, what had to stay.

    audit_events: the ids of the log's events whose images were taken out, each with the SHA-256 of
    what is left of it; verification accepts only those.
    person_id: nil for what was let go because its time was over, of whoever.
    """

    __tablename__ = "erasure"
    __table_args__ = (
        Index("ix_erasure_community_id", "community_id", "person_id"),
        {"info": {"grants": {"dougong_access": "select", "dougong_platform": KEEP}}},
    )

    community_id: Mapped[UUID]
    person_id: Mapped[UUID]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    reason: Mapped[str] = mapped_column(String(200))
    emptied: Mapped[dict[str, Any]] = mapped_column(JSONB)
    kept: Mapped[dict[str, Any]] = mapped_column(JSONB)
    audit_events: Mapped[dict[str, Any]] = mapped_column(JSONB)
