"""Alarms by rule, conditions before a command, schedules that give commands."""

from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Numeric, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, ref, to_one
from dougong.db import state as one_of
from dougong_equipment.domain.kinds import AlarmState, Comparison, Moment, RunState, Urgency
from dougong_equipment.models.declaring import Base, flag, read_only, whole, words
from dougong_equipment.models.ledger import Equipment


class AlarmRule(InCommunity, Base):
    """When a value of a piece of equipment raises an alarm (告警规则).

    delay_s: only when it lasts so long. dead_band: it is over only when the value has come back by
    so much. makes_order: a fault, and a work order where repairs is on.
    """

    __tablename__ = "alarm_rule"
    __table_args__ = (
        CheckConstraint("dead_band >= 0 and delay_s between 0 and 86400", name="dead_band"),
        CheckConstraint("threshold is not null or comparison like 'is_%'", name="threshold"),
    )
    __building_path__ = "equipment.building_id"

    equipment_id: Mapped[UUID] = ref("equipment.equipment", info=label("Equipment", "设备"))
    equipment: Mapped[Equipment] = to_one(equipment_id, Equipment)
    name: Mapped[str] = words(80, "Alarm", "告警名称")
    point: Mapped[str] = words(60, "Point", "测点")
    comparison: Mapped[Comparison] = one_of(Comparison, info=label("When", "条件"))
    threshold: Mapped[Decimal | None] = mapped_column(Numeric(16, 4), info=label("Limit", "限值"))
    dead_band: Mapped[Decimal] = mapped_column(
        Numeric(16, 4), default=Decimal(0), server_default="0", info=label("Dead band", "回差")
    )
    delay_s: Mapped[int] = whole(0, "Lasts (s)", "持续（秒）")
    urgency: Mapped[Urgency] = one_of(
        Urgency, default=Urgency.URGENT, info=label("Urgency", "紧急程度")
    )
    is_breakdown: Mapped[bool] = flag(False, "Stands still", "停机故障")
    makes_order: Mapped[bool] = flag(True, "Makes a work order", "生成工单")
    is_active: Mapped[bool] = flag(True, "Active", "启用")

    def __str__(self) -> str:
        return self.name


class Alarm(InCommunity, Base):
    """One alarm (设备告警): since when, raised, over; one that is not over stands once per rule."""

    __tablename__ = "alarm"
    __table_args__ = (
        Index(
            "uq_alarm_standing",
            "community_id",
            "rule_id",
            unique=True,
            postgresql_where=text("state <> 'over'"),
        ),
        Index("ix_alarm_state", "community_id", "state"),
    )
    __building_path__ = "equipment.building_id"

    rule_id: Mapped[UUID] = ref("equipment.alarm_rule", info=label("Rule", "告警规则"))
    rule: Mapped[AlarmRule] = to_one(rule_id, AlarmRule)
    equipment_id: Mapped[UUID] = ref("equipment.equipment", info=label("Equipment", "设备"))
    equipment: Mapped[Equipment] = to_one(equipment_id, Equipment)
    state: Mapped[AlarmState] = one_of(AlarmState, info=read_only("State", "状态"))
    since_at: Mapped[datetime] = mapped_column(info=read_only("Since", "开始时间"))
    raised_at: Mapped[datetime | None] = mapped_column(info=read_only("Raised at", "告警时间"))
    over_at: Mapped[datetime | None] = mapped_column(info=read_only("Over at", "恢复时间"))
    value: Mapped[str] = mapped_column(String(60), info=read_only("Value", "数值"))

    def __str__(self) -> str:
        return self.local(self.since_at)


class Condition(InCommunity, Base):
    """What must not be while a command is given (联锁条件): the reason stands in ``name``.

    watched_id: the equipment whose point is looked at. A value that is old or bad refuses as well.
    """

    __tablename__ = "condition"
    __table_args__ = (
        CheckConstraint("threshold is not null or comparison like 'is_%'", name="threshold"),
        CheckConstraint("fresh_s between 5 and 86400", name="fresh_s"),
    )
    __building_path__ = "equipment.building_id"

    equipment_id: Mapped[UUID] = ref("equipment.equipment", info=label("Equipment", "设备"))
    equipment: Mapped[Equipment] = to_one(equipment_id, Equipment)
    command: Mapped[str] = words(60, "Command", "指令")
    watched_id: Mapped[UUID] = ref("equipment.equipment", info=label("Looks at", "监测设备"))
    watched: Mapped[Equipment] = to_one(watched_id, Equipment)
    point: Mapped[str] = words(60, "Point", "测点")
    comparison: Mapped[Comparison] = one_of(Comparison, info=label("Refuses when", "禁止条件"))
    threshold: Mapped[Decimal | None] = mapped_column(Numeric(16, 4), info=label("Limit", "限值"))
    fresh_s: Mapped[int] = whole(300, "Not older than (s)", "数值时效（秒）")
    name: Mapped[str] = words(120, "Reason", "联锁说明")
    is_active: Mapped[bool] = flag(True, "Active", "启用")

    def __str__(self) -> str:
        return self.name


class ControlSchedule(InCommunity, Base):
    """When a command is given by itself (定时控制): a pump's timer, lighting by the sun.

    rule: the days, RFC 5545. at: local time, for the clock. offset_minutes: after (or, negative,
    before) sunset or sunrise at the community's coordinates. late_minutes: what could not be
    ordered within so long is not ordered at all. policy: the written rule that stands in for the
    second person, where a command wants two.
    """

    __tablename__ = "control_schedule"
    __table_args__ = (
        CheckConstraint("late_minutes between 1 and 120", name="late_minutes"),
        CheckConstraint("offset_minutes between -180 and 180", name="offset_minutes"),
        CheckConstraint("at is not null or moment <> 'clock'", name="at"),
    )
    __building_path__ = "equipment.building_id"

    equipment_id: Mapped[UUID] = ref("equipment.equipment", info=label("Equipment", "设备"))
    equipment: Mapped[Equipment] = to_one(equipment_id, Equipment)
    name: Mapped[str] = words(80, "Schedule", "定时任务")
    command: Mapped[str] = words(60, "Command", "指令")
    value: Mapped[str] = words(20, "Value", "设定值", default="", server_default="")
    rule: Mapped[str] = words(200, "Days", "日期规则", default="FREQ=DAILY")
    moment: Mapped[Moment] = one_of(Moment, default=Moment.CLOCK, info=label("Goes by", "时刻依据"))
    at: Mapped[time | None] = mapped_column(info=label("At", "时刻"))
    offset_minutes: Mapped[int] = whole(0, "Minutes after", "偏移（分钟）")
    late_minutes: Mapped[int] = whole(10, "Too late after (minutes)", "过时作废（分钟）")
    policy: Mapped[str | None] = words(200, "Policy", "依据制度")
    starts_on: Mapped[date] = mapped_column(info=label("First day", "起始日期"))
    is_active: Mapped[bool] = flag(True, "Active", "启用")
    looked_at: Mapped[datetime | None] = mapped_column(info={"api": "hidden"})

    def __str__(self) -> str:
        return self.name


class ControlRun(InCommunity, Base):
    """What became of one moment of a schedule (执行记录): at most one for each moment."""

    __tablename__ = "control_run"
    __table_args__ = (UniqueConstraint("community_id", "schedule_id", "due_at"),)

    schedule_id: Mapped[UUID] = ref(
        "equipment.control_schedule",
        ondelete="CASCADE",
        index=False,
        info=label("Schedule", "定时"),
    )
    schedule: Mapped[ControlSchedule] = to_one(schedule_id, ControlSchedule)
    due_at: Mapped[datetime] = mapped_column(info=read_only("Due at", "应执行时间"))
    state: Mapped[RunState] = one_of(RunState, info=read_only("State", "状态"))
    command_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})
    detail: Mapped[str] = words(200, "Detail", "说明", default="", server_default="")

    def __str__(self) -> str:
        return self.local(self.due_at)
