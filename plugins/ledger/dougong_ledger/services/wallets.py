"""Wallets (钱包): prepaid balances of people."""

from decimal import Decimal
from uuid import UUID, uuid5

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert

from dougong.db import Scope, uuid7
from dougong.errors import Invalid, NotAllowed
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Person
from dougong_ledger.domain import (
    MONEY_ACCOUNT,
    PREPAID,
    ZERO,
    PaymentChannel,
    Posting,
    is_amount,
)
from dougong_ledger.errors import BalanceTooLow
from dougong_ledger.models import JournalEntry, Payment, Wallet, WalletMovement
from dougong_ledger.services.journal import community_of, post, posted_before
from dougong_ledger.services.orders import OrderItem, check_key, open_order


def wallet_of(scope: Scope, person_id: UUID) -> Wallet:
    """Return a person's wallet, locked until the transaction ends; an empty one is made."""
    scope.session.execute(
        insert(Wallet)
        .values(community_id=community_of(scope), id=uuid7(), person_id=person_id, balance=ZERO)
        .on_conflict_do_nothing(index_elements=["community_id", "person_id"])
    )
    query = select(Wallet).where(Wallet.person_id == person_id).with_for_update(of=Wallet)
    return scope.session.scalars(query.execution_options(populate_existing=True)).one()


def balance_of(scope: Scope, person_id: UUID) -> Decimal:
    """Return what a person's wallet holds in yuan; zero without a wallet."""
    return scope.session.scalars(balance_query(person_id)).one_or_none() or ZERO


def balance_query(person_id: UUID) -> Select[Decimal]:
    """Return the query of what a person's wallet holds in yuan; no row without a wallet."""
    return select(Wallet.balance).where(Wallet.person_id == person_id)


def require_balance(wallet: Wallet, amount: Decimal) -> None:
    """Raise BalanceTooLow unless the wallet holds ``amount`` yuan."""
    if wallet.balance < amount:
        raise BalanceTooLow(
            N_("The wallet holds %(balance)s yuan, %(amount)s are needed. Top it up first."),
            balance=f"{wallet.balance:,.2f}",
            amount=f"{amount:,.2f}",
        )


def move(scope: Scope, wallet: Wallet, amount: Decimal, entry: JournalEntry) -> None:
    """Add ``amount`` yuan (less than zero to take out) to a locked wallet, on record."""
    wallet.balance = wallet.balance + amount
    scope.session.add(WalletMovement(wallet_id=wallet.id, entry_id=entry.id, amount=amount))
    scope.session.flush()


def add_to_wallet(scope: Scope, person_id: UUID, amount: Decimal, entry: JournalEntry) -> None:
    """Add what an entry credited to the prepaid balances to a person's wallet."""
    move(scope, wallet_of(scope, person_id), amount, entry)


@service("wallet.pay_out", title=("Pay out", "退还预存"), step_up=True)
def pay_out(
    scope: Scope,
    wallet: Wallet,
    amount: Decimal,
    channel: PaymentChannel,
    reason: str,
    idempotency_key: str,
) -> Wallet:
    """Give a person prepaid money back at the desk; repeated with the same key it happens once.

    Raises BalanceTooLow, and Invalid for a wrong amount or a channel that is no money.
    """
    check_key(idempotency_key)
    if not is_amount(amount) or channel in (PaymentChannel.WALLET, PaymentChannel.DEMO):
        fields = {"amount": gettext("An amount above zero, in cash, by card or by bank.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    wallet = wallet_of(scope, wallet.person_id)
    source = uuid5(wallet.id, idempotency_key)
    if posted_before(scope, "ledger.wallet.paid_out", source):
        return wallet
    require_balance(wallet, amount)
    person_id = wallet.person_id
    posting = Posting(PREPAID, MONEY_ACCOUNT[channel], amount, reason, person_id=person_id)
    entry = post(scope, "ledger.wallet.paid_out", source, reason, [posting])
    move(scope, wallet, -amount, entry)
    return wallet


@service("wallet.top_up", title=("Top up (demonstration)", "充值（演示）"))
def top_up(scope: Scope, person: Person, amount: Decimal, idempotency_key: str) -> Payment:
    """Put demonstration money into a person's wallet; return the payment.

    Raises NotAllowed where the setting ``ledger.allows_demo_top_up`` is off, as it is unless a
    demonstration switches it on: whoever may call this makes money.
    """
    from dougong_ledger.services.payments import take_payment

    if scope.actor.kind != "system" and not scope.setting("ledger.allows_demo_top_up", False):
        raise NotAllowed(N_("Demonstration money is not accepted here."))
    title = gettext("Top-up of the wallet")
    order = open_order(
        scope,
        "ledger",
        title,
        [OrderItem("ledger.wallet", person.id, title, amount)],
        idempotency_key,
        person.id,
    )
    return take_payment(scope, order, PaymentChannel.DEMO)
