"""Power that rooms take: too much of it, and jumps that only forbidden appliances make."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong_meters.models import Meter, MeterState
from dougong_prepaid.domain import CutReason, Protection, Supply, too_much
from dougong_prepaid.models import EnergyAccount
from dougong_prepaid.services.rules import number, rules
from dougong_prepaid.services.supply import cut

WATTS = Decimal(1000)
NO_LIMIT = Decimal(10) ** 6


def take_readings(scope: Scope, readings: Sequence[Any]) -> int:
    """Look at the power that meters of accounts report; return how many supplies were cut.

    One statement for all of them, and none where no meter reports its power.
    """
    powers: dict[UUID, list[Any]] = {}
    for r in readings:
        is_power = r.point_kind == "gauge" and r.uom == "kW" and r.quality == "good"
        if is_power and r.subject_kind == "meters.meter" and isinstance(r.before, Decimal):
            powers.setdefault(r.subject_id, []).append(r)
    if not powers:
        return 0
    return sum(trip(scope, account_id, why) for account_id, why in _suspects(scope, powers))


def _suspects(scope: Scope, powers: dict[UUID, list[Any]]) -> list[tuple[UUID, CutReason]]:
    """Return the accounts that take too much, and why; one statement however many there are.

    What was on when a supply went off comes back with it, all at once: that is no jump.
    """
    limit = number(scope, "limit_watts", 0) / WATTS or NO_LIMIT
    step = number(scope, "step_watts", 0) / WATTS
    query = (
        select(Meter.id, EnergyAccount.id, EnergyAccount.limit_kw, EnergyAccount.back_at)
        .join(
            Meter,
            (Meter.room_id == EnergyAccount.room_id) & (Meter.commodity == EnergyAccount.commodity),
        )
        .where(
            Meter.id.in_(list(powers)),
            Meter.state == MeterState.INSTALLED,
            EnergyAccount.closed_on.is_(None),
        )
        .order_by(EnergyAccount.id)
    )
    found = []
    for meter_id, account_id, own, back_at in scope.session.execute(query).all():
        reasons = [
            too_much(r.before, r.value, own or limit, step)
            for r in powers[meter_id]
            if back_at is None or r.before_at >= back_at
        ]
        why = next((reason for reason in reasons if reason), None)
        if why is not None:
            found.append((account_id, why))
    return found


def trip(scope: Scope, account_id: UUID, why: CutReason) -> bool:
    """Cut a supply that takes too much, and say when it comes back; tell whether it was ordered.

    ``prepaid.restores_per_day`` times it comes back by itself, then only on a person's word. Who is
    protected, and communities without a written rule, are left on.
    """
    account = scope.get(EnergyAccount, account_id, lock=True)
    is_free = account.protection is Protection.NONE and account.supply is Supply.ON
    if not is_free or not rules(scope).policy or not cut(scope, account, why):
        return False
    if account.trips_on != scope.today:
        account.trips_on, account.trips = scope.today, 0
    account.trips += 1
    minutes = timedelta(minutes=number(scope, "restore_minutes", 10))
    is_last = account.trips > number(scope, "restores_per_day", 3)
    account.restore_at = None if is_last else scope.now + minutes
    scope.emit("load_exceeded", account_id=account.id, room_id=account.room_id)
    scope.session.flush()
    return True
