"""The ledger: kinds of equipment with what the law wants, the tree of equipment, faults, cost."""

import secrets
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, Numeric, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from dougong.db import InCommunity, label, money, ref, to_one
from dougong.db import state as one_of
from dougong.devices.models import Device
from dougong.tenancy.models import Building, Room
from dougong_equipment.domain.kinds import (
    CostKind,
    EquipmentState,
    FaultSource,
    FaultState,
    Level,
    Statute,
    Urgency,
)
from dougong_equipment.domain.numbers import new_number
from dougong_equipment.models.contractors import Contractor
from dougong_equipment.models.declaring import Base, flag, read_only, whole, words


def new_code() -> str:
    """Return what stands in a QR code: it cannot be guessed."""
    return secrets.token_urlsafe(9)


def first_state(context: Any) -> EquipmentState:
    """Return the state in which equipment is written down: in use when it says since when."""
    is_used = context.get_current_parameters().get("commissioned_on") is not None
    return EquipmentState.IN_USE if is_used else EquipmentState.PLANNED


class EquipmentKind(InCommunity, Base):
    """A kind of equipment (设备类别): which law wants checks of it, and how long it lives."""

    __tablename__ = "equipment_kind"
    __table_args__ = (
        UniqueConstraint("community_id", "name"),
        CheckConstraint("life_years between 1 and 100", name="life_years"),
    )

    name: Mapped[str] = words(60, "Kind", "设备类别")
    statute: Mapped[Statute | None] = one_of(Statute, info=label("Law", "法定检验"))
    needs_registration: Mapped[bool] = flag(False, "Needs a registration code", "需使用登记")
    life_years: Mapped[int] = whole(15, "Life (years)", "设计寿命（年）")

    def __str__(self) -> str:
        return self.name


class Equipment(InCommunity, Base):
    """A system, a piece of equipment (设备) or a component, from purchase to retirement.

    code: what stands in its QR code. number: for human eyes, with a check digit. locked_by: who
    has hung his lock on it; while it hangs, nothing is started from afar. warranty_warned: of which
    last day of warranty was warned and how loudly, such as ``2026-12-31 2``.
    """

    __tablename__ = "equipment"
    __table_args__ = (
        UniqueConstraint("community_id", "code"),
        UniqueConstraint("community_id", "number"),
        CheckConstraint("parent_id <> id", name="parent"),
        CheckConstraint("run_hours >= 0", name="run_hours"),
        CheckConstraint("life_years between 1 and 100", name="life_years"),
        Index("ix_equipment_state", "community_id", "state"),
        Index("ix_equipment_name", "community_id", "name"),
    )
    __building_path__ = "building_id"

    number: Mapped[str] = mapped_column(
        String(9), default=new_number, info=read_only("Number", "设备编号")
    )
    code: Mapped[str] = mapped_column(
        String(40), default=new_code, info={**label("Code", "设备码"), "api": "hidden"}
    )
    name: Mapped[str] = words(80, "Name", "设备名称")
    level: Mapped[Level] = one_of(Level, default=Level.EQUIPMENT, info=label("Level", "层级"))
    parent_id: Mapped[UUID | None] = ref("equipment.equipment", info=label("Part of", "上级"))
    parent: Mapped["Equipment | None"] = to_one(parent_id, lambda: Equipment)
    kind_id: Mapped[UUID] = ref("equipment.equipment_kind", info=label("Kind", "设备类别"))
    kind: Mapped[EquipmentKind] = to_one(kind_id, EquipmentKind)
    state: Mapped[EquipmentState] = one_of(
        EquipmentState, default=first_state, info=read_only("State", "状态")
    )
    building_id: Mapped[UUID | None] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building | None] = to_one(building_id, Building)
    floor: Mapped[int | None] = mapped_column(Integer, info=label("Floor", "楼层"))
    room_id: Mapped[UUID | None] = ref("dougong.room", info=label("Room", "房屋"))
    room: Mapped[Room | None] = to_one(room_id, Room)
    place: Mapped[str | None] = words(120, "Place", "安装位置")
    maker: Mapped[str | None] = words(80, "Maker", "制造单位")
    model: Mapped[str | None] = words(80, "Model", "型号规格")
    serial: Mapped[str | None] = words(80, "Serial no.", "出厂编号")
    registration: Mapped[str | None] = words(40, "Registration code", "使用登记证号")
    supplier: Mapped[str | None] = words(120, "Supplier", "供应商")
    contractor_id: Mapped[UUID | None] = ref(
        "equipment.contractor", info=label("Maintained by", "维保单位")
    )
    contractor: Mapped[Contractor | None] = to_one(contractor_id, Contractor)
    post: Mapped[str | None] = words(60, "Responsible post", "责任岗位")
    purchased_on: Mapped[date | None] = mapped_column(info=label("Bought on", "购置日期"))
    commissioned_on: Mapped[date | None] = mapped_column(info=label("In use since", "投用日期"))
    warranty_until_on: Mapped[date | None] = mapped_column(info=label("Warranty until", "质保到期"))
    warranty_warned: Mapped[str | None] = mapped_column(String(12), info={"api": "hidden"})
    retired_on: Mapped[date | None] = mapped_column(info=read_only("Retired on", "报废日期"))
    price: Mapped[Decimal | None] = money(info=label("Purchase cost", "购置价"))
    life_years: Mapped[int | None] = mapped_column(
        Integer, info=label("Life, other than its kind's (years)", "寿命（年，与类别不同时）")
    )
    run_hours: Mapped[Decimal | None] = mapped_column(
        Numeric(12, 2), info=read_only("Run hours", "累计运行小时")
    )
    device_id: Mapped[UUID | None] = ref("dougong.device", info=label("Device", "智能设备"))
    device: Mapped[Device | None] = to_one(device_id, Device)
    locked_by: Mapped[str | None] = mapped_column(
        String(80), info={**read_only("Locked by", "挂牌人"), "personal": "name"}
    )
    locked_why: Mapped[str | None] = mapped_column(
        String(200), info=read_only("Locked because", "挂牌原因")
    )

    def __str__(self) -> str:
        return self.name


class Fault(InCommunity, Base):
    """A fault or finding (故障、整改项): what is wrong, until when, and that it was put right.

    is_breakdown: the equipment stood still; only these count for MTBF and MTTR. work_order_id: of
    the plugin repairs, where it is on.
    """

    __tablename__ = "fault"
    __table_args__ = (
        UniqueConstraint("community_id", "key"),
        CheckConstraint("score between 1 and 5", name="score"),
        Index("ix_fault_state", "community_id", "state"),
        Index("ix_fault_work_order_id", "community_id", "work_order_id"),
    )
    __building_path__ = "building_id"

    equipment_id: Mapped[UUID | None] = ref("equipment.equipment", info=label("Equipment", "设备"))
    equipment: Mapped[Equipment | None] = to_one(equipment_id, Equipment)
    building_id: Mapped[UUID | None] = ref("dougong.building", info=label("Building", "楼栋"))
    building: Mapped[Building | None] = to_one(building_id, Building)
    place: Mapped[str | None] = words(120, "Place", "位置")
    text: Mapped[str] = mapped_column(
        String(500), info={**label("What is wrong", "问题描述"), "free_text": True}
    )
    urgency: Mapped[Urgency] = one_of(
        Urgency, default=Urgency.NORMAL, info=label("Urgency", "紧急程度")
    )
    source: Mapped[FaultSource] = one_of(
        FaultSource, default=FaultSource.STAFF, info=read_only("Known from", "来源")
    )
    is_breakdown: Mapped[bool] = flag(False, "Stands still", "停机故障")
    state: Mapped[FaultState] = one_of(
        FaultState, default=FaultState.OPEN, info=read_only("State", "状态")
    )
    raised_at: Mapped[datetime] = mapped_column(info=read_only("Raised at", "发现时间"))
    due_on: Mapped[date | None] = mapped_column(info=label("Put right until", "整改期限"))
    fixed_at: Mapped[datetime | None] = mapped_column(info=read_only("Fixed at", "恢复时间"))
    checked_at: Mapped[datetime | None] = mapped_column(info=read_only("Checked at", "复查时间"))
    score: Mapped[int | None] = mapped_column(Integer, info=read_only("Score", "复查评分"))
    note: Mapped[str | None] = mapped_column(
        String(500), info={**read_only("What was done", "处理说明"), "free_text": True}
    )
    key: Mapped[str] = mapped_column(String(80), info={"api": "hidden"})
    work_order_id: Mapped[UUID | None] = mapped_column(info={"api": "hidden"})
    work_order: Mapped[str | None] = mapped_column(
        String(20), info=read_only("Work order", "工单号")
    )

    def __str__(self) -> str:
        return self.text[:40]


class EquipmentCost(InCommunity, Base):
    """Money that a piece of equipment cost (设备费用). key: makes one that is told twice one."""

    __tablename__ = "equipment_cost"
    __table_args__ = (
        CheckConstraint("amount >= 0", name="amount"),
        Index(
            "uq_equipment_cost_key",
            "community_id",
            "key",
            unique=True,
            postgresql_where=text("key is not null"),
        ),
    )

    equipment_id: Mapped[UUID] = ref("equipment.equipment", info=label("Equipment", "设备"))
    equipment: Mapped[Equipment] = to_one(equipment_id, Equipment)
    kind: Mapped[CostKind] = one_of(CostKind, info=label("For", "费用类型"))
    amount: Mapped[Decimal] = money(info=label("Amount", "金额"))
    spent_on: Mapped[date] = mapped_column(info=label("Day", "日期"))
    note: Mapped[str | None] = words(200, "Note", "说明")
    key: Mapped[str | None] = mapped_column(String(80), info={"api": "hidden"})

    def __str__(self) -> str:
        return f"{self.amount:.2f}"


class Watcher(InCommunity, Base):
    """Somebody who is told (通知人): from which loudness on, 1 at 30 days to 4 when it is over."""

    __tablename__ = "watcher"
    __table_args__ = (
        UniqueConstraint("community_id", "user_id"),
        CheckConstraint("level between 1 and 4", name="level"),
    )

    name: Mapped[str] = mapped_column(
        String(120), info={**label("Name", "姓名"), "personal": "name"}
    )
    user_id: Mapped[UUID] = mapped_column(info={"api": "hidden"})
    level: Mapped[int] = whole(1, "From level", "通知级别")

    def __str__(self) -> str:
        return self.name
