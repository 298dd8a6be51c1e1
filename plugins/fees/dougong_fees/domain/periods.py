"""How many months a period has, by the method that the fee item declares.

Periods are half-open days [from, to). Every method but whole months is the difference of a position
on the time line, so that f(a, b) + f(b, c) = f(a, c) holds without exception; all are monotonic.
"""

from calendar import monthrange
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction


class PeriodMethod(StrEnum):
    """How days become months."""

    ANCHOR_MONTH = "anchor_month"
    CALENDAR_MONTH = "calendar_month"
    DAYS_30 = "days_30"
    DAYS_365 = "days_365"
    WHOLE_MONTHS = "whole_months"


def months(method: PeriodMethod, from_on: date, to_on: date, anchor_day: int = 1) -> Fraction:
    """Return the months of the period [from_on, to_on), exact.

    anchor month: from an anchor day to the next is 1, a remainder counts by the days of its anchor
    month: 15 Jan → 15 Feb = 1 with anchor 15. calendar month: by the days of each calendar month:
    17/31 + 14/28. 30 and 365: days of a month of 30, or a twelfth of 365. whole months: complete
    ones counted from ``from_on``. anchor_day: 1 to 31, kept: 31 means the month's last day where
    it is shorter. Raises ValueError for a period that ends before it begins.
    """
    if to_on < from_on:
        raise ValueError(f"the period ends on {to_on}, before it begins on {from_on}")
    if method is PeriodMethod.WHOLE_MONTHS:
        return Fraction(_whole_months(from_on, to_on, anchor_day))
    return _position(method, to_on, anchor_day) - _position(method, from_on, anchor_day)


def _position(method: PeriodMethod, day: date, anchor_day: int) -> Fraction:
    """Return where a day lies on the time line, in months."""
    if method is PeriodMethod.DAYS_30:
        return Fraction(day.toordinal(), 30)
    if method is PeriodMethod.DAYS_365:
        return Fraction(day.toordinal() * 12, 365)
    anchor = 1 if method is PeriodMethod.CALENDAR_MONTH else anchor_day
    number = day.year * 12 + day.month - 1
    if day < anchor_date(number, anchor):
        number -= 1
    start, end = anchor_date(number, anchor), anchor_date(number + 1, anchor)
    return number + Fraction((day - start).days, (end - start).days)


def anchor_date(number: int, anchor_day: int) -> date:
    """Return the anchor day of month ``number`` (year × 12 + month - 1), or the month's last."""
    year, month = divmod(number, 12)
    return date(year, month + 1, min(anchor_day, monthrange(year, month + 1)[1]))


def _whole_months(from_on: date, to_on: date, anchor_day: int) -> int:
    """Return how many complete months fit; a month's last day keeps a longer anchor."""
    is_last = from_on.day == monthrange(from_on.year, from_on.month)[1]
    day = max(anchor_day, from_on.day) if is_last else from_on.day
    first = from_on.year * 12 + from_on.month - 1
    number = to_on.year * 12 + to_on.month - 1 - first
    return max(number - (anchor_date(first + number, day) > to_on), 0)


def add_months(day: date, count: int, anchor_day: int | None = None) -> date:
    """Return the same day ``count`` months later; the anchor is kept over short months."""
    return anchor_date(day.year * 12 + day.month - 1 + count, anchor_day or day.day)


def calendar_months(from_on: date, to_on: date) -> int:
    """Return how many calendar months a period touches: the spans of monthly tiers."""
    last = to_on - timedelta(days=1)
    return (last.year - from_on.year) * 12 + last.month - from_on.month + 1
