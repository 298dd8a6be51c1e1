"""Money that goes back through its channel: refunds, and surplus that two people agree on."""

from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope, uuid7
from dougong.errors import Conflict, DougongError, Invalid
from dougong.i18n import N_, gettext, translate_error
from dougong.services import Approval, entered, service
from dougong_ledger.channels import ChannelRefused, RefundRequest, Standing
from dougong_ledger.domain import (
    SUSPENSE,
    Posting,
    ReturnState,
    SurplusState,
    provider_account,
)
from dougong_ledger.models import (
    ChannelReturn,
    Payment,
    PaymentAttempt,
    PaymentOrder,
    Refund,
    SurplusPayment,
)
from dougong_ledger.services.journal import post

SEND = "ledger.channel_return.send"


def return_refund(scope: Scope, payment: Payment, refund: Refund) -> ChannelReturn:
    """Have a refund of an online payment sent back through its channel, after this commits."""
    query = select(PaymentAttempt).where(PaymentAttempt.payment_id == payment.id)
    attempt = scope.session.scalars(query).one_or_none()
    if attempt is None:
        raise Conflict(N_("This payment did not come through a channel that is known here."))
    return _write(scope, attempt, refund.amount, refund.reason, refund_id=refund.id)


def _write(
    scope: Scope,
    attempt: PaymentAttempt,
    amount: object,
    reason: str,
    *,
    refund_id: UUID | None = None,
    surplus_id: UUID | None = None,
) -> ChannelReturn:
    made_id = uuid7()
    made = ChannelReturn(
        id=made_id,
        attempt_id=attempt.id,
        refund_id=refund_id,
        surplus_id=surplus_id,
        refund_no=made_id.hex,
        amount=amount,
        reason=reason[:200],
    )
    scope.session.add(made)
    scope.session.flush()
    scope.enqueue(SEND, channel_return=made.id)
    return made


@service("surplus_payment.propose", title=("Propose the refund", "申请退款"))
def propose_refund(scope: Scope, surplus_payment: SurplusPayment, reason: str) -> SurplusPayment:
    """Propose to send a surplus back; somebody else approves. Raises Conflict when it is too late.

    Raises Invalid without a reason.
    """
    surplus = scope.get(SurplusPayment, surplus_payment.id, lock=True)
    if surplus.state is not SurplusState.FOUND:
        raise Conflict(N_("The refund of this surplus was proposed already."))
    if not reason.strip():
        fields = {"reason": gettext("Say why the money goes back.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    surplus.state, surplus.proposal = SurplusState.PROPOSED, reason[:200]
    surplus.proposed_by = scope.actor.user_id
    scope.session.flush()
    return surplus


@service(
    "surplus_payment.approve",
    title=("Approve the refund", "批准退款"),
    step_up=True,
    approves=Approval(
        asked_by="proposed_by",
        waiting=(SurplusState.PROPOSED,),
        amount="amount",
        about="proposal",
        is_request=False,
    ),
)
def approve_refund(scope: Scope, surplus_payment: SurplusPayment) -> SurplusPayment:
    """Approve a proposed refund; the money goes back through its channel.

    Raises Conflict when nobody proposed it.
    """
    surplus = surplus_payment
    if surplus.state is not SurplusState.PROPOSED:
        raise Conflict(N_("Nobody has proposed this refund."))
    surplus.state, surplus.approved_by = SurplusState.APPROVED, scope.actor.user_id
    attempt = scope.get(PaymentAttempt, surplus.attempt_id)
    _write(scope, attempt, surplus.amount, surplus.proposal or "", surplus_id=surplus.id)
    scope.session.flush()
    return surplus


@service("channel_return.send", title=("Send again", "重新退款"), step_up=True)
def send_return(scope: Scope, channel_return: ChannelReturn) -> ChannelReturn:
    """Send money back through its channel, or ask what became of it; done once by its number.

    The gateway is called under the lock of this row alone, so that two workers do not both ask.
    """
    from dougong_ledger.services.channels import channel_of, notify_url

    back = scope.get(ChannelReturn, channel_return.id, lock=True)
    if back.state is ReturnState.DONE:
        return back
    attempt = scope.get(PaymentAttempt, back.attempt_id)
    channel = channel_of(scope, attempt.provider)
    request = RefundRequest(
        trade_no=attempt.trade_no,
        refund_no=back.refund_no,
        amount=back.amount,
        total=attempt.amount,
        reason=back.reason,
        notify_url=notify_url(scope, attempt.provider, attempt.merchant_id),
    )
    try:
        standing = channel.refund(scope, attempt.merchant_id, request)
    except ChannelRefused as error:
        back.state, back.problem = ReturnState.FAILED, translate_error(error)[:200]
        return back
    except DougongError as error:
        back.state, back.problem = ReturnState.UNKNOWN, translate_error(error)[:200]
        return back
    note_return(scope, back, standing)
    return back


def note_return(scope: Scope, back: ChannelReturn, standing: Standing) -> None:
    """Write down where money that goes back stands; what has arrived is posted once."""
    states = {
        Standing.DONE: ReturnState.DONE,
        Standing.PENDING: ReturnState.WAITING,
        Standing.CLOSED: ReturnState.FAILED,
        Standing.FAILED: ReturnState.FAILED,
    }
    if back.state is ReturnState.DONE:
        return
    back.state, back.problem = states[standing], None
    if back.state is ReturnState.DONE:
        back.done_at = scope.now
        _finish_surplus(scope, back)
    scope.session.flush()


def _finish_surplus(scope: Scope, back: ChannelReturn) -> None:
    if back.surplus_id is None:
        return
    surplus = scope.get(SurplusPayment, back.surplus_id, lock=True)
    attempt = scope.get(PaymentAttempt, back.attempt_id)
    order = scope.get(PaymentOrder, attempt.order_id)
    surplus.state = SurplusState.REFUNDED
    account = provider_account(surplus.provider)
    posting = Posting(SUSPENSE, account, back.amount, back.reason, person_id=order.payer_id)
    post(scope, "ledger.surplus.refunded", surplus.id, back.reason, [posting])
    scope.emit("ledger.surplus_refunded", surplus_id=surplus.id)


def ask_return(scope: Scope, return_id: UUID) -> None:
    """Ask the gateway where a refund stands that is on its way or unknown."""
    with entered(scope, SEND, None):
        back = scope.get(ChannelReturn, return_id, lock=True)
        if back.state in (ReturnState.WAITING, ReturnState.UNKNOWN):
            send_return(scope, back)
