"""What owners do with their own orders: look, urge, rate, reopen, cancel; and the desk for them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, select

from dougong.db import Scope
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_repairs.domain import states
from dougong_repairs.errors import WrongState
from dougong_repairs.models import WorkOrder, WorkOrderStep
from dougong_repairs.services.people import DISPATCH, me
from dougong_repairs.services.stepping import need, take

PORTAL = "repairs.portal"
MARKS = ("rating", "rating_speed", "rating_manner", "rating_quality")


def my_orders(scope: Scope, limit: int = 100) -> Sequence[WorkOrder]:
    """Return what the actor has reported, newest first."""
    query = select(WorkOrder).where(WorkOrder.person_id == me(scope))
    return scope.session.scalars(query.order_by(WorkOrder.number.desc()).limit(limit)).all()


def my_order(scope: Scope, work_order_id: UUID) -> WorkOrder:
    """Return an order of the actor's own, locked; another's is NotFound."""
    query = select(WorkOrder).where(WorkOrder.id == work_order_id, WorkOrder.person_id == me(scope))
    found = scope.session.scalars(query.with_for_update(of=WorkOrder)).first()
    if found is None:
        raise NotFound(N_("You have reported no such repair."))
    return found


def steps_of(scope: Scope, order: WorkOrder, *, is_owner: bool = False) -> list[WorkOrderStep]:
    """Return the story of an order, oldest first; an owner sees the public steps."""
    query = steps_query(order)
    if is_owner:
        query = query.where(WorkOrderStep.is_public)
    return list(scope.session.scalars(query))


def steps_query(order: WorkOrder) -> Select[WorkOrderStep]:
    """Return the query of the story of an order, oldest first."""
    query = select(WorkOrderStep).where(WorkOrderStep.work_order_id == order.id)
    return query.order_by(WorkOrderStep.taken_at, WorkOrderStep.id)


@service("work_order.urge_mine", title=("Urge", "催单"), permission=PORTAL)
def urge_mine(scope: Scope, work_order_id: UUID) -> WorkOrder:
    """Urge on an order of the actor's own, at most every half hour. Raises NotFound, WrongState."""
    return _urge(scope, my_order(scope, work_order_id))


@service("work_order.urge", title=("Urge", "催单"), permission=DISPATCH)
def urge_order(scope: Scope, work_order: WorkOrder) -> WorkOrder:
    """Urge on an order for somebody who called."""
    return _urge(scope, work_order)


def _urge(scope: Scope, order: WorkOrder) -> WorkOrder:
    if not states.may_urge(order.urged_at, scope.now):
        raise WrongState(N_("It was urged on within the last half hour; we are at it."))
    take(scope, order, "urge")
    order.times_urged, order.urged_at = order.times_urged + 1, scope.now
    return order


@service("work_order.rate_mine", title=("Rate", "评价"), permission=PORTAL)
def rate_mine(
    scope: Scope,
    work_order_id: UUID,
    rating: int,
    rating_speed: int | None = None,
    rating_manner: int | None = None,
    rating_quality: int | None = None,
    note: str = "",
) -> WorkOrder:
    """Answer how satisfied one is, 1 (bad) to 5, which closes the order.

    Raises NotFound, WrongState, Invalid.
    """
    order = my_order(scope, work_order_id)
    given = dict(zip(MARKS, (rating, rating_speed, rating_manner, rating_quality), strict=True))
    wrong = {
        k: gettext("From 1 to 5.") for k, v in given.items() if v not in (None, *states.RATINGS)
    }
    if wrong:
        raise Invalid(N_("Some fields are not right yet."), fields=wrong)
    take(scope, order, "rate")
    for name, mark in given.items():
        setattr(order, name, mark)
    order.rating_note, order.closed_at = note.strip()[:500] or None, scope.now
    return order


@service("work_order.reopen_mine", title=("Not repaired", "重新报修"), permission=PORTAL)
def reopen_mine(scope: Scope, work_order_id: UUID, words: str) -> WorkOrder:
    """Say that it is not repaired, within seven days. Raises NotFound, WrongState, Invalid."""
    return _reopen(scope, my_order(scope, work_order_id), words)


@service("work_order.reopen", title=("Reopen", "重开"), permission=DISPATCH)
def reopen_order(scope: Scope, work_order: WorkOrder, reason: str) -> WorkOrder:
    """Reopen an order for somebody who called, within seven days of its end."""
    return _reopen(scope, work_order, reason)


def _reopen(scope: Scope, order: WorkOrder, words: str) -> WorkOrder:
    need(words=words)
    if not states.may_reopen(order.state, order.done_at, scope.now):
        raise WrongState(N_("It can be reopened within seven days of its end only."))
    take(scope, order, "reopen", words)
    for name in (*MARKS, "rating_note", "solution", "dispatch_reason"):
        setattr(order, name, None)
    order.times_reopened += 1
    return order


@service("work_order.cancel_mine", title=("Cancel", "取消报修"), permission=PORTAL)
def cancel_mine(scope: Scope, work_order_id: UUID, reason: str = "") -> WorkOrder:
    """Take a repair request back before anybody has accepted it. Raises NotFound, WrongState."""
    return take(scope, my_order(scope, work_order_id), "cancel", reason)
