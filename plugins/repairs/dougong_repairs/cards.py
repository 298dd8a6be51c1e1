"""Figures, hits and panels: what repairs shows on pages that are not its own."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Float, case, cast, func, or_, select

from dougong.db import Scope, member_label
from dougong.hookspecs import Asks, Card, Panel, SearchHit
from dougong.i18n import gettext
from dougong.tenancy.models import Person, Room
from dougong_repairs.domain.kinds import OrderState
from dougong_repairs.domain.states import OPEN
from dougong_repairs.models import WorkOrder
from dougong_repairs.services import parts_query, steps_query, warranties_from, warranty_queries
from dougong_repairs.words import verb_words

OPEN_STATES = ",".join(sorted(state.value for state in OPEN))
WINDOW = timedelta(days=30)


def dashboard(scope: Scope) -> Asks[Card]:
    """Return open and late orders, how long a repair takes, and how satisfied people are."""
    if not scope.may("repairs.work_order.view"):
        return []
    now, month = yield (
        select(
            func.count(),
            func.count().filter(
                WorkOrder.resolve_due_at < scope.now, WorkOrder.state != OrderState.PAUSED
            ),
        ).where(WorkOrder.state.in_(OPEN)),
        _month(_since(scope)),
    )
    open_count, late = now.one()
    return [
        Card(
            gettext("Open work orders"),
            str(open_count),
            tone="plain" if open_count else "good",
            url=f"admin/repairs/work_order/?state={OPEN_STATES}",
            order=30,
        ),
        Card(
            gettext("Late work orders"),
            str(late),
            tone="danger" if late else "good",
            url=f"admin/repairs/work_order/?state={OPEN_STATES}&resolve_due_at.to={scope.today}",
            order=31,
        ),
        *_last_month(scope, *month.one()),
    ]


def _since(scope: Scope) -> datetime:
    return datetime.combine(scope.today - WINDOW, time(), scope.zone)


def _month(since: datetime) -> Any:
    hours = func.extract("epoch", WorkOrder.done_at - WorkOrder.reported_at) / 3600
    return select(
        cast(func.percentile_cont(0.5).within_group(hours), Float),
        func.avg(WorkOrder.rating),
        func.count(WorkOrder.rating),
        func.count(case((WorkOrder.rating <= 2, 1))),
    ).where(WorkOrder.done_at >= since)


def _last_month(scope: Scope, median: Any, mean: Any, rated: int, poor: int) -> list[Card]:
    since = _since(scope)
    return [
        Card(
            gettext("Median handling time"),
            _hours(median) if median is not None else "–",
            note=gettext("last 30 days"),
            url="repairs/metrics" if scope.community_id else None,
            order=32,
        ),
        Card(
            gettext("Satisfaction with repairs"),
            f"{mean:.1f}" if mean is not None else "–",
            note=gettext("%(count)s ratings, %(poor)s poor", count=rated, poor=poor),
            tone="plain" if mean is None else "good" if mean >= 4 else "warning",
            url=f"admin/repairs/work_order/?rating.from=1&done_at.from={since.date()}",
            order=33,
        ),
    ]


def portal(scope: Scope, person_id: UUID) -> Asks[Card]:
    """Return a person's open repairs, and those to rate."""
    found = yield (
        select(
            func.count().filter(WorkOrder.state.in_(OPEN)),
            func.count().filter(WorkOrder.state == OrderState.DONE),
        ).where(WorkOrder.person_id == person_id)
    )
    waiting, to_rate = found.one()
    value = gettext("%(count)s in progress", count=waiting) if waiting else gettext("Report")
    if to_rate:
        value = gettext("%(count)s to rate", count=to_rate)
    return [
        Card(
            gettext("Repairs"),
            value,
            tone="warning" if to_rate else "plain",
            url="repairs/my/" if waiting or to_rate else "repairs/my/new",
            order=18,
        )
    ]


def search(scope: Scope, words: str, limit: int) -> list[SearchHit]:
    """Return work orders by number or words."""
    if not scope.may("repairs.work_order.view"):
        return []
    conditions: list[Any] = [WorkOrder.text.contains(words, autoescape=True)]
    if words.isascii() and words.isdigit() and len(words) < 10:
        conditions.append(WorkOrder.number == int(words))
    query = select(WorkOrder).where(or_(*conditions)).order_by(WorkOrder.id.desc())
    return [
        SearchHit(
            str(order),
            f"admin/repairs/work_order/{order.id}/",
            gettext("Work order"),
            member_label(order.state),
        )
        for order in scope.session.scalars(query.limit(limit))
    ]


def panels(scope: Scope, record: Any) -> Asks[Panel]:
    """Return the story and parts of an order, or the orders of a person or room."""
    if isinstance(record, WorkOrder):
        return (yield from _of_order(scope, record))
    if not isinstance(record, Person | Room) or not scope.may("repairs.work_order.view"):
        return []
    key = WorkOrder.person_id if isinstance(record, Person) else WorkOrder.room_id
    query = select(WorkOrder).where(key == record.id).order_by(WorkOrder.number.desc()).limit(5)
    found = yield query
    rows = [(str(order), member_label(order.state)) for order in found.scalars()]
    name = "person" if isinstance(record, Person) else "room"
    url = f"admin/repairs/work_order/?{name}={record.id}"
    return [Panel(gettext("Work orders"), rows, url=url)] if rows else []


def _of_order(scope: Scope, order: WorkOrder) -> Asks[Panel]:
    steps, parts, deliveries, terms = yield (
        steps_query(order),
        parts_query(order),
        *warranty_queries([order]),
    )
    story = [
        (
            f"{step.taken_at.astimezone(scope.zone):%m-%d %H:%M} · {author_of(step)}",
            f"{verb_words(step.verb)}{'：' + step.note if step.note else ''}",
        )
        for step in steps.scalars()
    ]
    used = [(str(p), f"¥{p.unit_price * p.quantity:.2f}") for p in parts.scalars()]
    made = [Panel(gettext("Steps"), story)] if story else []
    if used:
        made.append(Panel(gettext("Parts used"), used))
    covers = warranties_from(scope, [order], deliveries.scalars(), terms.scalars())
    if covered := covers[order.id]:
        until = [(cover.part, str(cover.last_on)) for cover in covered]
        made.append(Panel(gettext("Developer's warranty until"), until))
    return made


def author_of(step: Any) -> str:
    """Return who took a step, in the locale in force."""
    return step.author or gettext("The system")


def time_left(scope: Scope, orders: Sequence[Any]) -> Mapping[UUID, str]:
    """Return how long each of some orders still has, or how late it is, as texts by id."""
    return {order.id: clock_words(order, scope.now) for order in orders}


def clock_words(order: WorkOrder, now: datetime) -> str:
    """Return how long an order still has on the wall clock, or how late it is; empty at its end."""
    if order.state not in OPEN:
        return ""
    if order.state is OrderState.PAUSED:
        return gettext("stands still")
    due = order.resolve_due_at if order.responded_at else order.respond_due_at
    minutes = int((due - now).total_seconds() // 60)
    span = _span(abs(minutes))
    return gettext("late by %(span)s", span=span) if minutes < 0 else span


def _span(minutes: int) -> str:
    if minutes < 60:
        return gettext("%(count)s min", count=minutes)
    if minutes < 48 * 60:
        return _hours(minutes / 60)
    return gettext("%(count)s days", count=minutes // 1440)


def _hours(hours: float) -> str:
    shown = f"{hours:.1f}"
    return gettext("%(hours)s h", hours=shown)


def clock_tone(order: WorkOrder, now: datetime) -> str:
    """Return the colour of an order's clock: plain, warning from 75 %, danger when late."""
    if order.state not in OPEN or order.state is OrderState.PAUSED:
        return "plain"
    waits = order.responded_at is None
    if order.resolve_due_at < now or (waits and order.respond_due_at < now):
        return "danger"
    is_near = order.resolve_warn_at < now or (waits and order.respond_warn_at < now)
    return "warning" if is_near else "good"
