"""The log's tables. Triggers append events, the sealer links them; nobody changes either."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from dougong.db.base import KernelBase, OnPlatform

READ_ONLY = {"dougong_access": "select", "dougong_platform": "select"}
APPEND_ONLY = {"dougong_access": "select", "dougong_platform": "select, insert"}


class TransactionId(UserDefinedType[int]):
    """A full transaction id (xid8), which never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_arguments: Any) -> str:
        return "xid8"


class AuditEvent(OnPlatform, KernelBase):
    """What one statement did to one row, or a digest of what it did to many.

    body: JSON text with everything, row images included; it is what is hashed. The other columns
    repeat parts of it for look-ups, and verification compares them.
    """

    __tablename__ = "audit_event"
    __audited__ = False
    __table_args__ = (
        Index("ix_audit_event_record", "chain_id", "schema_name", "table_name", "row_id", "id"),
        {"info": {"grants": READ_ONLY}},
    )

    chain_id: Mapped[UUID]
    txid: Mapped[int] = mapped_column(TransactionId())
    at: Mapped[datetime]
    actor_id: Mapped[UUID | None]
    verb: Mapped[str] = mapped_column(Text)
    schema_name: Mapped[str] = mapped_column(String(63))
    table_name: Mapped[str] = mapped_column(String(63))
    row_id: Mapped[str | None] = mapped_column(Text)
    operation: Mapped[str] = mapped_column(String(10))
    body: Mapped[str] = mapped_column(Text)


class AuditPending(OnPlatform, KernelBase):
    """An event that waits for the sealer; a queue, so that a late commit is never passed over."""

    __tablename__ = "audit_pending"
    __audited__ = False
    __table_args__ = {"info": {"grants": {**READ_ONLY, "dougong_platform": "select, delete"}}}


class AuditLink(OnPlatform, KernelBase):
    """The place of an event in its chain: hash = SHA-256(hash before, body hash).

    The id is the event's.
    """

    __tablename__ = "audit_link"
    __audited__ = False
    __table_args__ = (UniqueConstraint("chain_id", "seq"), {"info": {"grants": APPEND_ONLY}})

    chain_id: Mapped[UUID]
    seq: Mapped[int] = mapped_column(BigInteger)
    body_hash: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class AuditHead(OnPlatform, KernelBase):
    """The end of a chain, and how far checkpoints mention it. The id is the chain's."""

    __tablename__ = "audit_head"
    __audited__ = False
    __table_args__ = {
        "info": {"grants": {**READ_ONLY, "dougong_platform": "select, insert, update"}}
    }

    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    mentioned_seq: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")


class AuditCheckpoint(OnPlatform, KernelBase):
    """A signed statement of all heads; witnesses keep the same lines elsewhere."""

    __tablename__ = "audit_checkpoint"
    __audited__ = False
    __table_args__ = (UniqueConstraint("number"), {"info": {"grants": APPEND_ONLY}})

    number: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
    line: Mapped[dict[str, Any]] = mapped_column(JSONB)
