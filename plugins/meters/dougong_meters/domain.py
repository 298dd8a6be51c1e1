"""Arithmetic of meters: usage over segments, rollover, plausibility. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

FACTOR, SLACK = Decimal(5), Decimal(10)


class Verdict(StrEnum):
    """What a reading looks like beside the ones before it."""

    PLAUSIBLE = "plausible"
    BACKWARDS = "backwards"
    TOO_HIGH = "too_high"
    ZERO = "zero"


@dataclass(frozen=True)
class Segment:
    """Two counters of the same meter. ``rolled_over`` when it passed its last digit between."""

    opening: Decimal
    closing: Decimal
    multiplier: Decimal = Decimal(1)
    digits: int | None = None
    rolled_over: bool = False


def segment_usage(segment: Segment) -> Decimal:
    """Return the usage of one segment in the meter's unit, times its multiplier.

    Raises ValueError when the counter runs backwards without a recorded rollover: a guess would
    be somebody's money.
    """
    moved = segment.closing - segment.opening
    if segment.rolled_over:
        if segment.digits is None:
            raise ValueError("a rollover needs the number of digits")
        moved += Decimal(10) ** segment.digits
    if moved < 0:
        raise ValueError(f"the counter went back from {segment.opening} to {segment.closing}")
    return moved * segment.multiplier


def usage(segments: Sequence[Segment]) -> Decimal:
    """Return the usage over replacements: the sum of the segments."""
    return sum((segment_usage(segment) for segment in segments), Decimal(0))


def looks_like_rollover(previous: Decimal, value: Decimal, digits: int | None) -> bool:
    """Tell whether a fall is a counter that started again: from the top tenth to the bottom one."""
    if digits is None or value >= previous:
        return False
    full = Decimal(10) ** digits
    return previous >= full * Decimal("0.9") and value <= full * Decimal("0.1")


def usual_per_day(
    newest_first: Sequence[tuple[Decimal, datetime]], *, digits: int | None = None
) -> Decimal | None:
    """Return the average movement of the counter per day, None with fewer than three readings.

    newest_first: counter and instant; a rollover between two of them is counted as one.
    """
    if len(newest_first) < 3:
        return None
    days = Decimal((newest_first[0][1] - newest_first[-1][1]).total_seconds()) / 86400
    return _moved(newest_first, digits) / days if days > 0 else None


def _moved(newest_first: Sequence[tuple[Decimal, datetime]], digits: int | None) -> Decimal:
    moved = newest_first[0][0] - newest_first[-1][0]
    pairs = zip(newest_first[1:], newest_first, strict=False)
    rolled = sum(looks_like_rollover(a[0], b[0], digits) for a, b in pairs)
    return moved + rolled * Decimal(10) ** (digits or 0)


def estimate(
    newest_first: Sequence[tuple[Decimal, datetime]], at: datetime, *, digits: int | None = None
) -> Decimal | None:
    """Return what a counter would show at an instant if it went on as before.

    Rounded down to hundredths. None with fewer than two readings, for a counter that fell, and for
    one that would have started again: a guess must not hide a rollover.
    """
    if len(newest_first) < 2:
        return None
    last, read_at = newest_first[0]
    span = Decimal((read_at - newest_first[-1][1]).total_seconds())
    moved = _moved(newest_first, digits)
    if span <= 0 or moved < 0:
        return None
    ahead = Decimal((at - read_at).total_seconds())
    value = (last + moved * ahead / span).quantize(Decimal("0.01"), ROUND_DOWN)
    return None if digits is not None and value >= Decimal(10) ** digits else value


def highest_plausible(
    usual_per_day: Decimal, days: Decimal, *, factor: Decimal = FACTOR, slack: Decimal = SLACK
) -> Decimal:
    """Return how far a counter may move in some days before somebody should look again."""
    return usual_per_day * max(days, Decimal(1)) * factor + slack


def judge(
    previous: Decimal,
    value: Decimal,
    days: Decimal,
    usual_per_day: Decimal | None,
    *,
    digits: int | None = None,
    factor: Decimal = FACTOR,
    slack: Decimal = SLACK,
) -> Verdict:
    """Return what a reading looks like.

    days: since the previous reading. usual_per_day: average counter movement of the last year,
    None when unknown. A movement above ``factor`` times the usual plus ``slack`` is too high.
    """
    moved = value - previous
    if looks_like_rollover(previous, value, digits):
        moved += Decimal(10) ** (digits or 0)
    if moved < 0:
        return Verdict.BACKWARDS
    if usual_per_day is None:
        return Verdict.PLAUSIBLE
    if moved > highest_plausible(usual_per_day, days, factor=factor, slack=slack):
        return Verdict.TOO_HIGH
    if moved == 0 and usual_per_day > 0 and days >= 20:
        return Verdict.ZERO
    return Verdict.PLAUSIBLE
