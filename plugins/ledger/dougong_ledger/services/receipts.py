"""Receipts: numbered without a gap, voided and never deleted, printed in Chinese."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from dougong.db import Scope, uuid7
from dougong.db.columns import member_label
from dougong.documents import Document, render
from dougong.errors import Conflict
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Person
from dougong_ledger.domain import ReceiptState, receipt_code
from dougong_ledger.models import Payment, PaymentOrder, Receipt, Refund
from dougong_ledger.services.journal import community_of
from dougong_ledger.services.orders import items_of

TAKE_NUMBERS = text(
    """
    insert into ledger.receipt_series as s (community_id, id, prefix, last_number)
    values (:community, :id, :prefix, :count)
    on conflict (community_id, prefix) do update set last_number = s.last_number + :count
    returning s.id, s.last_number
    """
)


def take_numbers(scope: Scope, count: int = 1) -> tuple[UUID, str, int]:
    """Return series, prefix and the first of ``count`` consecutive numbers of this year.

    The series stays locked until the transaction ends; when it rolls back the numbers go back too.
    """
    prefix = str(scope.today.year)
    row = scope.session.execute(
        TAKE_NUMBERS,
        {"community": community_of(scope), "id": uuid7(), "prefix": prefix, "count": count},
    ).one()
    return row.id, prefix, row.last_number - count + 1


def issue_receipt(
    scope: Scope, payment: Payment, lines: list[dict[str, Any]] | None = None
) -> Receipt:
    """Return a new receipt for what is left of a payment, under the next number."""
    order = scope.get(PaymentOrder, payment.order_id)
    payer = scope.session.get(Person, (community_of(scope), payment.payer_id or uuid7()))
    given = lines or [{"title": i.title, "amount": str(i.amount)} for i in items_of(scope, order)]
    series_id, prefix, number = take_numbers(scope)
    receipt = Receipt(
        series_id=series_id,
        number=number,
        code=receipt_code(prefix, number),
        payment_id=payment.id,
        payer_name=payer.name if payer else gettext("Anonymous"),
        amount=payment.amount - payment.refunded,
        lines=given,
        issued_on=scope.today,
    )
    scope.session.add(receipt)
    scope.session.flush()
    return receipt


def receipt_of(scope: Scope, payment: Payment) -> Receipt | None:
    """Return the receipt of a payment that counts, None when it was voided."""
    wanted = (Receipt.payment_id == payment.id, Receipt.state == ReceiptState.ISSUED)
    return scope.session.scalars(select(Receipt).where(*wanted)).one_or_none()


@service("receipt.void", title=("Void", "作废"), step_up=True)
def void_receipt(scope: Scope, receipt: Receipt, reason: str) -> Receipt:
    """Void a receipt: its number stays, with the reason. Raises Conflict when it is void."""
    if receipt.state is ReceiptState.VOID:
        raise Conflict(N_("Receipt %(code)s is void already."), code=receipt.code)
    receipt.state, receipt.void_reason = ReceiptState.VOID, reason[:200]
    scope.session.flush()
    return receipt


def replace_receipt(scope: Scope, payment: Payment, refund: Refund) -> None:
    """Void a payment's receipt after a refund, and issue one for what is left."""
    receipt = receipt_of(scope, payment)
    if receipt is None:
        return
    void_receipt(scope, receipt, refund.reason)
    if payment.refunded < payment.amount:
        back = {"title": gettext("Refund: %(reason)s", reason=refund.reason)}
        issue_receipt(scope, payment, [*receipt.lines, back | {"amount": str(-refund.amount)}])


@service("receipt.print", title=("Print", "打印"))
def print_receipt(scope: Scope, receipt: Receipt) -> Document:
    """Return a receipt as PDF; a void one says so across the page."""
    payment = scope.get(Payment, receipt.payment_id)
    lines = [{"title": e["title"], "amount": Decimal(e["amount"])} for e in receipt.lines]
    return render(
        scope,
        "ledger:receipt",
        {
            "code": receipt.code,
            "payer": receipt.payer_name,
            "channel": member_label(payment.channel),
            "paid_at": payment.paid_at,
            "amount": receipt.amount,
            "lines": lines,
            "issued_on": receipt.issued_on,
            "is_void": receipt.state is ReceiptState.VOID,
        },
        filename=f"{gettext('Receipt')}-{receipt.code}.pdf",
    )
