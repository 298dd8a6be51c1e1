"""The demonstration's counter: the shift of last evening, and a drawer that waits."""

from datetime import datetime, time, timedelta
from decimal import Decimal
from random import Random

from sqlalchemy import select

from dougong.db import Scope, uuid7
from dougong.tenancy.models import CommunityKind
from dougong_desk.domain import ShiftState, counted
from dougong_desk.models import Shift
from dougong_desk.services.shifts import NOBODY

PIECES = {"100": 6, "50": 3, "20": 2, "10": 4, "5": 3, "1": 12, "0.5": 4, "0.1": 5}


def load(scope: Scope, chance: Random) -> None:
    """Leave a closed shift with a drawer to take over, five jiao short and explained."""
    if CommunityKind(scope.place.kind) is not CommunityKind.ESTATE:
        return
    if scope.session.scalars(select(Shift.id).limit(1)).first() is not None:
        return
    day = scope.today - timedelta(days=1)
    total = counted(PIECES)
    scope.session.add(
        Shift(
            cashier_id=uuid7(),
            cashier_name="收费员小吴",
            state=ShiftState.CLOSED,
            opened_at=datetime.combine(day, time(8, 30), scope.zone),
            closed_at=datetime.combine(day, time(17, 40), scope.zone),
            opening_float=Decimal("300.00"),
            after_entry_id=NOBODY,
            upto_entry_id=NOBODY,
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
    )
    scope.session.flush()
