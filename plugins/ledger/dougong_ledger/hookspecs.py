"""What the ledger asks the plugin that a payment is for."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from dougong.hookspecs import hookspec

if TYPE_CHECKING:
    from dougong.db.scope import Scope
    from dougong_ledger.models import Payment, PaymentOrderItem, Refund


@dataclass(frozen=True)
class Settlement:
    """What part of a payment (or refund) was taken, and the account that it belongs to.

    account: code of the account that a payment credits and a refund debits. amount: yuan.
    """

    account: str
    amount: Decimal
    memo: str = ""
    room_id: UUID | None = None
    person_id: UUID | None = None


@hookspec
def payment_settled(
    scope: "Scope", payment: "Payment", items: "Sequence[PaymentOrderItem]"
) -> Sequence[Settlement]:
    """Settle what a payment is for, and return the accounts that it credits.

    scope: the community, in the payment's own transaction. payment: the new payment. items: what
    its order promised to pay, with the ids of the asked plugin's records.
    Asked of the order's plugin alone; what it raises ends the payment as if it had never begun.
    Result: settlements; when they do not add up to the payment, the payment is refused.
    """


@hookspec
def payment_refunded(scope: "Scope", payment: "Payment", refund: "Refund") -> Sequence[Settlement]:
    """Take back a part of what a payment settled, and return the accounts that are debited.

    scope: the community, in the refund's own transaction. payment: with ``refunded`` already
    raised. refund: its ``amount`` is what goes back now.
    Asked of the order's plugin alone; what it raises ends the refund.
    Result: settlements that add up to the refund.
    """
