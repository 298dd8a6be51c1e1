"""The developer's warranty: until when a part is repaired at no cost to its owner."""

import calendar
from dataclasses import dataclass
from datetime import date

from dougong_repairs.domain.kinds import Category


@dataclass(frozen=True)
class Term:
    """How long the developer answers for a part, in months from the hand-over."""

    part: str
    category: Category
    months: int


@dataclass(frozen=True)
class Cover:
    """A part that is still under warranty, and the last day of it."""

    part: str
    last_on: date


def ends_on(delivered_on: date, months: int) -> date:
    """Return the first day without warranty: the same day of a later month, or its last day."""
    index = delivered_on.year * 12 + delivered_on.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(delivered_on.day, calendar.monthrange(year, month)[1]))


def covers(terms: list[Term], category: Category, delivered_on: date, on: date) -> list[Cover]:
    """Return the parts of a category that are under warranty on a day, the longest first."""
    ends = [(term.part, ends_on(delivered_on, term.months)) for term in terms]
    live = [
        Cover(part, date.fromordinal(end.toordinal() - 1))
        for (part, end), term in zip(ends, terms, strict=True)
        if term.category is category and on < end
    ]
    return sorted(live, key=lambda cover: cover.last_on, reverse=True)
