"""Maintenance: checklists with limits, plans by rule and counter, tasks and what was answered."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Numeric, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, ref, to_one
from dougong.db import state as one_of
from dougong_equipment.domain.kinds import CatchUp, ItemKind, Statute, TaskState
from dougong_equipment.models.declaring import Base, flag, read_only, whole, words
from dougong_equipment.models.ledger import Equipment


class Checklist(InCommunity, Base):
    """What is looked at (检查表), in maintenance and at the points of a round."""

    __tablename__ = "checklist"
    __table_args__ = (UniqueConstraint("community_id", "name"),)

    name: Mapped[str] = words(80, "Checklist", "检查表")

    def __str__(self) -> str:
        return self.name


class ChecklistItem(InCommunity, Base):
    """One line of a checklist. lowest, highest: what a number may be."""

    __tablename__ = "checklist_item"
    __table_args__ = (
        UniqueConstraint("community_id", "checklist_id", "position"),
        CheckConstraint("lowest <= highest", name="limits"),
    )

    checklist_id: Mapped[UUID] = ref(
        "equipment.checklist", ondelete="CASCADE", index=False, info=label("Checklist", "检查表")
    )
    checklist: Mapped[Checklist] = to_one(checklist_id, Checklist)
    position: Mapped[int] = whole(1, "Position", "序号")
    title: Mapped[str] = words(120, "Looks at", "检查内容")
    kind: Mapped[ItemKind] = one_of(ItemKind, default=ItemKind.CHECK, info=label("Kind", "类型"))
    lowest: Mapped[Decimal | None] = mapped_column(Numeric(16, 4), info=label("Lowest", "下限"))
    highest: Mapped[Decimal | None] = mapped_column(Numeric(16, 4), info=label("Highest", "上限"))
    uom: Mapped[str] = words(20, "Measure", "单位", default="", server_default="")
    is_required: Mapped[bool] = flag(True, "Required", "必填")

    def __str__(self) -> str:
        return self.title


class MaintenancePlan(InCommunity, Base):
    """When a piece of equipment is maintained or checked (保养计划).

    rule: a line of RFC 5545. planned_until_on: everything up to there is on the calendar.
    counter_every: besides, or instead of the rule, whenever ``counter_point`` (a point of its
    device; ``run_hours`` for what people write down) has grown by so much.
    source: for a check by law, which one and since when.
    """

    __tablename__ = "maintenance_plan"
    __table_args__ = (
        CheckConstraint(
            "lead_days between 0 and 365 and horizon_days between 0 and 800"
            " and grace_days between 0 and 365",
            name="days",
        ),
        CheckConstraint("counter_every > 0", name="counter_every"),
        CheckConstraint("num_nonnulls(rule, counter_every) > 0", name="has_trigger"),
    )
    __building_path__ = "equipment.building_id"
    __sample__ = {"rule": "FREQ=MONTHLY"}

    equipment_id: Mapped[UUID] = ref("equipment.equipment", info=label("Equipment", "设备"))
    equipment: Mapped[Equipment] = to_one(equipment_id, Equipment)
    name: Mapped[str] = words(80, "Work", "保养内容")
    statute: Mapped[Statute | None] = one_of(Statute, info=label("By law", "法定检验"))
    source: Mapped[str | None] = words(200, "Legal source", "法规依据")
    rule: Mapped[str | None] = words(200, "Rule", "周期规则")
    starts_on: Mapped[date] = mapped_column(info=label("First day", "起始日期"))
    lead_days: Mapped[int] = whole(3, "Opens before (days)", "提前派发（天）")
    horizon_days: Mapped[int] = whole(60, "Calendar reaches (days)", "排期范围（天）")
    grace_days: Mapped[int] = whole(0, "Not late for (days)", "宽限（天）")
    catch_up: Mapped[CatchUp] = one_of(
        CatchUp, default=CatchUp.LATEST, info=label("Slept through", "漏排处理")
    )
    counter_point: Mapped[str | None] = words(60, "Counter", "计数测点")
    counter_every: Mapped[Decimal | None] = mapped_column(
        Numeric(12, 2), info=label("Every so much on the counter", "计数周期")
    )
    counter_seen: Mapped[Decimal | None] = mapped_column(
        Numeric(14, 2), info=read_only("Counter stood at", "上次计数")
    )
    checklist_id: Mapped[UUID | None] = ref(
        "equipment.checklist", info=label("Checklist", "检查表")
    )
    checklist: Mapped[Checklist | None] = to_one(checklist_id, Checklist)
    is_active: Mapped[bool] = flag(True, "Active", "启用")
    planned_until_on: Mapped[date | None] = mapped_column(info=read_only("Planned until", "已排至"))
    planned_by: Mapped[str | None] = mapped_column(String(300), info={"api": "hidden"})

    def __str__(self) -> str:
        return self.name


class MaintenanceTask(InCommunity, Base):
    """One task (保养任务). key: of the plan and the day or count, so that none is made twice."""

    __tablename__ = "maintenance_task"
    __table_args__ = (
        UniqueConstraint("community_id", "key"),
        Index("ix_maintenance_task_state", "community_id", "state", "due_on"),
    )
    __building_path__ = "equipment.building_id"

    equipment_id: Mapped[UUID] = ref("equipment.equipment", info=label("Equipment", "设备"))
    equipment: Mapped[Equipment] = to_one(equipment_id, Equipment)
    plan_id: Mapped[UUID | None] = ref("equipment.maintenance_plan", info=label("Plan", "保养计划"))
    plan: Mapped[MaintenancePlan | None] = to_one(plan_id, MaintenancePlan)
    checklist_id: Mapped[UUID | None] = ref(
        "equipment.checklist", info=label("Checklist", "检查表")
    )
    checklist: Mapped[Checklist | None] = to_one(checklist_id, Checklist)
    name: Mapped[str] = words(80, "Work", "保养内容")
    statute: Mapped[Statute | None] = one_of(Statute, info=label("By law", "法定检验"))
    due_on: Mapped[date] = mapped_column(info=label("Due on", "应做日期"))
    opens_on: Mapped[date] = mapped_column(info=label("Opens on", "派发日期"))
    state: Mapped[TaskState] = one_of(
        TaskState, default=TaskState.OPEN, info=read_only("State", "状态")
    )
    warned: Mapped[int] = whole(0, "Warned at level", "已预警级别")
    started_at: Mapped[datetime | None] = mapped_column(info=read_only("Begun at", "开始时间"))
    done_at: Mapped[datetime | None] = mapped_column(info=read_only("Done at", "完成时间"))
    done_by: Mapped[str | None] = mapped_column(
        String(80), info={**read_only("Done by", "执行人"), "personal": "name"}
    )
    report: Mapped[str | None] = mapped_column(
        String(60), info=read_only("Report no.", "检验报告编号")
    )
    is_fine: Mapped[bool | None] = mapped_column(info=read_only("In order", "结果正常"))
    note: Mapped[str | None] = mapped_column(
        String(500), info={**read_only("Note", "说明"), "free_text": True}
    )
    key: Mapped[str] = mapped_column(String(90), info={"api": "hidden"})

    def __str__(self) -> str:
        return f"{self.name} {self.due_on}"
