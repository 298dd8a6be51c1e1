"""What the API remembers: answers to writes that may be repeated, and who asks how often."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Double,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db.base import InCommunity, KernelBase, OnPlatform
from dougong.db.columns import encrypted


class IdempotentAnswer(InCommunity, KernelBase):
    """The answer to a write that carried an Idempotency-Key, kept for a day.

    request_hash: keyed hash of method, path, If-Match and body, so that it gives nothing away.
    """

    __tablename__ = "idempotent_answer"
    __audited__ = False
    __table_args__ = (
        UniqueConstraint("community_id", "actor_id", "key"),
        Index("ix_idempotent_answer_answered_at", "community_id", "answered_at"),
    )

    actor_id: Mapped[UUID]
    key: Mapped[str] = mapped_column(String(255))
    request_hash: Mapped[bytes] = mapped_column(LargeBinary, info={"api": "hidden"})
    answered_at: Mapped[datetime]
    status: Mapped[int] = mapped_column(SmallInteger)
    location: Mapped[str | None] = mapped_column(String(300))
    tag: Mapped[str | None] = mapped_column(String(80))
    body: Mapped[str | None] = encrypted(mask="all", info={"api": "hidden"})


class ApiBucket(OnPlatform, KernelBase):
    """What is left of an actor's requests in one place; lost in a crash, which harms nobody.

    tokens: left at ``filled_at``. granted: how many the last process took with it.
    """

    __tablename__ = "api_bucket"
    __audited__ = False
    __table_args__ = (UniqueConstraint("actor_id", "place_id"), {"prefixes": ["UNLOGGED"]})

    actor_id: Mapped[UUID]
    place_id: Mapped[UUID]
    tokens: Mapped[float] = mapped_column(Double)
    filled_at: Mapped[datetime]
    granted: Mapped[int] = mapped_column(Integer)
