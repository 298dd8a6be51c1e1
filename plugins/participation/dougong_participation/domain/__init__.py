"""The rules of participation: how a complaint moves, what time was promised, what is frequent."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum

from dougong.i18n import bilingual

REOPENED_WITHIN = timedelta(days=7)
RATINGS = range(1, 6)


class ComplaintState(StrEnum):
    """Where a complaint stands."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    ANSWERED = "answered"
    CLOSED = "closed"

    __labels__ = {
        "OPEN": bilingual("To be taken up", "待受理"),
        "IN_PROGRESS": bilingual("In progress", "处理中"),
        "ANSWERED": bilingual("Answered", "已答复"),
        "CLOSED": bilingual("Closed", "已办结"),
    }


OPEN, IN_PROGRESS = ComplaintState.OPEN, ComplaintState.IN_PROGRESS
ANSWERED, CLOSED = ComplaintState.ANSWERED, ComplaintState.CLOSED

# verb → from which states, to which state
TRANSITIONS: dict[str, tuple[frozenset[ComplaintState], ComplaintState]] = {
    "take": (frozenset({OPEN}), IN_PROGRESS),
    "answer": (frozenset({OPEN, IN_PROGRESS, ANSWERED}), ANSWERED),
    "rate": (frozenset({ANSWERED}), CLOSED),
    "close": (frozenset({ANSWERED}), CLOSED),
    "reopen": (frozenset({ANSWERED, CLOSED}), IN_PROGRESS),
}


def next_state(state: ComplaintState, verb: str) -> ComplaintState | None:
    """Return the state after ``verb``, None when it is not allowed from ``state``."""
    sources, target = TRANSITIONS[verb]
    return target if state in sources else None


def may_reopen(state: ComplaintState, answered_at: datetime | None, now: datetime) -> bool:
    """Tell whether the one who complained may still say that it is not solved."""
    return (
        next_state(state, "reopen") is not None
        and answered_at is not None
        and now - answered_at <= REOPENED_WITHIN
    )


def month_before(day: date) -> tuple[date, date]:
    """Return the calendar month before the one of ``day``, as half-open days [from, to)."""
    to_on = day.replace(day=1)
    return (to_on - timedelta(days=1)).replace(day=1), to_on


def frequent(topics: Iterable[str], from_count: int) -> list[tuple[str, int]]:
    """Return the topics that were named at least ``from_count`` times, the most frequent first."""
    counted = Counter(topics).most_common()
    return [(topic, count) for topic, count in counted if count >= from_count]


def shares(counts: dict[str, int]) -> dict[str, int]:
    """Return whole percents that add up to 100, by largest remainder; empty for no votes."""
    total = sum(counts.values())
    if not total:
        return dict.fromkeys(counts, 0)
    whole = {key: count * 100 // total for key, count in counts.items()}
    left = 100 - sum(whole.values())
    by_remainder = sorted(counts, key=lambda k: (-(counts[k] * 100 % total), k))
    for key in by_remainder[:left]:
        whole[key] += 1
    return whole
