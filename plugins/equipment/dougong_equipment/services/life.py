"""What a piece of equipment cost, how reliable it is, and when to replace it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from dougong.db import Scope
from dougong_equipment.domain.kinds import CostKind
from dougong_equipment.domain.reliability import Forecast, Reliability, forecast, reliability
from dougong_equipment.models import Equipment, EquipmentCost, Fault

YEAR_H = 8766.0
RUNNING_COST = (CostKind.MAINTENANCE, CostKind.REPAIR, CostKind.PARTS, CostKind.INSPECTION)


@dataclass(frozen=True)
class Life:
    """The figures of one piece of equipment. age_y: years in use. kept: cost beside the purchase.

    repair: yuan that a failure cost on average. forecast: None before it is in use.
    """

    equipment: Equipment
    age_y: float
    kept: Decimal
    repair: Decimal
    figures: Reliability
    forecast: Forecast | None


def lives(scope: Scope, equipment: Sequence[Equipment]) -> list[Life]:
    """Return the figures of pieces of equipment; two statements, however many there are."""
    ids = [each.id for each in equipment]
    if not ids:
        return []
    costs, faults = (scope.session.execute(query) for query in life_queries(ids))
    return lives_from(scope, equipment, costs, faults)


def life_queries(ids: Sequence[UUID]) -> tuple[Select[Any], Select[Any]]:
    """Return the queries of what ``lives_from`` reads: costs by kind, and breakdowns."""
    costs = (
        select(EquipmentCost.equipment_id, EquipmentCost.kind, func.sum(EquipmentCost.amount))
        .where(EquipmentCost.equipment_id.in_(ids))
        .group_by(EquipmentCost.equipment_id, EquipmentCost.kind)
    )
    faults = (
        select(Fault.equipment_id, Fault.raised_at, Fault.fixed_at)
        .where(Fault.equipment_id.in_(ids), Fault.is_breakdown)
        .order_by(Fault.raised_at)
    )
    return costs, faults


def lives_from(
    scope: Scope, equipment: Sequence[Equipment], costs: Iterable[Any], faults: Iterable[Any]
) -> list[Life]:
    """Return what ``lives`` does, from rows that were read before."""
    spent, broken = _costs(costs), _faults(faults)
    return [
        _life(scope, each, spent.get(each.id, {}), broken.get(each.id, [])) for each in equipment
    ]


def _costs(rows: Iterable[Any]) -> dict[UUID, dict[CostKind, Decimal]]:
    found: dict[UUID, dict[CostKind, Decimal]] = {}
    for equipment_id, kind, amount in rows:
        found.setdefault(equipment_id, {})[kind] = amount
    return found


def _faults(rows: Iterable[Any]) -> dict[UUID, list[tuple[datetime, datetime | None]]]:
    found: dict[UUID, list[tuple[datetime, datetime | None]]] = {}
    for equipment_id, raised_at, fixed_at in rows:
        found.setdefault(equipment_id, []).append((raised_at, fixed_at))
    return found


def _life(
    scope: Scope,
    equipment: Equipment,
    costs: Mapping[CostKind, Decimal],
    faults: Sequence[tuple[datetime, datetime | None]],
) -> Life:
    since = _start(equipment.commissioned_on)
    kept = sum((costs.get(kind, Decimal(0)) for kind in RUNNING_COST), Decimal(0))
    spent = costs.get(CostKind.REPAIR, Decimal(0)) + costs.get(CostKind.PARTS, Decimal(0))
    repair = (spent / len(faults)).quantize(Decimal("0.01")) if faults else Decimal(0)
    if since is None or since > scope.now:
        return Life(equipment, 0.0, kept, repair, reliability(0, []), None)
    end = _start(equipment.retired_on) or scope.now
    hours = [_hours(a, b or end) for a, b in faults]
    age_y = _hours(since, end) / YEAR_H
    ages = [_hours(since, raised_at) / YEAR_H for raised_at, _ in faults]
    life_y = equipment.life_years or equipment.kind.life_years
    ahead = forecast(ages, age_y, life_y, float(equipment.price or 0), float(repair))
    return Life(equipment, age_y, kept, repair, reliability(_hours(since, end), hours), ahead)


def _start(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


def _hours(first: datetime, last: datetime) -> float:
    return max(0.0, (last - first).total_seconds() / 3600)
