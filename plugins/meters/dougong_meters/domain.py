"""Arithmetic of meters: usage over segments, rollover, plausibility. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


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


def judge(
    previous: Decimal,
    value: Decimal,
    days: Decimal,
    usual_per_day: Decimal | None,
    *,
    digits: int | None = None,
    factor: Decimal = Decimal(5),
    slack: Decimal = Decimal(10),
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
    if moved > usual_per_day * max(days, Decimal(1)) * factor + slack:
        return Verdict.TOO_HIGH
    if moved == 0 and usual_per_day > 0 and days >= 20:
        return Verdict.ZERO
    return Verdict.PLAUSIBLE
