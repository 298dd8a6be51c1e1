"""Late fees: reckoned whenever somebody looks, posted only when they are demanded."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import func, select

from dougong.db import Scope
from dougong.errors import Conflict
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_fees.domain.amounts import apportion
from dougong_fees.domain.late import (
    Clause,
    LateSpan,
    Owed,
    Pause,
    late_fee,
    late_spans,
    without_pauses,
)
from dougong_fees.domain.states import SEEN, BillState, WaiverState
from dougong_fees.models import Bill, BillKind, BillLine, BillPayment, FeeItem, Waiver
from dougong_fees.services.bills import lock_bills
from dougong_ledger import services as ledger
from dougong_ledger.domain import LATE_FEE_INCOME, RECEIVABLE, Posting


@dataclass(frozen=True)
class LateItem:
    """What one fee item of a bill has grown by, and the spans of days that it follows from."""

    item: FeeItem
    clause: Clause
    spans: list[LateSpan]
    amount: Decimal


def late_items(scope: Scope, bill: Bill, on: date) -> list[LateItem]:
    """Return the late fee of each of a bill's items whose contract has a clause, by the day ``on``.

    What was paid or waived counts against the items in proportion to their amounts. A late fee
    bears none: the list is empty for it. On days of the hook ``late_fee_pauses`` none grows.
    """
    if bill.kind is not BillKind.FEES or bill.state not in SEEN:
        return []
    rows = scope.session.execute(
        select(FeeItem, func.sum(BillLine.amount).label("amount"))
        .join(BillLine, BillLine.fee_item_id == FeeItem.id)
        .where(BillLine.bill_id == bill.id)
        .group_by(FeeItem)
        .order_by(FeeItem.code)
    ).all()
    return _grown(
        bill, on, [tuple(row) for row in rows], _settled(scope, bill), _pauses(scope, bill)
    )


def _grown(
    bill: Bill,
    on: date,
    billed: Sequence[tuple[FeeItem, Decimal]],
    settled: list[tuple[date, Decimal]],
    pauses: list[Pause],
) -> list[LateItem]:
    owed = [
        without_pauses(history, pauses)
        for history in _owed_by_item([amount for _, amount in billed], bill, settled)
    ]
    found = []
    for (item, _), history in zip(billed, owed, strict=True):
        if item.late_fee_rate is None:
            continue
        clause = Clause(item.late_fee_rate, item.grace_days, item.late_fee_cap)
        spans = late_spans(history, bill.due_on, on, clause.grace_days)
        amount = late_fee(history, bill.due_on, on, clause)
        if amount > 0:
            found.append(LateItem(item, clause, spans, amount))
    return found


def _pauses(scope: Scope, bill: Bill) -> list[Pause]:
    answers = scope.ask("late_fee_pauses", bill_ids=[bill.id])
    return [pause for answer in answers for pause in answer.get(bill.id, ())]


def _settled(scope: Scope, bill: Bill) -> list[tuple[date, Decimal]]:
    """Return what was paid or waived of a bill by day, oldest first; refunds are negative."""
    payments = scope.session.scalars(select(BillPayment).where(BillPayment.bill_id == bill.id))
    waivers = scope.session.scalars(select(Waiver).where(Waiver.bill_id == bill.id))
    return _by_day(scope, payments, waivers)


def _by_day(
    scope: Scope, payments: Iterable[BillPayment], waivers: Iterable[Waiver]
) -> list[tuple[date, Decimal]]:
    changes: dict[date, Decimal] = defaultdict(Decimal)
    for payment in payments:
        changes[payment.settled_at.astimezone(scope.zone).date()] += payment.amount
    for waiver in waivers:
        if waiver.state not in (WaiverState.APPROVED, WaiverState.LAPSED):
            continue
        changes[waiver.made_at.astimezone(scope.zone).date()] += waiver.amount
        if waiver.lapsed_at is not None:
            changes[waiver.lapsed_at.astimezone(scope.zone).date()] -= waiver.amount
    return sorted(changes.items())


def _owed_by_item(
    amounts: list[Decimal], bill: Bill, settled: list[tuple[date, Decimal]]
) -> list[list[Owed]]:
    histories = [[Owed(bill.due_on, amount)] for amount in amounts]
    done = Decimal(0)
    for day, change in settled:
        done += change
        if sum(amounts) <= 0:
            break
        shares = apportion(min(done, bill.amount), amounts)
        for history, amount, share in zip(histories, amounts, shares, strict=True):
            history.append(Owed(max(day, bill.due_on), max(amount - share, Decimal(0))))
    return histories


def late_fee_due(scope: Scope, bill: Bill, on: date | None = None) -> Decimal:
    """Return the late fee of a bill that has not been demanded yet, in yuan."""
    grown = sum((i.amount for i in late_items(scope, bill, on or scope.today)), Decimal(0))
    return max(grown - _demanded(scope, bill), Decimal(0))


def late_fee_of(
    scope: Scope,
    bill: Bill,
    lines: Iterable[BillLine],
    payments: Iterable[BillPayment],
    waivers: Iterable[Waiver],
    demands: Iterable[Bill],
) -> Decimal:
    """Return `late_fee_due` today of a bill of which everything is read already.

    Asks other plugins for pauses only where a late fee may grow.
    """
    if bill.kind is not BillKind.FEES or bill.state not in SEEN:
        return Decimal(0)
    billed: dict[FeeItem, Decimal] = defaultdict(Decimal)
    for line in lines:
        billed[line.fee_item] += line.amount
    if not any(item.late_fee_rate is not None for item in billed):
        return Decimal(0)
    rows = sorted(billed.items(), key=lambda row: row[0].code)
    settled = _by_day(scope, payments, waivers)
    found = _grown(bill, scope.today, rows, settled, _pauses(scope, bill))
    grown = sum((item.amount for item in found), Decimal(0))
    asked = (demand.amount for demand in demands if demand.state is not BillState.WITHDRAWN)
    return max(grown - sum(asked, Decimal(0)), Decimal(0))


def _demanded(scope: Scope, bill: Bill) -> Decimal:
    total = scope.session.scalar(
        select(func.sum(Bill.amount)).where(
            Bill.parent_id == bill.id, Bill.state != BillState.WITHDRAWN
        )
    )
    return total or Decimal(0)


@service("bill.demand_late_fee", title=("Demand the late fee", "计收违约金"))
def demand_late_fee(scope: Scope, bill: Bill, on: date | None = None) -> Bill:
    """Return a new bill for the late fee that has grown by a day and was not demanded before.

    Raises Conflict when nothing has grown, or no contract clause allows it.
    """
    bill = lock_bills(scope, [bill.id])[bill.id]
    on = on or scope.today
    items = late_items(scope, bill, on)
    amount = max(sum((i.amount for i in items), Decimal(0)) - _demanded(scope, bill), Decimal(0))
    if amount == 0:
        raise Conflict(N_("No late fee has grown on this bill."))
    demand = Bill(
        kind=BillKind.LATE_FEE,
        title=gettext("Late fee: %(bill)s", bill=bill.title)[:80],
        room_id=bill.room_id,
        payer_id=bill.payer_id,
        from_on=bill.from_on,
        to_on=bill.to_on,
        due_on=on,
        amount=amount,
        state=BillState.OPEN,
        parent_id=bill.id,
        trace=[_trace(item) for item in items],
    )
    scope.session.add(demand)
    scope.session.flush()
    posting = Posting(
        RECEIVABLE, LATE_FEE_INCOME, amount, demand.title, bill.room_id, bill.payer_id
    )
    ledger.post(scope, "fees.late_fee", demand.id, demand.title, [posting])
    scope.emit("fees.bill_published", bill_id=demand.id)
    return demand


def _trace(item: LateItem) -> dict:
    return {
        "item": item.item.name,
        "daily_rate": str(item.clause.daily_rate),
        "cap": str(item.clause.cap),
        "amount": str(item.amount),
        "spans": [
            {"from": str(s.from_on), "to": str(s.to_on), "days": s.days, "owed": str(s.owed)}
            for s in item.spans
        ],
    }
