"""What paying early or ahead leaves off, and when money paid ahead becomes income."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from fractions import Fraction

from dougong_fees.domain.amounts import FEN, round_amount
from dougong_fees.domain.periods import PeriodMethod, months


def early_discount(parts: Iterable[tuple[Decimal, Decimal]]) -> Decimal:
    """Return what is left off a bill that is paid early, in yuan.

    parts: yuan and share left off per fee item; each part is rounded once, half up, to the fen and
    never exceeds its amount. Raises ValueError for a share outside of 0 to 1.
    """
    total = Decimal(0)
    for amount, share in parts:
        if not 0 <= share <= 1:
            raise ValueError("a share lies between nothing and all of it")
        total += min(round_amount(Fraction(amount) * Fraction(share)), amount)
    return total


def months_charged(months_covered: Fraction, pay_months: int, get_months: int) -> Fraction:
    """Return the months that cost something: 12 covered at 11 for 12 are exactly 11."""
    return months_covered * pay_months / get_months


def recognised_by(amount: Decimal, from_on: date, to_on: date, on: date) -> Decimal:
    """Return how much of an amount paid for [from_on, to_on) is income by the day ``on``.

    By calendar months, whole ones being equal; cumulative and rounded once to the fen, so that what
    months add comes to the whole amount. Nothing before it begins, all of it when it is over.
    """
    if on <= from_on:
        return Decimal(0)
    if on >= to_on:
        return amount
    by_days = PeriodMethod.CALENDAR_MONTH
    part = months(by_days, from_on, on) / months(by_days, from_on, to_on)
    return round_amount(Fraction(amount) * part).quantize(FEN)
