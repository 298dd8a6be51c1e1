"""What came in online yesterday, as the demonstration tells it: on both sides, with differences."""

import json
from dataclasses import asdict
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select, update

from dougong.db import Scope, uuid7
from dougong_ledger import services as ledger
from dougong_ledger.channels import Outcome, Standing, Statement, StatementRow, Way
from dougong_ledger.domain import AttemptState, community_mark, trade_no
from dougong_ledger.models import Payment, PaymentAttempt, Wallet

CHINA = ZoneInfo("Asia/Shanghai")
AMOUNTS = {
    "wechat_pay": ("286.50", "512.00", "188.80", "1200.00", "95.60"),
    "alipay": ("310.00", "76.40", "640.00"),
}
FEE = Decimal("0.006")


def write(scope: Scope, folder: Path) -> None:
    """Let people top up their wallets online yesterday; one of them pays twice.

    WeChat Pay's bill has one payment more than our books: its notice and its order were lost.
    """
    query = select(Wallet.person_id).order_by(Wallet.id).limit(12)
    people = list(scope.session.scalars(query))
    if len(people) < 8:
        return
    day = scope.now.astimezone(CHINA).date() - timedelta(days=1)
    for offer in ledger.offers(scope):
        provider, rows = offer.channel.id, []
        for number, amount in enumerate(AMOUNTS[provider]):
            at = datetime.combine(day, time(9 + number, 12 * number % 60), CHINA)
            rows.append(_paid(scope, offer, people.pop(), Decimal(amount), at))
        if provider == "wechat_pay":
            lost = f"{community_mark(scope.place.id)}{'lost':0<26}"
            at = datetime.combine(day, time(21, 40), CHINA)
            rows.append(StatementRow(lost, f"42{at:%Y%m%d}999", Decimal("66.00"), Decimal("0.40"),
                                     at))  # fmt: skip
        _keep_trades(folder / f"{provider}.json", offer.merchant.number, rows)
        ledger.reconcile(scope, offer, day, Statement(rows, f"demo-{day}"))
    _pays_twice(scope)


def _order(scope: Scope, person_id: UUID, amount: Decimal) -> UUID:
    item = ledger.OrderItem("ledger.wallet", person_id, "钱包充值", amount)
    key = f"demo-{uuid7().hex}"
    return ledger.open_order(scope, "ledger", "钱包充值", [item], key, person_id).id


def _attempt(scope: Scope, offer: "ledger.Offer", order_id: UUID, amount: Decimal) -> str:
    attempt_id = uuid7()
    made = PaymentAttempt(
        id=attempt_id,
        order_id=order_id,
        provider=offer.channel.id,
        merchant_id=offer.merchant.id,
        merchant_number=offer.merchant.number,
        way=Way.QR,
        amount=amount,
        state=AttemptState.WAITING,
        trade_no=trade_no(scope.place.id, attempt_id),
    )
    scope.session.add(made)
    scope.session.flush()
    return made.trade_no


def _paid(
    scope: Scope, offer: "ledger.Offer", person_id: UUID, amount: Decimal, at: datetime
) -> StatementRow:
    number = _attempt(scope, offer, _order(scope, person_id, amount), amount)
    transaction_id = f"42{at:%Y%m%d%H%M}{number[-8:]}"
    told = Outcome(Standing.DONE, number, offer.merchant.number, amount, "CNY", transaction_id, at)
    ledger.settle(scope, offer.channel.id, told)
    scope.session.execute(
        update(Payment).where(Payment.reference == transaction_id).values(paid_at=at)
    )
    fee = (amount * FEE).quantize(Decimal("0.01"))
    return StatementRow(number, transaction_id, amount, fee, at)


def _pays_twice(scope: Scope) -> None:
    """Pay one order through both channels today: the second payment is a surplus."""
    offers, amount = ledger.offers(scope), Decimal("268.00")
    person_id = scope.session.scalars(select(Wallet.person_id).order_by(Wallet.id)).first()
    if person_id is None:
        return
    order_id = _order(scope, person_id, amount)
    for offer in offers:
        number = _attempt(scope, offer, order_id, amount)
        told = Outcome(Standing.DONE, number, offer.merchant.number, amount, "CNY", f"42{number}")
        ledger.settle(scope, offer.channel.id, told)


def _keep_trades(path: Path, merchant: str, rows: list[StatementRow]) -> None:
    """Let the played gateway know what was paid, so that it confirms it when asked."""
    from dougong.testing.gateways import Trade

    known = json.loads(path.read_text()) if path.exists() else []
    known += [
        asdict(
            Trade(
                row.trade_no,
                merchant,
                "钱包充值",
                int(row.amount * 100),
                "http://127.0.0.1/",
                state="paid",
                transaction_id=row.transaction_id,
                paid_at=row.at.timestamp(),
            )
        )
        for row in rows
    ]
    path.write_text(json.dumps(known))
