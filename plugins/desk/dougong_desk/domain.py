"""Rules of the counter: what a tender pays, what a drawer should hold, states. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

ZERO = Decimal("0.00")
# Notes and coins in yuan, as the cashier counts them. Source: 第五套人民币.
DENOMINATIONS = tuple(Decimal(v) for v in ("100", "50", "20", "10", "5", "1", "0.5", "0.1"))
MOST_PIECES = 100_000


class ShiftState(StrEnum):
    """Where a shift stands."""

    OPEN = "open"
    CLOSED = "closed"
    SIGNED_OFF = "signed_off"


class VoidState(StrEnum):
    """Where the request to void a payment stands."""

    ASKED = "asked"
    APPROVED = "approved"
    REFUSED = "refused"
    DONE = "done"


class ReleaseState(StrEnum):
    """Where an item release pass stands."""

    REQUESTED = "requested"
    ISSUED = "issued"
    LEFT = "left"
    REFUSED = "refused"
    REVOKED = "revoked"


class ReleaseRefusal(StrEnum):
    """Why the gate does not let things out with a pass."""

    NOT_ISSUED = "not_issued"
    LEFT = "left"
    REVOKED = "revoked"
    TOO_EARLY = "too_early"
    TOO_LATE = "too_late"


def why_not_out(
    state: ReleaseState, from_on: date, until_on: date, today: date
) -> ReleaseRefusal | None:
    """Return why a pass lets nothing out today, None when it does.

    from_on, until_on: the first and the last day. What anybody owes is no reason, and is not asked:
    nobody's things are kept back for property fees.
    """
    by_state = {
        ReleaseState.REQUESTED: ReleaseRefusal.NOT_ISSUED,
        ReleaseState.REFUSED: ReleaseRefusal.NOT_ISSUED,
        ReleaseState.LEFT: ReleaseRefusal.LEFT,
        ReleaseState.REVOKED: ReleaseRefusal.REVOKED,
    }
    if state in by_state:
        return by_state[state]
    if today < from_on:
        return ReleaseRefusal.TOO_EARLY
    return ReleaseRefusal.TOO_LATE if today > until_on else None


@dataclass(frozen=True)
class Tender:
    """Money put on the counter. means: how. amount: yuan; cash may be more than is owed."""

    means: str
    amount: Decimal
    reference: str | None = None


@dataclass(frozen=True)
class Part:
    """What one tender pays of one line. line, tender: positions. amount: yuan, above zero."""

    tender: int
    line: int
    amount: Decimal


def split(lines: Sequence[Decimal], tenders: Sequence[Decimal]) -> list[Part]:
    """Return what each tender pays of which line: lines in their order, tenders in theirs.

    lines, tenders: yuan. What the tenders have more than the lines is change; what the lines have
    more stays owed.
    """
    parts: list[Part] = []
    left = list(tenders)
    number = 0
    for line, owed in enumerate(lines):
        while owed > 0 and number < len(left):
            amount = min(owed, left[number])
            if amount > 0:
                parts.append(Part(number, line, amount))
            owed -= amount
            left[number] -= amount
            if left[number] <= 0:
                number += 1
    return parts


def change(lines: Iterable[Decimal], tenders: Iterable[Decimal]) -> Decimal:
    """Return what goes back over the counter in yuan."""
    return max(sum(tenders, ZERO) - sum(lines, ZERO), ZERO)


def counted(pieces: Mapping[str, int]) -> Decimal:
    """Return the yuan that counted notes and coins come to; keys are denominations.

    Raises ValueError for a denomination that there is not, or a count that cannot be.
    """
    total = ZERO
    for name, count in pieces.items():
        if Decimal(name) not in DENOMINATIONS or not 0 <= count <= MOST_PIECES:
            raise ValueError(f"{count} × {name} cannot be counted")
        total += Decimal(name) * count
    return total.quantize(ZERO)
