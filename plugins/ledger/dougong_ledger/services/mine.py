"""What an owner does with his own payment orders, and with nobody else's."""

from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.documents import Document
from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.services import service
from dougong_ledger.channels import Way
from dougong_ledger.domain import ReceiptState
from dougong_ledger.models import Payment, PaymentAttempt, PaymentOrder, Receipt
from dougong_ledger.services.asking import ask_about
from dougong_ledger.services.channels import Start, start_payment
from dougong_ledger.services.receipts import print_receipt, receipt_of

PORTAL = "ledger.portal"
MISSING = N_("There is no such payment here.")


def my_order(scope: Scope, order_id: UUID) -> PaymentOrder:
    """Return one of the actor's payment orders; raises NotFound for anybody else's."""
    person_id = scope.actor.persons.get(scope.community_id) if scope.community_id else None
    order = scope.get(PaymentOrder, order_id)
    if person_id is None or order.payer_id != person_id:
        raise NotFound(MISSING)
    return order


def my_attempt(scope: Scope, attempt_id: UUID) -> PaymentAttempt:
    """Return an attempt at one of the actor's orders; raises NotFound for anybody else's."""
    scope.session.expire_all()
    attempt = scope.get(PaymentAttempt, attempt_id)
    my_order(scope, attempt.order_id)
    return attempt


def last_attempt(scope: Scope, order_id: UUID) -> UUID | None:
    """Return the latest attempt at one of the actor's orders, None before the first."""
    query = select(PaymentAttempt.id).where(PaymentAttempt.order_id == my_order(scope, order_id).id)
    return scope.session.scalars(query.order_by(PaymentAttempt.id.desc())).first()


def my_receipt(scope: Scope, order: PaymentOrder) -> Receipt | None:
    """Return the receipt of an order that was paid."""
    query = select(Payment).where(Payment.order_id == order.id)
    payment = scope.session.scalars(query).one_or_none()
    return receipt_of(scope, payment) if payment else None


SHOWN = 25


def my_payments(
    scope: Scope, before: UUID | None = None
) -> tuple[list[tuple[Payment, str, Receipt | None]], UUID | None]:
    """Return the actor's payments with title and receipt, newest first, and where the next begin.

    before: the last payment of the page before, None for the first page.
    """
    person_id = scope.actor.persons.get(scope.community_id) if scope.community_id else None
    if person_id is None:
        raise NotFound(MISSING)
    query = (
        select(Payment, PaymentOrder.title, Receipt)
        .join(PaymentOrder, PaymentOrder.id == Payment.order_id)
        .outerjoin(
            Receipt,
            (Receipt.payment_id == Payment.id) & (Receipt.state == ReceiptState.ISSUED),
        )
        .where(Payment.payer_id == person_id)
        .order_by(Payment.id.desc())
        .limit(SHOWN + 1)
    )
    if before is not None:
        query = query.where(Payment.id < before)
    found = [(row[0], row[1], row[2]) for row in scope.session.execute(query)]
    return found[:SHOWN], found[SHOWN - 1][0].id if len(found) > SHOWN else None


@service("payment_order.start_mine", title=("Pay", "支付"), permission=PORTAL, is_public=False)
def start_mine(
    scope: Scope,
    order_id: UUID,
    provider: str,
    way: Way,
    return_url: str,
    payer_ip: str,
    payer: str | None = None,
) -> UUID:
    """Ask a channel for the payment of one's own order; return the attempt's id.

    payer: how the gateway knows him, for ``Way.IN_APP``.
    """
    order = my_order(scope, order_id)
    return start_payment(scope, order.id, provider, Start(way, return_url, payer_ip, payer))


@service("payment_order.ask_mine", title=("I have paid", "我已支付"), permission=PORTAL,
         is_public=False)  # fmt: skip
def ask_mine(scope: Scope, attempt_id: UUID) -> None:
    """Ask the gateway about one's own attempt now."""
    ask_about(scope, my_attempt(scope, attempt_id).id)


@service("payment_order.print_mine", title=("Print", "打印收据"), permission=PORTAL,
         is_public=False)  # fmt: skip
def print_mine(scope: Scope, order_id: UUID) -> Document:
    """Return the receipt of one's own order as PDF; raises NotFound while there is none."""
    receipt = my_receipt(scope, my_order(scope, order_id))
    if receipt is None:
        raise NotFound(MISSING)
    return print_receipt(scope, receipt)
