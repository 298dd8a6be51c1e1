"""What people look at: a run beside the one before, what stands out in it, and who owes what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, select, text, true

from dougong.db import Scope
from dougong.i18n import N_, gettext
from dougong.tenancy.models import Person, Room
from dougong_fees.models import Bill, BillRun
from dougong_fees.services.bills import owing
from dougong_fees.services.runs import previous_run
from dougong_ledger.domain import yuan

PROBLEMS = {
    "no_price": N_("No price is in force for the period."),
    "no_meter": N_("The room has no meter."),
    "no_reading": N_("A reading is missing."),
    "no_area": N_("The area of the room is unknown."),
    "no_value": N_("The formula has no value: something it needs is not known."),
    "tier_gap": N_("The tiers of the price leave a gap; the last one has no upper end."),
    "negative": N_("The formula comes to less than zero."),
    "no_payer": N_("Nobody owns the room or agreed to pay."),
    "touched": N_("Kept: something was paid or waived."),
}
# Days overdue, from which and below which.
AGES = ((1, 31), (31, 91), (91, 366), (366, None))
FOREVER = 1_000_000
LIMIT = 100


def words(problem: str) -> str:
    """Return a run's problem in the locale in force."""
    return gettext(PROBLEMS.get(problem, problem))


@dataclass(frozen=True)
class ItemSum:
    """What a run bills for one fee item, and what the run before billed."""

    name: str
    lines: int
    amount: Decimal
    previous: Decimal

    @property
    def difference(self) -> Decimal:
        return self.amount - self.previous


@dataclass(frozen=True)
class Outlier:
    """A room whose bill differs much from the one before."""

    bill_id: UUID
    room: str
    payer: str
    amount: Decimal
    previous: Decimal


@dataclass(frozen=True)
class RunReport:
    """A run beside the published one before it, None when there is none."""

    previous: BillRun | None
    items: Sequence[ItemSum] = ()
    outliers: Sequence[Outlier] = ()


ITEMS = text(
    """
    select i.name, count(*) filter (where b.run_id = :run) as lines,
        coalesce(sum(l.amount) filter (where b.run_id = :run), 0) as amount,
        coalesce(sum(l.amount) filter (where b.run_id = :previous), 0) as previous
    from fees.bill b
    join fees.bill_line l on l.community_id = b.community_id and l.bill_id = b.id
    join fees.fee_item i on i.community_id = b.community_id and i.id = l.fee_item_id
    where b.run_id in (:run, :previous)
    group by i.name, i.code order by i.code
    """
)
OUTLIERS = text(
    """
    select n.id as bill_id, r.code as room, p.name as payer, n.amount, o.amount as previous
    from fees.bill n
    join fees.bill o on o.community_id = n.community_id and o.run_id = :previous
        and o.room_id = n.room_id and o.payer_id = n.payer_id and o.kind = 'fees'
    join dougong.room r on r.community_id = n.community_id and r.id = n.room_id
    join dougong.person p on p.community_id = n.community_id and p.id = n.payer_id
    where n.run_id = :run and n.kind = 'fees'
      and abs(n.amount - o.amount) * 100 > o.amount * :percent
    order by abs(n.amount - o.amount) desc, r.sort_key limit 50
    """
)


def run_report(scope: Scope, run: BillRun) -> RunReport:
    """Return a run's sums by fee item beside the run before, and the bills that stand out.

    A bill stands out when it differs by more than the setting ``fees.outlier_percent``.
    """
    previous = previous_run(scope, run)
    keys: dict[str, Any] = {"run": run.id, "previous": previous.id if previous else run.id}
    items = [
        ItemSum(r.name, r.lines, yuan(r.amount), yuan(r.previous) if previous else Decimal(0))
        for r in scope.session.execute(ITEMS, keys)
    ]
    outliers: list[Outlier] = []
    if previous:
        keys["percent"] = int(scope.setting("fees.outlier_percent", 50))
        outliers = [
            Outlier(r.bill_id, r.room, r.payer, yuan(r.amount), yuan(r.previous))
            for r in scope.session.execute(OUTLIERS, keys)
        ]
    return RunReport(previous, items, outliers)


@dataclass(frozen=True)
class Arrear:
    """What one payer owes for one room, by age. since_on: the oldest due day."""

    room_id: UUID
    room: str
    payer: str
    bills: int
    since_on: date
    ages: Sequence[Decimal]
    owed: Decimal


@dataclass(frozen=True)
class Arrears:
    """The largest arrears of a place, and the sums over all of them."""

    rows: Sequence[Arrear]
    ages: Sequence[Decimal]
    owed: Decimal
    count: int


def _owing(today: date, limit: int) -> Any:
    """Return the query of who owes what, by room and payer; the ORM narrows it to what one sees.

    The sums come from an index of what is owed; rooms and people are looked up for those shown.
    """
    days = today - Bill.due_on
    spans = [and_(days >= first, days < (last or FOREVER)) for first, last in AGES]
    sums = (
        select(
            Bill.community_id,
            Bill.room_id,
            Bill.payer_id,
            func.count().label("bills"),
            func.min(Bill.due_on).label("since_on"),
            func.sum(Bill.balance).label("owed"),
            *(
                func.coalesce(func.sum(Bill.balance).filter(span), 0).label(f"age{n}")
                for n, span in enumerate(spans)
            ),
        )
        .where(*owing(today))
        .group_by(Bill.community_id, Bill.room_id, Bill.payer_id)
        .cte("sums")
    )
    owed = (sums.c.owed, *(sums.c[f"age{n}"] for n in range(len(AGES))))
    total = select(
        func.count().label("total_count"),
        *(func.sum(each).label(f"total_{each.name}") for each in owed),
    ).cte("total")
    first = select(sums).order_by(sums.c.owed.desc(), sums.c.room_id).limit(limit).subquery()
    # Looked up one by one: a join would be planned over all rooms and people.
    room, person = (
        and_(model.community_id == first.c.community_id, model.id == id)
        for model, id in ((Room, first.c.room_id), (Person, first.c.payer_id))
    )
    found = (
        select(
            first,
            total,
            select(Room.code).where(room).correlate(first).scalar_subquery().label("room"),
            select(Room.sort_key).where(room).correlate(first).scalar_subquery().label("sort_key"),
            select(Person.name).where(person).correlate(first).scalar_subquery().label("payer"),
        )
        .select_from(first.join(total, true()))
        .subquery()
    )
    return select(found).order_by(found.c.owed.desc(), found.c.sort_key)


def arrears(scope: Scope, limit: int = LIMIT) -> Arrears:
    """Return who owes what that was due before today, the largest first. One statement."""
    found = scope.session.execute(_owing(scope.today, limit)).all()
    rows = [
        Arrear(
            r.room_id,
            r.room,
            r.payer,
            r.bills,
            r.since_on,
            [r.age0, r.age1, r.age2, r.age3],
            r.owed,
        )
        for r in found
    ]
    if not found:
        return Arrears([], [Decimal(0)] * 4, Decimal(0), 0)
    first = found[0]
    ages = [first.total_age0, first.total_age1, first.total_age2, first.total_age3]
    return Arrears(rows, ages, first.total_owed, first.total_count)
