"""Late fees (违约金): what an unpaid amount has grown by. A rule, not a row: most is waived."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from dougong_fees.domain.amounts import round_amount


@dataclass(frozen=True)
class Clause:
    """The contract's clause. daily_rate: share per day, 0.0005 for 0.5‰. cap: share of the amount.

    grace_days: as long as these last nothing is owed; afterwards the days count from the due day.
    Source: the late-payment clause of the community's service contract.
    """

    daily_rate: Decimal
    grace_days: int = 0
    cap: Decimal = Decimal(1)


@dataclass(frozen=True)
class Owed:
    """That ``amount`` yuan were unpaid from a day on, until the next entry."""

    from_on: date
    amount: Decimal


@dataclass(frozen=True)
class LateSpan:
    """Days on which the same amount was late, for the explanation."""

    from_on: date
    to_on: date
    owed: Decimal

    @property
    def days(self) -> int:
        return (self.to_on - self.from_on).days


def late_spans(owed: Sequence[Owed], due_on: date, on: date, grace_days: int = 0) -> list[LateSpan]:
    """Return the spans of days that are late by the day ``on``; none within the grace days.

    owed: unpaid principal over time, oldest first. The due day itself is not late.
    """
    if on <= due_on + timedelta(days=grace_days):
        return []
    spans = []
    for number, entry in enumerate(owed):
        until = owed[number + 1].from_on if number + 1 < len(owed) else on
        start, end = max(entry.from_on, due_on), min(until, on)
        if entry.amount > 0 and end > start:
            spans.append(LateSpan(start, end, entry.amount))
    return spans


Pause = tuple[date, date | None]


def without_pauses(owed: Sequence[Owed], pauses: Sequence[Pause]) -> list[Owed]:
    """Return unpaid principal over time as if nothing were owed in the half-open ``pauses``.

    A pause that has not ended lasts for ever. Pauses may overlap and need not be in order.
    """
    ends = {day for start, end in pauses for day in (start, end) if day is not None}
    days = sorted({entry.from_on for entry in owed} | ends)
    found = []
    for day in days:
        amount = next((e.amount for e in reversed(owed) if e.from_on <= day), Decimal(0))
        rests = any(start <= day and (end is None or day < end) for start, end in pauses)
        found.append(Owed(day, Decimal(0) if rests else amount))
    return found


def late_fee(owed: Sequence[Owed], due_on: date, on: date, clause: Clause) -> Decimal:
    """Return the late fee in yuan that has grown by the day ``on``, rounded once.

    Simple interest on unpaid principal, never on interest, never more than ``cap`` times the
    largest amount owed. Raises ValueError for a negative amount or rate.
    """
    if clause.daily_rate < 0 or any(entry.amount < 0 for entry in owed):
        raise ValueError("neither the amount nor the rate is negative")
    spans = late_spans(owed, due_on, on, clause.grace_days)
    grown = sum((Fraction(s.owed) * s.days for s in spans), Fraction(0))
    limit = Fraction(max((s.owed for s in spans), default=Decimal(0))) * Fraction(clause.cap)
    return round_amount(min(grown * Fraction(clause.daily_rate), limit))
