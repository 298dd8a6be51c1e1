"""The collector's desk: who owes what since when, what was done last, what comes next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Date, and_, case, cast, func, literal, or_, select, union_all
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import aliased, joinedload

from dougong.db import Scope
from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.tenancy.models import Building, Person, Room
from dougong_arrears.domain import AGES, PromiseState, limitation_on
from dougong_arrears.models import (
    Agreement,
    CollectionCase,
    Collector,
    CollectorBuilding,
    Contact,
    Dispute,
    PaymentPromise,
    Reminder,
)
from dougong_fees.models import Bill, BillPayment
from dougong_fees.services.bills import overdue, owing

PAGE = 40
FOREVER = 1_000_000


@dataclass(frozen=True)
class Wish:
    """Which arrears are asked for. collector: ``mine``, an id as text, or nothing for all.

    after: the last row of the page before, as sum, room and payer.
    """

    collector: str = ""
    building: UUID | None = None
    after: tuple[Decimal, UUID, UUID] | None = None


@dataclass(frozen=True)
class Line:
    """One payer's arrears for one room. ages: yuan by bucket. limit_on: when they lapse."""

    room_id: UUID
    payer_id: UUID
    room: str
    payer: str
    owed: Decimal
    bills: int
    since_on: date
    limit_on: date
    limit: str
    collector: str
    next_step: Any
    next_on: date | None
    contact: Any
    promise: Any


@dataclass(frozen=True)
class Totals:
    """The sums by age over all arrears that were asked for."""

    owed: Decimal
    ages: Sequence[Decimal]
    rooms: int


def age_sums(today: date) -> list[Any]:
    """Return the sums of what is overdue, by the buckets of ``AGES``."""
    days = today - Bill.due_on
    return [
        func.coalesce(func.sum(Bill.balance).filter(days >= low, days < (high or FOREVER)), 0)
        for low, high in AGES
    ]


def _last_interruption() -> Any:
    return (
        select(func.max(Contact.happened_on))
        .where(
            Contact.room_id == Bill.room_id,
            Contact.payer_id == Bill.payer_id,
            Contact.interrupts.is_not(None),
        )
        .correlate(Bill)
        .scalar_subquery()
    )


def _last_part_payment(scope: Scope) -> Any:
    """Return the day on which something was last paid of a bill, which acknowledges the rest."""
    day = cast(func.timezone(str(scope.zone), func.max(BillPayment.settled_at)), Date)
    return (
        select(day)
        .where(BillPayment.bill_id == Bill.id, BillPayment.amount > 0)
        .correlate(Bill)
        .scalar_subquery()
    )


def period_start(scope: Scope) -> Any:
    """Return from when the limitation period of a bill counts: the latest of due, demand, payment.

    An interruption before the due day changes nothing.
    """
    return func.greatest(Bill.due_on, _last_interruption(), _last_part_payment(scope))


def _collector() -> Any:
    return func.coalesce(CollectionCase.collector_id, CollectorBuilding.collector_id)


def _sums(scope: Scope, wish: Wish) -> Any:
    """Return the query of arrears by room and payer, narrowed to a portfolio."""
    owed = func.sum(Bill.balance)
    query = (
        select(
            Bill.room_id,
            Bill.payer_id,
            owed.label("owed"),
            func.count().label("bills"),
            func.min(Bill.due_on).label("since_on"),
        )
        .where(*owing(scope.today))
        .group_by(Bill.room_id, Bill.payer_id)
    )
    return _narrowed(scope, query, wish)


def _narrowed(scope: Scope, query: Any, wish: Wish) -> Any:
    if wish.building is not None or wish.collector:
        query = query.join(Room, Room.id == Bill.room_id)
    if wish.building is not None:
        query = query.where(Room.building_id == wish.building)
    if not wish.collector:
        return query
    query = (
        query.outerjoin(
            CollectionCase,
            and_(CollectionCase.room_id == Bill.room_id, CollectionCase.payer_id == Bill.payer_id),
        )
        .outerjoin(CollectorBuilding, CollectorBuilding.building_id == Room.building_id)
        .join(Collector, Collector.id == _collector())
    )
    if wish.collector == "mine":
        return query.where(Collector.user_id == scope.actor.user_id)
    return query.where(Collector.id == UUID(wish.collector))


def totals(scope: Scope, wish: Wish) -> Totals:
    """Return the sums by age over everything that is overdue. One statement."""
    ages = [age.label(f"age{n}") for n, age in enumerate(age_sums(scope.today))]
    rooms = func.count(Bill.room_id.distinct()).label("rooms")
    query = select(func.coalesce(func.sum(Bill.balance), 0).label("owed"), rooms, *ages)
    row = scope.session.execute(
        _narrowed(scope, query.select_from(Bill).where(*owing(scope.today)), wish)
    ).one()
    return Totals(row.owed, [getattr(row, f"age{n}") for n in range(len(AGES))], row.rooms)


def lines(scope: Scope, wish: Wish, limit: int = PAGE) -> list[Line]:
    """Return a page of arrears, the largest first. Two statements."""
    sums = _sums(scope, wish).subquery()
    first = select(sums).order_by(sums.c.owed.desc(), sums.c.room_id, sums.c.payer_id).limit(limit)
    if wish.after is not None:
        first = first.where(_after(sums.c, *wish.after))
    shown = first.subquery()
    query = (
        select(
            shown,
            _first_start(scope, shown).label("start_on"),
            Room.code.label("room"),
            Person.name.label("payer"),
            CollectionCase.next_step,
            CollectionCase.next_on,
            Collector.name.label("collector"),
        )
        .join(Room, Room.id == shown.c.room_id)
        .join(Person, Person.id == shown.c.payer_id)
        .outerjoin(
            CollectionCase,
            and_(
                CollectionCase.room_id == shown.c.room_id,
                CollectionCase.payer_id == shown.c.payer_id,
            ),
        )
        .outerjoin(CollectorBuilding, CollectorBuilding.building_id == Room.building_id)
        .outerjoin(Collector, Collector.id == _collector())
        .order_by(shown.c.owed.desc(), shown.c.room_id, shown.c.payer_id)
    )
    rows = scope.session.execute(query).all()
    said = _said(scope, [row.room_id for row in rows])
    return [_line(scope, row, *said.get((row.room_id, row.payer_id), (None, None))) for row in rows]


def _first_start(scope: Scope, shown: Any) -> Any:
    """Return from when the limitation period of the oldest claim of a row counts."""
    return (
        select(func.min(period_start(scope)))
        .where(
            Bill.room_id == shown.c.room_id,
            Bill.payer_id == shown.c.payer_id,
            *overdue(scope.today),
        )
        .correlate(shown)
        .scalar_subquery()
    )


def _after(columns: Any, owed: Decimal, room_id: UUID, payer_id: UUID) -> Any:
    same = columns.owed == owed
    return or_(
        columns.owed < owed,
        and_(same, columns.room_id > room_id),
        and_(same, columns.room_id == room_id, columns.payer_id > payer_id),
    )


def _said(scope: Scope, room_ids: Sequence[UUID]) -> dict[tuple[UUID, UUID], tuple[Any, Any]]:
    """Return the last contact and the promise of each case on a page, in one statement."""
    last = (
        select(
            Contact.room_id,
            Contact.payer_id,
            Contact.happened_on,
            Contact.kind,
            Contact.outcome,
        )
        .ext(distinct_on(Contact.room_id, Contact.payer_id))
        .where(Contact.room_id.in_(room_ids))
        .order_by(Contact.room_id, Contact.payer_id, Contact.happened_on.desc(), Contact.id.desc())
        .subquery()
    )
    open_first = case((PaymentPromise.state == PromiseState.OPEN, 0), else_=1)
    promise = (
        select(
            PaymentPromise.room_id,
            PaymentPromise.payer_id,
            PaymentPromise.amount,
            PaymentPromise.by_on,
            PaymentPromise.state,
        )
        .ext(distinct_on(PaymentPromise.room_id, PaymentPromise.payer_id))
        .where(PaymentPromise.room_id.in_(room_ids))
        .order_by(
            PaymentPromise.room_id,
            PaymentPromise.payer_id,
            open_first,
            PaymentPromise.by_on.desc(),
        )
        .subquery()
    )
    rows = scope.session.execute(
        select(last, promise).join(
            promise,
            and_(promise.c.room_id == last.c.room_id, promise.c.payer_id == last.c.payer_id),
            isouter=True,
        )
    ).all()
    return {
        (row[0], row[1]): (
            {"on": row[2], "kind": row[3], "outcome": row[4]},
            {"amount": row[7], "by_on": row[8], "state": row[9]} if row[7] is not None else None,
        )
        for row in rows
    }


def _line(scope: Scope, row: Any, contact: Any, promise: Any) -> Line:
    limit_on = limitation_on(row.start_on)
    return Line(
        row.room_id,
        row.payer_id,
        row.room,
        row.payer,
        row.owed,
        row.bills,
        row.since_on,
        limit_on,
        limit_tone(scope, limit_on),
        row.collector or "",
        row.next_step,
        row.next_on,
        contact,
        promise,
    )


def limit_tone(scope: Scope, limit_on: date) -> str:
    """Return ``past``, ``soon`` or nothing for the last day on which a claim can be sued for."""
    if limit_on < scope.today:
        return "past"
    warning = timedelta(days=int(scope.setting("arrears.limitation_warning_days", 180)))
    return "soon" if limit_on <= scope.today + warning else ""


# --- one case ----------------------------------------------------------------------------------


def bills_of(scope: Scope, room_id: UUID, payer_id: UUID) -> list[Any]:
    """Return what is overdue in a case, bill by bill, with its open dispute and its last day."""
    rows = scope.session.execute(
        select(Bill, period_start(scope).label("start_on"), Dispute)
        .outerjoin(Dispute, and_(Dispute.bill_id == Bill.id, Dispute.state == "open"))
        .where(Bill.room_id == room_id, Bill.payer_id == payer_id, *overdue(scope.today))
        .order_by(Bill.due_on, Bill.id)
        .limit(60)
    ).all()
    return [(row.Bill, limitation_on(row.start_on), row.Dispute) for row in rows]


@dataclass(frozen=True)
class Story:
    """What was said and agreed in a case, each the newest first; plan: what is done next."""

    contacts: Sequence[Contact]
    promises: Sequence[PaymentPromise]
    reminders: Sequence[Reminder]
    agreements: Sequence[Agreement]
    plan: CollectionCase | None


TOLD = ((Contact, 30), (PaymentPromise, 10), (Reminder, 10), (Agreement, 5), (CollectionCase, 1))


def story_of(scope: Scope, room_id: UUID, payer_id: UUID) -> Story:
    """Return what happened in a case. One statement: numbers from 1, and beside each its rows."""
    numbers = func.generate_series(1, 30).table_valued("number").render_derived()
    place: Any = numbers.c.number
    query: Any = select(place).select_from(numbers)
    models: list[Any] = []
    for model, most in TOLD:
        newest = (*_newest(model), model.id.desc())
        rank = func.row_number().over(order_by=newest).label("number")
        numbered = (
            select(model.community_id, model.id, rank)
            .where(model.room_id == room_id, model.payer_id == payer_id)
            .order_by(*newest)
            .limit(most)
            .subquery()
        )
        # The alias is of the table: one of the subquery is not narrowed to what the actor sees.
        models.append(each := aliased(model))
        is_it = and_(each.community_id == numbered.c.community_id, each.id == numbered.c.id)
        query = query.add_columns(each).outerjoin(numbered, numbered.c.number == place)
        query = query.outerjoin(each, is_it)
    reminder = models[2]
    query = query.options(joinedload(reminder.level), joinedload(reminder.bill))
    rows = scope.session.execute(query.order_by(place)).all()
    contacts, promises, reminders, agreements, plans = (
        [row[at] for row in rows if row[at] is not None] for at in range(1, len(TOLD) + 1)
    )
    return Story(contacts, promises, reminders, agreements, plans[0] if plans else None)


def _newest(model: Any) -> tuple[Any, ...]:
    return (model.happened_on.desc(),) if model is Contact else ()


def people_of(scope: Scope, room_id: UUID, payer_id: UUID) -> tuple[Room, Person]:
    """Return the room and the payer of a case; raises NotFound unless both can be seen."""
    query = select(Room, Person).join(Person, Person.community_id == Room.community_id)
    found = scope.session.execute(query.where(Room.id == room_id, Person.id == payer_id)).first()
    if found is None:
        raise NotFound(N_("There is no such page."))
    return found.Room, found.Person


def choices(scope: Scope) -> tuple[list[Any], list[Any]]:
    """Return collectors and buildings to narrow the desk by, each as id and name. One statement."""
    collectors = select(
        literal(0).label("kind"), Collector.id, Collector.name, Collector.name.label("sort")
    ).where(Collector.is_active)
    buildings = (
        select(literal(1), Building.id, Building.name, Building.sort_key)
        .order_by(Building.sort_key)
        .limit(300)
    )
    both = union_all(collectors, buildings).subquery()
    rows = scope.session.execute(select(both).order_by(both.c.kind, both.c.sort)).all()
    return (
        [(row.id, row.name) for row in rows if row.kind == 0],
        [(row.id, row.name) for row in rows if row.kind == 1],
    )
