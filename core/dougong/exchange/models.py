"""Imports and exports: what is on its way, what was written, and who took what out."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, KernelBase, OnPlatform, encrypted, label, labels, ref, state
from dougong.privacy.models import RevealReason

HIDDEN = {"api": "hidden"}


class RunState(StrEnum):
    """Where an import stands. Trying and writing are the worker's; the rest wait for people."""

    DRAFT = "draft"
    TRYING = "trying"
    TRIED = "tried"
    WRITING = "writing"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"

    __labels__ = labels(
        DRAFT=("Columns to be chosen", "待选择列"),
        TRYING=("Trial run", "试运行中"),
        TRIED=("Tried, nothing is written", "已试运行，未写入"),
        WRITING=("Being written", "写入中"),
        DONE=("Imported", "已导入"),
        UNDOING=("Being taken back", "撤销中"),
        UNDONE=("Taken back", "已撤销"),
    )


class ImportRun(InCommunity, KernelBase):
    """One file on its way into a community (导入).

    view: the model's full name, or ``opening``. plan: which position of a row fills which
    attribute, and the attribute by which rows find records. digest: keyed, of the rows. lines: of
    the file. done: how many of them are written; a worker that takes over goes on there.
    """

    __tablename__ = "import_run"
    __table_args__ = (Index("ix_import_run_view", "community_id", "view", "id"),)

    view: Mapped[str] = mapped_column(String(120), info=HIDDEN)
    user_id: Mapped[UUID | None] = mapped_column(info=HIDDEN)
    file_name: Mapped[str | None] = encrypted(info={**label("File", "文件名"), **HIDDEN})
    digest: Mapped[str] = mapped_column(String(64), info=HIDDEN)
    lines: Mapped[int] = mapped_column(Integer, info=HIDDEN)
    plan: Mapped[dict[str, Any]] = mapped_column(JSONB, info=HIDDEN)
    state: Mapped[RunState] = state(RunState, default=RunState.DRAFT, info=HIDDEN)
    only_good: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=false(), info=HIDDEN
    )
    done: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"), info=HIDDEN)
    counts: Mapped[dict[str, Any]] = mapped_column(
        JSONB, default=dict, server_default=text("'{}'"), info=HIDDEN
    )
    message: Mapped[str] = mapped_column(String(400), default="", server_default="", info=HIDDEN)
    job_id: Mapped[UUID | None] = mapped_column(info=HIDDEN)
    made_at: Mapped[datetime] = mapped_column(server_default=func.now(), info=HIDDEN)
    written_at: Mapped[datetime | None] = mapped_column(info=HIDDEN)


class ImportRow(InCommunity, KernelBase):
    """A record that an import made or changed, so that all of it can be taken back.

    before: what the changed attributes held, and what the import put there, as JSON.
    """

    __tablename__ = "import_row"
    __audited__ = False
    __table_args__ = (
        Index("ix_import_row_subject", "community_id", "subject_kind", "subject_id"),
        {"info": {"about": ("subject_kind", "subject_id")}},
    )

    run_id: Mapped[UUID] = ref("dougong.import_run", ondelete="CASCADE", info=HIDDEN)
    number: Mapped[int] = mapped_column(Integer, info=HIDDEN)
    subject_kind: Mapped[str] = mapped_column(String(130), info=HIDDEN)
    subject_id: Mapped[UUID] = mapped_column(info=HIDDEN)
    before: Mapped[str | None] = encrypted(info=HIDDEN)


class ImportMapping(InCommunity, KernelBase):
    """How the columns of a file were mapped the last time that a file had this head."""

    __tablename__ = "import_mapping"
    __audited__ = False
    __table_args__ = (UniqueConstraint("community_id", "view", "head"),)

    view: Mapped[str] = mapped_column(String(120), info=HIDDEN)
    head: Mapped[str] = mapped_column(String(64), info=HIDDEN)
    plan: Mapped[dict[str, Any]] = mapped_column(JSONB, info=HIDDEN)
    used_at: Mapped[datetime] = mapped_column(server_default=func.now(), info=HIDDEN)


class ExchangePart(InCommunity, KernelBase):
    """A sealed piece of what is on its way: rows of an import, its problems, a prepared file.

    owner_id: the import or the file. kind: which of its contents. It is gone within days.
    """

    __tablename__ = "exchange_part"
    __audited__ = False
    __table_args__ = (UniqueConstraint("community_id", "owner_id", "kind", "number"),)

    owner_id: Mapped[UUID] = mapped_column(info=HIDDEN)
    kind: Mapped[str] = mapped_column(String(20), info=HIDDEN)
    number: Mapped[int] = mapped_column(Integer, info=HIDDEN)
    sealed: Mapped[bytes] = mapped_column(LargeBinary, info=HIDDEN)
    made_at: Mapped[datetime] = mapped_column(server_default=func.now(), info=HIDDEN)


class FileState(StrEnum):
    """Where a prepared file stands."""

    WAITING = "waiting"
    READY = "ready"
    EXPIRED = "expired"

    __labels__ = labels(
        WAITING=("Being prepared", "准备中"),
        READY=("Ready", "可下载"),
        EXPIRED=("Expired", "已过期"),
    )


class ExportFile(InCommunity, KernelBase):
    """A large export that a worker prepares (导出文件), for the one who asked for it.

    asked_group_id: set when it holds rows of all communities that he reaches. wish: the list's
    query, sealed: people search by name and phone.
    """

    __tablename__ = "export_file"
    __audited__ = False

    view: Mapped[str] = mapped_column(String(120), info=HIDDEN)
    kind: Mapped[str] = mapped_column(String(8), info=HIDDEN)
    asked_group_id: Mapped[UUID | None] = mapped_column(info=HIDDEN)
    wish: Mapped[str | None] = encrypted(info=HIDDEN)
    is_clear: Mapped[bool] = mapped_column(Boolean, info=HIDDEN)
    name: Mapped[str] = mapped_column(String(200), info=HIDDEN)
    user_id: Mapped[UUID | None] = mapped_column(info=HIDDEN)
    rows: Mapped[int] = mapped_column(Integer, info=HIDDEN)
    size: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"), info=HIDDEN)
    state: Mapped[FileState] = state(FileState, default=FileState.WAITING, info=HIDDEN)
    job_id: Mapped[UUID | None] = mapped_column(info=HIDDEN)
    made_at: Mapped[datetime] = mapped_column(server_default=func.now(), info=HIDDEN)
    expires_at: Mapped[datetime | None] = mapped_column(info=HIDDEN)


class Export(OnPlatform, KernelBase):
    """That someone took a list out: written before the file is made, and kept.

    filters: by column, what is not personal; words: what was searched for, sealed. personal: the
    personal columns in the file.
    """

    __tablename__ = "export"
    __table_args__ = (
        Index("ix_export_user_id", "user_id", "at"),
        {
            "info": {
                "grants": {
                    "dougong_access": "select, insert",
                    "dougong_platform": "select, insert",
                }
            }
        },
    )

    community_id: Mapped[UUID | None]
    group_id: Mapped[UUID | None]
    user_id: Mapped[UUID | None]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    view: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(8))
    filters: Mapped[dict[str, Any]] = mapped_column(JSONB)
    words: Mapped[str | None] = encrypted()
    rows: Mapped[int] = mapped_column(Integer)
    columns: Mapped[list[Any]] = mapped_column(JSONB)
    personal: Mapped[list[Any]] = mapped_column(JSONB)
    is_clear: Mapped[bool] = mapped_column(Boolean)
    reason: Mapped[RevealReason | None] = state(RevealReason, nullable=True)
    note: Mapped[str] = mapped_column(String(200), default="")
