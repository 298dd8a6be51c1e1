"""Appointments, helpers, the roster of who is on call, and parts in the van."""

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, select

from dougong.db import Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_repairs.domain.prices import is_price
from dougong_repairs.domain.states import OPEN
from dougong_repairs.errors import WrongState
from dougong_repairs.models import OnCall, Technician, VanStock, WorkOrder, WorkOrderHelper
from dougong_repairs.services.people import DISPATCH, WORK
from dougong_repairs.services.stepping import must_be_his, write_down


@service("work_order.appoint", title=("Make an appointment", "预约上门"), permission=WORK)
def appoint_order(
    scope: Scope, work_order: WorkOrder, visit_from_at: datetime, minutes: int = 120
) -> WorkOrder:
    """Agree with the owner when somebody comes; he is told. minutes: how long the span is.

    Raises Invalid for the past, WrongState at the order's end, Conflict when its technician has
    another appointment in that span.
    """
    must_be_his(scope, work_order)
    if work_order.state not in OPEN:
        raise WrongState(N_("The order is over."))
    if visit_from_at < scope.now or not 15 <= minutes <= 600:
        said = gettext("Later than now, for a quarter of an hour up to ten hours.")
        raise Invalid(N_("Some fields are not right yet."), fields={"visit_from_at": said})
    visit_to_at = visit_from_at + timedelta(minutes=minutes)
    if work_order.technician_id is not None:
        taken = select(WorkOrder.number).where(
            WorkOrder.technician_id == work_order.technician_id,
            WorkOrder.id != work_order.id,
            WorkOrder.state.in_(OPEN),
            WorkOrder.visit_from_at < visit_to_at,
            WorkOrder.visit_to_at > visit_from_at,
        )
        if (number := scope.session.scalar(taken.limit(1))) is not None:
            raise Conflict(N_("He is expected at no. %(number)s then."), number=number)
    work_order.visit_from_at, work_order.visit_to_at = visit_from_at, visit_to_at
    begin, end = (at.astimezone(scope.zone) for at in (visit_from_at, visit_to_at))
    write_down(scope, work_order, "appoint", f"{begin:%m-%d %H:%M}–{end:%H:%M}")
    return work_order


@service("work_order.add_helper", title=("Add a helper", "添加协助"), permission=WORK)
def add_helper(scope: Scope, work_order: WorkOrder, technician_id: UUID) -> WorkOrder:
    """Let a colleague help with an order; he sees it, it stays with its technician."""
    must_be_his(scope, work_order)
    technician = scope.get(Technician, technician_id)
    known = select(WorkOrderHelper).where(
        WorkOrderHelper.work_order_id == work_order.id,
        WorkOrderHelper.technician_id == technician.id,
    )
    if technician.id == work_order.technician_id or scope.session.scalars(known).first():
        raise Conflict(N_("He is at this order already."))
    helper = WorkOrderHelper(work_order_id=work_order.id, technician_id=technician.id)
    scope.session.add(helper)
    write_down(scope, work_order, "add_helper", technician.name, is_public=False)
    return work_order


def helps_with(scope: Scope, technician: Technician) -> list[UUID]:
    """Return the ids of the orders that a technician helps with."""
    query = select(WorkOrderHelper.work_order_id)
    return list(scope.session.scalars(query.where(WorkOrderHelper.technician_id == technician.id)))


def on_call_now(scope: Scope) -> set[UUID]:
    """Return the technicians who are on call now: emergencies ignore the working calendar."""
    return set(scope.session.scalars(select(OnCall.technician_id).where(*is_now(scope))))


def is_now(scope: Scope) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return what says that a time on call has begun and is not over."""
    return OnCall.from_at <= scope.now, OnCall.to_at > scope.now


@service("van_stock.load", title=("Load the van", "领料上车"), permission=DISPATCH)
def load_van(
    scope: Scope,
    technician_id: UUID,
    name: str,
    quantity: Decimal,
    unit_price: Decimal = Decimal(0),
) -> VanStock:
    """Give a technician parts to carry along; what he has of them grows. Raises Invalid."""
    if quantity <= 0 or not is_price(unit_price) or not name.strip():
        raise Invalid(
            N_("Some fields are not right yet."), fields={"quantity": gettext("More than nothing.")}
        )
    technician = scope.get(Technician, technician_id)
    stock = _stock(scope, technician.id, name)
    if stock is None:
        stock = VanStock(technician_id=technician.id, name=name.strip()[:120], quantity=Decimal(0))
        scope.session.add(stock)
    stock.quantity, stock.unit_price = stock.quantity + quantity, unit_price
    scope.session.flush()
    return stock


def draw(scope: Scope, technician_id: UUID | None, name: str, quantity: Decimal) -> VanStock | None:
    """Take a part out of a technician's van; None when he carries no such part.

    Raises Conflict when he has less of it.
    """
    stock = _stock(scope, technician_id, name) if technician_id is not None else None
    if stock is None:
        return None
    if stock.quantity < quantity:
        raise Conflict(N_("There are only %(count)s in the van."), count=f"{stock.quantity:f}")
    stock.quantity -= quantity
    return stock


def _stock(scope: Scope, technician_id: UUID, name: str) -> VanStock | None:
    query = select(VanStock).where(
        VanStock.technician_id == technician_id, VanStock.name == name.strip()[:120]
    )
    return scope.session.scalars(query.with_for_update(of=VanStock)).first()
