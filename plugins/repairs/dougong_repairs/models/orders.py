"""Work orders, every step of theirs, the parts used, and what was learnt from corrections."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Index,
    Integer,
    Numeric,
    String,
    UniqueConstraint,
    false,
    literal_column,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, encrypted, label, member_label, money, ref, to_one
from dougong.db import state as one_of
from dougong.tenancy.models import Building, Person, Room
from dougong_repairs.domain.kinds import (
    Category,
    OrderState,
    PartKind,
    PauseReason,
    Source,
    Urgency,
)
from dougong_repairs.models.declaring import Base, read_only
from dougong_repairs.models.technicians import Technician
from dougong_repairs.words import verb_words


def _count(english: str, chinese: str) -> Any:
    zero = literal_column("0")
    return mapped_column(Integer, default=0, server_default=zero, info=read_only(english, chinese))


class WorkOrder(InCommunity, Base):
    """A repair request (报修) from its report on; a work order (工单) once it is dispatched.

    Clocks: ``…_due_at`` is when somebody has to have come, and when it has to be repaired;
    ``…_left_s`` is what remained of them, in working seconds, while the order is paused.
    """

    __tablename__ = "work_order"
    __table_args__ = (
        UniqueConstraint("community_id", "number"),
        UniqueConstraint("community_id", "client_id"),
        CheckConstraint("rating between 1 and 5", name="rating"),
        CheckConstraint("rating_speed between 1 and 5", name="rating_speed"),
        CheckConstraint("rating_manner between 1 and 5", name="rating_manner"),
        CheckConstraint("rating_quality between 1 and 5", name="rating_quality"),
        Index("ix_work_order_state", "community_id", "state"),
        Index("ix_work_order_reported_at", "community_id", "reported_at"),
    )
    __building_path__ = "building_id"

    number: Mapped[int] = mapped_column(Integer, info=read_only("Number", "工单号"))
    text: Mapped[str] = mapped_column(
        String(2000), info={**label("What is wrong", "报修内容"), "free_text": True}
    )
    category: Mapped[Category] = one_of(
        Category, default=Category.OTHER, info=label("Category", "类别")
    )
    urgency: Mapped[Urgency] = one_of(
        Urgency, default=Urgency.NORMAL, info=label("Urgency", "紧急程度")
    )
    state: Mapped[OrderState] = one_of(
        OrderState, default=OrderState.REPORTED, info=read_only("State", "状态")
    )
    source: Mapped[Source] = one_of(Source, default=Source.DESK, info=read_only("Source", "来源"))
    room_id: Mapped[UUID | None] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room | None] = to_one(room_id, Room)
    building_id: Mapped[UUID | None] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building | None] = to_one(building_id, Building)
    place: Mapped[str | None] = mapped_column(String(120), info=label("Place", "位置"))
    person_id: Mapped[UUID | None] = ref("dougong.person", info=label("Reported by", "报修人"))
    person: Mapped[Person | None] = to_one(person_id, Person)
    contact_phone: Mapped[str | None] = encrypted(
        search="last4", mask="phone", info=label("Contact phone", "联系电话")
    )
    visit_wanted: Mapped[str | None] = mapped_column(
        String(80), info=label("Visit wanted", "期望上门")
    )
    visit_from_at: Mapped[datetime | None] = mapped_column(
        info=read_only("Appointment from", "预约开始")
    )
    visit_to_at: Mapped[datetime | None] = mapped_column(
        info=read_only("Appointment until", "预约结束")
    )
    technician_id: Mapped[UUID | None] = ref(
        "repairs.technician", info=read_only("Technician", "维修师傅")
    )
    technician: Mapped[Technician | None] = to_one(technician_id, Technician)
    contractor: Mapped[str | None] = mapped_column(
        String(120), info=read_only("Contractor", "外委单位")
    )
    pause_reason: Mapped[PauseReason | None] = one_of(
        PauseReason, info=read_only("Paused because", "暂停原因")
    )
    reported_at: Mapped[datetime] = mapped_column(info=read_only("Reported at", "报修时间"))
    dispatched_at: Mapped[datetime | None] = mapped_column(
        info=read_only("Dispatched at", "派单时间")
    )
    respond_due_at: Mapped[datetime] = mapped_column(info=read_only("Respond before", "响应时限"))
    respond_warn_at: Mapped[datetime] = mapped_column(info={"api": "hidden"})
    responded_at: Mapped[datetime | None] = mapped_column(
        info=read_only("Responded at", "响应时间")
    )
    resolve_due_at: Mapped[datetime] = mapped_column(info=read_only("Repair before", "完成时限"))
    resolve_warn_at: Mapped[datetime] = mapped_column(info={"api": "hidden"})
    paused_at: Mapped[datetime | None] = mapped_column(info=read_only("Paused at", "暂停时间"))
    resolve_left_s: Mapped[int | None] = mapped_column(Integer, info={"api": "hidden"})
    warn_left_s: Mapped[int | None] = mapped_column(Integer, info={"api": "hidden"})
    alarm_level: Mapped[int] = _count("Alarm level", "预警级别")
    done_at: Mapped[datetime | None] = mapped_column(info=read_only("Done at", "完成时间"))
    closed_at: Mapped[datetime | None] = mapped_column(info=read_only("Closed at", "办结时间"))
    solution: Mapped[str | None] = mapped_column(
        String(1000), info={**read_only("What was done", "处理结果"), "free_text": True}
    )
    times_urged: Mapped[int] = _count("Times urged", "催单次数")
    urged_at: Mapped[datetime | None] = mapped_column(info=read_only("Urged at", "催单时间"))
    help_wanted_at: Mapped[datetime | None] = mapped_column(
        info=read_only("Help wanted since", "求助时间")
    )
    times_reopened: Mapped[int] = _count("Times reopened", "重开次数")
    rating: Mapped[int | None] = mapped_column(Integer, info=read_only("Rating", "总体评分"))
    rating_speed: Mapped[int | None] = mapped_column(Integer, info=read_only("Speed", "及时性"))
    rating_manner: Mapped[int | None] = mapped_column(Integer, info=read_only("Manner", "态度"))
    rating_quality: Mapped[int | None] = mapped_column(Integer, info=read_only("Quality", "质量"))
    rating_note: Mapped[str | None] = mapped_column(
        String(500), info={**read_only("Word on it", "评价"), "free_text": True}
    )
    triage_confidence: Mapped[int | None] = mapped_column(
        Integer, info=read_only("Confidence (%)", "识别置信度（%）")
    )
    triage_reason: Mapped[str | None] = mapped_column(
        String(300), info={**read_only("Why", "识别理由"), "free_text": True}
    )
    dispatch_reason: Mapped[str | None] = mapped_column(
        String(300), info=read_only("Dispatched because", "派单理由")
    )
    client_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})
    # The bill in fees, which may be off or gone: no foreign key.
    bill_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})

    def __str__(self) -> str:
        return f"{self.number} {self.text[:30]}"


class WorkOrderStep(InCommunity, Base):
    """One step of an order: who took it, when, from which state to which, and what he said."""

    __tablename__ = "work_order_step"

    work_order_id: Mapped[UUID] = ref(
        "repairs.work_order", ondelete="CASCADE", info=label("Work order", "工单")
    )
    work_order: Mapped[WorkOrder] = to_one(work_order_id, WorkOrder)
    verb: Mapped[str] = mapped_column(String(40), info=label("Step", "步骤"))
    state: Mapped[OrderState] = one_of(OrderState, info=label("State", "状态"))
    taken_at: Mapped[datetime] = mapped_column(info=label("Taken at", "时间"))
    author: Mapped[str] = mapped_column(
        String(120), info={**label("By", "操作人"), "personal": "name"}
    )
    note: Mapped[str | None] = mapped_column(
        String(1000), info={**label("Note", "说明"), "free_text": True}
    )
    is_public: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=true(), info=label("Seen by the owner", "业主可见")
    )

    def __str__(self) -> str:
        return f"{verb_words(self.verb)} {self.local(self.taken_at)}"


class WorkOrderPart(InCommunity, Base):
    """A part or an hour of labour that went into an order, priced where the owner pays."""

    __tablename__ = "work_order_part"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity"),)

    work_order_id: Mapped[UUID] = ref(
        "repairs.work_order", ondelete="CASCADE", info=label("Work order", "工单")
    )
    work_order: Mapped[WorkOrder] = to_one(work_order_id, WorkOrder)
    name: Mapped[str] = mapped_column(String(120), info=label("Part", "配件"))
    quantity: Mapped[Decimal] = mapped_column(
        Numeric(10, 2), default=Decimal(1), info=label("Quantity", "数量")
    )
    unit_price: Mapped[Decimal] = money(default=Decimal(0), info=label("Unit price", "单价"))
    kind: Mapped[PartKind] = one_of(
        PartKind, default=PartKind.PART, server_default="part", info=label("Kind", "类型")
    )
    is_charged: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=false(), info=read_only("The owner pays", "业主付费")
    )

    def __str__(self) -> str:
        return f"{self.name} × {self.quantity.normalize():f}"


class TriageCorrection(InCommunity, Base):
    """What the model said of a text, and what a dispatcher made of it; the model learns from it."""

    __tablename__ = "triage_correction"
    __table_args__ = (UniqueConstraint("community_id", "work_order_id"),)

    work_order_id: Mapped[UUID] = ref(
        "repairs.work_order", ondelete="CASCADE", index=False, info=label("Work order", "工单")
    )
    work_order: Mapped[WorkOrder] = to_one(work_order_id, WorkOrder)
    category: Mapped[Category] = one_of(Category, info=label("Category", "类别"))
    urgency: Mapped[Urgency] = one_of(Urgency, info=label("Urgency", "紧急程度"))
    corrected_at: Mapped[datetime] = mapped_column(info=label("Corrected at", "更正时间"))

    def __str__(self) -> str:
        return f"{member_label(self.category)} {member_label(self.urgency)}"


class SyncedOperation(InCommunity, Base):
    """Something a technician did without network, by the id that his phone gave it: done once."""

    __tablename__ = "synced_operation"
    __table_args__ = (UniqueConstraint("community_id", "client_id"),)

    client_id: Mapped[UUID] = mapped_column(info=label("Id on the phone", "终端编号"))
    technician_id: Mapped[UUID] = ref("repairs.technician", info=label("Technician", "师傅"))
    technician: Mapped[Technician] = to_one(technician_id, Technician)
    verb: Mapped[str] = mapped_column(String(40), info=label("Step", "步骤"))
    synced_at: Mapped[datetime] = mapped_column(info=label("Synced at", "同步时间"))
    is_done: Mapped[bool] = mapped_column(
        Boolean, default=True, server_default=true(), info=label("Done", "已执行")
    )
    problem: Mapped[str | None] = mapped_column(String(300), info=label("Conflict", "冲突"))

    def __str__(self) -> str:
        return f"{self.verb} {self.local(self.synced_at)}"


class CleanUp(InCommunity, Base):
    """The report of one run of the rule that closes orders nobody rated (过期工单清理)."""

    __tablename__ = "clean_up"

    run_on: Mapped[date] = mapped_column(info=label("Day", "日期"))
    closed: Mapped[int] = mapped_column(Integer, info=label("Closed", "已办结"))
    stale: Mapped[int] = mapped_column(Integer, info=label("Open too long", "长期未结"))
    numbers: Mapped[list[Any]] = mapped_column(
        JSONB, default=list, server_default=literal_column("'[]'::jsonb"), info={"api": "hidden"}
    )
    is_dry: Mapped[bool] = mapped_column(
        Boolean, default=False, server_default=false(), info=label("Trial run", "试运行")
    )

    def __str__(self) -> str:
        return str(self.run_on)
