"""Payments and refunds: one transaction from the order to the receipt, or nothing at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_ledger.domain import (
    MONEY_ACCOUNT,
    ZERO,
    OrderState,
    PaymentChannel,
    Posting,
    Reconciliation,
    is_amount,
    provider_account,
    request_hash,
    state_after_refund,
)
from dougong_ledger.errors import KeyUsed, NotSettled, OrderClosed
from dougong_ledger.hookspecs import Settlement
from dougong_ledger.models import JournalEntry, Payment, PaymentOrder, Refund, Wallet
from dougong_ledger.services import returns, wallets
from dougong_ledger.services.journal import post
from dougong_ledger.services.orders import check_key, items_of, step
from dougong_ledger.services.receipts import issue_receipt, replace_receipt


@service("payment.pay_with_wallet", title=("Pay with the wallet", "用钱包支付"))
def pay_with_wallet(scope: Scope, order: PaymentOrder) -> Payment:
    """Pay an order from its payer's wallet; return the payment, the first one when repeated.

    Raises BalanceTooLow, OrderClosed, and NotSettled when it is no longer owed.
    """
    return take_payment(scope, order, PaymentChannel.WALLET)


@service("payment.record_cash", title=("Record cash", "现金收款"))
def record_cash(
    scope: Scope,
    order: PaymentOrder,
    channel: PaymentChannel = PaymentChannel.CASH,
    reference: str | None = None,
) -> Payment:
    """Record money taken at the desk for an order: cash, card terminal or a bank transfer.

    reference: the terminal's or the bank's number. Repeated, it returns the first payment.
    """
    if channel in (PaymentChannel.WALLET, PaymentChannel.DEMO, PaymentChannel.ONLINE):
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"channel": gettext("Choose how the money came.")},
        )
    return take_payment(scope, order, channel, reference)


@dataclass(frozen=True)
class Source:
    """Where money came from, when it is already here.

    account: that is debited, unless the channel says it all. provider: of an online payment. Such
    money settles an order that has expired meanwhile.
    """

    account: str
    provider: str | None = None


def take_payment(
    scope: Scope,
    order: PaymentOrder,
    channel: PaymentChannel,
    reference: str | None = None,
    source: Source | None = None,
) -> Payment:
    """Pay an order: wallet, settlement by the order's plugin, journal, receipt, event.

    source: for money that has come already, from a payment channel or the suspense account.
    Everything is locked in the same order (order, wallet, records, receipts), so two requests at
    once wait for each other and the second finds the first one's payment.
    """
    order = scope.get(PaymentOrder, order.id, lock=True)
    if order.state is OrderState.PAID:
        return _paid_before(scope, order, channel)
    is_late = order.state is OrderState.OPEN and order.expires_at <= scope.now
    if is_late and source is None:
        raise OrderClosed(N_("This payment order is closed. Start a new one."))
    wallet = _paying_wallet(scope, order) if channel is PaymentChannel.WALLET else None
    step(order, OrderState.PAID)
    payment = Payment(
        order_id=order.id,
        payer_id=order.payer_id,
        channel=channel,
        amount=order.amount,
        provider=source.provider if source else None,
        reconciliation=reconciliation_of(channel),
        reference=reference and reference[:80],
        taken_by=scope.actor.user_id,
        paid_at=scope.now,
    )
    scope.session.add(payment)
    scope.session.flush()
    entry = _post_settled(scope, order, payment, source.account if source else None)
    if wallet is not None:
        wallets.move(scope, wallet, -payment.amount, entry)
    if order.plugin == "ledger" and order.payer_id is not None:
        wallets.move(scope, wallets.wallet_of(scope, order.payer_id), payment.amount, entry)
    issue_receipt(scope, payment)
    scope.emit("ledger.payment_settled", payment_id=payment.id)
    return payment


def _paying_wallet(scope: Scope, order: PaymentOrder) -> Wallet:
    """Return the locked wallet that pays an order; raises Conflict where it cannot."""
    if order.payer_id is None or order.plugin == "ledger":
        raise Conflict(N_("Nobody's wallet is named by this order."))
    wallet = wallets.wallet_of(scope, order.payer_id)
    wallets.require_balance(wallet, order.amount)
    return wallet


def _post_settled(
    scope: Scope, order: PaymentOrder, payment: Payment, account: str | None
) -> JournalEntry:
    """Let the order's plugin settle its records, and post what it says.

    account: where the money came in, by default the account of the payment's channel.
    """
    settlements = _ask(
        scope, order.plugin, "payment_settled", payment, items=items_of(scope, order)
    )
    account = account or MONEY_ACCOUNT[payment.channel]
    postings = [
        Posting(account, s.account, s.amount, s.memo, s.room_id, s.person_id) for s in settlements
    ]
    return post(scope, "ledger.payment", payment.id, order.title, postings)


def reconciliation_of(channel: PaymentChannel) -> Reconciliation:
    """Return whether a payment by this channel is looked for in a channel's bill."""
    is_online = channel is PaymentChannel.ONLINE
    return Reconciliation.WAITING if is_online else Reconciliation.NOT_NEEDED


def _paid_before(scope: Scope, order: PaymentOrder, channel: PaymentChannel) -> Payment:
    payment = scope.session.scalars(select(Payment).where(Payment.order_id == order.id)).one()
    if payment.channel is not channel or channel is PaymentChannel.ONLINE:
        raise OrderClosed(N_("This payment order is closed. Start a new one."))
    return payment


def _ask(scope: Scope, plugin: str, hook: str, payment: Payment, **about: Any) -> list[Settlement]:
    """Ask the order's plugin; unlike other hooks it must answer, and its error ends the payment."""
    answer: Sequence[Settlement] | None = None
    if plugin in scope.enabled:
        hooks = scope.installation.plugins.hooks
        answer = hooks.tell(scope, plugin, hook, payment=payment, **about)
    total = about["refund"].amount if "refund" in about else payment.amount
    if answer is None or sum((s.amount for s in answer), ZERO) != total:
        raise NotSettled(N_("This is no longer owed, or not that much of it. Reload the page."))
    return list(answer)


@service("payment.refund", title=("Refund", "退款"), step_up=True)
def refund_payment(
    scope: Scope, payment: Payment, amount: Decimal, reason: str, idempotency_key: str
) -> Refund:
    """Give back a part of a payment, or all of it, the way it came; return the refund.

    What the payment had settled is owed again. Repeated with the same key, it returns the first
    refund. Raises Conflict when more would go back than was paid.
    """
    check_key(idempotency_key)
    payment = scope.get(Payment, payment.id, lock=True)
    fingerprint = request_hash({"payment": payment.id, "amount": amount})
    known = scope.session.scalars(
        select(Refund).where(Refund.idempotency_key == idempotency_key)
    ).one_or_none()
    if known is not None:
        if known.request_hash != fingerprint:
            raise KeyUsed(N_("This request was sent before with other contents. Start again."))
        return known
    if payment.reconciliation is Reconciliation.DIFFERS:
        raise Conflict(N_("The channel says another amount for this payment: resolve that first."))
    if not is_amount(amount):
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"amount": gettext("An amount is more than zero and has whole fen.")},
        )
    if payment.refunded + amount > payment.amount:
        raise Conflict(
            N_("Only %(left)s yuan of this payment are left."),
            left=f"{payment.amount - payment.refunded:,.2f}",
        )
    payment.refunded += amount
    payment.state = state_after_refund(payment.amount, payment.refunded)
    refund = Refund(
        payment_id=payment.id,
        amount=amount,
        reason=reason[:200],
        idempotency_key=idempotency_key,
        request_hash=fingerprint,
        refunded_by=scope.actor.user_id,
        refunded_at=scope.now,
    )
    scope.session.add(refund)
    scope.session.flush()
    _give_back(scope, payment, refund)
    scope.emit("ledger.payment_refunded", refund_id=refund.id, payment_id=payment.id)
    return refund


def _give_back(scope: Scope, payment: Payment, refund: Refund) -> None:
    order = scope.get(PaymentOrder, payment.order_id)
    wallet = None
    if order.payer_id and (payment.channel is PaymentChannel.WALLET or order.plugin == "ledger"):
        wallet = wallets.wallet_of(scope, order.payer_id)
    settlements = _ask(scope, order.plugin, "payment_refunded", payment, refund=refund)
    source = MONEY_ACCOUNT[payment.channel]
    if payment.channel is PaymentChannel.ONLINE and payment.provider:
        source = provider_account(payment.provider)
        returns.return_refund(scope, payment, refund)
    entry = post(
        scope,
        "ledger.refund",
        refund.id,
        refund.reason,
        [Posting(s.account, source, s.amount, s.memo, s.room_id, s.person_id) for s in settlements],
    )
    if wallet is not None:
        goes_in = payment.channel is PaymentChannel.WALLET
        if not goes_in:
            wallets.require_balance(wallet, refund.amount)
        wallets.move(scope, wallet, refund.amount if goes_in else -refund.amount, entry)
    replace_receipt(scope, payment, refund)
