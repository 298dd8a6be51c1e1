"""Working time, and the two clocks of an order: until somebody comes, until it is repaired.

Instants are aware. A calendar of None runs round the clock: emergencies know no weekend.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WARN_PERCENT = 75
MOST_DAYS = 1000


@dataclass(frozen=True)
class WorkingTime:
    """When people work: hours of a day, weekdays (0 is Monday), and days that are different.

    days: true for a day that is worked although its weekday is free, false for a holiday.
    """

    opens: time
    closes: time
    weekdays: frozenset[int]
    zone: ZoneInfo
    days: Mapping[date, bool] = field(default_factory=dict)

    def is_working(self, day: date) -> bool:
        """Tell whether people work on a day."""
        return self.days.get(day, day.weekday() in self.weekdays)

    def span(self, day: date) -> tuple[datetime, datetime] | None:
        """Return begin and end of a day's work, None for a free day."""
        if not self.is_working(day) or self.closes <= self.opens:
            return None
        begin, end = (
            datetime.combine(day, at, self.zone).astimezone(ZoneInfo("UTC"))
            for at in (self.opens, self.closes)
        )
        return begin, end


def add_working(begin: datetime, seconds: int, calendar: WorkingTime | None) -> datetime:
    """Return the instant at which ``seconds`` of working time have passed since ``begin``.

    seconds: not negative. Raises ValueError when the calendar has no work within 1,000 days.
    """
    if calendar is None or seconds == 0:
        return begin + timedelta(seconds=seconds)
    left, day = seconds, begin.astimezone(calendar.zone).date()
    for number in range(MOST_DAYS):
        span = calendar.span(day + timedelta(days=number))
        if span is None or span[1] <= begin:
            continue
        start = max(span[0], begin)
        there = int((span[1] - start).total_seconds())
        if there >= left:
            return start + timedelta(seconds=left)
        left -= there
    raise ValueError("the calendar has no working time")


def working_between(begin: datetime, end: datetime, calendar: WorkingTime | None) -> int:
    """Return the seconds of working time from ``begin`` to ``end``, negative when it is before."""
    if end < begin:
        return -working_between(end, begin, calendar)
    if calendar is None:
        return int((end - begin).total_seconds())
    total, day = 0.0, begin.astimezone(calendar.zone).date()
    last = end.astimezone(calendar.zone).date()
    while day <= last:
        span = calendar.span(day)
        if span is not None:
            total += max(0.0, (min(span[1], end) - max(span[0], begin)).total_seconds())
        day += timedelta(days=1)
    return int(total)


@dataclass(frozen=True)
class Clock:
    """When something is due, and when somebody is warned that it will be."""

    due_at: datetime
    warn_at: datetime


def start(now: datetime, minutes: int, calendar: WorkingTime | None) -> Clock:
    """Return a clock that runs from now; the warning comes at 75 % of its time."""
    seconds = minutes * 60
    return Clock(
        add_working(now, seconds, calendar),
        add_working(now, seconds * WARN_PERCENT // 100, calendar),
    )


def left(clock: Clock, now: datetime, calendar: WorkingTime | None) -> tuple[int, int]:
    """Return the working seconds until it is due and until the warning; negative when past."""
    return (
        working_between(now, clock.due_at, calendar),
        working_between(now, clock.warn_at, calendar),
    )


def run_on(
    clock: Clock, remaining: tuple[int, int], now: datetime, calendar: WorkingTime | None
) -> Clock:
    """Return a clock that stood still and runs on with what remained; what is past stays past."""
    due, warn = remaining
    return Clock(
        add_working(now, due, calendar) if due > 0 else clock.due_at,
        add_working(now, warn, calendar) if warn > 0 else clock.warn_at,
    )
