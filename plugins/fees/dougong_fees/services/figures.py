"""What the dashboard of fees draws: collection by period, arrears by age, today's money."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, func, select

from dougong.db import Scope
from dougong.tenancy.models import Room
from dougong_fees.domain.states import RunState
from dougong_fees.models import Bill, BillRun
from dougong_fees.services.bills import is_published, owing
from dougong_ledger.domain import PaymentChannel
from dougong_ledger.models import BankLine, Payment, ReconciliationException

# Days overdue, from which and up to which.
SPANS = ((1, 30), (31, 90), (91, 180), (181, 365), (366, 730), (731, None))
PERIODS = 12


@dataclass(frozen=True)
class Collection:
    """What one published run demanded and got, in yuan. due: less what was waived."""

    run_id: UUID
    name: str
    from_on: date
    due: Decimal
    paid: Decimal

    @property
    def percent(self) -> Decimal:
        """Return the collection rate (收缴率) in percent; nothing due is all paid."""
        return (self.paid / self.due * 100).quantize(Decimal("0.1")) if self.due else Decimal(100)


@dataclass(frozen=True)
class Age:
    """What is overdue by some days, in yuan, and between which due days it lies."""

    low: int
    high: int | None
    amount: Decimal
    bills: int
    due_from: date | None
    due_to: date


@dataclass(frozen=True)
class Means:
    """What came by one means on a day less what went back of it, in yuan."""

    channel: PaymentChannel
    payments: int
    amount: Decimal


def collections(scope: Scope) -> Sequence[Collection]:
    """Return the latest published runs, the oldest first, with what they demanded and got."""
    published = (
        select(BillRun.id)
        .where(BillRun.state == RunState.PUBLISHED, BillRun.room_id.is_(None))
        .order_by(BillRun.from_on.desc(), BillRun.id.desc())
        .limit(PERIODS)
    )
    # Read from an index of runs alone: it names neither states nor what was paid.
    rows = scope.session.execute(
        select(
            BillRun.id,
            BillRun.name,
            BillRun.from_on,
            func.sum(Bill.due).label("due"),
            (func.sum(Bill.due) - func.sum(Bill.balance)).label("paid"),
        )
        .join(Bill, and_(Bill.community_id == BillRun.community_id, Bill.run_id == BillRun.id))
        .where(BillRun.id.in_(published))
        .group_by(BillRun.id, BillRun.name, BillRun.from_on)
        .order_by(BillRun.from_on, BillRun.id)
    )
    return [Collection(*row) for row in rows]


def ages(scope: Scope) -> Sequence[Age]:
    """Return what is overdue by age. The ages add up to all arrears. One statement."""
    days = scope.today - Bill.due_on
    spans = [and_(days >= low, days <= (high or 10**6)) for low, high in SPANS]
    sums = [func.coalesce(func.sum(Bill.balance).filter(span), 0) for span in spans]
    counts = [func.count().filter(span) for span in spans]
    row = scope.session.execute(select(*sums, *counts).where(*owing(scope.today))).one()
    return [
        Age(
            low,
            high,
            row[n],
            row[n + len(SPANS)],
            scope.today - timedelta(days=high) if high else None,
            scope.today - timedelta(days=low),
        )
        for n, (low, high) in enumerate(SPANS)
    ]


def takings(scope: Scope) -> Sequence[Means]:
    """Return what came in today by means, the most first."""
    start = datetime.combine(scope.today, time(), scope.zone)
    net = func.sum(Payment.amount - Payment.refunded)
    rows = scope.session.execute(
        select(Payment.channel, func.count(), net.label("net"))
        .where(Payment.paid_at >= start)
        .group_by(Payment.channel)
        .order_by(net.desc())
    )
    return [Means(*row) for row in rows]


def unreconciled(scope: Scope) -> tuple[int, int]:
    """Return how many differences with channels are open, and bank lines that nobody claims."""
    differences = select(func.count()).where(ReconciliationException.state == "open")
    lines = select(func.count()).where(BankLine.state == "suspense")
    row = scope.session.execute(
        select(differences.scalar_subquery(), lines.scalar_subquery())
    ).one()
    return row[0], row[1]


def last_billed_month(scope: Scope) -> date:
    """Return the first day of the month of the last published run, else of the last month."""
    published = (BillRun.state == RunState.PUBLISHED, BillRun.room_id.is_(None))
    last = scope.session.scalar(select(func.max(BillRun.from_on)).where(*published))
    return (last or scope.today.replace(day=1) - timedelta(days=1)).replace(day=1)


class FloorCollection(NamedTuple):
    """What was paid of a floor's bills, and what was due, in yuan."""

    building_id: UUID
    floor: int | None
    paid: Decimal
    due: Decimal


def collection_by_floor(scope: Scope, month: date) -> list[FloorCollection]:
    """Return what was paid, and was due, of a month's bills by building and floor. One statement.

    Of bills whose period begins in the month, less what was waived; floors without any are left
    out. It reads the month's part of an index and nothing of the bills themselves.
    """
    due = func.sum(Bill.due)
    query = (
        select(Room.building_id, Room.floor, due - func.sum(Bill.balance), due)
        .join(Bill, and_(Bill.community_id == Room.community_id, Bill.room_id == Room.id))
        .where(*_of_month(month), is_published())
        .group_by(Room.building_id, Room.floor)
        .having(due > 0)
    )
    return [FloorCollection(*row) for row in scope.session.execute(query)]


def collection_by_room(
    scope: Scope, month: date, building_id: UUID
) -> dict[UUID, tuple[Decimal, Decimal]]:
    """Return what was paid, and was due, of a month's bills of each room of a building, in yuan.

    As by floor; rooms without any are left out. One statement.
    """
    due = func.sum(Bill.due)
    query = (
        select(Bill.room_id, (due - func.sum(Bill.balance)).label("paid"), due.label("due"))
        .join(Room, and_(Room.community_id == Bill.community_id, Room.id == Bill.room_id))
        .where(Room.building_id == building_id, *_of_month(month), is_published())
        .group_by(Bill.room_id)
        .having(due > 0)
    )
    return {row.room_id: (row.paid, row.due) for row in scope.session.execute(query)}


def _of_month(month: date) -> list:
    return [Bill.from_on >= month, Bill.from_on < (month + timedelta(days=32)).replace(day=1)]
