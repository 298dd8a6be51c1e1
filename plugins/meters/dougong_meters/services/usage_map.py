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
    rooms: Decimal
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
    meter of which one is not kept are reckoned from their readings, in a statement of their own:
    none of a month that is over, but for an hour.
    """
    rows = scope.session.execute(_by_floor(scope, month, commodity)).all()
    missing = [room for row in rows for room in row.missing or ()]
    used = usage_by_room(scope, missing, month, commodity) if missing else {}
    return [_with(row, used) for row in rows]


def _with(row: Any, used: Mapping[UUID, Used]) -> FloorUsage:
    """Return a floor with those of its rooms that were reckoned from readings."""
    own = [used[room] for room in row.missing or () if room in used]
    known = [each for each in own if each is not None]
    return FloorUsage(
        row.building_id,
        row.floor,
        (row.quantity or NOTHING) + sum((each[0] for each in known), NOTHING),
        Decimal(row.rooms + len(known)),
        row.unknown + len(own) - len(known),
    )


def _by_floor(scope: Scope, month: date, commodity: str) -> Select[Any]:
    used = _by_room(scope, month, commodity).subquery()
    is_known = and_(used.c.is_kept, used.c.is_known)
    return (
        select(
            Room.building_id,
            Room.floor,
            func.sum(used.c.quantity).filter(is_known).label("quantity"),
            func.count().filter(is_known).label("rooms"),
            func.count().filter(used.c.is_kept, ~used.c.is_known).label("unknown"),
            func.array_agg(used.c.room_id).filter(~used.c.is_kept).label("missing"),
        )
        .join(used, and_(Room.community_id == scope.community_id, Room.id == used.c.room_id))
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
