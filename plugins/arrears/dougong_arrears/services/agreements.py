"""Instalment agreements: signing, paying, and what happens when one is not kept."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select

from dougong.db import Scope
from dougong.documents import Document, render
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Person, Room
from dougong_arrears.domain import (
    AgreementState,
    ContactKind,
    Interruption,
    Outcome,
    Part,
    PromiseState,
    equal_parts,
    state_of,
    unpaid_parts,
)
from dougong_arrears.errors import AgreementEnded, NothingOwed
from dougong_arrears.models import (
    Agreement,
    AgreementBill,
    Contact,
    Instalment,
    PaymentPromise,
)
from dougong_arrears.services.notices import sweep_notices
from dougong_arrears.services.reminding import is_agreed, is_disputed
from dougong_fees.domain.amounts import oldest_first
from dougong_fees.domain.states import OWED
from dougong_fees.models import Bill, BillPayment
from dougong_fees.services.bills import KIND, lock_bills, overdue, owed
from dougong_ledger import services as ledger
from dougong_ledger.domain import PaymentChannel
from dougong_ledger.models import Payment, PaymentOrder

MOST_PARTS = 36


@service("agreement.sign", title=("Agree on instalments", "签订分期协议"))
def sign_agreement(
    scope: Scope, room: Room, payer: Person, parts: int, first_due_on: date
) -> Agreement:
    """Agree that everything overdue for a room is paid in monthly instalments.

    Covers the overdue bills that are neither disputed nor under another agreement. Their late fees
    rest from today until it ends; signing acknowledges the debt and interrupts the limitation
    period. Raises NothingOwed, Invalid for a wrong number of parts or a day that has passed.
    """
    faults = {}
    if not 2 <= parts <= MOST_PARTS:
        faults["parts"] = gettext("Two to %(most)s instalments.", most=MOST_PARTS)
    if first_due_on < scope.today:
        faults["first_due_on"] = gettext("This day has passed.")
    if faults:
        raise Invalid(N_("Some fields are not right yet."), fields=faults)
    bills = _bills_to_cover(scope, room, payer)
    amount = sum((owed(bill) for bill in bills), Decimal(0))
    if amount <= 0:
        raise NothingOwed(N_("Nothing is overdue here that is not disputed or agreed on already."))
    try:
        plan = equal_parts(amount, parts, first_due_on)
    except ValueError:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"parts": gettext("Two to %(most)s instalments.", most=MOST_PARTS)},
        ) from None
    made = Agreement(room_id=room.id, payer_id=payer.id, amount=amount, signed_on=scope.today)
    scope.session.add(made)
    scope.session.flush()
    scope.session.add_all(
        AgreementBill(agreement_id=made.id, bill_id=bill.id, owed=owed(bill)) for bill in bills
    )
    scope.session.add_all(
        Instalment(agreement_id=made.id, number=p.number, due_on=p.due_on, amount=p.amount)
        for p in plan
    )
    scope.session.add(_acknowledgement(scope, made))
    scope.session.flush()
    return made


def _bills_to_cover(scope: Scope, room: Room, payer: Person) -> list[Bill]:
    query = (
        select(Bill.id)
        .where(*overdue(scope.today), Bill.room_id == room.id, Bill.payer_id == payer.id)
        .where(~is_disputed())
    )
    # Locked before the agreements are asked: of two people who sign at once, one finds the other's.
    lock_bills(scope, scope.session.scalars(query))
    free = scope.session.scalars(
        select(Bill).where(
            Bill.id.in_(query.scalar_subquery()),
            ~is_agreed(),
        )
    )
    return sorted(free, key=lambda bill: (bill.due_on, bill.id))


def _acknowledgement(scope: Scope, agreement: Agreement) -> Contact:
    contact = Contact(
        room_id=agreement.room_id,
        payer_id=agreement.payer_id,
        kind=ContactKind.VISIT,
        outcome=Outcome.PROMISED,
        interrupts=Interruption.ACKNOWLEDGEMENT,
        happened_on=agreement.signed_on,
        user_id=scope.actor.user_id,
    )
    amount = f"{agreement.amount:,.2f}"
    contact.note = gettext("Instalment agreement over ¥%(amount)s", amount=amount)
    return contact


# --- how far an agreement is -----------------------------------------------------------------


def parts_of(scope: Scope, agreement_ids: Sequence[UUID]) -> dict[UUID, list[Part]]:
    """Return the instalments of agreements, in order."""
    rows = scope.session.scalars(
        select(Instalment)
        .where(Instalment.agreement_id.in_(agreement_ids))
        .order_by(Instalment.agreement_id, Instalment.number)
    )
    found: dict[UUID, list[Part]] = {each: [] for each in agreement_ids}
    for row in rows:
        found[row.agreement_id].append(Part(row.number, row.due_on, row.amount))
    return found


def paid_of(scope: Scope, agreement_ids: Sequence[UUID]) -> dict[UUID, Decimal]:
    """Return what was paid or waived of each agreement's bills since it was signed."""
    left = func.greatest(Bill.balance, 0)
    rows = scope.session.execute(
        select(AgreementBill.agreement_id, func.sum(AgreementBill.owed - left).label("paid"))
        .join(Bill, Bill.id == AgreementBill.bill_id)
        .where(AgreementBill.agreement_id.in_(agreement_ids))
        .group_by(AgreementBill.agreement_id)
    )
    return {row.agreement_id: row.paid or Decimal(0) for row in rows}


@service("agreement.watch", title=("Check agreements", "检查分期协议"), is_public=False)
def watch_agreements(scope: Scope) -> int:
    """End the agreements that were kept or broken; return how many. Nightly.

    Promises are judged and the files of old print runs forgotten as well.
    A broken one falls due as a whole: late fees grow again from today, reminders go on.
    """
    query = select(Agreement).where(Agreement.state == AgreementState.ACTIVE).order_by(Agreement.id)
    active = scope.session.scalars(query.with_for_update(of=Agreement)).all()
    ids = [each.id for each in active]
    parts, paid = parts_of(scope, ids), paid_of(scope, ids)
    grace = int(scope.setting("arrears.instalment_grace_days", 5))
    ended = 0
    for each in active:
        state = state_of(parts[each.id], paid.get(each.id, Decimal(0)), scope.today, grace)
        if state is not AgreementState.ACTIVE:
            each.state, each.ended_on, ended = state, scope.today, ended + 1
    _judge_promises(scope)
    sweep_notices(scope)
    scope.session.flush()
    return ended


def _judge_promises(scope: Scope) -> None:
    """Mark promises as kept when so much was paid since, as broken when their day has passed."""
    paid = (
        select(func.coalesce(func.sum(BillPayment.amount), 0))
        .join(Bill, Bill.id == BillPayment.bill_id)
        .where(
            Bill.room_id == PaymentPromise.room_id,
            Bill.payer_id == PaymentPromise.payer_id,
            BillPayment.settled_at >= PaymentPromise.made_at,
        )
        .correlate(PaymentPromise)
        .scalar_subquery()
    )
    rows = scope.session.execute(
        select(PaymentPromise, paid.label("paid")).where(PaymentPromise.state == PromiseState.OPEN)
    ).all()
    for row in rows:
        promise = row.PaymentPromise
        if row.paid >= promise.amount:
            promise.state = PromiseState.KEPT
        elif promise.by_on < scope.today:
            promise.state = PromiseState.BROKEN


def late_fee_pauses(
    scope: Scope, bill_ids: Sequence[UUID]
) -> Mapping[UUID, list[tuple[date, date | None]]]:
    """Return the days on which an agreement lets the late fees of bills rest."""
    rows = scope.session.execute(
        select(AgreementBill.bill_id, Agreement.signed_on, Agreement.ended_on)
        .join(Agreement, Agreement.id == AgreementBill.agreement_id)
        .where(AgreementBill.bill_id.in_(bill_ids))
    ).all()
    found: dict[UUID, list[tuple[date, date | None]]] = {}
    for row in rows:
        if row.ended_on is None or row.ended_on > row.signed_on:
            found.setdefault(row.bill_id, []).append((row.signed_on, row.ended_on))
    return found


# --- steps -------------------------------------------------------------------------------------


@service("agreement.cancel", title=("End the agreement", "解除协议"))
def cancel_agreement(scope: Scope, agreement: Agreement, reason: str) -> Agreement:
    """End an agreement before its time; what is left is due at once. Raises AgreementEnded."""
    _require_active(agreement)
    if not reason.strip():
        raise Invalid(
            N_("Some fields are not right yet."), fields={"reason": gettext("This is needed.")}
        )
    agreement.state, agreement.ended_on = AgreementState.CANCELLED, scope.today
    scope.session.flush()
    return agreement


@service("instalment.take", title=("Take the instalment", "收取本期"))
def take_instalment(
    scope: Scope,
    agreement: Agreement,
    channel: PaymentChannel,
    idempotency_key: str,
    reference: str | None = None,
) -> Payment:
    """Take what is left of the next instalment; return the payment, the first one when repeated.

    It pays the agreement's oldest bills first. Raises AgreementEnded, BalanceTooLow for a wallet.
    """
    order = scope.session.scalars(
        select(PaymentOrder).where(PaymentOrder.idempotency_key == idempotency_key)
    ).one_or_none()
    if order is None:
        order = order_next(scope, agreement, idempotency_key, agreement.payer_id)
    elif order.payer_id != agreement.payer_id:
        raise Conflict(N_("This payment was begun for something else."))
    if channel is PaymentChannel.WALLET:
        return ledger.pay_with_wallet(scope, order)
    return ledger.record_cash(scope, order, channel, reference)


def order_next(scope: Scope, agreement: Agreement, key: str, payer_id: UUID | None) -> PaymentOrder:
    """Open a payment order for what is left of an agreement's next instalment.

    Raises AgreementEnded when nothing is left, or it is no longer in force.
    """
    agreement = scope.get(Agreement, agreement.id, lock=True)
    _require_active(agreement)
    parts = parts_of(scope, [agreement.id])[agreement.id]
    paid = paid_of(scope, [agreement.id]).get(agreement.id, Decimal(0))
    left = [(part, rest) for part, rest in unpaid_parts(parts, paid) if rest > 0]
    if not left:
        raise AgreementEnded(N_("Everything of this agreement is paid."))
    part, amount = left[0]
    ids = select(AgreementBill.bill_id).where(AgreementBill.agreement_id == agreement.id)
    bills = [b for b in lock_bills(scope, scope.session.scalars(ids)).values() if b.state in OWED]
    bills.sort(key=lambda bill: (bill.due_on, bill.id))
    shares = oldest_first(amount, [owed(bill) for bill in bills])
    items = [
        ledger.OrderItem(KIND, bill.id, f"{bill.room.code} {bill.title}", share)
        for bill, share in zip(bills, shares, strict=True)
        if share
    ]
    title = gettext("Instalment %(number)s of %(count)s", number=part.number, count=len(parts))
    return ledger.open_order(scope, "fees", title, items, key, payer_id)


def _require_active(agreement: Agreement) -> None:
    if agreement.state is not AgreementState.ACTIVE:
        raise AgreementEnded(N_("This agreement is no longer in force."))


@service("agreement.print", title=("Print", "打印协议"))
def print_agreement(scope: Scope, agreement: Agreement) -> Document:
    """Return an agreement as PDF, with its bills and instalments, to be signed."""
    title = f"{gettext('Instalment agreement')}-{agreement.room.code}"
    rows = scope.session.scalars(
        select(AgreementBill).where(AgreementBill.agreement_id == agreement.id)
    ).all()
    bills = sorted(rows, key=lambda row: (row.bill.due_on, row.bill_id))
    parts = parts_of(scope, [agreement.id])[agreement.id]
    paid = paid_of(scope, [agreement.id]).get(agreement.id, Decimal(0))
    return render(
        scope,
        "arrears:agreement",
        {
            "agreement": agreement,
            "room": agreement.room.code,
            "payer": agreement.payer.name,
            "bills": [(row.bill.title, row.bill.due_on, row.owed) for row in bills],
            "parts": unpaid_parts(parts, paid),
            "grace_days": int(scope.setting("arrears.instalment_grace_days", 5)),
        },
        filename=f"{title}-{agreement.signed_on}.pdf",
    )
