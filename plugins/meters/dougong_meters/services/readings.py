"""Readings that people take: judged, estimated, accepted, rejected, and the change of a meter."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from sqlalchemy import Row, select

from dougong.db import Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_meters.domain import Verdict, estimate, judge, looks_like_rollover, usual_per_day
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
    """Return the verdict beside the readings before ``at``, and whether the counter rolled over.

    Estimates are no evidence: what was guessed too high is made up for by what is read.
    """
    before = read_before(scope, meter, at)
    previous = before[0].value if before else meter.install_value
    days = Decimal(1)
    if before:
        days = Decimal((at - before[0].read_at).total_seconds()) / 86400
    usual = usual_per_day([(r.value, r.read_at) for r in before], digits=meter.digits)
    verdict = judge(previous, value, days, usual, digits=meter.digits)
    return verdict, looks_like_rollover(previous, value, meter.digits)


def read_before(
    scope: Scope, meter: Meter, at: datetime
) -> Sequence[Row[tuple[Decimal, datetime]]]:
    """Return the accepted readings before an instant, newest first, without estimates."""
    return scope.session.execute(
        select(Reading.value, Reading.read_at)
        .where(
            Reading.meter_id == meter.id,
            Reading.read_at < at,
            Reading.state == ReadingState.ACCEPTED,
            Reading.kind != ReadingKind.ESTIMATE,
        )
        .order_by(Reading.read_at.desc())
        .limit(13)
    ).all()


@service("reading.estimate", title=("Estimate", "估读"))
def estimate_reading(
    scope: Scope, meter: Meter, reason: str, read_at: datetime | None = None
) -> Reading:
    """Record what the meter would show by its usual use, because nobody could read it.

    What was estimated too high or too low is made up for by the next reading: usage counts from
    the estimate on, and stays zero until the counter has passed it. Raises MeterRemoved, Invalid
    without two readings to go by, Conflict when the meter was read later or would have rolled over.
    """
    if meter.state is not MeterState.INSTALLED:
        raise MeterRemoved(N_("Meter %(serial)s was removed."), serial=meter.serial)
    at = read_at or scope.now
    if meter.last_read_at is not None and meter.last_read_at >= at:
        raise Conflict(N_("The meter was read later than that."))
    before = read_before(scope, meter, at)
    value = estimate([(r.value, r.read_at) for r in before], at, digits=meter.digits)
    if value is None:
        raise Invalid(N_("There are too few readings to estimate from."))
    reading = Reading(
        meter_id=meter.id,
        value=value,
        read_at=at,
        kind=ReadingKind.ESTIMATE,
        state=ReadingState.ACCEPTED,
        reason=reason,
    )
    scope.session.add(reading)
    scope.session.flush()
    return reading


@service("reading.accept", title=("Accept", "采纳"))
def accept_reading(scope: Scope, reading: Reading) -> Reading:
    """Let a suspect reading count. Raises Conflict for a rejected one."""
    if reading.state is ReadingState.REJECTED:
        raise Conflict(N_("A rejected reading stays rejected; record it again."))
    reading.state = ReadingState.ACCEPTED
    meter = scope.get(Meter, reading.meter_id, lock=True)
    if meter.last_read_at is None or reading.read_at >= meter.last_read_at:
        meter.last_value, meter.last_read_at = reading.value, reading.read_at
    scope.session.flush()
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
        role=meter.role,
        replaces_id=meter.id,
        last_value=install_value,
        last_read_at=at,
    )
    scope.session.add(successor)
    scope.session.flush()
    return successor
