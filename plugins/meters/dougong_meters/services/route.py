"""A round of reading on foot (抄表路线): which meters wait, in the order of their rooms."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from typing import IO, NamedTuple
from uuid import UUID

from sqlalchemy import Row, Select, and_, func, or_, select

from dougong.db import Scope
from dougong.files import attach
from dougong.services import entered
from dougong.tenancy.models import Building, Room
from dougong_meters.domain import highest_plausible, usual_per_day
from dougong_meters.models import Meter, MeterState, Reading, ReadingSource
from dougong_meters.services.readings import read_before, record_reading


class Stretch(NamedTuple):
    """The meters of one kind in one building: how many, and how many were read this month."""

    building_id: UUID | None
    building: str
    commodity: str
    count: int
    done: int


@dataclass(frozen=True)
class Stop:
    """The meter to read next. high: above it a reading is doubtful; None when nothing is known."""

    meter: Meter
    room: str
    previous: Decimal
    previous_at: datetime | None
    high: Decimal | None


def round_began(scope: Scope) -> datetime:
    """Return when this month's round began: its first midnight."""
    return datetime.combine(scope.today.replace(day=1), time(), scope.zone)


def stretches(scope: Scope) -> list[Stretch]:
    """Return where meters are read by hand, and how far this month's round is."""
    is_done = and_(Meter.last_read_at.is_not(None), Meter.last_read_at >= round_began(scope))
    query = (
        select(
            Building.id, Building.name, Meter.commodity, func.count(),
            func.count().filter(is_done),
        )
        .select_from(Meter)
        .outerjoin(Building, and_(Building.community_id == Meter.community_id,
                                  Building.id == Meter.building_id))
        .where(*_by_hand())
        .group_by(Building.id, Building.name, Building.sort_key, Meter.commodity)
        .order_by(Building.sort_key.nulls_first(), Meter.commodity)
    )  # fmt: skip
    return [Stretch(i, name or "", c.value, n, done) for i, name, c, n, done in
            scope.session.execute(query)]  # fmt: skip


def _by_hand() -> tuple[object, ...]:
    """Return the conditions for a meter that hangs and that no device reads."""
    from dougong.devices.models import DevicePoint

    bound = select(DevicePoint.id).where(
        DevicePoint.community_id == Meter.community_id,
        DevicePoint.subject_kind == "meters.meter",
        DevicePoint.subject_id == Meter.id,
    )
    return Meter.state == MeterState.INSTALLED, ~bound.exists()


def next_stop(
    scope: Scope, building_id: UUID | None, commodity: str, after: UUID | None = None
) -> Stop | None:
    """Return the next meter of a stretch that was not read this month, None when all were.

    after: a meter that was passed by; the round goes on behind it and comes back to it at the end.
    """
    query = _waiting(scope, building_id, commodity)
    found = None
    if after is not None:
        found = scope.session.execute(_behind(scope, query, after).limit(1)).first()
    found = found or scope.session.execute(query.limit(1)).first()
    return None if found is None else _stop(scope, *found)


Waiting = Select[tuple[Meter, str]]


def _waiting(scope: Scope, building_id: UUID | None, commodity: str) -> Waiting:
    is_there = (
        Meter.building_id.is_(None) if building_id is None else Meter.building_id == building_id
    )
    return (
        select(Meter, Room.code)
        .outerjoin(Room, and_(Room.community_id == Meter.community_id, Room.id == Meter.room_id))
        .where(*_by_hand(), is_there, Meter.commodity == commodity,
               or_(Meter.last_read_at.is_(None), Meter.last_read_at < round_began(scope)))
        .order_by(func.coalesce(Room.sort_key, ""), Meter.serial)
    )  # fmt: skip


def _behind(scope: Scope, query: Waiting, after: UUID) -> Waiting:
    passed = scope.get(Meter, after)
    key = scope.get(Room, passed.room_id).sort_key if passed.room_id else ""
    sort_key = func.coalesce(Room.sort_key, "")
    return query.where(or_(sort_key > key, and_(sort_key == key, Meter.serial > passed.serial)))


def stop_at(scope: Scope, meter_id: UUID) -> Stop:
    """Return one meter as the round shows it; raises NotFound."""
    meter = scope.get(Meter, meter_id)
    return _stop(scope, meter, scope.get(Room, meter.room_id).code if meter.room_id else "")


def _stop(scope: Scope, meter: Meter, room: str | None) -> Stop:
    before: Sequence[Row[tuple[Decimal, datetime]]] = read_before(scope, meter, scope.now)
    previous = before[0].value if before else meter.install_value
    usual = usual_per_day([(r.value, r.read_at) for r in before], digits=meter.digits)
    high = None
    if before and usual is not None:
        days = Decimal((scope.now - before[0].read_at).total_seconds()) / 86400
        high = previous + highest_plausible(usual, days)
    return Stop(meter, room or "", previous, before[0].read_at if before else None, high)


def record_at(
    scope: Scope,
    meter_id: UUID,
    value: Decimal,
    *,
    is_confirmed: bool = False,
    photo: tuple[str, IO[bytes]] | None = None,
) -> Reading:
    """Record what somebody reads at the meter, with the photo that proves it.

    photo: its name and content. Raises what `record_reading` and `dougong.files.attach` raise.
    """
    with entered(scope, "meters.reading.record", "meters.reading.record"):
        source = ReadingSource.PHOTO if photo else ReadingSource.MANUAL
        meter = scope.get(Meter, meter_id)
        reading = record_reading(scope, meter, value, source=source, is_confirmed=is_confirmed)
        if photo:
            attach(scope, reading, *photo)
    return reading
