"""What rooms used in a month, for its map: floors from what is kept, the rooms of a building."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Numeric, Select, and_, case, cast, func, or_, select

from dougong.db import Scope
from dougong.tenancy.models import Room
from dougong_meters.models import Meter, MonthCounter
from dougong_meters.services.usage import usage_for_period

Used = tuple[Decimal, Decimal] | None
NOTHING = Decimal(0)


class FloorUsage(NamedTuple):
    """What the rooms of a floor used in a month, of how many, and of how many it is not known."""

    building_id: UUID
    floor: int | None
    quantity: Decimal
    rooms: int
    unknown: int


def usage_by_room(
    scope: Scope, room_ids: Sequence[UUID], month: date, commodity: str
) -> dict[UUID, Used]:
    """Return what each room with a meter used in a month, of one room; None where it is not known.

    One statement.
    """
    found: dict[UUID, Used] = {}
    for usage in usage_for_period(scope, room_ids, month, _after(month), commodity):
        if usage.room_id is None:
            continue
        before = found.get(usage.room_id, (NOTHING, Decimal(1)))
        is_known = before is not None and usage.quantity is not None
        found[usage.room_id] = (before[0] + usage.quantity, before[1]) if is_known else None
    return found


def usage_by_floor(scope: Scope, month: date, commodity: str) -> list[FloorUsage]:
    """Return what the rooms of each floor used in a month, by the rules of ``usage_for_period``.

    From what is kept of the month's first and last midnight, added up by the database. Rooms with a
    meter of which one is not kept are reckoned from their readings, in two statements more: none of
    a month that is over, but for an hour.
    """
    used = _by_room(scope, month, commodity).subquery()
    rows = scope.session.execute(_by_floor(scope, used)).all()
    if not any(row.missing for row in rows):
        return [FloorUsage(*row[:5]) for row in rows]
    query = select(Room.id, Room.building_id, Room.floor).join(used, _is_room(scope, used))
    places = {
        room: (building, floor)
        for room, building, floor in scope.session.execute(query.where(~used.c.is_kept))
    }
    return _with(rows, places, usage_by_room(scope, list(places), month, commodity))


def _with(
    rows: Sequence[Any], places: Mapping[UUID, tuple[UUID, int | None]], used: Mapping[UUID, Used]
) -> list[FloorUsage]:
    """Return the floors with those of their rooms that were reckoned from readings."""
    floors = {(row.building_id, row.floor): list(row[2:5]) for row in rows}
    for room, each in used.items():
        sums = floors[places[room]]
        if each is None:
            sums[2] += 1
        else:
            sums[0] += each[0]
            sums[1] += 1
    return [FloorUsage(*place, *sums) for place, sums in floors.items()]


def _is_room(scope: Scope, used: Any) -> Any:
    return and_(Room.community_id == scope.community_id, Room.id == used.c.room_id)


def _by_floor(scope: Scope, used: Any) -> Select[Any]:
    is_known = and_(used.c.is_kept, used.c.is_known)
    return (
        select(
            Room.building_id,
            Room.floor,
            func.coalesce(func.sum(used.c.quantity).filter(is_known), 0).label("quantity"),
            func.count().filter(is_known).label("rooms"),
            func.count().filter(used.c.is_kept, ~used.c.is_known).label("unknown"),
            func.count().filter(~used.c.is_kept).label("missing"),
        )
        .join(used, _is_room(scope, used))
        .group_by(Room.building_id, Room.floor)
    )


def _by_room(scope: Scope, month: date, commodity: str) -> Select[Any]:
    """Return the query of what rooms used by what is kept: as ``usage_for_period`` reckons it."""
    end = _after(month)
    start, finish = (datetime.combine(day, time(), scope.zone) for day in (month, end))
    tolerance = timedelta(days=int(scope.setting("meters.closing_tolerance_days", 5)))
    # The tables, not the models: who may see a room only is told of all its meters.
    meter = Meter.__table__.c
    first, last = (MonthCounter.__table__.alias(name) for name in ("first", "last"))
    is_read = or_(first.c.read_at.is_(None), last.c.read_at > first.c.read_at)
    is_closed = or_(
        func.coalesce(meter.removed_on < end, False), last.c.read_at >= finish - tolerance
    )
    began_anew = case(
        (meter.digits.is_(None), 0),
        else_=func.power(cast(10, Numeric), meter.digits) * last.c.rolled,
    )
    moved = last.c.value - func.coalesce(first.c.value, meter.install_value) + began_anew

    def is_of(counter: Any, instant: datetime) -> Any:
        return and_(
            counter.c.community_id == meter.community_id,
            counter.c.meter_id == meter.id,
            counter.c.begins_at == instant,
        )

    return (
        select(
            meter.room_id,
            func.bool_and(and_(first.c.id.is_not(None), last.c.id.is_not(None))).label("is_kept"),
            func.bool_and(func.coalesce(and_(is_read, is_closed, moved >= 0), False)).label(
                "is_known"
            ),
            func.sum(moved * meter.multiplier).label("quantity"),
        )
        .select_from(
            Meter.__table__.outerjoin(first, is_of(first, start)).outerjoin(
                last, is_of(last, finish)
            )
        )
        .where(
            meter.community_id == scope.community_id,
            meter.commodity == commodity,
            meter.room_id.is_not(None),
            meter.installed_on < end,
            or_(meter.removed_on.is_(None), meter.removed_on >= month),
        )
        .group_by(meter.room_id)
    )


def _after(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)
