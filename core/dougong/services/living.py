"""Who moves out of a room: a tenant, or a dormitory's students by the hundred."""

from datetime import date

from dougong.db import Scope
from dougong.errors import Conflict
from dougong.i18n import N_
from dougong.services import service
from dougong.tenancy.models import Occupancy


@service(
    "occupancy.end", title=("Moves out", "迁出（退宿）"), permission="dougong.occupancy.change"
)  # fmt: skip
def end_occupancy(scope: Scope, occupancy: Occupancy, on: date) -> Occupancy:
    """Let an occupancy end; ``on`` is the first day on which the person lives there no more.

    Raises Conflict for a day on which it had not begun, and for one that ended before.
    """
    record = scope.get(Occupancy, occupancy.id, lock=True)
    if record.to_on is not None and record.to_on <= on:
        raise Conflict(N_("Has moved out before that day."))
    if on <= record.from_on:
        raise Conflict(N_("Had not moved in by that day."))
    record.to_on = on
    scope.session.flush()
    return record
