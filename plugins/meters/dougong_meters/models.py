"""Meters and their readings."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, Numeric, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import (
    InCommunity,
    label,
    labels,
    member_label,
    plugin_base,
    ref,
    restricted,
    state,
    to_one,
)
from dougong.tenancy.models import Building, Room

Base = plugin_base("meters")


class Commodity(StrEnum):
    """What a meter counts."""

    WATER = "water"
    ELECTRICITY = "electricity"
    GAS = "gas"
    HEAT = "heat"

    __labels__ = labels(
        WATER=("Water", "水"),
        ELECTRICITY=("Electricity", "电"),
        GAS=("Gas", "燃气"),
        HEAT=("Heat", "热"),
    )


class MeterRole(StrEnum):
    """What a meter counts beside others: its place says of whom."""

    OWN = "own"
    MAIN = "main"
    SHARED = "shared"

    __labels__ = labels(
        OWN=("Room meter", "户表"), MAIN=("Main meter", "总表"), SHARED=("Common areas", "公区表")
    )


class MeterState(StrEnum):
    """Whether a meter hangs."""

    INSTALLED = "installed"
    REMOVED = "removed"

    __labels__ = labels(INSTALLED=("Installed", "在用"), REMOVED=("Removed", "已拆除"))


class ReadingKind(StrEnum):
    """Why a reading was taken."""

    NORMAL = "normal"
    ESTIMATE = "estimate"
    REPLACEMENT = "replacement"
    ROLLOVER = "rollover"
    CORRECTION = "correction"

    __labels__ = labels(
        NORMAL=("Normal", "正常"),
        ESTIMATE=("Estimate", "估读"),
        REPLACEMENT=("Replacement", "换表"),
        ROLLOVER=("Rollover", "翻转"),
        CORRECTION=("Correction", "更正"),
    )


class ReadingSource(StrEnum):
    """Where a reading came from."""

    MANUAL = "manual"
    PHOTO = "photo"
    IMPORT = "import"
    COLLECTOR = "collector"
    IC_CARD = "ic_card"

    __labels__ = labels(
        MANUAL=("Manual", "人工"),
        PHOTO=("Photo", "拍照"),
        IMPORT=("Import", "导入"),
        COLLECTOR=("Collector", "远程采集"),
        IC_CARD=("IC card", "IC 卡"),
    )


class ReadingState(StrEnum):
    """Whether a reading counts for bills."""

    ACCEPTED = "accepted"
    SUSPECT = "suspect"
    REJECTED = "rejected"

    __labels__ = labels(
        ACCEPTED=("Accepted", "有效"),
        SUSPECT=("Suspect", "待核"),
        REJECTED=("Rejected", "作废"),
    )


class AlarmKind(StrEnum):
    """What is the matter with a meter."""

    LEAK = "leak"
    ZERO_USE = "zero_use"
    REVERSE = "reverse"
    OFFLINE = "offline"
    TAMPER = "tamper"
    VERIFICATION = "verification"

    __labels__ = labels(
        LEAK=("Flows all night", "夜间持续用水"),
        ZERO_USE=("Nothing used", "零用量"),
        REVERSE=("Runs backwards", "倒走"),
        OFFLINE=("Does not answer", "离线"),
        TAMPER=("Tampered with", "拆盖或磁扰"),
        VERIFICATION=("Verification due", "检定到期"),
    )


class AlarmState(StrEnum):
    """Whether somebody still has to look."""

    OPEN = "open"
    CLOSED = "closed"

    __labels__ = labels(OPEN=("Open", "未处理"), CLOSED=("Closed", "已处理"))


class Meter(InCommunity, Base):
    """A meter (水表/电表/气表): one device at one place until it is replaced.

    Without a room it counts for the building or the whole community. The replacing meter is a row
    of its own that points back with ``replaces_id``. verification_ends_on: the last day of its
    metrological verification; nobody has to pay by a meter beyond it.
    """

    __tablename__ = "meter"
    __table_args__ = (
        UniqueConstraint("community_id", "serial"),
        CheckConstraint("multiplier > 0", name="multiplier"),
        CheckConstraint("removed_on is null or removed_on >= installed_on", name="removed_on"),
        Index("ix_meter_room_commodity", "community_id", "room_id", "commodity"),
    )
    __building_path__ = "building_id"

    serial: Mapped[str] = mapped_column(String(40), info=label("Serial", "表号"))
    commodity: Mapped[Commodity] = state(Commodity, info=label("Commodity", "类别"))
    building_id: Mapped[UUID | None] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building | None] = to_one(building_id, Building)
    room_id: Mapped[UUID | None] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room | None] = to_one(room_id, Room)
    role: Mapped[MeterRole] = state(
        MeterRole, default=MeterRole.OWN, info=label("Counts", "计量对象")
    )
    multiplier: Mapped[Decimal] = mapped_column(
        Numeric(12, 4),
        default=Decimal(1),
        # Every bill is multiplied by it: seen at the desk, set by who answers for the meters.
        info=label("Multiplier", "倍率") | restricted(read=("front_desk", "dispatcher")),
    )
    digits: Mapped[int | None] = mapped_column(
        Integer, info=label("Digits before the point", "整数位数")
    )
    installed_on: Mapped[date] = mapped_column(info=label("Installed on", "安装日期"))
    install_value: Mapped[Decimal] = mapped_column(
        Numeric(18, 4), default=Decimal(0), info=label("Install reading", "安装底数")
    )
    verification_ends_on: Mapped[date | None] = mapped_column(
        info=label("Verified until", "检定有效期至")
    )
    removed_on: Mapped[date | None] = mapped_column(
        info={**label("Removed on", "拆除日期"), "api": "read"}
    )
    removal_value: Mapped[Decimal | None] = mapped_column(
        Numeric(18, 4), info={**label("Removal reading", "拆表读数"), "api": "read"}
    )
    state: Mapped[MeterState] = state(
        MeterState, default=MeterState.INSTALLED, info={**label("State", "状态"), "api": "read"}
    )
    replaces_id: Mapped[UUID | None] = ref(
        "meters.meter", info={**label("Replaces", "替换"), "api": "read"}
    )
    last_value: Mapped[Decimal | None] = mapped_column(
        Numeric(18, 4), info={**label("Last reading", "最近读数"), "api": "read"}
    )
    last_read_at: Mapped[datetime | None] = mapped_column(
        info={**label("Last read", "最近抄表时间"), "api": "read"}
    )

    def __str__(self) -> str:
        return self.serial


class Reading(InCommunity, Base):
    """A meter reading (抄表): a counter value at an instant, in the meter's unit."""

    __tablename__ = "reading"
    __monthly_by__ = "read_at"
    __table_args__ = (
        UniqueConstraint("community_id", "meter_id", "read_at", name="uq_reading_meter_read_at"),
        CheckConstraint("value >= 0", name="value"),
        Index(
            "ix_reading_rollover",
            "community_id",
            "meter_id",
            "read_at",
            postgresql_where=text("kind = 'rollover'"),
        ),
        Index(
            "ix_reading_estimate",
            "community_id",
            "meter_id",
            "read_at",
            postgresql_where=text("kind = 'estimate'"),
        ),
        # Few among millions: counted on the dashboard and listed for whoever checks them.
        Index(
            "ix_reading_suspect",
            "community_id",
            "read_at",
            postgresql_where=text("state = 'suspect'"),
        ),
    )

    meter_id: Mapped[UUID] = ref("meters.meter", index=False, info=label("Meter", "表计"))
    meter: Mapped[Meter] = to_one(meter_id, Meter)
    read_at: Mapped[datetime] = mapped_column(info=label("Read at", "抄表时间"))
    value: Mapped[Decimal] = mapped_column(Numeric(18, 4), info=label("Value", "读数"))
    kind: Mapped[ReadingKind] = state(
        ReadingKind, default=ReadingKind.NORMAL, info=label("Kind", "性质")
    )
    source: Mapped[ReadingSource] = state(
        ReadingSource, default=ReadingSource.MANUAL, info=label("Source", "来源")
    )
    state: Mapped[ReadingState] = state(
        ReadingState, default=ReadingState.ACCEPTED, info=label("State", "状态")
    )
    reason: Mapped[str | None] = mapped_column(String(200), info=label("Reason", "说明"))

    def __str__(self) -> str:
        return f"{self.value:f} {self.local(self.read_at)[:10]}"


class Alarm(InCommunity, Base):
    """Something about a meter that somebody must look at (表计告警).

    One open alarm per meter and kind. Those that a rule raised close by themselves when it holds no
    longer; tampering stays until a person has looked.
    """

    __tablename__ = "alarm"
    __table_args__ = (
        Index(
            "uq_alarm_open",
            "community_id",
            "meter_id",
            "kind",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
    )
    __building_path__ = "meter.building_id"

    meter_id: Mapped[UUID] = ref("meters.meter", info=label("Meter", "表计"))
    meter: Mapped[Meter] = to_one(meter_id, Meter)
    kind: Mapped[AlarmKind] = state(AlarmKind, info=label("Alarm", "告警"))
    state: Mapped[AlarmState] = state(
        AlarmState, default=AlarmState.OPEN, info=label("State", "状态")
    )
    raised_at: Mapped[datetime] = mapped_column(info=label("Raised at", "发生时间"))
    detail: Mapped[str] = mapped_column(String(200), default="", info=label("Detail", "说明"))
    closed_at: Mapped[datetime | None] = mapped_column(info=label("Closed at", "处理时间"))
    note: Mapped[str | None] = mapped_column(String(200), info=label("What was done", "处理结果"))

    def __str__(self) -> str:
        return str(member_label(self.kind))


class MonthBalance(InCommunity, Base):
    """The loss balance of a month (总分表平衡), as it was reckoned where many meters hang.

    places: by main meter, as ``services.balance`` writes and reads them.
    """

    __tablename__ = "month_balance"
    __table_args__ = (
        UniqueConstraint("community_id", "month_on", "commodity"),
        CheckConstraint("extract(day from month_on) = 1", name="month_on"),
    )

    month_on: Mapped[date] = mapped_column(info=label("Month", "月份"))
    commodity: Mapped[Commodity] = state(Commodity, info=label("Commodity", "类别"))
    reckoned_at: Mapped[datetime] = mapped_column(info=label("Reckoned at", "计算时间"))
    places: Mapped[Any] = mapped_column(JSONB, info={**label("Places", "范围"), "api": "read"})

    def __str__(self) -> str:
        return f"{self.month_on:%Y-%m}"


class MonthCounter(InCommunity, Base):
    """What counts of a meter at the first midnight of a month (月初表底), kept once it is over.

    Made from readings, and forgotten when one of before that midnight comes, goes or changes; where
    it is missing, readings are asked. value: None when there was none yet. rolled: how often the
    counter began anew in the month before.
    """

    __tablename__ = "month_counter"
    __table_args__ = (
        UniqueConstraint("community_id", "meter_id", "begins_at"),
        Index("ix_month_counter_begins_at", "community_id", "begins_at"),
    )
    __building_path__ = "meter.building_id"
    __anchor__ = "meter_id"

    meter_id: Mapped[UUID] = ref(
        "meters.meter", ondelete="CASCADE", index=False, info=label("Meter", "表计")
    )
    meter: Mapped[Meter] = to_one(meter_id, Meter)
    begins_at: Mapped[datetime] = mapped_column(info=label("At", "时刻"))
    value: Mapped[Decimal | None] = mapped_column(Numeric(18, 4), info=label("Value", "读数"))
    read_at: Mapped[datetime | None] = mapped_column(info=label("Read at", "抄表时间"))
    is_estimated: Mapped[bool] = mapped_column(info=label("Estimated", "估读"))
    rolled: Mapped[int] = mapped_column(Integer, info=label("Rollovers", "翻转次数"))

    def __str__(self) -> str:
        return self.local(self.begins_at)[:10]
