"""Waivers: asked for by one, approved by another, posted against income."""

from decimal import Decimal

from sqlalchemy import func, select

from dougong.db import Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import Approval, service
from dougong_fees.domain.states import WAIVER_STEPS, WaiverState
from dougong_fees.errors import BillNotOwed
from dougong_fees.models import Bill, Waiver
from dougong_fees.services.bills import lock_bills, owed, settle_state
from dougong_ledger import services as ledger
from dougong_ledger.domain import RECEIVABLE, WAIVED, Posting, is_amount


@service("waiver.request", title=("Waive", "申请减免"))
def request_waiver(scope: Scope, bill: Bill, amount: Decimal, reason: str) -> Waiver:
    """Ask to waive a part of a bill; up to the setting ``fees.waiver_limit`` it counts at once.

    The limit is for what one person waives of a bill altogether, so that it cannot be split.
    Raises BillNotOwed when less is owed, Invalid for a wrong amount or no reason.
    """
    if not is_amount(amount) or not reason.strip():
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"amount": gettext("An amount above zero and a reason are needed.")},
        )
    if amount > owed(bill):
        raise BillNotOwed(
            N_("Only %(left)s yuan of this bill are owed."), left=f"{owed(bill):,.2f}"
        )
    waiver = Waiver(
        bill_id=bill.id, amount=amount, reason=reason[:200], requested_by=scope.actor.user_id
    )
    scope.session.add(waiver)
    scope.session.flush()
    if _asked_for(scope, waiver) <= Decimal(str(scope.setting("fees.waiver_limit", "100.00"))):
        return _grant(scope, waiver)
    return waiver


def _asked_for(scope: Scope, waiver: Waiver) -> Decimal:
    """Return what one person has waived or asked to waive of a bill, this time included."""
    total = scope.session.scalar(
        select(func.sum(Waiver.amount)).where(
            Waiver.bill_id == waiver.bill_id,
            Waiver.requested_by.is_not_distinct_from(waiver.requested_by),
            Waiver.state != WaiverState.REFUSED,
        )
    )
    return total or Decimal(0)


@service(
    "waiver.approve",
    title=("Approve", "批准"),
    approves=Approval(
        asked_by="requested_by",
        waiting=(WaiverState.REQUESTED,),
        amount="amount",
        about="reason",
        refuse="waiver.refuse",
    ),
)
def approve_waiver(scope: Scope, waiver: Waiver) -> Waiver:
    """Let a waiver count, up to what the actor's role may approve."""
    return _grant(scope, waiver)


@service("waiver.refuse", title=("Refuse", "拒绝"))
def refuse_waiver(scope: Scope, waiver: Waiver) -> Waiver:
    """Refuse a waiver that waits for approval; the bill stays owed."""
    waiver = scope.get(Waiver, waiver.id, lock=True)
    _step(waiver, WaiverState.REFUSED)
    scope.session.flush()
    return waiver


def _grant(scope: Scope, waiver: Waiver) -> Waiver:
    _step(waiver, WaiverState.APPROVED)
    waiver.approved_by = scope.actor.user_id
    bill = lock_bills(scope, [waiver.bill_id])[waiver.bill_id]
    if waiver.amount > owed(bill):
        raise BillNotOwed(
            N_("Only %(left)s yuan of this bill are owed."), left=f"{owed(bill):,.2f}"
        )
    bill.waived += waiver.amount
    settle_state(bill)
    posting = Posting(WAIVED, RECEIVABLE, waiver.amount, waiver.reason, bill.room_id, bill.payer_id)
    ledger.post(scope, "fees.waiver", waiver.id, waiver.reason, [posting])
    scope.session.flush()
    return waiver


def _too_much(bill: Bill) -> BillNotOwed:
    left = f"{owed(bill):,.2f}"
    return BillNotOwed(N_("Only %(left)s yuan of this bill are owed."), left=left)


def _step(waiver: Waiver, target: WaiverState) -> None:
    if target not in WAIVER_STEPS[waiver.state]:
        raise Conflict(N_("This waiver was decided before."))
    waiver.state = target
