"""The demonstration's counter: a shift that lacked a slip, and the drawer of last evening."""

from datetime import datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from sqlalchemy import select

from dougong.db import Scope, uuid7
from dougong.tenancy.models import CommunityKind
from dougong_desk.domain import ShiftState, counted
from dougong_desk.models import Shift
from dougong_desk.services.shifts import NOBODY

PIECES = {"100": 6, "50": 3, "20": 2, "10": 4, "5": 3, "1": 12, "0.5": 4, "0.1": 5}


def load(scope: Scope, chance: Random) -> None:
    """Leave two shifts: one signed off without a slip, one with a drawer five jiao short."""
    if CommunityKind(scope.place.kind) is not CommunityKind.ESTATE:
        return
    if scope.session.scalars(select(Shift.id).limit(1)).first() is not None:
        return
    scope.session.add_all([_without_a_slip(scope), _last_evening(scope)])
    scope.session.flush()


def _shift(scope: Scope, days_ago: int, name: str, **values: Any) -> Shift:
    day = scope.today - timedelta(days=days_ago)
    return Shift(
        id=uuid7(datetime.combine(day, time(8, 30), scope.zone)),
        cashier_id=uuid7(),
        cashier_name=name,
        opened_at=datetime.combine(day, time(8, 30), scope.zone),
        closed_at=datetime.combine(day, time(17, 40), scope.zone),
        opening_float=Decimal("300.00"),
        after_entry_id=NOBODY,
        upto_entry_id=NOBODY,
        **values,
    )


def _without_a_slip(scope: Scope) -> Shift:
    total = counted(PIECES)
    return _shift(
        scope,
        2,
        "收费员小何",
        state=ShiftState.SIGNED_OFF,
        expected=total,
        counted=total,
        pieces=PIECES,
        pos_booked=Decimal("1560.00"),
        pos_slips=Decimal("1280.00"),
        pos_reason="一张 280.00 元签购单遗失，已调取收单机构流水核实到账",
        signed_by=uuid7(),
        signed_name="财务主管老周",
        takings=[
            {"channel": "cash", "count": 2, "taken": "320.00", "back": "0.00"},
            {"channel": "pos", "count": 5, "taken": "1560.00", "back": "0.00"},
        ],
    )


def _last_evening(scope: Scope) -> Shift:
    total = counted(PIECES)
    return _shift(
        scope,
        1,
        "收费员小吴",
        state=ShiftState.CLOSED,
        expected=total + Decimal("0.50"),
        counted=total,
        difference_reason="找零少收五角，当班赔付",
        pieces=PIECES,
        pos_booked=Decimal("1280.60"),
        pos_slips=Decimal("1280.60"),
        banked=Decimal("500.00"),
        bank_slip="ICBC-20261127-0031",
        takings=[
            {"channel": "cash", "count": 3, "taken": "560.00", "back": "0.00"},
            {"channel": "pos", "count": 4, "taken": "1280.60", "back": "0.00"},
        ],
    )
