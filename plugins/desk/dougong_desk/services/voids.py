"""Voiding a payment on its own day: one asks, another decides, the first pays back."""

from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import Conflict, Invalid, NotAllowed, OwnRequest
from dougong.i18n import N_, gettext
from dougong.services import Approval, service
from dougong_desk.domain import VoidState
from dougong_desk.errors import TooLateToVoid
from dougong_desk.models import Shift, TakingPayment, VoidRequest
from dougong_desk.services.shifts import cashier_of, require_shift
from dougong_ledger import services as ledger
from dougong_ledger.models import Payment, Refund


@service("void_request.ask", title=("Ask to void", "申请作废"))
def ask_void(scope: Scope, payment: Payment, reason: str) -> VoidRequest:
    """Ask to void a payment that the actor took in his open shift today.

    Raises TooLateToVoid for one of another day or shift: that is refunded instead. Invalid without
    a reason, Conflict when it was asked for before or something went back already.
    """
    if not reason.strip():
        fields = {"reason": gettext("Say why.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    shift = require_shift(scope)
    payment = scope.get(Payment, payment.id, lock=True)
    _require_same_day(scope, payment, shift)
    if payment.refunded:
        raise Conflict(N_("Something of this payment has gone back already."))
    asked = select(VoidRequest.id).where(
        VoidRequest.payment_id == payment.id, VoidRequest.state != VoidState.REFUSED
    )
    if scope.session.scalars(asked).first() is not None:
        raise Conflict(N_("It was asked before to void this payment."))
    request = VoidRequest(
        payment_id=payment.id,
        shift_id=shift.id,
        reason=reason.strip()[:200],
        asked_on=scope.today,
        asked_by=cashier_of(scope),
        asked_name=scope.actor.name,
    )
    scope.session.add(request)
    scope.session.flush()
    return request


def _require_same_day(scope: Scope, payment: Payment, shift: Shift) -> None:
    taken = scope.session.scalars(
        select(TakingPayment).where(TakingPayment.payment_id == payment.id)
    ).one_or_none()
    is_today = payment.paid_at.astimezone(scope.zone).date() == scope.today
    if taken is None or taken.taking.shift_id != shift.id or not is_today:
        raise TooLateToVoid(
            N_("Only a payment of today and of your open shift is voided. Refund it instead.")
        )


@service(
    "void_request.approve",
    title=("Approve", "同意作废"),
    step_up=True,
    approves=Approval(
        asked_by="asked_by",
        asked_name="asked_name",
        waiting=(VoidState.ASKED,),
        about="reason",
        refuse="void_request.refuse",
    ),
)
def approve_void(scope: Scope, request: VoidRequest) -> VoidRequest:
    """Let a payment be voided."""
    return _decide(scope, request, VoidState.APPROVED)


@service("void_request.refuse", title=("Refuse", "拒绝"))
def refuse_void(scope: Scope, request: VoidRequest) -> VoidRequest:
    """Refuse to void a payment; it stays as it is."""
    return _decide(scope, request, VoidState.REFUSED)


def _decide(scope: Scope, request: VoidRequest, state: VoidState) -> VoidRequest:
    request = scope.get(VoidRequest, request.id, lock=True)
    if request.state is not VoidState.ASKED:
        raise Conflict(N_("This was decided before."))
    if request.asked_by == scope.actor.user_id:
        raise OwnRequest(N_("Another person must decide this."))
    request.state = state
    request.decided_by, request.decided_name = scope.actor.user_id, scope.actor.name
    scope.session.flush()
    return request


@service("void_request.carry_out", title=("Give the money back", "退还并作废"), step_up=True)
def carry_out_void(scope: Scope, request: VoidRequest) -> Refund:
    """Give an approved payment back out of the actor's own drawer and void its receipt.

    Bills are owed again. Raises TooLateToVoid when the day or the shift has ended meanwhile.
    """
    shift = require_shift(scope)
    request = scope.get(VoidRequest, request.id, lock=True)
    if request.asked_by != cashier_of(scope):
        raise NotAllowed(N_("The money goes back out of the drawer that it came into."))
    if request.state is not VoidState.APPROVED:
        raise Conflict(N_("This is not approved, or was carried out before."))
    payment = scope.get(Payment, request.payment_id)
    _require_same_day(scope, payment, shift)
    reason = gettext("Voided: %(reason)s", reason=request.reason)
    refund = ledger.refund_payment(scope, payment, payment.amount, reason, f"void-{request.id}")
    request.state = VoidState.DONE
    scope.session.flush()
    return refund
