"""The rules of sending: when people are left in peace, and when to try again."""

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

HOURS = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$")
BACK_OFF = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
)


def quiet_until(now: datetime, zone: ZoneInfo, hours: str) -> datetime | None:
    """Return the instant at which quiet hours end, None when ``now`` lies outside of them.

    hours: ``22:00-07:00`` in the community's time, the end not included; empty for none.
    Raises ValueError for anything else.
    """
    if not hours:
        return None
    begin, end = quiet_span(hours)
    if begin == end:
        return None
    local = now.astimezone(zone)
    clock = local.time()
    is_quiet = begin <= clock < end if begin < end else clock >= begin or clock < end
    if not is_quiet:
        return None
    day = local.date() if clock < end else local.date() + timedelta(days=1)
    return datetime.combine(day, end, zone).astimezone(now.tzinfo)


def quiet_span(hours: str) -> tuple[time, time]:
    """Return begin and end of quiet hours; raises ValueError when they are not ``HH:MM-HH:MM``."""
    match = HOURS.match(hours)
    if match is None:
        raise ValueError(f"{hours!r} is not a span such as 22:00-07:00")
    first, second, third, fourth = map(int, match.groups())
    return time(first, second), time(third, fourth)


def next_try(now: datetime, attempts: int, asked: timedelta | None) -> datetime | None:
    """Return when to try again after ``attempts`` failures, None when it is time to give up.

    asked: what the channel asked us to wait; honoured when it is longer than our own pause.
    """
    if attempts > len(BACK_OFF):
        return None
    return now + max(BACK_OFF[attempts - 1], asked or timedelta(0))
