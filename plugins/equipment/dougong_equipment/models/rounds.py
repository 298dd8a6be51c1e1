"""Inspection rounds: points, routes, plans, rounds, what was found at each point."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, Numeric, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, ref, to_one
from dougong.db import state as one_of
from dougong.tenancy.models import Building
from dougong_equipment.domain.kinds import Proof, TaskState, Trade
from dougong_equipment.models.declaring import Base, flag, read_only, whole, words
from dougong_equipment.models.ledger import Equipment, new_code
from dougong_equipment.models.maintenance import Checklist, ChecklistItem, MaintenanceTask


class InspectionPoint(InCommunity, Base):
    """A place where somebody looks (巡检点). code: in its QR code; tag: of its NFC tag."""

    __tablename__ = "inspection_point"
    __table_args__ = (
        UniqueConstraint("community_id", "code"),
        CheckConstraint("stay_s between 0 and 3600", name="stay_s"),
        CheckConstraint("photo_percent between 0 and 100", name="photo_percent"),
    )
    __building_path__ = "building_id"

    name: Mapped[str] = words(80, "Point", "巡检点")
    building_id: Mapped[UUID | None] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building | None] = to_one(building_id, Building)
    floor: Mapped[int | None] = mapped_column(Integer, info=label("Floor", "楼层"))
    equipment_id: Mapped[UUID | None] = ref("equipment.equipment", info=label("Equipment", "设备"))
    equipment: Mapped[Equipment | None] = to_one(equipment_id, Equipment)
    checklist_id: Mapped[UUID | None] = ref(
        "equipment.checklist", info=label("Checklist", "检查表")
    )
    checklist: Mapped[Checklist | None] = to_one(checklist_id, Checklist)
    code: Mapped[str] = mapped_column(
        String(40), default=new_code, info={**label("Code", "巡检码"), "api": "hidden"}
    )
    tag: Mapped[str | None] = words(40, "NFC tag", "NFC 标签号")
    stay_s: Mapped[int] = whole(0, "Stay at least (s)", "最短停留（秒）")
    photo_percent: Mapped[int] = whole(0, "Photo wanted (%)", "抽查拍照比例（%）")

    def __str__(self) -> str:
        return self.name


class InspectionRoute(InCommunity, Base):
    """Points in their order (巡检路线), for one trade."""

    __tablename__ = "inspection_route"
    __table_args__ = (UniqueConstraint("community_id", "name"),)

    name: Mapped[str] = words(80, "Route", "巡检路线")
    trade: Mapped[Trade] = one_of(Trade, default=Trade.EQUIPMENT, info=label("Trade", "专业"))

    def __str__(self) -> str:
        return self.name


class RouteStop(InCommunity, Base):
    """One stop of a route."""

    __tablename__ = "route_stop"
    __named_by__ = ("point",)
    __table_args__ = (UniqueConstraint("community_id", "route_id", "point_id"),)

    route_id: Mapped[UUID] = ref(
        "equipment.inspection_route", ondelete="CASCADE", index=False, info=label("Route", "路线")
    )
    route: Mapped[InspectionRoute] = to_one(route_id, InspectionRoute)
    point_id: Mapped[UUID] = ref("equipment.inspection_point", info=label("Point", "巡检点"))
    point: Mapped[InspectionPoint] = to_one(point_id, InspectionPoint)
    position: Mapped[int] = whole(1, "Position", "序号")

    def __str__(self) -> str:
        return f"{self.position}. {self.point}"


class InspectionPlan(InCommunity, Base):
    """When a route is walked (巡检计划). rule: RFC 5545, from ``starts_at`` on, in local time.

    window_minutes: a round that is not complete by then is missed.
    """

    __tablename__ = "inspection_plan"
    __table_args__ = (CheckConstraint("window_minutes between 5 and 20160", name="window"),)

    route_id: Mapped[UUID] = ref("equipment.inspection_route", info=label("Route", "路线"))
    route: Mapped[InspectionRoute] = to_one(route_id, InspectionRoute)
    rule: Mapped[str] = words(200, "Rule", "周期规则")
    starts_at: Mapped[datetime] = mapped_column(info=label("First time", "首次时间"))
    window_minutes: Mapped[int] = whole(120, "To be done within (minutes)", "须在（分钟）内完成")
    is_active: Mapped[bool] = flag(True, "Active", "启用")
    planned_until_at: Mapped[datetime | None] = mapped_column(
        info=read_only("Planned until", "已排至")
    )

    def __str__(self) -> str:
        return self.rule


class InspectionRound(InCommunity, Base):
    """One walk of a route (巡检任务). makes_up_id: the missed one whose points it looks at."""

    __tablename__ = "inspection_round"
    __table_args__ = (
        UniqueConstraint("community_id", "plan_id", "starts_at"),
        Index("ix_inspection_round_state", "community_id", "state", "closes_at"),
    )

    plan_id: Mapped[UUID] = ref(
        "equipment.inspection_plan", index=False, info=label("Plan", "巡检计划")
    )
    plan: Mapped[InspectionPlan] = to_one(plan_id, InspectionPlan)
    route_id: Mapped[UUID] = ref("equipment.inspection_route", info=label("Route", "路线"))
    route: Mapped[InspectionRoute] = to_one(route_id, InspectionRoute)
    starts_at: Mapped[datetime] = mapped_column(info=read_only("From", "开始时间"))
    closes_at: Mapped[datetime] = mapped_column(info=read_only("Until", "截止时间"))
    state: Mapped[TaskState] = one_of(
        TaskState, default=TaskState.OPEN, info=read_only("State", "状态")
    )
    done_at: Mapped[datetime | None] = mapped_column(info=read_only("Done at", "完成时间"))
    points: Mapped[int] = whole(0, "Points", "应检点数")
    visited: Mapped[int] = whole(0, "Visited", "已检点数")
    makes_up_id: Mapped[UUID | None] = ref(
        "equipment.inspection_round", info=label("Makes up for", "补检原任务")
    )
    makes_up: Mapped["InspectionRound | None"] = to_one(makes_up_id, lambda: InspectionRound)

    def __str__(self) -> str:
        return self.local(self.starts_at)


class PointVisit(InCommunity, Base):
    """What was found at a point of a round (巡检记录); a re-check stands beside the first look.

    score: 1 to 5, from the supervisor who looked again.
    """

    __tablename__ = "point_visit"
    __table_args__ = (
        UniqueConstraint("community_id", "round_id", "point_id"),
        CheckConstraint("score between 1 and 5", name="score"),
        CheckConstraint("num_nonnulls(checked_at, checked_by, score) in (0, 3)", name="checked"),
    )
    __sample__ = {
        "checked_at": datetime(2026, 11, 24, 8, tzinfo=UTC),
        "checked_by": "样例",
        "score": 3,
    }

    round_id: Mapped[UUID] = ref(
        "equipment.inspection_round", ondelete="CASCADE", index=False, info=label("Round", "任务")
    )
    round: Mapped[InspectionRound] = to_one(round_id, InspectionRound)
    point_id: Mapped[UUID] = ref("equipment.inspection_point", info=label("Point", "巡检点"))
    point: Mapped[InspectionPoint] = to_one(point_id, InspectionPoint)
    arrived_at: Mapped[datetime] = mapped_column(info=read_only("Arrived at", "到达时间"))
    left_at: Mapped[datetime] = mapped_column(info=read_only("Left at", "离开时间"))
    proof: Mapped[Proof] = one_of(Proof, info=read_only("Proof", "到位凭证"))
    is_fine: Mapped[bool] = flag(True, "In order", "结果正常")
    visited_by: Mapped[str] = mapped_column(
        String(80), info={**read_only("By", "巡检人"), "personal": "name"}
    )
    note: Mapped[str | None] = mapped_column(
        String(500), info={**read_only("Note", "说明"), "free_text": True}
    )
    checked_at: Mapped[datetime | None] = mapped_column(info=read_only("Checked at", "复查时间"))
    checked_by: Mapped[str | None] = mapped_column(
        String(80), info={**read_only("Checked by", "复查人"), "personal": "name"}
    )
    score: Mapped[int | None] = mapped_column(Integer, info=read_only("Score", "复查评分"))
    remark: Mapped[str | None] = mapped_column(
        String(500), info={**read_only("Remark", "复查意见"), "free_text": True}
    )

    def __str__(self) -> str:
        return self.local(self.arrived_at)


class Answer(InCommunity, Base):
    """What stood in one line of a checklist (检查结果), of a task or of a visit."""

    __tablename__ = "answer"
    __table_args__ = (
        CheckConstraint("num_nonnulls(task_id, visit_id) = 1", name="subject"),
        UniqueConstraint("community_id", "task_id", "item_id"),
        UniqueConstraint("community_id", "visit_id", "item_id"),
    )
    __sample__ = {"task_id": ..., "visit_id": None}

    task_id: Mapped[UUID | None] = ref(
        "equipment.maintenance_task", ondelete="CASCADE", index=False, info=label("Task", "任务")
    )
    task: Mapped[MaintenanceTask | None] = to_one(task_id, MaintenanceTask)
    visit_id: Mapped[UUID | None] = ref(
        "equipment.point_visit", ondelete="CASCADE", index=False, info=label("Visit", "巡检记录")
    )
    visit: Mapped[PointVisit | None] = to_one(visit_id, PointVisit)
    item_id: Mapped[UUID] = ref("equipment.checklist_item", info=label("Looks at", "检查内容"))
    item: Mapped[ChecklistItem] = to_one(item_id, ChecklistItem)
    value: Mapped[str] = mapped_column(
        String(200), info={**read_only("Answer", "结果"), "free_text": True}
    )
    number: Mapped[Decimal | None] = mapped_column(Numeric(16, 4), info=read_only("Number", "数值"))
    is_fine: Mapped[bool] = flag(True, "In order", "正常")

    def __str__(self) -> str:
        return self.value


class SyncedWork(InCommunity, Base):
    """Something done without network, by the id that the phone gave it: done once (离线同步)."""

    __tablename__ = "synced_work"
    __table_args__ = (UniqueConstraint("community_id", "client_id"),)

    client_id: Mapped[UUID] = mapped_column(info=label("Id on the phone", "终端编号"))
    worker: Mapped[str] = mapped_column(
        String(80), info={**label("By", "执行人"), "personal": "name"}
    )
    verb: Mapped[str] = words(40, "Step", "步骤")
    synced_at: Mapped[datetime] = mapped_column(info=label("Synced at", "同步时间"))
    is_done: Mapped[bool] = flag(True, "Done", "已执行")
    problem: Mapped[str | None] = words(300, "Conflict", "冲突")

    def __str__(self) -> str:
        return f"{self.verb} {self.local(self.synced_at)}"
