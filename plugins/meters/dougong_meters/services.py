"""What people, jobs and devices do with meters."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select, text

from dougong.db import Scope, uuid7
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_meters.domain import Verdict, judge, looks_like_rollover
from dougong_meters.errors import Implausible, MeterRemoved
from dougong_meters.models import (
    Meter,
    MeterState,
    Reading,
    ReadingKind,
    ReadingSource,
    ReadingState,
)

REASONS = {
    Verdict.BACKWARDS: N_("The counter is lower than the reading before."),
    Verdict.TOO_HIGH: N_("The usage is far above the usual."),
    Verdict.ZERO: N_("Nothing was used, which is unusual here."),
}


def too_high() -> str:
    """Return why a reading that is far above the usual is suspect, in the locale in force."""
    return gettext(REASONS[Verdict.TOO_HIGH])


@service("reading.record", title=("Record a reading", "录入读数"))
def record_reading(
    scope: Scope,
    meter: Meter,
    value: Decimal,
    read_at: datetime | None = None,
    source: ReadingSource = ReadingSource.MANUAL,
    is_confirmed: bool = False,
) -> Reading:
    """Record what a meter shows, and judge it against the readings before.

    value: the counter, in the meter's unit before the multiplier. An implausible value is refused
    unless ``is_confirmed``; a confirmed one counts, and the reason stays on the reading. A second
    reading at the same instant replaces nothing: Conflict. Raises Implausible, MeterRemoved.
    """
    if meter.state is not MeterState.INSTALLED:
        raise MeterRemoved(N_("Meter %(serial)s was removed."), serial=meter.serial)
    read_at = read_at or scope.now
    if read_at > scope.now + timedelta(minutes=5):
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"read_at": gettext("A reading cannot lie in the future.")},
        )
    verdict, rolled_over = _judge(scope, meter, value, read_at)
    if verdict in (Verdict.BACKWARDS, Verdict.TOO_HIGH) and not is_confirmed:
        raise Implausible(REASONS[verdict], fields={"value": gettext(REASONS[verdict])})
    reading = Reading(
        meter_id=meter.id,
        value=value,
        read_at=read_at,
        source=source,
        kind=ReadingKind.ROLLOVER if rolled_over else ReadingKind.NORMAL,
        state=ReadingState.ACCEPTED,
        reason=gettext(REASONS[verdict]) if verdict in REASONS else None,
    )
    scope.session.add(reading)
    if meter.last_read_at is None or read_at >= meter.last_read_at:
        meter.last_value, meter.last_read_at = value, read_at
    scope.session.flush()
    return reading


def _judge(scope: Scope, meter: Meter, value: Decimal, at: datetime) -> tuple[Verdict, bool]:
    """Return the verdict beside the accepted readings before ``at``, and whether it rolled over."""
    before = scope.session.execute(
        select(Reading.value, Reading.read_at)
        .where(
            Reading.meter_id == meter.id,
            Reading.read_at < at,
            Reading.state == ReadingState.ACCEPTED,
        )
        .order_by(Reading.read_at.desc())
        .limit(13)
    ).all()
    previous = before[0].value if before else meter.install_value
    usual, days = None, Decimal(1)
    if before:
        days = Decimal((at - before[0].read_at).total_seconds()) / 86400
    if len(before) >= 3:
        span = Decimal((before[0].read_at - before[-1].read_at).total_seconds()) / 86400
        usual = (before[0].value - before[-1].value) / span if span > 0 else None
    verdict = judge(previous, value, days, usual, digits=meter.digits)
    return verdict, looks_like_rollover(previous, value, meter.digits)


@service("reading.accept", title=("Accept", "采纳"))
def accept_reading(scope: Scope, reading: Reading) -> Reading:
    """Let a suspect reading count. Raises Conflict for a rejected one."""
    if reading.state is ReadingState.REJECTED:
        raise Conflict(N_("A rejected reading stays rejected; record it again."))
    reading.state = ReadingState.ACCEPTED
    return reading


@service("reading.reject", title=("Reject", "作废"))
def reject_reading(scope: Scope, reading: Reading, reason: str) -> Reading:
    """Take a reading out of account for good; the row stays, with its reason."""
    reading.state, reading.reason = ReadingState.REJECTED, reason
    scope.session.flush()
    scope.emit("reading_rejected", reading_id=reading.id, meter_id=reading.meter_id)
    return reading


@service("meter.replace", title=("Replace the meter", "换表"))
def replace_meter(
    scope: Scope,
    meter: Meter,
    on: date,
    removal_value: Decimal,
    new_serial: str,
    install_value: Decimal = Decimal(0),
) -> Meter:
    """Take a meter down and hang another in its place; return the new one.

    The usage of the day of replacement is complete: the old meter's last and the new one's first
    value both count. Raises Conflict when it was removed before, Invalid for a falling counter.
    """
    if meter.state is not MeterState.INSTALLED:
        raise MeterRemoved(N_("Meter %(serial)s was removed."), serial=meter.serial)
    if meter.last_value is not None and removal_value < meter.last_value:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"removal_value": gettext(REASONS[Verdict.BACKWARDS])},
        )
    at = datetime.combine(on, time(12), scope.zone)
    scope.session.add(
        Reading(meter_id=meter.id, value=removal_value, read_at=at, kind=ReadingKind.REPLACEMENT)
    )
    meter.removed_on, meter.removal_value = on, removal_value
    meter.state = MeterState.REMOVED
    successor = Meter(
        serial=new_serial,
        commodity=meter.commodity,
        building_id=meter.building_id,
        room_id=meter.room_id,
        multiplier=meter.multiplier,
        digits=meter.digits,
        installed_on=on,
        install_value=install_value,
        replaces_id=meter.id,
        last_value=install_value,
        last_read_at=at,
    )
    scope.session.add(successor)
    scope.session.flush()
    return successor


@dataclass(frozen=True)
class RoomUsage:
    """What one meter of a room counted in a period, and the readings that prove it.

    quantity: in the unit of bills (multiplier applied); None when a reading is missing, with
    ``problem`` saying which.
    """

    room_id: UUID
    meter_id: UUID
    serial: str
    opening: Decimal | None
    opening_at: datetime | None
    closing: Decimal | None
    closing_at: datetime | None
    multiplier: Decimal
    quantity: Decimal | None
    problem: str | None


USAGE = text(
    """
    select m.room_id, m.id as meter_id, m.serial, m.multiplier, m.digits,
           coalesce(m.removed_on < :to_on, false) as is_removed,
           coalesce(o.value, case when m.installed_on >= :from_on then m.install_value end)
               as opening,
           coalesce(o.read_at, m.installed_on::timestamp at time zone :zone) as opening_at,
           c.value as closing, c.read_at as closing_at, coalesce(r.rolled, 0) as rolled
    from meters.meter m
    left join lateral (
        select value, read_at from meters.reading
        where community_id = m.community_id and meter_id = m.id and read_at <= :start
          and state = 'accepted' order by read_at desc limit 1
    ) o on true
    left join lateral (
        select value, read_at from meters.reading
        where community_id = m.community_id and meter_id = m.id and read_at <= :finish
          and read_at > coalesce(o.read_at, '-infinity') and state = 'accepted'
        order by read_at desc limit 1
    ) c on true
    left join lateral (
        select count(*) as rolled from meters.reading
        where community_id = m.community_id and meter_id = m.id and state = 'accepted'
          and kind = 'rollover' and read_at > :start and read_at <= :finish
    ) r on true
    where m.community_id = :community and m.commodity = :commodity
      and m.room_id = any (:rooms)
      and m.installed_on < :to_on and (m.removed_on is null or m.removed_on >= :from_on)
    order by m.room_id, m.installed_on
    """
)


def usage_for_period(
    scope: Scope, room_ids: Sequence[UUID], from_on: date, to_on: date, commodity: str
) -> list[RoomUsage]:
    """Return usage per meter of the rooms in the half-open period [from_on, to_on).

    Opening is the last accepted reading at or before the period's first midnight, closing the
    last one at or before its end; a closing reading older than the setting
    ``meters.closing_tolerance_days`` before the end counts as missing, unless the meter was taken
    down in the period. One statement.
    """
    start = datetime.combine(from_on, time(), scope.zone)
    finish = datetime.combine(to_on, time(), scope.zone)
    tolerance = timedelta(days=int(scope.setting("meters.closing_tolerance_days", 5)))
    rows = scope.session.execute(
        USAGE,
        {
            "community": scope.community_id,
            "commodity": commodity,
            "rooms": list(room_ids),
            "from_on": from_on,
            "to_on": to_on,
            "start": start,
            "finish": finish,
            "zone": scope.zone.key,
        },
    ).mappings()
    return [_room_usage(row, finish - tolerance) for row in rows]


def _room_usage(row: object, earliest_closing: datetime) -> RoomUsage:
    fields = dict(row)  # type: ignore[call-overload]
    digits, rolled = fields.pop("digits"), fields.pop("rolled")
    is_removed = fields.pop("is_removed")
    opening, closing = fields["opening"], fields["closing"]
    problem = None
    if opening is None:
        problem = N_("There is no reading at the start of the period.")
    elif closing is None or (not is_removed and fields["closing_at"] < earliest_closing):
        problem = N_("There is no reading at the end of the period.")
    quantity = None
    if problem is None:
        moved = closing - opening + (Decimal(10) ** digits * rolled if digits else 0)
        quantity = moved * fields["multiplier"] if moved >= 0 else None
        problem = None if moved >= 0 else REASONS[Verdict.BACKWARDS]
    return RoomUsage(**fields, quantity=quantity, problem=problem)


COLLECT = text(
    """
    with incoming as (
        select * from unnest(:ids ::uuid[], :meters ::uuid[], :values ::numeric[],
                             :instants ::timestamptz[]) as t(id, meter_id, value, read_at)
    ), timed as (
        select i.*, date_bin(cast(:every as interval), read_at, 'epoch') as span from incoming i
    ), known as (
        select distinct on (i.meter_id, i.span) i.*, m.last_value
        from timed i
        join meters.meter m on m.community_id = :community and m.id = i.meter_id
        where m.state = 'installed' and not exists (
            select from meters.reading r
            where r.community_id = :community and r.meter_id = i.meter_id
              and r.source = 'collector' and r.read_at >= i.span
              and r.read_at < i.span + cast(:every as interval))
        order by i.meter_id, i.span, i.read_at
    )
    insert into meters.reading
        (community_id, id, meter_id, read_at, value, kind, source, state, reason)
    select :community, id, meter_id, read_at, value, 'normal', 'collector',
           case when last_value is not null and value < last_value then 'suspect'
                else 'accepted' end,
           case when last_value is not null and value < last_value then :backwards end
    from known
    on conflict on constraint uq_reading_meter_read_at do nothing
    returning meter_id, read_at, value, state
    """
)
REMEMBER = text(
    """
    update meters.meter m set last_value = n.value, last_read_at = n.read_at
    from (select distinct on (meter_id) * from unnest(:meters ::uuid[], :values ::numeric[],
          :instants ::timestamptz[]) as t(meter_id, value, read_at)
          order by meter_id, read_at desc) n
    where m.community_id = :community and m.id = n.meter_id
      and (m.last_read_at is null or m.last_read_at < n.read_at)
    """
)


def collect(scope: Scope, readings: Sequence[tuple[UUID, Decimal, datetime]]) -> int:
    """Store counters that came from the wire, in bulk; return how many were new.

    readings: (meter id, counter, instant). Of the readings of a meter within one interval of
    ``meters.collect_minutes`` (on the clock) the first is kept; what the meter shows this minute is
    the device's latest value. A falling counter is stored as suspect and does not count until
    someone accepts it.
    """
    if not readings:
        return 0
    rows = scope.session.execute(
        COLLECT,
        {
            "community": scope.community_id,
            "every": timedelta(minutes=int(scope.setting("meters.collect_minutes", 60))),
            "ids": [uuid7(at) for _, _, at in readings],
            "meters": [meter for meter, _, _ in readings],
            "values": [value for _, value, _ in readings],
            "instants": [at for _, _, at in readings],
            "backwards": gettext(REASONS[Verdict.BACKWARDS]),
        },
    ).all()
    good = [row for row in rows if row.state == "accepted"]
    if good:
        scope.session.execute(
            REMEMBER,
            {
                "community": scope.community_id,
                "meters": [row.meter_id for row in good],
                "values": [row.value for row in good],
                "instants": [row.read_at for row in good],
            },
        )
    return len(rows)
