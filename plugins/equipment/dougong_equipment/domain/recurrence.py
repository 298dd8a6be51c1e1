"""When something is due again: recurrence rules, and what to do about dates that have passed.

A rule is a line of RFC 5545, read in the community's own time: ``FREQ=MONTHLY;BYMONTHDAY=15``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from dateutil.rrule import rrule, rrulestr

from dougong_equipment.domain.kinds import CatchUp, TaskState

MOST = 2000
FORBIDDEN = ("DTSTART", "RDATE", "EXDATE", "EXRULE", "\n")
SLOW = ("SECONDLY", "MINUTELY")


def read_rule(text: str, starts: datetime) -> rrule:
    """Return a rule that begins at ``starts`` (naive, local); raises ValueError with the reason.

    Rules faster than hourly are refused: they are no plan for people.
    """
    line = text.strip().upper().removeprefix("RRULE:")
    if not line.startswith("FREQ=") or any(word in line for word in FORBIDDEN):
        raise ValueError("a rule is one line such as FREQ=MONTHLY;BYMONTHDAY=15")
    if any(word in line for word in SLOW):
        raise ValueError("a rule is hourly at the most")
    found = rrulestr(line, dtstart=starts)
    if not isinstance(found, rrule):
        raise ValueError("one rule, not several")
    return found


def due_days(text: str, starts_on: date, after: date | None, until: date) -> list[date]:
    """Return the days in (after, until] on which a rule is due, at most two thousand.

    after: None for everything from the first day on, that day included.
    """
    start = datetime.combine(starts_on, time())
    first = start - timedelta(days=1) if after is None else datetime.combine(after, time.max)
    found = due_moments(text, start, first, datetime.combine(until, time.max))
    return sorted({moment.date() for moment in found})


def due_moments(text: str, starts: datetime, after: datetime, until: datetime) -> list[datetime]:
    """Return the moments in (after, until] at which a rule is due; all of them naive and local."""
    rule = read_rule(text, starts)
    found: list[datetime] = []
    for moment in rule.xafter(after, inc=False):
        if moment > until or len(found) >= MOST:
            break
        found.append(moment)
    return found


@dataclass(frozen=True)
class Lead:
    """How far ahead a plan looks. lead_days: a task opens so many days before it is due.

    horizon_days: it is put on the calendar so many days ahead. grace_days: for so long after the
    day it is not late.
    """

    lead_days: int = 3
    horizon_days: int = 60
    grace_days: int = 0

    @property
    def reach(self) -> timedelta:
        return timedelta(days=max(self.lead_days, self.horizon_days))


def standing(
    days: Sequence[date], today: date, lead: Lead, catch_up: CatchUp
) -> list[tuple[date, TaskState]]:
    """Return how each newly found day begins: on the calendar, to be done, or missed.

    A day that is past its grace when it is found was slept through; ``catch_up`` says whether it
    is still to be done. None is left out: what is not done stays on record as missed.
    """
    past = [day for day in days if day + timedelta(days=lead.grace_days) < today]
    made: list[tuple[date, TaskState]] = []
    for day in days:
        if day in past:
            is_kept = catch_up is CatchUp.ALL or (catch_up is CatchUp.LATEST and day == past[-1])
            made.append((day, TaskState.OPEN if is_kept else TaskState.MISSED))
        elif day - timedelta(days=lead.lead_days) <= today:
            made.append((day, TaskState.OPEN))
        else:
            made.append((day, TaskState.PLANNED))
    return made


def crossings(before: Decimal, now: Decimal, every: Decimal, catch_up: CatchUp) -> list[int]:
    """Return which multiples of ``every`` a counter has passed since it stood at ``before``.

    Several at once mean that nobody looked; ``catch_up`` says whether each is done or the latest.
    A counter that was exchanged and starts low passes none.
    """
    first, last = int(before // every), int(now // every)
    found = list(range(first + 1, last + 1))
    return found if catch_up is CatchUp.ALL else found[-1:]


def warning_level(due_on: date, today: date) -> int:
    """Return how loudly to warn of a day: 1 at 30 days before, 2 at 7, 3 at 1, 4 when over."""
    left = (due_on - today).days
    if left < 0:
        return 4
    return 3 if left <= 1 else 2 if left <= 7 else 1 if left <= 30 else 0
