"""Usage per meter and period, and the readings that prove it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Date,
    DateTime,
    Integer,
    Numeric,
    String,
    TextClause,
    TextualSelect,
    Uuid,
    text,
)

from dougong.db import Scope
from dougong.i18n import N_
from dougong_meters.services.readings import REASONS, Verdict


@dataclass(frozen=True)
class RoomUsage:
    """What one meter of a room counted in a period, and the readings that prove it.

    quantity: in the unit of bills (multiplier applied); None when a reading is missing, with
    ``problem`` saying which. is_estimated: the closing value was never read from the meter.
    """

    room_id: UUID | None
    meter_id: UUID
    serial: str
    opening: Decimal | None
    opening_at: datetime | None
    closing: Decimal | None
    closing_at: datetime | None
    multiplier: Decimal
    quantity: Decimal | None
    problem: str | None
    is_estimated: bool = False


# The value that counts at an instant: the last accepted one, or an estimate that it has not yet
# passed. So what was estimated too high is made up for, usage is never negative, and the usage of
# the parts of a year is the usage of the year.
#
# Readings lie in months: the last one is looked for in the months just before, and further back
# only where there is none. Only meters that were ever estimated look for their estimates.
NEAR = "interval '70 days'"
LAST = """
    select value, read_at, kind from meters.reading
    where community_id = m.community_id and meter_id = m.id and state = 'accepted'
      and {span} order by read_at desc limit 1
"""
AT = """
    select greatest(r.value, e.value) as value, r.read_at,
           coalesce(r.kind = 'estimate' or e.value > r.value, false) as is_estimated
    from (
        select coalesce(n.value, f.value) as value, coalesce(n.read_at, f.read_at) as read_at,
               coalesce(n.kind, f.kind) as kind
        from (values (1)) as one (one)
        left join lateral ({near}) n on true
        left join lateral ({far}) f on true
        where n.read_at is not null or f.read_at is not null
    ) r
    left join lateral (
        select max(g.value) as value from meters.reading g
        where s.first_at is not null and g.read_at >= s.first_at
          and g.community_id = m.community_id and g.meter_id = m.id and g.read_at <= r.read_at
          and g.state = 'accepted' and g.kind = 'estimate' and not exists (
            select from meters.reading t
            where t.community_id = m.community_id and t.meter_id = m.id and t.kind = 'rollover'
              and t.state = 'accepted' and t.read_at > g.read_at and t.read_at <= r.read_at)
    ) e on true
"""
USAGE = """
    with estimated as materialized (
        select g.meter_id, min(g.read_at) as first_at from meters.reading g
        where g.community_id = :community and g.kind = 'estimate' and g.state = 'accepted'
          and g.meter_id in (
            select m.id from meters.meter m where m.community_id = :community and {which})
        group by g.meter_id
    )
    select {head} m.room_id, m.id as meter_id, m.serial, m.multiplier, m.digits,
           coalesce(m.removed_on < {to_on}, false) as is_removed,
           coalesce(o.value, m.install_value) as opening,
           coalesce(o.read_at, m.installed_on::timestamp at time zone :zone) as opening_at,
           c.value as closing, c.read_at as closing_at, coalesce(r.rolled, 0) as rolled,
           coalesce(c.is_estimated, false) as is_estimated
    from {source} meters.meter m
    left join estimated s on s.meter_id = m.id
    left join lateral ({opening}) o on true
    left join lateral ({closing}) c on true
    left join lateral (
        select count(*) as rolled from meters.reading
        where community_id = m.community_id and meter_id = m.id and state = 'accepted'
          and kind = 'rollover' and read_at > {start} and read_at <= {finish}
    ) r on true
    where m.community_id = :community and {which}
      and m.installed_on < {to_on} and (m.removed_on is null or m.removed_on >= {from_on})
    order by {head} m.room_id, m.installed_on
"""
MONTHS = """unnest(cast(:from_on as date[]), cast(:to_on as date[]), cast(:start as timestamptz[]),
        cast(:finish as timestamptz[])) as p (from_on, to_on, start, finish) cross join"""


def _statement(which: str, by: str = ":", head: str = "", source: str = "") -> TextClause:
    """Return the statement of usage. by: where a period's four values stand."""
    names = {name: f"{by}{name}" for name in ("from_on", "to_on", "start", "finish")}
    after = "read_at > coalesce(o.read_at, '-infinity')"
    opening, closing = at_instant(names["start"]), at_instant(names["finish"], after)
    shape = {"which": which, "head": head, "source": source, **names}
    return text(USAGE.format(opening=opening, closing=closing, **shape))


def at_instant(instant: str, after: str = "true") -> str:
    """Return the query of what counts of a meter ``m`` at an instant.

    It reads ``s.first_at``, when the meter was first estimated. after: a condition on when it was
    read.
    """
    near = f"read_at <= {instant} and read_at > {instant} - {NEAR} and {after}"
    far = f"n.read_at is null and read_at <= {instant} - {NEAR} and {after}"
    return AT.format(near=LAST.format(span=near), far=LAST.format(span=far))


OF_ROOMS = _statement("m.commodity = :commodity and m.room_id = any (:chosen)")
OF_METERS = _statement("m.commodity = :commodity and m.id = any (:chosen)")
MONTH_COLUMNS = {
    "from_on": Date,
    "commodity": String,
    "room_id": Uuid,
    "meter_id": Uuid,
    "serial": String,
    "multiplier": Numeric,
    "digits": Integer,
    "is_removed": Boolean,
    "opening": Numeric,
    "opening_at": DateTime(timezone=True),
    "closing": Numeric,
    "closing_at": DateTime(timezone=True),
    "rolled": Integer,
    "is_estimated": Boolean,
}
OF_MONTHS = _statement("m.room_id = any (:chosen)", "p.", "p.from_on, m.commodity,", MONTHS)


def usage_for_period(
    scope: Scope, room_ids: Sequence[UUID], from_on: date, to_on: date, commodity: str
) -> list[RoomUsage]:
    """Return usage per meter of the rooms in the half-open period [from_on, to_on).

    Opening is the last accepted reading at or before the period's first midnight, or the install
    reading; closing the last one at or before its end. A closing reading older than the setting
    ``meters.closing_tolerance_days`` before the end counts as missing, unless the meter was taken
    down in the period. One statement.
    """
    return _usage(scope, OF_ROOMS, room_ids, from_on, to_on, commodity)


def usage_of_meters(
    scope: Scope, meter_ids: Sequence[UUID], from_on: date, to_on: date, commodity: str
) -> list[RoomUsage]:
    """Return usage of some meters of one commodity, by the same rules as of rooms."""
    return _usage(scope, OF_METERS, meter_ids, from_on, to_on, commodity)


def usage_by_month(
    scope: Scope, room_ids: Sequence[UUID], months: Sequence[date]
) -> list[tuple[date, str, RoomUsage]]:
    """Return month, commodity and usage per meter of rooms, by the same rules, in one statement.

    months: the first day of each.
    """
    rows = scope.session.execute(months_query(scope, room_ids, months))
    return months_from(scope, rows.mappings())


def _month_after(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)


def months_query(scope: Scope, room_ids: Sequence[UUID], months: Sequence[date]) -> TextualSelect:
    """Return the query of what ``months_from`` reads."""
    ends = [_month_after(first) for first in months]
    return OF_MONTHS.bindparams(
        community=scope.community_id,
        chosen=list(room_ids),
        from_on=list(months),
        to_on=ends,
        start=[datetime.combine(first, time(), scope.zone) for first in months],
        finish=[datetime.combine(end, time(), scope.zone) for end in ends],
        zone=scope.zone.key,
    ).columns(**MONTH_COLUMNS)


def months_from(
    scope: Scope, rows: Iterable[Mapping[str, Any]]
) -> list[tuple[date, str, RoomUsage]]:
    """Return what ``usage_by_month`` does, from rows that were read before."""
    tolerance = timedelta(days=int(scope.setting("meters.closing_tolerance_days", 5)))
    found = []
    for row in rows:
        fields = dict(row)
        first, commodity = fields.pop("from_on"), fields.pop("commodity")
        finish = datetime.combine(_month_after(first), time(), scope.zone)
        found.append((first, commodity, _room_usage(fields, finish - tolerance)))
    return found


def _usage(
    scope: Scope, query: TextClause, chosen: Sequence[UUID], from_on: date, to_on: date,
    commodity: str,
) -> list[RoomUsage]:  # fmt: skip
    start = datetime.combine(from_on, time(), scope.zone)
    finish = datetime.combine(to_on, time(), scope.zone)
    tolerance = timedelta(days=int(scope.setting("meters.closing_tolerance_days", 5)))
    rows = scope.session.execute(
        query,
        {
            "community": scope.community_id,
            "commodity": commodity,
            "chosen": list(chosen),
            "from_on": from_on,
            "to_on": to_on,
            "start": start,
            "finish": finish,
            "zone": scope.zone.key,
        },
    ).mappings()
    return [_room_usage(dict(row), finish - tolerance) for row in rows]


def _room_usage(fields: dict[str, Any], earliest_closing: datetime) -> RoomUsage:
    digits, rolled = fields.pop("digits"), fields.pop("rolled")
    is_removed = fields.pop("is_removed")
    opening, closing = fields["opening"], fields["closing"]
    if closing is None or (not is_removed and fields["closing_at"] < earliest_closing):
        problem = N_("There is no reading at the end of the period.")
        return RoomUsage(**fields, quantity=None, problem=problem)
    moved = closing - opening + (Decimal(10) ** digits * rolled if digits else 0)
    if moved < 0:
        return RoomUsage(**fields, quantity=None, problem=REASONS[Verdict.BACKWARDS])
    return RoomUsage(**fields, quantity=moved * fields["multiplier"], problem=None)
