"""Rules of collecting: ages, limitation, instalments, and names that give nobody away."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

# Days overdue, from which and below which; the last one has no end.
AGES = ((1, 31), (31, 91), (91, 181), (181, 366), (366, 731), (731, None))
LIMITATION_YEARS = 3
FEN = Decimal("0.01")


class Wording(StrEnum):
    """Which text a level of reminders has; communities may word each of them anew."""

    DUE_SOON = "due_soon"
    OVERDUE = "overdue"
    OVERDUE_AGAIN = "overdue_again"
    FINAL_DEMAND = "final_demand"


class ContactKind(StrEnum):
    """How someone was spoken to."""

    CALL = "call"
    VISIT = "visit"
    MESSAGE = "message"
    LETTER = "letter"
    COURT = "court"


class Outcome(StrEnum):
    """What came of it."""

    REACHED = "reached"
    NOT_REACHED = "not_reached"
    PROMISED = "promised"
    REFUSED = "refused"


class Interruption(StrEnum):
    """What makes the limitation period begin anew. Source: Civil Code art. 195."""

    DEMAND = "demand"
    ACKNOWLEDGEMENT = "acknowledgement"
    LAWSUIT = "lawsuit"


class NextStep(StrEnum):
    """What a collector does next."""

    CALL = "call"
    VISIT = "visit"
    LETTER = "letter"
    INSTALMENTS = "instalments"
    LAWYER = "lawyer"
    COURT = "court"
    WAIT = "wait"


class PromiseState(StrEnum):
    """Whether a promise to pay was kept."""

    OPEN = "open"
    KEPT = "kept"
    BROKEN = "broken"


class DisputeState(StrEnum):
    """Whether a bill is disputed."""

    OPEN = "open"
    SETTLED = "settled"


class AgreementState(StrEnum):
    """Where an instalment agreement stands. What is in default falls due as a whole."""

    ACTIVE = "active"
    KEPT = "kept"
    DEFAULTED = "defaulted"
    CANCELLED = "cancelled"


class NoticeKind(StrEnum):
    """What is printed: a demand to each payer, or one notice for the board."""

    DEMANDS = "demands"
    PUBLIC = "public"


class NoticeState(StrEnum):
    """Where a print run stands."""

    WAITING = "waiting"
    READY = "ready"


def add_years(day: date, years: int) -> date:
    """Return the same day of a later year; 29 February becomes the 28th where there is none."""
    last = calendar.monthrange(day.year + years, day.month)[1]
    return date(day.year + years, day.month, min(day.day, last))


def limitation_on(start: date) -> date:
    """Return the last day on which a claim can be sued for with effect.

    start: the due day, or the last interruption when that is later. Source: Civil Code art. 188
    (three years), 195 (interruption begins the period anew), 201 and 202 (how periods count).
    """
    return add_years(start, LIMITATION_YEARS)


@dataclass(frozen=True)
class Part:
    """One instalment: its number from 1, the day by which it is paid, yuan."""

    number: int
    due_on: date
    amount: Decimal


def equal_parts(amount: Decimal, count: int, first_on: date) -> list[Part]:
    """Return ``count`` monthly instalments of equal yuan that add up to ``amount`` to the fen.

    The first ones bear the fen that are left over. The day of the month is kept where the month
    has it. Raises ValueError for fewer than two parts, or parts of less than a fen.
    """
    fen = int(amount / FEN)
    if count < 2 or fen < count:
        raise ValueError("an amount is paid in at least two parts of a fen or more")
    low, rest = divmod(fen, count)
    return [Part(n + 1, _months_later(first_on, n), (low + (n < rest)) * FEN) for n in range(count)]


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def unpaid_parts(parts: Sequence[Part], paid: Decimal) -> list[tuple[Part, Decimal]]:
    """Return what is left of each instalment when ``paid`` yuan pay the earliest first."""
    left = []
    for part in parts:
        taken = min(part.amount, max(paid, Decimal(0)))
        paid -= taken
        left.append((part, part.amount - taken))
    return left


def state_of(parts: Sequence[Part], paid: Decimal, today: date, grace_days: int) -> AgreementState:
    """Return whether an agreement is kept, goes on, or was broken by the end of the grace days."""
    left = [(part, rest) for part, rest in unpaid_parts(parts, paid) if rest > 0]
    if not left:
        return AgreementState.KEPT
    if left[0][0].due_on + timedelta(days=grace_days) < today:
        return AgreementState.DEFAULTED
    return AgreementState.ACTIVE


def masked_room(code: str) -> str:
    """Return a room's code of which a passer-by learns the building and no more: ``3-***``."""
    building, dash, _ = code.partition("-")
    return f"{building}-***" if dash else "***"


def masked_name(name: str) -> str:
    """Return a name's first sign and stars, as a letter in a window envelope may show it."""
    return name[:1] + "*" * max(len(name) - 1, 1)
