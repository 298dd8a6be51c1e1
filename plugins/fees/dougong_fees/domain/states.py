"""States of bill runs, bills and waivers, and the only steps between them."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum


class RunState(StrEnum):
    """Where a bill run stands. A large one is reckoned by a job, a part of the rooms at a time."""

    RECKONING = "reckoning"
    DRAFT = "draft"
    APPROVED = "approved"
    PUBLISHED = "published"
    ROLLED_BACK = "rolled_back"


class BillState(StrEnum):
    """Where a bill stands."""

    DRAFT = "draft"
    OPEN = "open"
    PARTLY_PAID = "partly_paid"
    PAID = "paid"
    WITHDRAWN = "withdrawn"


class WaiverState(StrEnum):
    """Whether a waiver counts; a discount for paying early lapses with the payment."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REFUSED = "refused"
    LAPSED = "lapsed"


RUN_STEPS: Mapping[RunState, frozenset[RunState]] = {
    RunState.RECKONING: frozenset({RunState.DRAFT}),
    RunState.DRAFT: frozenset({RunState.RECKONING, RunState.APPROVED, RunState.PUBLISHED}),
    RunState.APPROVED: frozenset({RunState.DRAFT, RunState.RECKONING, RunState.PUBLISHED}),
    RunState.PUBLISHED: frozenset({RunState.ROLLED_BACK}),
    RunState.ROLLED_BACK: frozenset(),
}
BILL_STEPS: Mapping[BillState, frozenset[BillState]] = {
    BillState.DRAFT: frozenset({BillState.OPEN}),
    BillState.OPEN: frozenset({BillState.PARTLY_PAID, BillState.PAID, BillState.WITHDRAWN}),
    BillState.PARTLY_PAID: frozenset({BillState.OPEN, BillState.PAID}),
    BillState.PAID: frozenset({BillState.OPEN, BillState.PARTLY_PAID}),
    BillState.WITHDRAWN: frozenset(),
}
WAIVER_STEPS: Mapping[WaiverState, frozenset[WaiverState]] = {
    WaiverState.REQUESTED: frozenset({WaiverState.APPROVED, WaiverState.REFUSED}),
    WaiverState.APPROVED: frozenset({WaiverState.LAPSED}),
    WaiverState.REFUSED: frozenset(),
    WaiverState.LAPSED: frozenset(),
}
UNPUBLISHED = (RunState.RECKONING, RunState.DRAFT, RunState.APPROVED)
OWED = (BillState.OPEN, BillState.PARTLY_PAID)
SEEN = (BillState.OPEN, BillState.PARTLY_PAID, BillState.PAID)


def bill_state(amount: Decimal, paid: Decimal, waived: Decimal) -> BillState:
    """Return the state of a published bill from what was paid and waived of it.

    Raises ValueError when more was settled than is owed, or less than nothing.
    """
    if paid < 0 or waived < 0 or paid + waived > amount:
        raise ValueError("no more can be settled than is owed")
    if paid + waived == amount:
        return BillState.PAID
    return BillState.PARTLY_PAID if paid + waived > 0 else BillState.OPEN
