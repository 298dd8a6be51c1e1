"""Accounts of rooms: opened, topped up, paid back."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from uuid import UUID, uuid5

from sqlalchemy import select

from dougong.db import Scope, insert_rows
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Person, Room
from dougong_ledger import services as ledger
from dougong_ledger.domain import PREPAID, PaymentChannel, Posting, is_amount
from dougong_ledger.models import Payment, PaymentOrder, Refund
from dougong_prepaid.domain import (
    ENERGY_LIABILITY,
    MovementKind,
    Protection,
    equal_parts,
)
from dougong_prepaid.models import EnergyAccount, Movement
from dougong_prepaid.services.residents import last_people_in
from dougong_prepaid.services.settling import ensure_accounts, settle_usage
from dougong_prepaid.services.supply import restore_if_paid

ACCOUNT = "prepaid.energy_account"
MOST = Decimal(5000)


def open_accounts(scope: Scope, room_ids: Sequence[UUID], commodity: str = "electricity") -> int:
    """Open accounts for rooms that have none; return how many. One statement."""
    count = len(room_ids)
    return insert_rows(
        scope,
        EnergyAccount,
        {
            "room_id": list(room_ids),
            "commodity": [commodity] * count,
            "protection": ["none"] * count,
            "opened_on": [scope.today] * count,
            "balance": [Decimal(0)] * count,
            "carried": [Decimal(0)] * count,
            "month_used": [Decimal(0)] * count,
            "month_free": [Decimal(0)] * count,
            "supply": ["on"] * count,
            "trips": [0] * count,
        },
        on_conflict="do nothing",
    )


def typed_amount(text: str) -> Decimal:
    """Return an amount in yuan as somebody typed it; raises Invalid."""
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        amount = Decimal(0)
    check_amount(amount if amount.is_finite() else Decimal(0))
    return amount


def check_amount(amount: Decimal) -> None:
    """Raise Invalid unless an amount may be topped up."""
    if not is_amount(amount) or amount > MOST:
        problem = gettext("Between 0.01 and %(most)s yuan.", most=MOST)
        raise Invalid(N_("Some fields are not right yet."), fields={"amount": problem})


def open_order(
    scope: Scope, account: EnergyAccount, amount: Decimal, key: str, payer_id: UUID | None
) -> PaymentOrder:
    """Return the payment order of a top-up; raises Invalid for a wrong amount."""
    check_amount(amount)
    if account.closed_on is not None:
        raise Conflict(N_("This account is closed."))
    room = scope.get(Room, account.room_id)
    title = gettext("Prepaid energy %(room)s", room=room.code)
    item = ledger.OrderItem(ACCOUNT, account.id, title, amount)
    return ledger.open_order(scope, "prepaid", title, [item], key, payer_id)


@service("energy_account.top_up", title=("Top up at the desk", "柜台充值"))
def top_up(
    scope: Scope,
    energy_account: EnergyAccount,
    amount: Decimal,
    channel: PaymentChannel = PaymentChannel.CASH,
    idempotency_key: str = "",
) -> Payment:
    """Take money at the desk for a room's energy; the supply comes back at once.

    Repeated with the same key it happens once. Raises Invalid for a wrong amount or channel.
    """
    key = idempotency_key or f"top-up-{energy_account.id}-{scope.now.timestamp():.0f}"
    order = open_order(scope, energy_account, amount, key, None)
    return ledger.record_cash(scope, order, channel)


def credit(scope: Scope, account_id: UUID, amount: Decimal, payment: Payment) -> EnergyAccount:
    """Add a payment to an account, once, and have the supply restored if it was empty."""
    ensure_accounts(scope)
    account = scope.get(EnergyAccount, account_id, lock=True)
    _move(scope, account, MovementKind.TOP_UP, amount, payment.id)
    restore_if_paid(scope, account)
    return account


def take_back(scope: Scope, payment: Payment, refund: Refund) -> None:
    """Take a refunded top-up off its account; raises Conflict when it is used up."""
    settle_usage(scope)
    query = select(Movement.account_id).where(Movement.source_id == payment.id)
    account = scope.get(EnergyAccount, scope.session.scalars(query).one(), lock=True)
    if account.balance < refund.amount:
        raise Conflict(
            N_("Only ¥%(balance)s of it are left."), balance=f"{max(account.balance, 0):,.2f}"
        )
    _move(scope, account, MovementKind.REFUND, -refund.amount, refund.id)


def _move(
    scope: Scope, account: EnergyAccount, kind: MovementKind, amount: Decimal, source: UUID
) -> None:
    account.balance += amount
    scope.session.add(
        Movement(
            account_id=account.id,
            kind=kind,
            booked_on=scope.today,
            amount=amount,
            counter=account.counted,
            source_id=source,
        )
    )
    scope.session.flush()


@service("energy_account.protect", title=("Never cut", "设为禁止断供"))
def protect(
    scope: Scope, energy_account: EnergyAccount, protection: Protection, note: str = ""
) -> EnergyAccount:
    """Say why a room's supply is never cut (or no longer so); what is cut is restored at once."""
    account = scope.get(EnergyAccount, energy_account.id, lock=True)
    account.protection = protection
    account.protection_note = note or None
    scope.session.flush()
    if protection is not Protection.NONE:
        restore_if_paid(scope, account)
    return account


@service("energy_account.pay_back", title=("Close and pay back", "销户退余额"))
def pay_back(scope: Scope, energy_account: EnergyAccount, reason: str) -> EnergyAccount:
    """Close an account; what is left goes to the wallets of who lives there, in equal parts.

    When all have moved out, it goes to those who left last. Usage is charged up to the last reading
    first. Raises Conflict when the balance is below zero, or nobody ever lived there.
    """
    settle_usage(scope)
    account = scope.get(EnergyAccount, energy_account.id, lock=True)
    if account.closed_on is not None:
        return account
    if account.balance < 0:
        raise Conflict(N_("The balance is below zero; it is paid first."))
    people = last_people_in(scope, account.room_id)
    if account.balance and not people:
        raise Conflict(N_("Nobody lives there to whom the balance could be paid."))
    if account.balance:
        source = uuid5(account.id, "pay back")
        give_to_wallets(scope, account, people, len(people), reason, source)
    account.closed_on = scope.today
    scope.session.flush()
    return account


def give_to_wallets(
    scope: Scope,
    account: EnergyAccount,
    people: Sequence[Person],
    heads: int,
    reason: str,
    source: UUID,
) -> None:
    """Give people their equal parts of what an account holds, of so many heads.

    source: names it, so that it happens once. Fen that do not divide go to the first.
    """
    ensure_accounts(scope)
    parts = equal_parts(account.balance, heads)
    shares = [(p, part) for p, part in zip(people, parts, strict=False) if part]
    postings = [
        Posting(ENERGY_LIABILITY, PREPAID, part, reason, account.room_id, person.id)
        for person, part in shares
    ]
    if not postings:
        return
    entry = ledger.post(scope, "prepaid.pay_back", source, reason, postings)
    for person, part in sorted(shares, key=lambda share: share[0].id):
        ledger.add_to_wallet(scope, person.id, part, entry)
    given = sum((part for _, part in shares), Decimal(0))
    _move(scope, account, MovementKind.PAY_BACK, -given, source)


@service("energy_account.count_anew", title=("Count anew", "重新起算"))
def count_anew(scope: Scope, energy_account: EnergyAccount, reason: str) -> EnergyAccount:
    """Go on from the meter's next reading, because the counter could not be followed.

    What was used in between is not charged; reason says why, for the log.
    """
    account = scope.get(EnergyAccount, energy_account.id, lock=True)
    account.meter_id = account.counted = account.counted_at = None
    account.problem = reason[:200]
    scope.session.flush()
    return account
