"""Many payments at once: what a bank's file or a demonstration brings."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from dougong.db import Scope, insert_rows, uuid7
from dougong_ledger.domain import (
    MONEY_ACCOUNT,
    RECEIVABLE,
    OrderState,
    PaymentChannel,
    Posting,
    receipt_code,
    request_hash,
)
from dougong_ledger.models import (
    JournalEntry,
    Payment,
    PaymentOrder,
    PaymentOrderItem,
    Receipt,
    WalletMovement,
)
from dougong_ledger.services.journal import post
from dougong_ledger.services.receipts import take_numbers

TAKE_FROM_WALLETS = text(
    """
    update ledger.wallet w set balance = w.balance - t.amount
    from (select * from unnest(cast(:people as uuid[]), cast(:amounts as bigint[]))
          as u (person_id, amount)) t
    where w.community_id = :community and w.person_id = t.person_id
    returning w.id, t.amount
    """
)


@dataclass(frozen=True)
class ReceivedPayment:
    """One payment for one record, already settled by the record's plugin.

    amount: yuan. reference: what makes it unique where it came from.
    """

    subject_id: UUID
    title: str
    payer_id: UUID
    payer_name: str
    room_id: UUID | None
    amount: Decimal
    channel: PaymentChannel
    paid_at: datetime
    reference: str
    order_id: UUID = field(default_factory=uuid7)
    id: UUID = field(default_factory=uuid7)


def record_many(
    scope: Scope, plugin: str, kind: str, memo: str, payments: Sequence[ReceivedPayment]
) -> None:
    """Write orders, payments, receipts and a journal entry for each day, in a few statements.

    kind: of the records, such as ``fees.bill``. The caller settles its records itself. Wallets must
    hold what is paid from them, else nothing is written.
    """
    if not payments:
        return
    columns = _columns(scope, plugin, kind, payments)
    for model in (PaymentOrder, PaymentOrderItem, Payment, Receipt):
        insert_rows(scope, model, columns[model])
    days: dict[date, list[ReceivedPayment]] = defaultdict(list)
    for payment in payments:
        days[payment.paid_at.astimezone(scope.zone).date()].append(payment)
    for day, received in sorted(days.items()):
        entry = post(
            scope,
            "ledger.payments",
            uuid7(),
            memo,
            [_posting(p) for p in received],
            on=day,
        )
        _take_from_wallets(scope, entry, received)


def _posting(paid: ReceivedPayment) -> Posting:
    account = MONEY_ACCOUNT[paid.channel]
    return Posting(account, RECEIVABLE, paid.amount, paid.title, paid.room_id, paid.payer_id)


def _take_from_wallets(
    scope: Scope, entry: JournalEntry, payments: Sequence[ReceivedPayment]
) -> None:
    totals: Counter[UUID] = Counter()
    for payment in payments:
        if payment.channel is PaymentChannel.WALLET:
            totals[payment.payer_id] += int(payment.amount * 100)
    if not totals:
        return
    keys = {"people": list(totals), "amounts": list(totals.values())}
    moved = scope.session.execute(
        TAKE_FROM_WALLETS, {"community": scope.community_id, **keys}
    ).all()
    taken = [-(Decimal(row.amount) / 100) for row in moved]
    columns = {"wallet_id": [row.id for row in moved], "amount": taken}
    insert_rows(scope, WalletMovement, {**columns, "entry_id": [entry.id] * len(moved)})


def _columns(
    scope: Scope, plugin: str, kind: str, payments: Sequence[ReceivedPayment]
) -> dict[type, dict[str, list]]:
    made: dict[type, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    series_id, prefix, first = take_numbers(scope, len(payments))

    def add(model: type, **values: object) -> None:
        for name, value in values.items():
            made[model][name].append(value)

    for number, p in enumerate(payments, first):
        add(PaymentOrder, **_paid_order(p, plugin))
        add(
            PaymentOrderItem,
            order_id=p.order_id,
            kind=kind,
            subject_id=p.subject_id,
            title=p.title,
            amount=p.amount,
        )
        add(
            Payment,
            id=p.id,
            order_id=p.order_id,
            payer_id=p.payer_id,
            amount=p.amount,
            channel=p.channel,
            state="settled",
            reference=p.reference,
            paid_at=p.paid_at,
        )
        add(
            Receipt,
            series_id=series_id,
            number=number,
            code=receipt_code(prefix, number),
            payment_id=p.id,
            payer_name=p.payer_name,
            amount=p.amount,
            lines=[{"title": p.title, "amount": str(p.amount)}],
            issued_on=p.paid_at.astimezone(scope.zone).date(),
            state="issued",
        )
    return made


def _paid_order(payment: ReceivedPayment, plugin: str) -> dict[str, object]:
    asked = {"subject": payment.subject_id, "amount": payment.amount}
    return {
        "id": payment.order_id,
        "plugin": plugin,
        "title": payment.title,
        "state": OrderState.PAID,
        "idempotency_key": payment.reference,
        "request_hash": request_hash(asked),
        "opened_at": payment.paid_at,
        "expires_at": payment.paid_at,
        "payer_id": payment.payer_id,
        "amount": payment.amount,
    }
