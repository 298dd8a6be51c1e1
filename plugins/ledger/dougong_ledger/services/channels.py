"""Paying through channels: attempts, what gateways say, and money that nothing is owed for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from dougong.db import Actor, Scope, uuid7
from dougong.errors import Conflict, DougongError, Invalid, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.installation import Installation
from dougong.services import entered
from dougong_ledger.channels import (
    YUAN,
    Channel,
    ChannelRefused,
    Merchant,
    Notice,
    Outcome,
    PaymentRequest,
    Prepared,
    Standing,
    Way,
)
from dougong_ledger.domain import (
    OPEN_ATTEMPTS,
    SUSPENSE,
    AccountKind,
    AttemptState,
    NoticeResult,
    OrderState,
    PaymentChannel,
    Posting,
    provider_account,
    trade_no,
)
from dougong_ledger.errors import BooksClosed, OrderClosed
from dougong_ledger.models import (
    ChannelNotice,
    PaymentAttempt,
    PaymentOrder,
    SurplusPayment,
)
from dougong_ledger.services.journal import community_of, ensure_account, post
from dougong_ledger.services.payments import Source, take_payment

ACTOR = Actor.system("payments")
SETTLE = "ledger.payment_attempt.settle"
# A QR code that a payer may still be looking at is offered again for so long.
SAME_FOR = timedelta(minutes=10)


@dataclass(frozen=True)
class Offer:
    """A channel that can be used in a community, with its merchant account."""

    channel: Channel
    merchant: Merchant


def channels(scope: Scope) -> dict[str, Channel]:
    """Return the payment channels of the enabled plugins by id."""
    return {c.id: c for answer in scope.ask("payment_channels") for c in answer}


def channel_of(scope: Scope, provider: str) -> Channel:
    """Return one channel; raises NotFound where its plugin is off."""
    found = channels(scope).get(provider)
    if found is None:
        raise NotFound(N_("This payment channel is not offered here."))
    return found


def offers(scope: Scope) -> list[Offer]:
    """Return the channels with a merchant account here, in the order in which they are loaded."""
    found = [(c, c.merchant(scope)) for c in channels(scope).values()]
    return [Offer(channel, merchant) for channel, merchant in found if merchant is not None]


def offers_in(scope: Scope, user_agent: str) -> list[Offer]:
    """Return the channels that a payer's browser can reach.

    Inside an app that has a channel of its own, only that one: such apps lead to no other.
    """
    found = offers(scope)
    own = [o for o in found if o.channel.app_mark and o.channel.app_mark in user_agent]
    return own or found


def provider_title(scope: Scope, provider: str | None) -> str:
    """Return what people call a channel, its id where its plugin is gone."""
    found = channels(scope).get(provider or "")
    return str(found.title) if found else provider or ""


# --- starting -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """Where a payer comes from: his browser's address, and where it comes back to."""

    way: Way
    return_url: str
    payer_ip: str = "127.0.0.1"
    payer: str | None = None


def start_payment(scope: Scope, order_id: UUID, provider: str, start: Start) -> UUID:
    """Ask a channel for a payment of an order; return the attempt's id.

    The attempt is committed before the gateway is called, in a transaction of its own, and so is
    the answer; a time-out leaves it UNKNOWN, to be resolved by asking. Raises OrderClosed,
    ChannelRefused, and NotFound where the channel is not offered.
    """
    installation, place = scope.installation, {"community": scope.community_id}
    with installation.scope(ACTOR, **place) as own, entered(own, SETTLE, None):
        attempt_id, is_new = _write_attempt(own, order_id, provider, start.way)
    if not is_new:
        return attempt_id
    with installation.scope(ACTOR, **place) as own:
        attempt = own.get(PaymentAttempt, attempt_id)
        request = _request(own, attempt, start)
        channel, merchant_id = channel_of(own, provider), attempt.merchant_id
        own.session.expunge_all()
        prepared, problem = _ask(own, channel, merchant_id, request)
    with installation.scope(ACTOR, **place) as own, entered(own, SETTLE, None):
        _note_prepared(own, attempt_id, prepared, problem)
    if isinstance(problem, ChannelRefused):
        raise problem
    return attempt_id


def _ask(
    scope: Scope, channel: Channel, merchant_id: UUID, request: PaymentRequest
) -> tuple[Prepared | None, DougongError | None]:
    try:
        return channel.prepare(scope, merchant_id, request), None
    except DougongError as error:
        return None, error


def _write_attempt(scope: Scope, order_id: UUID, provider: str, way: Way) -> tuple[UUID, bool]:
    """Return the attempt and whether it is new; one that still waits is used again."""
    order = scope.get(PaymentOrder, order_id, lock=True)
    if order.state is not OrderState.OPEN or order.expires_at <= scope.now:
        raise OrderClosed(N_("This payment order is closed. Start a new one."))
    offer = next((o for o in offers(scope) if o.channel.id == provider), None)
    if offer is None:
        raise NotFound(N_("This payment channel is not offered here."))
    if way not in offer.channel.ways:
        fields = {"way": gettext("This channel does not offer that.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    known = scope.session.scalars(
        select(PaymentAttempt.id).where(
            PaymentAttempt.order_id == order.id,
            PaymentAttempt.provider == provider,
            PaymentAttempt.way == way,
            PaymentAttempt.state == AttemptState.WAITING,
            PaymentAttempt.started_at > scope.now - SAME_FOR,
        )
    ).first()
    if known is not None:
        return known, False
    attempt_id = uuid7()
    scope.session.add(
        PaymentAttempt(
            id=attempt_id,
            order_id=order.id,
            provider=provider,
            merchant_id=offer.merchant.id,
            merchant_number=offer.merchant.number,
            way=way,
            amount=order.amount,
            trade_no=trade_no(community_of(scope), attempt_id),
            started_at=scope.now,
        )
    )
    scope.session.flush()
    return attempt_id, True


def notify_url(scope: Scope, provider: str, merchant_id: UUID) -> str:
    """Return the address to which a gateway sends notices about this community's payments."""
    base = scope.installation.settings.url
    return f"{base}/pay/notify/{provider}/{scope.community_id}/{merchant_id}"


def _request(scope: Scope, attempt: PaymentAttempt, start: Start) -> PaymentRequest:
    order = scope.get(PaymentOrder, attempt.order_id)
    return PaymentRequest(
        trade_no=attempt.trade_no,
        amount=attempt.amount,
        title=order.title,
        way=start.way,
        expires_at=order.expires_at,
        notify_url=notify_url(scope, attempt.provider, attempt.merchant_id),
        return_url=start.return_url,
        payer_ip=start.payer_ip,
        payer=start.payer,
    )


def _note_prepared(
    scope: Scope, attempt_id: UUID, prepared: Prepared | None, problem: DougongError | None
) -> None:
    """Write down how the payer goes on; a notice may have been faster, which stands."""
    attempt = scope.get(PaymentAttempt, attempt_id, lock=True)
    if attempt.state is not AttemptState.REQUESTED:
        return
    if prepared is not None:
        attempt.state = AttemptState.WAITING
        attempt.prepared = {
            "qr": prepared.qr, "url": prepared.url, "script": dict(prepared.script)
        }  # fmt: skip
        return
    is_refused = isinstance(problem, ChannelRefused)
    attempt.state = AttemptState.CLOSED if is_refused else AttemptState.UNKNOWN
    attempt.problem = translate_error(problem)[:200] if problem else None


# --- what gateways say ----------------------------------------------------------------------------


def take_notice(
    installation: Installation,
    provider: str,
    community_id: UUID,
    merchant_id: UUID,
    headers: Mapping[str, str],
    body: bytes,
) -> tuple[int, str, bytes]:
    """Book what a gateway's notice says, and return what to answer once that is committed.

    Raises Forged for a notice that the gateway did not sign, whatever it says; nothing is written.
    """
    with installation.scope(ACTOR, community=community_id) as scope:
        channel = channel_of(scope, provider)
        notice = channel.read_notice(scope, merchant_id, headers, body)
        seen = select(ChannelNotice.id).where(
            ChannelNotice.provider == provider, ChannelNotice.nonce == notice.nonce[:64]
        )
        if scope.session.scalars(seen).first() is None:
            _book_notice(scope, provider, notice)
    return channel.acknowledge(True)


def _book_notice(scope: Scope, provider: str, notice: Notice) -> None:
    with entered(scope, SETTLE, None):
        result, detail = NoticeResult.NOTHING, None
        if notice.outcome is not None:
            result, detail = settle(scope, provider, notice.outcome)
        _keep(scope, provider, notice.nonce, notice.event_id, notice.outcome, result, detail)


def _keep(
    scope: Scope,
    provider: str,
    nonce: str,
    event_id: str,
    outcome: Outcome | None,
    result: NoticeResult,
    detail: str | None,
) -> None:
    scope.session.execute(
        insert(ChannelNotice)
        .values(
            community_id=community_of(scope),
            id=uuid7(),
            provider=provider,
            nonce=nonce[:64],
            event_id=event_id[:64],
            trade_no=outcome.trade_no[:32] if outcome else None,
            result=result,
            detail=detail and detail[:200],
        )
        .on_conflict_do_nothing(index_elements=["community_id", "provider", "nonce"])
    )


def settle(scope: Scope, provider: str, outcome: Outcome) -> tuple[NoticeResult, str | None]:
    """Book what a gateway says about an attempt, once however often it says it.

    Order and attempt are locked in this order. What differs in merchant, amount or currency blocks
    the attempt and books nothing; what is no longer owed becomes a surplus.
    """
    query = select(PaymentAttempt).where(
        PaymentAttempt.provider == provider, PaymentAttempt.trade_no == outcome.trade_no
    )
    attempt = scope.session.scalars(query).one_or_none()
    if attempt is None:
        return NoticeResult.NOTHING, gettext("No such attempt is known here.")
    scope.get(PaymentOrder, attempt.order_id, lock=True)
    attempt = scope.get(PaymentAttempt, attempt.id, lock=True)
    attempt.asked_at = scope.now
    if attempt.state is AttemptState.PAID:
        return NoticeResult.REPEATED, None
    if outcome.standing is not Standing.DONE:
        return _note_unpaid(attempt, outcome)
    problem = _difference(attempt, outcome)
    if problem:
        attempt.state, attempt.problem = AttemptState.BLOCKED, problem[:200]
        scope.session.flush()
        return NoticeResult.BLOCKED, problem
    return _book(scope, attempt, outcome)


def _note_unpaid(attempt: PaymentAttempt, outcome: Outcome) -> tuple[NoticeResult, str | None]:
    if outcome.standing in (Standing.CLOSED, Standing.FAILED) and attempt.state in OPEN_ATTEMPTS:
        attempt.state = AttemptState.CLOSED
    elif attempt.state is AttemptState.UNKNOWN:
        attempt.problem = None
    return NoticeResult.NOTHING, None


def _difference(attempt: PaymentAttempt, outcome: Outcome) -> str | None:
    if outcome.merchant_number != attempt.merchant_number:
        return gettext("Another merchant: %(number)s", number=outcome.merchant_number)
    if outcome.currency != YUAN:
        return gettext("Another currency: %(currency)s", currency=outcome.currency)
    if outcome.amount != attempt.amount:
        wanted = f"{attempt.amount:,.2f}"
        return gettext("¥%(paid)s instead of ¥%(wanted)s", paid=outcome.amount, wanted=wanted)
    return None if outcome.transaction_id else gettext("Without a transaction number")


def _book(
    scope: Scope, attempt: PaymentAttempt, outcome: Outcome
) -> tuple[NoticeResult, str | None]:
    account = channel_account(scope, attempt.provider)
    order = scope.get(PaymentOrder, attempt.order_id)
    source = Source(account, attempt.provider)
    attempt_id, problem = attempt.id, None
    try:
        with scope.session.begin_nested():
            payment = take_payment(
                scope, order, PaymentChannel.ONLINE, outcome.transaction_id, source
            )
            payment_id = payment.id
    except BooksClosed:
        raise
    except Conflict as error:
        problem, payment_id = translate_error(error), None
    attempt = scope.get(PaymentAttempt, attempt_id, lock=True)
    attempt.state, attempt.transaction_id = AttemptState.PAID, outcome.transaction_id
    attempt.payment_id, attempt.problem = payment_id, problem and problem[:200]
    scope.session.flush()
    if problem is None:
        return NoticeResult.SETTLED, None
    _find_surplus(scope, attempt, account, problem)
    return NoticeResult.SURPLUS, problem


def channel_account(scope: Scope, provider: str) -> str:
    """Return the code of the account of what a channel owes us; it is made when missing."""
    title = provider_title(scope, provider)
    return ensure_account(
        scope, provider_account(provider), AccountKind.ASSET, f"其他货币资金—{title}"
    )


def _find_surplus(scope: Scope, attempt: PaymentAttempt, account: str, reason: str) -> None:
    """Keep money that nothing is owed for in the suspense account, until it is refunded."""
    order = scope.get(PaymentOrder, attempt.order_id)
    surplus = SurplusPayment(
        attempt_id=attempt.id,
        provider=attempt.provider,
        transaction_id=attempt.transaction_id,
        amount=attempt.amount,
        reason=reason[:200],
    )
    scope.session.add(surplus)
    scope.session.flush()
    posting = Posting(account, SUSPENSE, attempt.amount, order.title, person_id=order.payer_id)
    post(scope, "ledger.surplus", surplus.id, order.title, [posting])
    scope.emit("ledger.surplus_found", surplus_id=surplus.id, attempt_id=attempt.id)
