"""What the installation knows of its plugins: states, where they are on, what went wrong.

Rows of the platform: written by the access role through `dougong.plugins.operations` only.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Uuid

from dougong.db.base import KERNEL_SCHEMA, KernelBase, OnPlatform
from dougong.db.columns import label, labels, state


class PluginState(StrEnum):
    """Where a plugin stands in this installation; enabling per community is another matter."""

    AVAILABLE = "available"
    INSTALLED = "installed"
    NEEDS_UPGRADE = "needs_upgrade"
    ERROR = "error"
    QUARANTINED = "quarantined"
    REVOKED = "revoked"
    ARCHIVED = "archived"

    __labels__ = labels(
        AVAILABLE=("Available", "可安装"),
        INSTALLED=("Installed", "已安装"),
        NEEDS_UPGRADE=("Needs an upgrade", "待升级"),
        ERROR=("Broken", "故障"),
        QUARANTINED=("Quarantined", "已隔离"),
        REVOKED=("Revoked", "已吊销"),
        ARCHIVED=("Archived", "已归档"),
    )


class Plugin(OnPlatform, KernelBase):
    """A plugin that is or was installed, the version whose schema the database has."""

    __tablename__ = "plugin"
    __table_args__ = (UniqueConstraint("plugin"),)

    plugin: Mapped[str] = mapped_column(String(40), info=label("Plugin", "插件"))
    version: Mapped[str] = mapped_column(String(40), info=label("Version", "版本"))
    state: Mapped[PluginState] = state(
        PluginState, default=PluginState.INSTALLED, info=label("State", "状态")
    )
    reason: Mapped[str | None] = mapped_column(info=label("Reason", "原因"))
    content_hash: Mapped[str | None] = mapped_column(String(64))
    changed_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), info=label("Changed at", "变更时间")
    )


class PluginEnablement(OnPlatform, KernelBase):
    """That a plugin is on in a community; ``building_ids`` None means all of it."""

    __tablename__ = "plugin_enablement"
    __table_args__ = (
        UniqueConstraint("plugin", "community_id"),
        Index("ix_plugin_enablement_community_id", "community_id"),
    )

    plugin: Mapped[str] = mapped_column(String(40), info=label("Plugin", "插件"))
    community_id: Mapped[UUID] = mapped_column(
        ForeignKey(f"{KERNEL_SCHEMA}.community.id", ondelete="CASCADE"),
        info=label("Community", "小区"),
    )
    building_ids: Mapped[list[UUID] | None] = mapped_column(
        ARRAY(Uuid()), info=label("Buildings", "楼栋")
    )


class PluginFailure(OnPlatform, KernelBase):
    """How often a plugin failed at one point, within the window that is running."""

    __tablename__ = "plugin_failure"
    __table_args__ = (UniqueConstraint("plugin", "point"),)
    __audited__ = False

    plugin: Mapped[str] = mapped_column(String(40))
    point: Mapped[str] = mapped_column(String(120))
    reason: Mapped[str]
    count: Mapped[int] = mapped_column(Integer)
    total: Mapped[int] = mapped_column(BigInteger)
    since_at: Mapped[datetime]
    last_at: Mapped[datetime]


class PluginUsage(OnPlatform, KernelBase):
    """What a plugin's calls at one point took on one day, in all processes together.

    over_budget: calls that took more than that. longest_ms: the longest of those.
    """

    __tablename__ = "plugin_usage"
    __table_args__ = (UniqueConstraint("plugin", "point", "day_on"),)
    __audited__ = False

    plugin: Mapped[str] = mapped_column(String(40))
    point: Mapped[str] = mapped_column(String(120))
    day_on: Mapped[date]
    calls: Mapped[int] = mapped_column(BigInteger)
    taken_us: Mapped[int] = mapped_column(BigInteger)
    failures: Mapped[int] = mapped_column(BigInteger)
    over_budget: Mapped[int] = mapped_column(BigInteger)
    longest_ms: Mapped[int] = mapped_column(BigInteger)


class RepairIssue(OnPlatform, KernelBase):
    """Something that a person must put right; resolved when it is."""

    __tablename__ = "repair_issue"
    __table_args__ = (
        Index(
            "uq_repair_issue_open",
            "plugin",
            "point",
            unique=True,
            postgresql_where=text("resolved_at is null"),
        ),
    )
    __audited__ = False

    plugin: Mapped[str] = mapped_column(String(40), info=label("Plugin", "插件"))
    point: Mapped[str] = mapped_column(String(120), info=label("Where", "位置"))
    reason: Mapped[str] = mapped_column(info=label("What happened", "现象"))
    advice: Mapped[str] = mapped_column(info=label("What to do", "处理办法"))
    opened_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), info=label("Since", "开始时间")
    )
    resolved_at: Mapped[datetime | None] = mapped_column(info=label("Resolved at", "解决时间"))


class PluginArchive(OnPlatform, KernelBase):
    """A plugin's schema put aside by uninstalling: what was in it, and how to put it back.

    tables: by name, ``{"rows": …, "sha256": …}``. foreign_keys: the references to other schemas
    that were dropped, ``{"table", "name", "definition"}``.
    """

    __tablename__ = "plugin_archive"
    __table_args__ = (UniqueConstraint("archive_schema"),)

    plugin: Mapped[str] = mapped_column(String(40), info=label("Plugin", "插件"))
    version: Mapped[str] = mapped_column(String(40), info=label("Version", "版本"))
    archive_schema: Mapped[str] = mapped_column(String(63))
    tables: Mapped[dict[str, Any]] = mapped_column(JSONB)
    foreign_keys: Mapped[list[dict[str, str]]] = mapped_column(JSONB)
    archived_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), info=label("Archived at", "归档时间")
    )
    restored_at: Mapped[datetime | None] = mapped_column(info=label("Restored at", "恢复时间"))
