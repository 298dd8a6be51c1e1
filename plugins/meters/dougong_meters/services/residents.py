"""What residents do themselves: read a meter at home and send it with a photo."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import IO
from uuid import UUID

from sqlalchemy import or_, select, union

from dougong.db import Scope
from dougong.errors import Conflict, NotAllowed, NotFound
from dougong.files import attach
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Occupancy, Ownership
from dougong_meters.domain import Verdict, judge, usual_per_day
from dougong_meters.errors import Implausible, MeterRemoved
from dougong_meters.models import Meter, MeterState, Reading, ReadingSource, ReadingState
from dougong_meters.services.readings import REASONS, read_before

PORTAL = "meters.portal"
APART = timedelta(hours=12)


def my_rooms(scope: Scope) -> list[UUID]:
    """Return the rooms that the actor owns or lives in today; raises NotAllowed for nobody."""
    person_id = scope.actor.persons.get(scope.community_id) if scope.community_id else None
    if person_id is None:
        raise NotAllowed(N_("This page is for people who own or live here."))
    today = scope.today
    held = union(
        *(
            select(model.room_id).where(
                model.person_id == person_id,
                model.from_on <= today,
                or_(model.to_on.is_(None), model.to_on > today),
            )
            for model in (Ownership, Occupancy)
        )
    )
    return sorted(scope.session.scalars(held))


def meters_of_rooms(scope: Scope, rooms: Sequence[UUID]) -> list[Meter]:
    """Return the installed meters of some rooms."""
    installed = (Meter.room_id.in_(rooms), Meter.state == MeterState.INSTALLED)
    return list(scope.session.scalars(select(Meter).where(*installed).order_by(Meter.serial)))


def my_meter(scope: Scope, meter_id: UUID) -> Meter:
    """Return a meter of the actor's own rooms; raises NotFound for anybody else's."""
    meter = scope.session.get(Meter, (scope.community_id, meter_id))
    if meter is None or meter.room_id not in my_rooms(scope):
        raise NotFound(N_("There is no such meter of yours."))
    return meter


@service("reading.send", title=("Send a reading", "自助抄表"), permission=PORTAL, is_public=False)
def send_reading(
    scope: Scope, meter: Meter, value: Decimal, name: str, stream: IO[bytes]
) -> Reading:
    """Keep what a resident reads at his own meter until someone has looked at the photo.

    It counts for no bill before it is accepted. Raises Implausible for a counter that runs
    backwards, MeterRemoved, and Conflict for a second one within twelve hours.
    """
    meter = my_meter(scope, meter.id)
    if meter.state is not MeterState.INSTALLED:
        raise MeterRemoved(N_("Meter %(serial)s was removed."), serial=meter.serial)
    sent = select(Reading.id).where(
        Reading.meter_id == meter.id,
        Reading.state == ReadingState.SUSPECT,
        Reading.read_at > scope.now - APART,
    )
    if scope.session.scalars(sent).first() is not None:
        raise Conflict(N_("Your reading of today is there already and waits to be checked."))
    before = read_before(scope, meter, scope.now)
    previous = before[0].value if before else meter.install_value
    days = Decimal(1)
    if before:
        days = Decimal((scope.now - before[0].read_at).total_seconds()) / 86400
    usual = usual_per_day([(r.value, r.read_at) for r in before], digits=meter.digits)
    verdict = judge(previous, value, days, usual, digits=meter.digits)
    if verdict is Verdict.BACKWARDS:
        raise Implausible(REASONS[verdict], fields={"value": gettext(REASONS[verdict])})
    said = gettext("Sent by the resident; compare it with the photo.")
    reading = Reading(
        meter_id=meter.id,
        value=value,
        read_at=scope.now,
        source=ReadingSource.PHOTO,
        state=ReadingState.SUSPECT,
        reason=f"{said} {gettext(REASONS[verdict]) if verdict in REASONS else ''}".strip()[:200],
    )
    scope.session.add(reading)
    scope.session.flush()
    attach(scope, reading, name[-120:], stream)
    return reading
