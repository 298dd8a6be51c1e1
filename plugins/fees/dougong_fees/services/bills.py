"""Bills: what payments settle of them, taking them at the desk, withdrawing them one by one."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import all_, func, or_, select, update

from dougong.db import Scope
from dougong.errors import NotFound
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Person, Room
from dougong_fees.domain.amounts import oldest_first
from dougong_fees.domain.states import (
    BILL_STEPS,
    OWED,
    SEEN,
    UNPUBLISHED,
    BillState,
    bill_state,
)
from dougong_fees.errors import BillNotOwed, BillTouched
from dougong_fees.models import Bill, BillKind, BillLine, BillPayment, BillRun
from dougong_fees.services import deferred, prompt
from dougong_fees.services.earning import income_of_bill
from dougong_ledger import services as ledger
from dougong_ledger.domain import (
    LATE_FEE_INCOME,
    PREPAID,
    RECEIVABLE,
    WAIVED,
    PaymentChannel,
    Posting,
)
from dougong_ledger.hookspecs import Due, Settlement
from dougong_ledger.models import Payment, PaymentOrder, PaymentOrderItem, Refund

KIND = "fees.bill"


def lock_bills(scope: Scope, ids: Iterable[UUID]) -> dict[UUID, Bill]:
    """Return bills by id, locked in the order of their ids; raises NotFound for a missing one."""
    wanted = sorted(set(ids))
    query = select(Bill).where(Bill.id.in_(wanted)).order_by(Bill.id).with_for_update(of=Bill)
    found = scope.session.scalars(query.execution_options(populate_existing=True)).all()
    if len(found) < len(wanted):
        raise NotFound(N_("There is no such bill here."))
    return {bill.id: bill for bill in found}


def settle_state(bill: Bill) -> None:
    """Bring a published bill's state in line with what was paid and waived of it."""
    target = bill_state(bill.amount, bill.paid, bill.waived)
    if target is not bill.state and target not in BILL_STEPS[bill.state]:
        raise BillNotOwed(N_("Bill %(bill)s is no longer owed."), bill=bill.title)
    bill.state = target


def owed(bill: Bill) -> Decimal:
    """Return what is left to pay of a published bill in yuan; zero for others."""
    return bill.amount - bill.paid - bill.waived if bill.state in OWED else Decimal(0)


# --- what the ledger asks -------------------------------------------------------------------------


def settle(scope: Scope, payment: Payment, items: Sequence[PaymentOrderItem]) -> list[Settlement]:
    """Settle the bills that a payment is for. Raises BillNotOwed when less is owed by now."""
    bills = lock_bills(scope, (item.subject_id for item in items if item.kind == KIND))
    answers, paid_up = [], []
    for item in items:
        bill = bills[item.subject_id]
        if item.amount > owed(bill):
            raise BillNotOwed(N_("Bill %(bill)s is no longer owed."), bill=bill.title)
        prompt.grant(scope, bill, payment, item.amount)
        bill.paid += item.amount
        settle_state(bill)
        scope.session.add(BillPayment(bill_id=bill.id, payment_id=payment.id, amount=item.amount))
        if bill.state is BillState.PAID:
            paid_up.append(bill.id)
        answers.append(_settlement(bill, item.amount, item.title))
    scope.session.flush()
    for bill_id in paid_up:
        scope.emit("fees.bill_paid", bill_id=bill_id, payment_id=payment.id)
    return answers


def take_back(scope: Scope, payment: Payment, refund: Refund) -> list[Settlement]:
    """Let bills be owed again for a refund, the one settled last first."""
    net = func.sum(BillPayment.amount)
    rows = scope.session.execute(
        select(BillPayment.bill_id, net.label("amount"))
        .where(BillPayment.payment_id == payment.id)
        .group_by(BillPayment.bill_id)
        .having(net > 0)
        .order_by(BillPayment.bill_id.desc())
    ).all()
    bills = lock_bills(scope, (row.bill_id for row in rows))
    left, answers = refund.amount, []
    for row in rows:
        part = min(left, row.amount)
        if part <= 0:
            break
        bill, left = bills[row.bill_id], left - part
        lapsing = prompt.granted(scope, bill, payment)
        bill.paid -= part
        bill.waived -= sum((waiver.amount for waiver in lapsing), Decimal(0))
        settle_state(bill)
        scope.session.add(BillPayment(bill_id=bill.id, payment_id=payment.id, amount=-part))
        prompt.lapse(scope, bill, lapsing, refund.reason)
        answers.append(_settlement(bill, part, refund.reason))
    scope.session.flush()
    return answers


def room_dues(scope: Scope, room_ids: Sequence[UUID]) -> list[Due]:
    """Return what is left of the published bills of some rooms, the oldest due first.

    Less what paying today leaves off.
    """
    if not scope.may("fees.bill.view"):
        return []
    query = (
        select(Bill, Room.code, Person.name)
        .join(Room, Room.id == Bill.room_id)
        .join(Person, Person.id == Bill.payer_id)
        .where(Bill.room_id.in_(room_ids), Bill.state.in_(OWED))
        .order_by(Bill.due_on, Bill.id)
    )
    rows = scope.session.execute(query).all()
    amounts = prompt.payable(scope, [row.Bill for row in rows])
    return [
        Due(
            "fees",
            KIND,
            bill.id,
            f"{code} {bill.title}",
            amounts[bill.id],
            bill.room_id,
            bill.payer_id,
            name,
            bill.due_on,
        )
        for bill, code, name in rows
    ]


def _settlement(bill: Bill, amount: Decimal, memo: str) -> Settlement:
    return Settlement(RECEIVABLE, amount, memo, room_id=bill.room_id, person_id=bill.payer_id)


# --- paying ---------------------------------------------------------------------------------------


def open_bills_order(
    scope: Scope, bills: Sequence[Bill], payer_id: UUID, idempotency_key: str
) -> PaymentOrder:
    """Return the payment order for what is left of some bills; the first one when repeated.

    Whoever opens it early enough gets what the rules leave off for that.

    Raises BillNotOwed when nothing is left of one of them, unless the key found its order.
    """
    known = scope.session.scalars(
        select(PaymentOrder).where(PaymentOrder.idempotency_key == idempotency_key)
    ).one_or_none()
    if known is not None and known.payer_id == payer_id:
        return known
    for bill in bills:
        if owed(bill) <= 0:
            raise BillNotOwed(N_("Bill %(bill)s is no longer owed."), bill=bill.title)
    amounts = prompt.payable(scope, bills)
    items = [
        ledger.OrderItem(KIND, bill.id, f"{bill.room.code} {bill.title}", amounts[bill.id])
        for bill in bills
    ]
    title = items[0].title if len(items) == 1 else gettext("%(count)s bills", count=len(items))
    return ledger.open_order(scope, "fees", title, items, idempotency_key, payer_id)


@service("bill.pay", title=("Take payment", "收款"))
def pay_bills(
    scope: Scope,
    bill: Bill,
    channel: PaymentChannel,
    idempotency_key: str,
    reference: str | None = None,
) -> Payment:
    """Take what is left of a bill at the desk; return the payment, the first one when repeated."""
    order = open_bills_order(scope, [bill], bill.payer_id, idempotency_key)
    if channel is PaymentChannel.WALLET:
        return ledger.pay_with_wallet(scope, order)
    return ledger.record_cash(scope, order, channel, reference)


@service("bill.pay_from_wallet", title=("Pay from prepaid money", "预存冲抵"))
def pay_from_wallet(scope: Scope, bill: Bill, idempotency_key: str) -> Payment:
    """Let the prepaid money of a bill's payer pay what he owes, the oldest due first.

    bill: any of his bills. The last one is paid in part when the money ends. Repeated with the same
    key, it returns the first payment. Raises BillNotOwed when nothing is owed or prepaid.
    """
    known = scope.session.scalars(
        select(PaymentOrder).where(PaymentOrder.idempotency_key == idempotency_key)
    ).one_or_none()
    if known is None:
        known = _order_oldest_first(scope, bill.payer_id, idempotency_key)
    return ledger.pay_with_wallet(scope, known)


def _order_oldest_first(scope: Scope, payer_id: UUID, key: str) -> PaymentOrder:
    query = select(Bill).where(Bill.payer_id == payer_id, Bill.state.in_(OWED))
    bills = scope.session.scalars(query.order_by(Bill.due_on, Bill.id)).all()
    amounts = prompt.payable(scope, bills)
    shares = oldest_first(ledger.balance_of(scope, payer_id), [amounts[b.id] for b in bills])
    items = [
        ledger.OrderItem(KIND, bill.id, f"{bill.room.code} {bill.title}", share)
        for bill, share in zip(bills, shares, strict=True)
        if share
    ]
    if not items:
        raise BillNotOwed(N_("Nothing is owed, or nothing is prepaid."))
    title = gettext("%(count)s bills", count=len(items))
    return ledger.open_order(scope, "fees", title, items, key, payer_id)


# --- withdrawing ----------------------------------------------------------------------------------


@service("bill.withdraw", title=("Withdraw", "撤回"))
def withdraw_bill(scope: Scope, bill: Bill, reason: str) -> Bill:
    """Withdraw one published bill and reverse its posting; its charges can be billed again.

    Raises BillTouched while something is paid or waived of it: refund that first.
    """
    bill = lock_bills(scope, [bill.id])[bill.id]
    if bill.state is BillState.WITHDRAWN:
        return bill
    has_late_fee = scope.session.scalar(
        select(func.count()).where(Bill.parent_id == bill.id, Bill.state != BillState.WITHDRAWN)
    )
    if bill.paid or bill.waived or has_late_fee:
        raise BillTouched(N_("Something was paid or waived of this bill. Refund that first."))
    if BillState.WITHDRAWN not in BILL_STEPS[bill.state]:
        raise BillNotOwed(N_("Bill %(bill)s is no longer owed."), bill=bill.title)
    if bill.kind is BillKind.PREPAID:
        deferred.stop(scope, bill, reason)
    postings = [
        Posting(code, RECEIVABLE, amount, bill.title, bill.room_id, bill.payer_id)
        for code, amount in _income_of(scope, bill)
    ]
    bill.state = BillState.WITHDRAWN
    scope.session.execute(
        update(BillLine).where(BillLine.bill_id == bill.id).values(is_withdrawn=True)
    )
    ledger.post(scope, "fees.bill.withdrawn", bill.id, reason, postings)
    scope.session.flush()
    return bill


@service("bill.reverse", title=("Reverse", "冲销"), step_up=True)
def reverse_bill(scope: Scope, bill: Bill, reason: str) -> Bill:
    """Reverse one published bill that was paid or waived; its charges can be billed again.

    What was paid goes to the payer's prepaid balance, from which it pays the right bill or is paid
    out; what was waived is taken back; then the bill is withdrawn. Every step is posted. Raises
    BillTouched while a late fee on it stands: reverse that first.
    """
    bill = lock_bills(scope, [bill.id])[bill.id]
    if bill.state not in SEEN:
        raise BillNotOwed(N_("Bill %(bill)s is no longer owed."), bill=bill.title)
    about = (bill.room_id, bill.payer_id)
    postings = []
    if bill.paid:
        postings.append(Posting(RECEIVABLE, PREPAID, bill.paid, bill.title, *about))
    if bill.waived:
        postings.append(Posting(RECEIVABLE, WAIVED, bill.waived, bill.title, *about))
    if postings:
        entry = ledger.post(scope, "fees.bill.reversed", bill.id, reason, postings)
        if bill.paid:
            ledger.add_to_wallet(scope, bill.payer_id, bill.paid, entry)
            _unsettle(scope, bill)
        bill.paid = bill.waived = Decimal(0)
        settle_state(bill)
        scope.session.flush()
    return withdraw_bill(scope, bill, reason)


def _unsettle(scope: Scope, bill: Bill) -> None:
    """Take back what each payment settled of a bill, as rows of their own."""
    net = func.sum(BillPayment.amount)
    rows = scope.session.execute(
        select(BillPayment.payment_id, net.label("amount"))
        .where(BillPayment.bill_id == bill.id)
        .group_by(BillPayment.payment_id)
        .having(net > 0)
    ).all()
    for row in rows:
        scope.session.add(
            BillPayment(bill_id=bill.id, payment_id=row.payment_id, amount=-row.amount)
        )


def _income_of(scope: Scope, bill: Bill) -> list[tuple[str, Decimal]]:
    if bill.kind is BillKind.LATE_FEE:
        return [(LATE_FEE_INCOME, bill.amount)] if bill.amount else []
    if bill.kind is BillKind.PREPAID:
        return [(deferred.DEFERRED, bill.amount)]
    if bill.kind in (BillKind.APPORTIONMENT, BillKind.SINGLE):
        return [(bill.trace["account"], bill.amount)]
    return income_of_bill(scope, bill)


def owing(on: date) -> list:
    """Return the conditions of `overdue` in a form that the index ``ix_bill_owed`` answers alone.

    For sums over many bills: it names no state, which would be read from the bills themselves.
    Nothing is left of withdrawn bills, and drafts are those whose run was not published yet.
    """
    return [Bill.due_on < on, Bill.balance > 0, is_published()]


def is_published() -> Any:
    """Return the condition that a bill is no draft, by its run alone: an index answers it."""
    drafted = select(BillRun.id).where(BillRun.state.in_(UNPUBLISHED))
    # In an array, so that the runs are looked up once.
    of_them = all_(func.array(drafted.scalar_subquery()))
    return or_(Bill.run_id.is_(None), Bill.run_id != of_them)


def overdue(on: date) -> list:
    """Return the conditions of bills that are owed and were due before ``on``."""
    return [Bill.state.in_(OWED), Bill.due_on < on, Bill.balance > 0]
