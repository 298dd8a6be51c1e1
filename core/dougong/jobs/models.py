"""What people see of jobs: one row each, in the community that it works for."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Index, Integer, LargeBinary, String, UniqueConstraint, false, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, KernelBase, label, labels, state


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    __labels__ = labels(
        WAITING=("Waiting", "等待"),
        RUNNING=("Running", "进行中"),
        DONE=("Done", "完成"),
        FAILED=("Failed", "失败"),
        CANCELLED=("Cancelled", "已取消"),
    )


class Job(InCommunity, KernelBase):
    """A service that a worker runs, or has run.

    arguments: ids and plain values. mac: over service, actor and arguments, so that a row changed
    behind our back is not run. done, total: progress, in whatever the service counts.
    """

    __tablename__ = "job"
    __audited__ = False
    __table_args__ = (
        Index("ix_job_state", "community_id", "state"),
        # People ask for few of them, and look for these first.
        Index("ix_job_asked", "community_id", "id", postgresql_where=text("user_id is not null")),
    )

    service: Mapped[str] = mapped_column(String(120), info=label("Service", "服务"))
    arguments: Mapped[dict[str, Any]] = mapped_column(JSONB, info=label("Arguments", "参数"))
    user_id: Mapped[UUID | None] = mapped_column(info=label("Asked by", "发起人"))
    mac: Mapped[bytes] = mapped_column(LargeBinary, info={"api": "hidden"})
    state: Mapped[JobState] = state(JobState, default=JobState.WAITING, info=label("State", "状态"))
    done: Mapped[int] = mapped_column(
        Integer, default=0, server_default=text("0"), info=label("Done", "已完成")
    )
    total: Mapped[int | None] = mapped_column(Integer, info=label("Of", "总数"))
    message: Mapped[str] = mapped_column(
        String(200), default="", server_default="", info=label("Progress", "进度")
    )
    attempts: Mapped[int] = mapped_column(
        Integer, default=0, server_default=text("0"), info=label("Attempts", "尝试次数")
    )
    error: Mapped[str | None] = mapped_column(info=label("Error", "错误"))
    result: Mapped[Any | None] = mapped_column(JSONB, info=label("Result", "结果"))
    is_cancel_wanted: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=false(), info={"api": "hidden"}
    )
    asked_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), info=label("Asked at", "提交时间")
    )
    started_at: Mapped[datetime | None] = mapped_column(info=label("Started at", "开始时间"))
    ended_at: Mapped[datetime | None] = mapped_column(info=label("Ended at", "结束时间"))

    @property
    def title(self) -> str:
        """Return the service's title in the locale in force; its name when it is not loaded."""
        from dougong.services import SERVICES

        found = SERVICES.get(self.service)
        return str(found.title) if found else self.service

    def __str__(self) -> str:
        return self.title


class Schedule(InCommunity, KernelBase):
    """When a scheduled job of a plugin was last due in a community."""

    __tablename__ = "schedule"
    __audited__ = False
    __table_args__ = (UniqueConstraint("community_id", "plugin", "job"),)

    plugin: Mapped[str] = mapped_column(String(40))
    job: Mapped[str] = mapped_column(String(60))
    due_at: Mapped[datetime]
