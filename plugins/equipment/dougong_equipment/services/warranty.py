"""Warns of the last days of warranty, while there is still time to claim what is wrong."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select

from dougong.db import Scope
from dougong.messages import notify
from dougong_equipment.domain.kinds import EquipmentState, FaultState
from dougong_equipment.domain.recurrence import warning_level
from dougong_equipment.models import Equipment, Fault, Watcher

WARNED_DAYS = 30
OVER_LEVEL = 4
SHOWN = 5


def warn_of_warranty(scope: Scope) -> int:
    """Tell watchers whose warranty ends at 30, 7 and 1 day; return of how many pieces.

    Each level once for each last day, all pieces of a level in one message. One whose warranty is
    over is not warned of any more: nothing can be done about it. A later last day begins anew.
    """
    soon = scope.today + timedelta(days=WARNED_DAYS)
    query = select(Equipment).where(
        Equipment.warranty_until_on.between(scope.today, soon),
        Equipment.state != EquipmentState.RETIRED,
    )
    query = query.order_by(Equipment.warranty_until_on, Equipment.name)
    louder: dict[int, list[Equipment]] = {}
    for each in scope.session.scalars(query.with_for_update(of=Equipment)).all():
        level = warning_level(each.warranty_until_on, scope.today)
        mark = f"{each.warranty_until_on} {level}"
        if _level_of(each) < level:
            each.warranty_warned = mark
            louder.setdefault(level, []).append(each)
    if louder:
        watchers = scope.session.execute(select(Watcher.user_id, Watcher.level)).all()
        for level, found in sorted(louder.items()):
            _tell(scope, level, found, [w.user_id for w in watchers if w.level <= level])
    scope.session.flush()
    return sum(map(len, louder.values()))


def _level_of(each: Equipment) -> int:
    """Return how loudly was warned of the last day that holds now."""
    day, _, level = (each.warranty_warned or "").partition(" ")
    return int(level) if day == str(each.warranty_until_on) else 0


def _tell(scope: Scope, level: int, found: list[Equipment], users: list[UUID]) -> None:
    open_faults = select(func.count()).where(
        Fault.equipment_id.in_([each.id for each in found]), Fault.state == FaultState.OPEN
    )
    first = found[0]
    values = {
        "count": len(found),
        "equipment": "、".join(each.name for each in found[:SHOWN]),
        "until_on": str(first.warranty_until_on),
        "days": (first.warranty_until_on - scope.today).days,  # type: ignore[operator]
        "faults": scope.session.scalar(open_faults) or 0,
    }
    last = scope.today + timedelta(days=WARNED_DAYS)
    for user_id in users:
        notify(
            scope,
            user_id,
            "equipment:warranty_ends",
            values,
            key=f"equipment warranty {first.id} {first.warranty_until_on} {level} {user_id}",
            link="admin/equipment/equipment/"
            f"?warranty_until_on.from={scope.today}&warranty_until_on.to={last}",
        )
