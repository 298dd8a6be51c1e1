"""What is unknown is asked: attempts and refunds that no notice has decided."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import or_, select

from dougong.db import Scope
from dougong.errors import DougongError
from dougong.i18n import translate_error
from dougong.services import entered, service
from dougong_ledger.channels import Outcome, Standing
from dougong_ledger.domain import OPEN_ATTEMPTS, AttemptState, OrderState, ReturnState
from dougong_ledger.models import ChannelReturn, PaymentAttempt, PaymentOrder
from dougong_ledger.services.channels import ACTOR, SETTLE, channel_of, settle
from dougong_ledger.services.returns import ask_return

log = structlog.get_logger(__name__)

# A payer at the till is not asked about at once; an attempt without an end is asked for two days.
PATIENCE = timedelta(minutes=1)
AT_ONCE = 200


def ask_about(scope: Scope, attempt_id: UUID) -> Outcome | None:
    """Ask the gateway about an attempt and book its answer, in a transaction of its own.

    An attempt whose order is no longer open is closed at the gateway, so that nobody pays it any
    more. Return what the gateway said, None when it did not say.
    """
    installation, place = scope.installation, {"community": scope.community_id}
    with installation.scope(ACTOR, **place) as own:
        attempt = own.get(PaymentAttempt, attempt_id)
        order = own.get(PaymentOrder, attempt.order_id)
        channel = channel_of(own, attempt.provider)
        merchant_id, number, provider = attempt.merchant_id, attempt.trade_no, attempt.provider
        is_over = order.state is not OrderState.OPEN or order.expires_at <= own.now
        try:
            outcome = channel.query(own, merchant_id, number)
            if is_over and outcome.standing is Standing.PENDING:
                channel.close(own, merchant_id, number)
                outcome = channel.query(own, merchant_id, number)
        except DougongError as error:
            log.info("a gateway did not say", provider=provider, reason=translate_error(error))
            return None
    with installation.scope(ACTOR, **place) as own, entered(own, SETTLE, None):
        settle(own, provider, outcome)
    return outcome


def _undecided(scope: Scope) -> Sequence[UUID]:
    query = (
        select(PaymentAttempt.id)
        .where(
            PaymentAttempt.state.in_(OPEN_ATTEMPTS),
            PaymentAttempt.started_at < scope.now - PATIENCE,
            or_(
                PaymentAttempt.asked_at.is_(None),
                PaymentAttempt.asked_at < scope.now - PATIENCE,
            ),
        )
        .order_by(PaymentAttempt.started_at)
        .limit(AT_ONCE)
    )
    return scope.session.scalars(query).all()


def _on_their_way(scope: Scope) -> Sequence[UUID]:
    query = (
        select(ChannelReturn.id)
        .where(
            ChannelReturn.state.in_((ReturnState.WAITING, ReturnState.UNKNOWN)),
            ChannelReturn.started_at < scope.now - PATIENCE,
        )
        .order_by(ChannelReturn.started_at)
        .limit(AT_ONCE)
    )
    return scope.session.scalars(query).all()


@service("payment_attempt.ask_all", title=("Ask the gateways", "查询未决支付"), is_public=False)
def ask_all(scope: Scope) -> int:
    """Ask about everything that no notice has decided; return how many were asked about.

    Each in a transaction of its own: what one gateway does not say holds up nobody.
    """
    attempts, returns = _undecided(scope), _on_their_way(scope)
    for attempt_id in attempts:
        ask_about(scope, attempt_id)
    for return_id in returns:
        _guarded(lambda return_id=return_id: _ask_return(scope, return_id))
    return len(attempts) + len(returns)


def _ask_return(scope: Scope, return_id: UUID) -> None:
    with scope.installation.scope(ACTOR, community=scope.community_id) as own:
        ask_return(own, return_id)


def _guarded(ask: Callable[[], None]) -> None:
    try:
        ask()
    except DougongError as error:
        log.info("a refund was not asked about", reason=translate_error(error))


@service("payment_attempt.ask", title=("Ask the channel", "查询渠道"))
def ask_attempt(scope: Scope, payment_attempt: PaymentAttempt) -> PaymentAttempt:
    """Ask the gateway about one attempt now, and book its answer in the caller's transaction.

    Raises ChannelUnsure when the gateway says nothing.
    """
    attempt = payment_attempt
    channel = channel_of(scope, attempt.provider)
    settle(scope, attempt.provider, channel.query(scope, attempt.merchant_id, attempt.trade_no))
    return scope.get(PaymentAttempt, attempt.id)


def is_undecided(attempt: PaymentAttempt) -> bool:
    """Tell whether an attempt may still be paid."""
    return attempt.state in (*OPEN_ATTEMPTS, AttemptState.BLOCKED)
