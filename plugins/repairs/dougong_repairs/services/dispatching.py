"""How orders find a technician by themselves: in turn, or by an assignment that gives reasons."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from dougong.db import Scope
from dougong.i18n import gettext
from dougong.services import service
from dougong.tenancy.models import Building
from dougong_repairs.domain import assignment
from dougong_repairs.domain.assignment import Choice, Job, Worker
from dougong_repairs.domain.kinds import Category, DispatchMode, OrderState, Urgency
from dougong_repairs.domain.states import WAITING, WITH_TECHNICIAN
from dougong_repairs.models import BuildingPosition, OnCall, Technician, TechnicianSkill, WorkOrder
from dougong_repairs.services.people import DISPATCH
from dougong_repairs.services.roster import is_now
from dougong_repairs.services.working import dispatch_order

MOST_AT_ONCE = 60
CODED = re.compile(r"(skill|load|distance|fairness)=-?\d+(;(skill|load|distance|fairness)=-?\d+)*")
SPACING_M = 60
RANK = {Urgency.EMERGENCY: 0, Urgency.URGENT: 1, Urgency.NORMAL: 2, Urgency.LOW: 3}


@dataclass(frozen=True)
class Spot:
    """Where a building stands. at: metres east and south of the community's corner."""

    name: str
    at: tuple[int, int]


def mode_of(scope: Scope) -> DispatchMode:
    """Return how orders find a technician here."""
    return DispatchMode(scope.setting("repairs.dispatch_mode", "hybrid"))


@service(
    "work_order.dispatch_waiting", title=("Dispatch what waits", "自动派单"), permission=DISPATCH
)
def dispatch_waiting(scope: Scope, is_forced: bool = False) -> int:
    """Dispatch the orders that wait, as the community's mode says; return how many.

    is_forced: the dispatcher asks for it, whatever the mode. Runs every minute by schedule.
    """
    mode = mode_of(scope)
    if mode in (DispatchMode.GRAB, DispatchMode.ASSIGN) and not is_forced:
        return 0
    waiting = waiting_orders(scope)
    if mode is DispatchMode.HYBRID and not is_forced:
        until = scope.now - timedelta(minutes=int(scope.setting("repairs.grab_minutes", 10)))
        waiting = [o for o in waiting if o.reported_at <= until or o.urgency is Urgency.EMERGENCY]
    if mode is DispatchMode.ROTATE and not is_forced:
        return sum(_in_turn(scope, order) for order in waiting)
    return _assigned(scope, waiting)


def waiting_orders(scope: Scope) -> list[WorkOrder]:
    """Return the orders that nobody has, locked: the most urgent and oldest first."""
    query = (
        select(WorkOrder)
        .where(WorkOrder.state.in_(WAITING))
        .order_by(WorkOrder.reported_at)
        .limit(MOST_AT_ONCE)
        .with_for_update(of=WorkOrder, skip_locked=True)
    )
    return sorted(scope.session.scalars(query), key=lambda o: (RANK[o.urgency], o.reported_at))


def _in_turn(scope: Scope, order: WorkOrder) -> int:
    """Give an order to whoever is on shift, has the skill, and has waited longest for his turn."""
    able = select(TechnicianSkill.technician_id).where(TechnicianSkill.category == order.category)
    query = (
        select(Technician)
        .where(Technician.is_on_shift, Technician.id.in_(able))
        .order_by(Technician.had_turn_at.nulls_first(), Technician.id)
        .limit(1)
    )
    technician = scope.session.scalars(query).first()
    if technician is None:
        return 0
    technician.had_turn_at = scope.now
    dispatch_order(scope, order, technician.id, gettext("It was his turn."))
    return 1


def _assigned(scope: Scope, orders: Sequence[WorkOrder]) -> int:
    choices = propose(scope, orders)
    by_id = {str(order.id): order for order in orders}
    for choice in choices:
        dispatch_order(scope, by_id[choice.job], UUID(choice.worker), coded(choice))
    return len(choices)


def propose(scope: Scope, orders: Sequence[WorkOrder]) -> list[Choice]:
    """Return who should get which of some orders, and why; changes nothing. Two statements."""
    places = positions(scope)
    jobs = [Job(str(o.id), o.category, o.urgency, place_in(places, o.building_id)) for o in orders]
    return assignment.assign(workers(scope, places), jobs)


def workers(scope: Scope, places: Mapping[UUID, Spot]) -> list[Worker]:
    """Return the technicians as the rule sees them. One statement."""
    skills = (
        select(
            TechnicianSkill.technician_id,
            func.jsonb_object_agg(TechnicianSkill.category, TechnicianSkill.level).label("levels"),
        )
        .group_by(TechnicianSkill.technician_id)
        .subquery()
    )
    has, came = _work(scope)
    work = (
        select(
            WorkOrder.technician_id,
            func.count().filter(has).label("load"),
            func.count().filter(came).label("today"),
        )
        .where(WorkOrder.technician_id.is_not(None), or_(has, came))
        .group_by(WorkOrder.technician_id)
        .subquery()
    )
    on_call = exists().where(OnCall.technician_id == Technician.id, *is_now(scope))
    query = (
        select(Technician, skills.c.levels, work.c.load, work.c.today, on_call)
        .outerjoin(skills, skills.c.technician_id == Technician.id)
        .outerjoin(work, work.c.technician_id == Technician.id)
        .order_by(Technician.id)
    )
    return [
        Worker(
            str(t.id),
            t.name,
            {Category(name): level for name, level in (levels or {}).items()},
            load or 0,
            t.capacity,
            today or 0,
            t.is_on_shift,
            is_on_call,
            place_in(places, t.last_building_id),
        )
        for t, levels, load, today, is_on_call in scope.session.execute(query)
    ]


def _work(scope: Scope) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return what says that a technician has an order, and that he was given it today."""
    begin = datetime.combine(scope.today, time(), scope.zone)
    return WorkOrder.state.in_(WITH_TECHNICIAN), WorkOrder.dispatched_at >= begin


def positions(scope: Scope) -> dict[UUID, Spot]:
    """Return where the buildings stand; without a position, by their order in a row."""
    query = (
        select(Building.id, Building.name, BuildingPosition.east_m, BuildingPosition.south_m)
        .outerjoin(
            BuildingPosition,
            and_(
                BuildingPosition.community_id == Building.community_id,
                BuildingPosition.building_id == Building.id,
            ),
        )
        .order_by(Building.sort_key, Building.id)
    )
    return {
        id: Spot(name, (n * SPACING_M, 0) if east is None else (east, south))
        for n, (id, name, east, south) in enumerate(scope.session.execute(query))
    }


def place_in(places: Mapping[UUID, Spot], building_id: UUID | None) -> tuple[int, int] | None:
    """Return where a building stands, None when it is not known."""
    spot = places.get(building_id) if building_id is not None else None
    return spot.at if spot else None


def explain(choice: Choice) -> str:
    """Return why a technician gets an order, for people, the best reason first."""
    return reason_words(coded(choice))


def coded(choice: Choice) -> str:
    """Return why a technician gets an order as it is kept: the same for readers of any language."""
    return ";".join(f"{term.kind}={term.figure}" for term in choice.terms)


def reason_words(stored: str | None) -> str:
    """Return a kept reason in the locale in force; what a person wrote is as he wrote it."""
    if not stored or not CODED.fullmatch(stored):
        return stored or ""
    terms = (part.partition("=") for part in stored.split(";"))
    texts = [_words(kind, figure) for kind, _, figure in terms]
    return gettext("; ").join(text for text in texts if text)


def _words(kind: str, figure: str) -> str:
    if kind == "skill":
        return gettext("skill %(level)s of 3", level=figure)
    if kind == "load":
        return gettext("%(count)s open orders", count=figure)
    if kind == "distance":
        return "" if figure.startswith("-") else gettext("%(metres)s m away", metres=figure)
    return gettext("%(count)s orders today", count=figure)


def pool(scope: Scope, technician: Technician) -> list[WorkOrder]:
    """Return the orders that a technician may take himself: they wait, and he has the skill."""
    if mode_of(scope) not in (DispatchMode.GRAB, DispatchMode.HYBRID):
        return []
    able = select(TechnicianSkill.category).where(TechnicianSkill.technician_id == technician.id)
    query = select(WorkOrder).where(
        WorkOrder.state.in_((OrderState.REPORTED, OrderState.RETURNED)),
        WorkOrder.category.in_(able),
    )
    found = scope.session.scalars(query.order_by(WorkOrder.reported_at).limit(30))
    return sorted(found, key=lambda o: (RANK[o.urgency], o.reported_at))
