"""What the ledger asks the plugin that a payment is for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from dougong.hookspecs import hookspec

if TYPE_CHECKING:
    from dougong.db.scope import Scope
    from dougong_ledger.channels import Channel
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


@dataclass(frozen=True)
class Due:
    """Something that may be paid now: the words of a payment order's item, and who owes it.

    plugin: whose record it is. amount: yuan, above zero. due_on: None for what is due at once.
    payer_name: for people, as plain as the plugin may show it.
    """

    plugin: str
    kind: str
    subject_id: UUID
    title: str
    amount: Decimal
    room_id: UUID
    payer_id: UUID | None = None
    payer_name: str = ""
    due_on: date | None = None


@dataclass(frozen=True)
class MonthEndItem:
    """A fee item's receivables over a month, in yuan.

    opening + billed − received − waived = closing.

    received_current, waived_current: of what the month billed; received_old: of the opening.
    """

    name: str
    opening: Decimal
    billed: Decimal
    received: Decimal
    waived: Decimal
    closing: Decimal
    received_current: Decimal = Decimal(0)
    received_old: Decimal = Decimal(0)
    waived_current: Decimal = Decimal(0)


@hookspec
def room_dues(scope: "Scope", room_ids: Sequence[UUID]) -> Sequence[Due]:
    """Say what may be paid now for some rooms.

    scope: the community. room_ids: the rooms that someone wants to pay for.
    Called when a payment is taken at the counter, before the page is shown and again when the
    money is taken: what is not among the answers then is not taken. Answer only what the actor may
    view, in one statement. Result: dues in any order.
    """


@hookspec
def month_end_figures(scope: "Scope", from_on: date, to_on: date) -> Sequence[MonthEndItem]:
    """Say what was owed, billed, received and waived in a month, by fee item.

    scope: the community whose month is closed. from_on: its first day. to_on: the day after its
    last.
    Asked when a month is looked at or closed; the answers are frozen with it.
    Result: one item per kind of claim. Their closings add up to the receivables account.
    """


@hookspec
def month_closing(scope: "Scope", from_on: date, to_on: date) -> None:
    """Post what belongs into a month before it is closed, such as income of what was paid ahead.

    scope: the community, in the transaction that closes the month. from_on: its first day. to_on:
    the day after its last.
    Called once before the month's figures are taken, and again when it is opened and closed anew:
    what was posted then is not posted twice. Result: none.
    """


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


@hookspec
def payment_channels(scope: "Scope") -> "Sequence[Channel]":
    """Return the payment channels (支付渠道) that the plugin brings.

    scope: the community. Called whenever something is paid, asked, refunded or reconciled, so
    return objects without asking anybody; whether a community has a merchant account is asked of
    ``Channel.merchant``. Result: channels; their ids are unique in an installation.
    """
