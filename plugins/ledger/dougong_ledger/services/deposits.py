"""Deposits: taken, given back in parts, deducted from with a reason; a liability all the while."""

from decimal import Decimal
from uuid import UUID, uuid5

from sqlalchemy import select

from dougong.db import Scope, uuid7
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_ledger.domain import (
    DEPOSIT,
    INCOME,
    MONEY_ACCOUNT,
    PREPAID,
    MovementKind,
    PaymentChannel,
    Posting,
    is_amount,
)
from dougong_ledger.errors import KeyUsed
from dougong_ledger.models import Deposit, DepositMovement, JournalEntry
from dougong_ledger.services.journal import account_ids, post
from dougong_ledger.services.orders import check_key
from dougong_ledger.services.wallets import add_to_wallet


@service("deposit.create", title=("Take a deposit", "收取押金"))
def take_deposit(
    scope: Scope,
    title: str,
    room_id: UUID,
    person_id: UUID,
    amount: Decimal,
    channel: PaymentChannel,
    id: UUID | None = None,
) -> Deposit:
    """Take a deposit at the desk; return it, the first one when its id was sent before.

    Raises Invalid for a wrong amount or channel, KeyUsed for an id used for something else.
    """
    deposit_id = id or uuid7()
    _check(amount, str(deposit_id), channel)
    query = select(Deposit).where(Deposit.id == deposit_id)
    known = scope.session.scalars(query).one_or_none()
    if known is not None:
        if (known.room_id, known.amount) != (room_id, amount):
            raise KeyUsed(N_("This request was sent before with other contents. Start again."))
        return known
    deposit = Deposit(
        id=deposit_id,
        title=title[:80],
        room_id=room_id,
        person_id=person_id,
        amount=amount,
        channel=channel,
    )
    scope.session.add(deposit)
    scope.session.flush()
    accounts = (MONEY_ACCOUNT[channel], DEPOSIT)
    _record(scope, deposit, deposit.id, MovementKind.TAKEN, amount, title, accounts)
    return deposit


@service("deposit.give_back", title=("Give back", "退还押金"), step_up=True)
def give_back_deposit(
    scope: Scope,
    deposit: Deposit,
    amount: Decimal,
    channel: PaymentChannel,
    reason: str,
    idempotency_key: str,
) -> Deposit:
    """Give a part of a deposit back, or all that is held; repeated, it happens once.

    Raises Conflict when less is held.
    """
    _check(amount, idempotency_key, channel)
    deposit = scope.get(Deposit, deposit.id, lock=True)
    source = uuid5(deposit.id, idempotency_key)
    if _known(scope, source) is not None:
        return deposit
    _hold(deposit, amount)
    deposit.given_back += amount
    accounts = (DEPOSIT, MONEY_ACCOUNT[channel])
    _record(scope, deposit, source, MovementKind.GIVEN_BACK, amount, reason, accounts)
    return deposit


@service("deposit.deduct", title=("Deduct", "扣款"))
def deduct_deposit(
    scope: Scope,
    deposit: Deposit,
    amount: Decimal,
    reason: str,
    idempotency_key: str,
    account: str = INCOME,
) -> Deposit:
    """Keep a part of a deposit for damage, as income; photos are attached to the deposit before.

    account: the income account that it belongs to. Raises Conflict when less is held, Invalid
    without a reason.
    """
    _check(amount, idempotency_key)
    if not reason.strip():
        raise _invalid("reason", gettext("Say what it is deducted for."))
    account_ids(scope, [account])
    deposit = scope.get(Deposit, deposit.id, lock=True)
    source = uuid5(deposit.id, idempotency_key)
    if _known(scope, source) is not None:
        return deposit
    _hold(deposit, amount)
    deposit.deducted += amount
    _record(scope, deposit, source, MovementKind.DEDUCTED, amount, reason, (DEPOSIT, account))
    return deposit


def deposit_to_wallet(scope: Scope, deposit: Deposit, reason: str, key: str) -> Deposit:
    """Move what is held of a deposit to its payer's prepaid money; repeated, it happens once."""
    deposit = scope.get(Deposit, deposit.id, lock=True)
    source = uuid5(deposit.id, key)
    held = deposit.amount - deposit.given_back - deposit.deducted
    if held <= 0 or _known(scope, source) is not None:
        return deposit
    deposit.given_back += held
    accounts = (DEPOSIT, PREPAID)
    entry = _record(scope, deposit, source, MovementKind.GIVEN_BACK, held, reason, accounts)
    add_to_wallet(scope, deposit.person_id, held, entry)
    return deposit


def _check(amount: Decimal, key: str, channel: PaymentChannel | None = None) -> None:
    check_key(key)
    if not is_amount(amount):
        raise _invalid("amount", gettext("An amount is more than zero and has whole fen."))
    if channel in (PaymentChannel.WALLET, PaymentChannel.DEMO):
        raise _invalid("channel", gettext("Choose how the money came."))


def _invalid(field: str, words: str) -> Invalid:
    return Invalid(N_("Some fields are not right yet."), fields={field: words})


def _hold(deposit: Deposit, amount: Decimal) -> None:
    held = deposit.amount - deposit.given_back - deposit.deducted
    if amount > held:
        raise Conflict(N_("Only %(held)s yuan of this deposit are held."), held=f"{held:,.2f}")


def _known(scope: Scope, source_id: UUID) -> DepositMovement | None:
    query = (
        select(DepositMovement)
        .join(JournalEntry, JournalEntry.id == DepositMovement.entry_id)
        .where(JournalEntry.source_id == source_id, JournalEntry.kind.startswith("ledger.deposit"))
    )
    return scope.session.scalars(query).first()


def _record(
    scope: Scope,
    deposit: Deposit,
    source_id: UUID,
    kind: MovementKind,
    amount: Decimal,
    reason: str,
    accounts: tuple[str, str],
) -> JournalEntry:
    about = (deposit.room_id, deposit.person_id)
    entry = post(
        scope,
        f"ledger.deposit.{kind.value}",
        source_id,
        reason,
        [Posting(*accounts, amount, reason, *about)],
    )
    scope.session.add(
        DepositMovement(
            deposit_id=deposit.id, entry_id=entry.id, kind=kind, amount=amount, reason=reason[:200]
        )
    )
    scope.session.flush()
    return entry
