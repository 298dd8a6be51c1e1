"""Wallets (钱包): prepaid balances of people."""

from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from dougong.db import Scope, uuid7
from dougong.errors import NotAllowed
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Person
from dougong_ledger.domain import ZERO, PaymentChannel
from dougong_ledger.errors import BalanceTooLow
from dougong_ledger.models import JournalEntry, Payment, Wallet, WalletMovement
from dougong_ledger.services.journal import community_of
from dougong_ledger.services.orders import OrderItem, open_order


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
    query = select(Wallet.balance).where(Wallet.person_id == person_id)
    return scope.session.scalars(query).one_or_none() or ZERO


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
