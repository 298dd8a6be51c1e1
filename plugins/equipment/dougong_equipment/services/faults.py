"""Faults and findings: known once, handed to repairs where that is on, fixed, checked again."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from dougong.db import Scope
from dougong.errors import Conflict, NotFound
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_equipment.domain.kinds import (
    CostKind,
    EquipmentState,
    FaultSource,
    FaultState,
    Statute,
    Urgency,
)
from dougong_equipment.models import Equipment, Fault
from dougong_equipment.services.clock import happened_at
from dougong_equipment.services.ledger import RUNNING, keep_cost, wrong

USE_CODE = "equipment.equipment.use_code"
SCANS_AN_HOUR = 12
COSTED = ("repairs.work_order_finished", "repairs.work_order_closed")
CATEGORIES = {Statute.LIFT: "elevator", Statute.FIRE: "fire_safety"}


def raise_fault(scope: Scope, key: str, words: str, source: FaultSource, **more: Any) -> Fault:
    """Write a fault down; the same key again returns the first one.

    more: further columns of the fault. Equipment that stands still is faulty from now on.
    """
    known = scope.session.scalars(select(Fault).where(Fault.key == key)).first()
    if known is not None:
        return known
    days = int(scope.setting("equipment.rectify_days", 3))
    more.setdefault("due_on", scope.today + timedelta(days=days))
    more.setdefault("raised_at", scope.now)
    fault = Fault(key=key, text=words.strip()[:500], source=source, **more)
    scope.session.add(fault)
    scope.session.flush()
    if fault.is_breakdown and fault.equipment is not None and fault.equipment.state in RUNNING:
        fault.equipment.state = EquipmentState.FAULTY
    scope.emit("fault_raised", fault_id=fault.id)
    scope.session.flush()
    return fault


def order_repair(scope: Scope, fault: Fault, contact_phone: str | None = None) -> Fault:
    """Hand a fault to repairs, once; nothing happens where repairs is off.

    Repairs takes the fault's id as the order's, so that a repetition makes no second order.
    """
    if "repairs" not in scope.enabled or fault.work_order_id is not None:
        return fault
    statute = fault.equipment.kind.statute if fault.equipment is not None else None
    is_scan = fault.source is FaultSource.SCAN
    order = scope.call(
        "repairs.work_order.create",
        text=f"{fault.equipment.name}：{fault.text}" if fault.equipment else fault.text,
        category=CATEGORIES.get(statute) if statute else None,
        urgency=None if is_scan else fault.urgency.value,
        source="qr" if is_scan else "desk",
        building_id=fault.building_id,
        place=place_of(fault),
        contact_phone=contact_phone,
        client_id=fault.id,
    )
    fault.work_order_id, fault.work_order = order.id, str(order.number)
    fault.urgency = Urgency(order.urgency.value)
    scope.session.flush()
    return fault


def place_of(fault: Fault) -> str:
    """Return where to go, in words."""
    equipment = fault.equipment
    if equipment is None:
        return (fault.place or "")[:120]
    parts = (equipment.place, equipment.name, equipment.number)
    return " ".join(part for part in parts if part)[:120]


@service("fault.report", title=("Report a fault", "上报故障"))
def report_fault(
    scope: Scope,
    equipment: Equipment,
    text: str,
    urgency: Urgency = Urgency.NORMAL,
    is_breakdown: bool = False,
    client_id: UUID | None = None,
    at: datetime | None = None,
) -> Fault:
    """Report what is wrong with a piece of equipment; repairs gets an order where it is on.

    is_breakdown: it stands still. client_id: the same again returns the first fault. at: when it
    was noticed on a phone without network.
    """
    if not text.strip():
        raise wrong("text", gettext("Say what is wrong."))
    fault = raise_fault(
        scope,
        f"report {client_id}" if client_id else f"report {equipment.id} {scope.now.isoformat()}",
        text,
        FaultSource.STAFF,
        equipment_id=equipment.id,
        building_id=equipment.building_id,
        urgency=urgency,
        is_breakdown=is_breakdown,
        raised_at=happened_at(scope, at),
    )
    return order_repair(scope, fault)


@service(
    "fault.report_by_code",
    title=("Report by code", "扫码报障"),
    permission=USE_CODE,
    is_public=False,
)
def report_by_code(
    scope: Scope,
    code: str,
    text: str,
    contact_phone: str | None = None,
    client_id: UUID | None = None,
) -> Fault:
    """Report by the code on the equipment, without a name.

    contact_phone: handed to repairs and not kept here. Raises NotFound for a code that is not in
    use, Conflict when this equipment is reported too often.
    """
    equipment = equipment_of(scope, code)
    if not text.strip():
        raise wrong("text", gettext("Say what is wrong."))
    recent = select(func.count()).where(
        Fault.equipment_id == equipment.id,
        Fault.source == FaultSource.SCAN,
        Fault.raised_at > scope.now - timedelta(hours=1),
    )
    if (scope.session.scalar(recent) or 0) >= SCANS_AN_HOUR:
        raise Conflict(N_("This was reported often within the hour. Please call the desk."))
    fault = raise_fault(
        scope,
        f"scan {client_id}" if client_id else f"scan {equipment.id} {scope.now.isoformat()}",
        text,
        FaultSource.SCAN,
        equipment_id=equipment.id,
        building_id=equipment.building_id,
    )
    return order_repair(scope, fault, contact_phone)


def equipment_of(scope: Scope, code: str) -> Equipment:
    """Return the equipment of a code that is in use; raises NotFound."""
    query = select(Equipment).where(
        Equipment.code == code, Equipment.state != EquipmentState.RETIRED
    )
    found = scope.session.scalars(query).first()
    if found is None:
        raise NotFound(N_("This code is not in use any more. Please call the desk."))
    return found


@service("fault.fix", title=("Put right", "整改完成"))
def fix_fault(scope: Scope, fault: Fault, note: str = "") -> Fault:
    """Say that a fault is put right. Raises Conflict when it is already."""
    if fault.state is not FaultState.OPEN:
        raise Conflict(N_("This fault is put right already."))
    fault.state, fault.fixed_at = FaultState.FIXED, scope.now
    fault.note = note.strip()[:500] or fault.note
    scope.session.flush()
    if fault.equipment is not None and fault.is_breakdown:
        _restore(scope, fault.equipment)
    scope.emit("fault_fixed", fault_id=fault.id)
    return fault


def _restore(scope: Scope, equipment: Equipment) -> None:
    """Say that equipment runs again, when nothing else keeps it still."""
    still = select(Fault.id).where(
        Fault.equipment_id == equipment.id, Fault.is_breakdown, Fault.state == FaultState.OPEN
    )
    if equipment.state is EquipmentState.FAULTY and scope.session.scalars(still).first() is None:
        equipment.state = EquipmentState.IN_USE


@service("fault.check", title=("Check again", "复查评分"))
def check_fault(scope: Scope, fault: Fault, is_fine: bool, score: int, note: str = "") -> Fault:
    """Check what was said to be put right: a supervisor's look, with a score from 1 to 5.

    What is not fine is open again. Raises Conflict for what nobody put right yet.
    """
    if fault.state is not FaultState.FIXED:
        raise Conflict(N_("Only what was put right can be checked again."))
    if not 1 <= score <= 5:
        raise wrong("score", gettext("Between 1 and 5."))
    fault.score, fault.checked_at = score, scope.now
    fault.note = note.strip()[:500] or fault.note
    fault.state = FaultState.CHECKED if is_fine else FaultState.OPEN
    if not is_fine:
        fault.fixed_at = None
    scope.session.flush()
    return fault


def follow_order(scope: Scope, event: str, work_order_id: UUID) -> None:
    """Follow what became of the work order of a fault; bears repetition."""
    query = select(Fault).where(Fault.work_order_id == work_order_id).with_for_update(of=Fault)
    fault = scope.session.scalars(query).first()
    if fault is None:
        return
    if event in COSTED:
        _keep_costs(scope, fault, work_order_id)
    if event == "repairs.work_order_finished" and fault.state is FaultState.OPEN:
        fix_fault(scope, fault)
    if event == "repairs.work_order_reopened" and fault.state is not FaultState.OPEN:
        fault.state, fault.fixed_at = FaultState.OPEN, None


def _keep_costs(scope: Scope, fault: Fault, work_order_id: UUID) -> None:
    """Keep what an order's parts and labour cost as cost of the equipment, as they stand now."""
    if fault.equipment_id is None or "repairs" not in scope.enabled:
        return
    costs: dict[str, Decimal] = scope.call("repairs.work_order.costs", work_order=work_order_id)
    words = gettext("Work order %(number)s", number=fault.work_order or "")
    for name, kind in (("part", CostKind.PARTS), ("labour", CostKind.REPAIR)):
        amount = costs.get(name, Decimal(0))
        key = f"order {work_order_id} {name}"
        keep_cost(scope, fault.equipment_id, kind, amount, key=key, note=words)
