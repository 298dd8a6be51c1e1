"""What a repair costs and whom: quotations, warranty, stock in the van, helpers, the roster."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, Numeric, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, money, ref, state, to_one
from dougong.i18n import bilingual
from dougong.tenancy.models import Building, Room
from dougong_repairs.domain.kinds import Category, PartKind
from dougong_repairs.models.declaring import Base, read_only
from dougong_repairs.models.orders import WorkOrder
from dougong_repairs.models.technicians import Technician


class QuotationState(StrEnum):
    """Where a quotation stands."""

    DRAFT = "draft"
    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"

    __labels__ = {
        "DRAFT": bilingual("Draft", "草稿"),
        "OFFERED": bilingual("Waits for the owner", "待业主确认"),
        "ACCEPTED": bilingual("Accepted", "已接受"),
        "DECLINED": bilingual("Declined", "已拒绝"),
    }


class Quotation(InCommunity, Base):
    """What paid work would cost (报价单): it begins when its owner has accepted.

    outside_warranty: why it is charged although the developer's warranty runs.
    """

    __tablename__ = "quotation"
    __table_args__ = (Index("ix_quotation_state", "community_id", "state"),)

    work_order_id: Mapped[UUID] = ref(
        "repairs.work_order", ondelete="CASCADE", info=label("Work order", "工单")
    )
    work_order: Mapped[WorkOrder] = to_one(work_order_id, WorkOrder)
    state: Mapped[QuotationState] = state(
        QuotationState, default=QuotationState.DRAFT, info=read_only("State", "状态")
    )
    total: Mapped[Decimal] = money(default=Decimal(0), info=read_only("Total", "合计"))
    offered_at: Mapped[datetime | None] = mapped_column(info=read_only("Offered at", "报价时间"))
    decided_at: Mapped[datetime | None] = mapped_column(info=read_only("Decided at", "确认时间"))
    outside_warranty: Mapped[str | None] = mapped_column(
        String(300), info=read_only("Not under warranty because", "不属保修范围的理由")
    )

    def __str__(self) -> str:
        return f"¥{self.total:.2f}"


class QuotationLine(InCommunity, Base):
    """A part or work of a quotation, with its price."""

    __tablename__ = "quotation_line"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity"),)

    quotation_id: Mapped[UUID] = ref(
        "repairs.quotation", ondelete="CASCADE", info=label("Quotation", "报价单")
    )
    quotation: Mapped[Quotation] = to_one(quotation_id, Quotation)
    kind: Mapped[PartKind] = state(PartKind, default=PartKind.PART, info=label("Kind", "类型"))
    name: Mapped[str] = mapped_column(String(120), info=label("What", "项目"))
    quantity: Mapped[Decimal] = mapped_column(Numeric(10, 2), info=label("Quantity", "数量"))
    unit_price: Mapped[Decimal] = money(info=label("Unit price", "单价"))

    def __str__(self) -> str:
        return f"{self.name} × {self.quantity.normalize():f}"


class WarrantyTerm(InCommunity, Base):
    """How long the developer answers for a part here (保修期); else the legal minimum holds."""

    __tablename__ = "warranty_term"
    __table_args__ = (
        UniqueConstraint("community_id", "part"),
        CheckConstraint("months between 1 and 600", name="months"),
    )

    part: Mapped[str] = mapped_column(String(120), info=label("Part", "部位"))
    category: Mapped[Category] = state(Category, info=label("Category", "类别"))
    months: Mapped[int] = mapped_column(Integer, info=label("Months", "保修期（月）"))

    def __str__(self) -> str:
        return self.part


class Delivery(InCommunity, Base):
    """When a building or one of its rooms was handed over (交付): the warranty begins."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint(
            "community_id", "building_id", "room_id", postgresql_nulls_not_distinct=True
        ),
    )
    __building_path__ = "building_id"

    building_id: Mapped[UUID] = ref("dougong.building", index=False, info=label("Building", "楼栋"))
    building: Mapped[Building] = to_one(building_id, Building)
    room_id: Mapped[UUID | None] = ref("dougong.room", info=label("Only this room", "仅此房屋"))
    room: Mapped[Room | None] = to_one(room_id, Room)
    delivered_on: Mapped[date] = mapped_column(info=label("Handed over on", "交付日期"))

    def __str__(self) -> str:
        return str(self.delivered_on)


class VanStock(InCommunity, Base):
    """Parts that a technician carries along (随车备件)."""

    __tablename__ = "van_stock"
    __table_args__ = (
        UniqueConstraint("community_id", "technician_id", "name"),
        CheckConstraint("quantity >= 0 and least >= 0", name="quantity"),
    )

    technician_id: Mapped[UUID] = ref(
        "repairs.technician", ondelete="CASCADE", index=False, info=label("Technician", "师傅")
    )
    technician: Mapped[Technician] = to_one(technician_id, Technician)
    name: Mapped[str] = mapped_column(String(120), info=label("Part", "配件"))
    quantity: Mapped[Decimal] = mapped_column(Numeric(10, 2), info=label("In stock", "库存"))
    least: Mapped[Decimal] = mapped_column(
        Numeric(10, 2), default=Decimal(0), info=label("At least", "最低库存")
    )
    unit_price: Mapped[Decimal] = money(default=Decimal(0), info=label("Unit price", "单价"))

    def __str__(self) -> str:
        return f"{self.name} × {self.quantity.normalize():f}"


class WorkOrderHelper(InCommunity, Base):
    """A colleague who helps with an order (协助师傅); the order stays with its technician."""

    __tablename__ = "work_order_helper"
    __named_by__ = ("technician",)
    __table_args__ = (UniqueConstraint("community_id", "work_order_id", "technician_id"),)

    work_order_id: Mapped[UUID] = ref(
        "repairs.work_order", ondelete="CASCADE", index=False, info=label("Work order", "工单")
    )
    work_order: Mapped[WorkOrder] = to_one(work_order_id, WorkOrder)
    technician_id: Mapped[UUID] = ref(
        "repairs.technician", ondelete="CASCADE", info=label("Helper", "协助师傅")
    )
    technician: Mapped[Technician] = to_one(technician_id, Technician)

    def __str__(self) -> str:
        return str(self.technician)


class OnCall(InCommunity, Base):
    """A span in which a technician is on call (值班): he gets emergencies also off shift."""

    __tablename__ = "on_call"
    __named_by__ = ("technician",)
    __table_args__ = (
        CheckConstraint("to_at > from_at", name="span"),
        Index("ix_on_call_from_at", "community_id", "from_at"),
    )

    technician_id: Mapped[UUID] = ref(
        "repairs.technician", ondelete="CASCADE", info=label("Technician", "师傅")
    )
    technician: Mapped[Technician] = to_one(technician_id, Technician)
    from_at: Mapped[datetime] = mapped_column(info=label("From", "开始"))
    to_at: Mapped[datetime] = mapped_column(info=label("Until", "结束"))

    def __str__(self) -> str:
        return f"{self.technician} {self.local(self.from_at)}"
