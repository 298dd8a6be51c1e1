"""What can be wrong with money."""

from dougong.errors import Conflict


class OrderClosed(Conflict):
    """The payment order is cancelled, expired or was paid in another way."""

    code = "ledger.order_closed"


class KeyUsed(Conflict):
    """The idempotency key was used before for something else."""

    code = "ledger.key_used"


class BalanceTooLow(Conflict):
    """The wallet holds less than what is to be paid."""

    code = "ledger.balance_too_low"


class NotSettled(Conflict):
    """What was to be paid is no longer owed, or not that much of it."""

    code = "ledger.not_settled"


class BooksClosed(Conflict):
    """The month that something would be posted into is closed."""

    code = "ledger.books_closed"
