"""Figures that fees shows on dashboards, portals, search and the pages of other records."""

from datetime import timedelta
from decimal import Decimal

from sqlalchemy import and_, func, select

from dougong.db import Scope
from dougong.hookspecs import Asks, Card, Comparison, Panel, RoomHit, SearchHit
from dougong.i18n import gettext
from dougong.tenancy.models import Person, Room
from dougong_fees.domain.numbers import bill_named
from dougong_fees.domain.states import OWED, SEEN, RunState
from dougong_fees.models import Bill, BillRun, FeeItem, FeeTemplate, HandOver
from dougong_fees.services.bills import is_published, overdue, owing
from dougong_fees.services.explain import explain_bill, fact_text
from dougong_fees.services.formulas import try_formula
from dougong_fees.services.mine import my_bills
from dougong_fees.services.prompt import early_parts_from, early_query, payable_from

UNPAID = "admin/fees/bill/?state=open,partly_paid"


def yuan_text(amount) -> str:
    """Return yuan as people read them on a card."""
    return f"¥{amount or 0:,.2f}"


def owed_by_room(scope: Scope, rooms) -> dict:
    """Return what is overdue in each of these rooms, for their list."""
    query = (
        select(Bill.room_id, func.sum(Bill.balance))
        .where(Bill.room_id.in_([room.id for room in rooms]), *overdue(scope.today))
        .group_by(Bill.room_id)
    )
    return {room: yuan_text(amount) for room, amount in scope.session.execute(query)}


def rooms_by_arrears(scope: Scope, room, answer: str):
    """Return the condition for rooms where something is overdue (``yes``) or nothing (``no``)."""
    late = select(Bill.room_id).where(*overdue(scope.today))
    return {"yes": room.id.in_(late), "no": room.id.not_in(late)}.get(answer)


def dashboard(scope: Scope) -> Asks[Card]:
    """Return arrears and the collection rate of the last published period."""
    if not scope.may("fees.bill.view"):
        return []
    today = scope.today
    owed, collected = yield (
        select(func.sum(Bill.balance), func.count()).where(*owing(today)),
        _collected(),
    )
    owed = owed.one()
    arrears = Card(
        gettext("Overdue"),
        yuan_text(owed[0]),
        gettext("%(count)s bills", count=owed[1]),
        "warning" if owed[1] else "good",
        f"{UNPAID}&due_on.to={today}",
        30,
    )
    return [arrears, *_collection(collected.one())]


def _collected():
    """Return the query of what the last published period came to, and what of it was paid.

    It reads the part of an index that holds the run; withdrawn bills have nothing due there.
    """
    published = (BillRun.state == RunState.PUBLISHED, BillRun.room_id.is_(None))
    last = select(func.max(BillRun.from_on)).where(*published)
    due = func.sum(Bill.due)
    return (
        select(
            func.min(BillRun.name).label("name"),
            (due - func.sum(Bill.balance)).label("paid"),
            due.label("due"),
        )
        .join(BillRun, and_(BillRun.community_id == Bill.community_id, BillRun.id == Bill.run_id))
        .where(*published, BillRun.from_on == last.scalar_subquery())
    )


def _collection(row) -> list[Card]:
    if not row.due:
        return []
    rate = row.paid / row.due * 100
    return [
        Card(
            gettext("Collection rate"),
            f"{rate:.1f}%",
            gettext(
                "%(name)s: %(paid)s of %(due)s",
                name=row.name,
                paid=yuan_text(row.paid),
                due=yuan_text(row.due),
            ),
            "good" if rate >= 90 else "plain",
            "admin/fees/bill_run/",
            20,
        )
    ]


def comparison(scope: Scope) -> Asks[Comparison]:
    """Return the collection rate of a year and the arrears of each community of a group.

    Both are read from indexes: of the bills whose period began in the last twelve months, and of
    those that are owed.
    """
    if not scope.may("fees.bill.view"):
        return []
    due, since = func.sum(Bill.due), scope.today - timedelta(days=365)
    collected, owed = yield (
        select(Bill.community_id, (due - func.sum(Bill.balance)).label("paid"), due.label("due"))
        .where(Bill.from_on >= since, Bill.from_on <= scope.today, is_published())
        .group_by(Bill.community_id),
        select(Bill.community_id, func.sum(Bill.balance).label("late"))
        .where(*owing(scope.today))
        .group_by(Bill.community_id),
    )
    rates = {r.community_id: r.paid / r.due * 100 for r in collected if r.due}
    late = {r.community_id: r.late for r in owed}
    return [
        Comparison(
            gettext("Collection rate, 12 months"),
            {c: f"{rate:.1f}%" for c, rate in rates.items()},
            {c: "good" if rate >= 90 else "warning" for c, rate in rates.items()},
            "admin/fees/bill_run/",
            20,
        ),
        Comparison(
            gettext("Overdue"),
            {c: yuan_text(late.get(c)) for c in {**rates, **late}},
            dict.fromkeys(late, "danger"),
            f"{UNPAID}&due_on.to={scope.today}",
            30,
        ),
    ]


def portal(scope: Scope, person_id) -> Asks[Card]:
    """Return what a person has to pay today, and until when. Two rounds."""
    found = yield my_bills(scope, person_id).where(Bill.state.in_(OWED))
    bills = found.scalars().all()
    if not bills:
        return [Card(gettext("To pay"), yuan_text(0), gettext("All paid"), "good", "fees/my/", 10)]
    early = early_parts_from(bills, (yield early_query(bills)))
    due_on = min(bill.due_on for bill in bills)
    is_late = due_on < scope.today
    note = gettext("%(count)s bills, due on %(day)s", count=len(bills), day=due_on.isoformat())
    return [
        Card(
            gettext("To pay"),
            yuan_text(sum(payable_from(scope, bills, early).values())),
            note,
            "danger" if is_late else "warning",
            "fees/my/",
            10,
            gettext("Pay now"),
        )
    ]


def search(scope: Scope, words: str, limit: int) -> list[SearchHit]:
    """Return what rooms owe whose code begins with what was typed."""
    if not scope.may("fees.bill.view"):
        return []
    rows = scope.session.execute(
        select(Room.id, Room.code, func.sum(Bill.balance).label("owed"), func.count().label("n"))
        .join(Bill, Bill.room_id == Room.id)
        .where(Bill.state.in_(OWED), Room.code >= words, Room.code < words + "\U0010ffff")
        .group_by(Room.id, Room.code)
        .order_by(Room.code)
        .limit(limit)
    )
    return [
        SearchHit(
            f"{row.code} {yuan_text(row.owed)}",
            f"{UNPAID}&room={row.id}",
            gettext("Arrears"),
            gettext("%(count)s bills", count=row.n),
        )
        for row in rows
    ]


def room_of_bill(scope: Scope, words: str) -> list[RoomHit]:
    """Return the room of the bill whose printed code was scanned."""
    bill_id = bill_named(words, scope.community_id) if scope.community_id else None
    if bill_id is None or not scope.may("fees.bill.view"):
        return []
    query = select(Bill.room_id, Bill.title).where(Bill.id == bill_id, Bill.state.in_(SEEN))
    row = scope.session.execute(query).first()
    return [RoomHit(row.room_id, row.title, gettext("Bill"))] if row else []


def panels(scope: Scope, record) -> Asks[Panel]:
    """Return what a room or a person owes; a bill's lines and a run's sums in short."""
    if isinstance(record, Bill) and scope.may("fees.bill.explain"):
        rows = [(line.title, line.formula) for line in explain_bill(scope, record)]
        return [Panel(gettext("How this was reckoned"), rows, f"fees/explain/{record.id}", 10)]
    if isinstance(record, BillRun) and scope.may("fees.bill_run.view"):
        count = str(len(record.problems or ()))
        rows = [(gettext("Bills"), str(record.bills)), (gettext("Problems"), count)]
        return [Panel(gettext("Comparison and problems"), rows, f"fees/report/{record.id}", 10)]
    if isinstance(record, HandOver) and scope.may("fees.hand_over.print"):
        left = yuan_text(Decimal(record.statement["arrears_total"]))
        rows = [(gettext("Still owed by the former owner"), left)]
        return [Panel(gettext("Hand-over statement"), rows, f"fees/hand-over/{record.id}", 10)]
    if isinstance(record, FeeTemplate) and scope.may("fees.fee_template.view"):
        url = f"fees/templates/{record.id}"
        rows = [(gettext("From"), record.from_on.isoformat())]
        return [Panel(gettext("What it means for each community"), rows, url, 10)]
    if isinstance(record, FeeItem) and record.formula and scope.may("fees.fee_item.view"):
        return [_formula_panel(scope, record)]
    if not isinstance(record, Room | Person) or not scope.may("fees.bill.view"):
        return []
    by = Bill.room_id if isinstance(record, Room) else Bill.payer_id
    kind = "room" if isinstance(record, Room) else "payer"
    query = select(Bill.title, Bill.balance, Bill.due_on)
    query = query.where(by == record.id, Bill.state.in_(OWED)).order_by(Bill.due_on)
    found = yield query.limit(6)
    rows = [(bill.title, f"{yuan_text(bill.balance)} · {bill.due_on}") for bill in found]
    rows = rows or [(gettext("To pay"), yuan_text(0))]
    return [Panel(gettext("Bills to pay"), rows, f"{UNPAID}&{kind}={record.id}", 20)]


def _formula_panel(scope: Scope, item: FeeItem) -> Panel:
    """Return what a formula comes to for three rooms, so that a slip is seen before a run."""
    rows = []
    for sample in try_formula(scope, item):
        facts = "，".join(fact_text(name, value) for name, value in sample.facts.items())
        amount = gettext("no value") if sample.amount is None else yuan_text(sample.amount)
        rows.append((f"{sample.room} ({facts})", amount))
    return Panel(gettext("Tried on three rooms"), rows, order=10)
