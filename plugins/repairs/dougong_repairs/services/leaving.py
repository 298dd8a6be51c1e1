"""Orders of a technician who leaves: to his successor, else back to the dispatcher."""

from uuid import UUID

from sqlalchemy import Select, func, select

from dougong.db import Scope
from dougong.i18n import gettext
from dougong_repairs.domain.states import WITH_TECHNICIAN
from dougong_repairs.models import Technician, WorkOrder
from dougong_repairs.services.working import give_back_order, transfer_order


def held_query(user_id: UUID) -> Select[int]:
    """Return the query of how many orders a login has in hand."""
    query = select(func.count(WorkOrder.id)).join(WorkOrder.technician)
    return query.where(Technician.user_id == user_id, WorkOrder.state.in_(WITH_TECHNICIAN))


def hand_over_orders(scope: Scope, user_id: UUID, successor_id: UUID | None) -> int:
    """Give a technician's orders on and take him off shift; return how many orders.

    A successor who is no technician here, or off shift, gets none: they go back to the dispatcher.
    """
    leaving = _technician(scope, user_id)
    if leaving is None:
        return 0
    leaving.is_on_shift = False
    successor = _technician(scope, successor_id) if successor_id is not None else None
    query = select(WorkOrder).where(
        WorkOrder.technician_id == leaving.id, WorkOrder.state.in_(WITH_TECHNICIAN)
    )
    orders = scope.session.scalars(query.order_by(WorkOrder.id).with_for_update(of=WorkOrder)).all()
    reason = gettext("%(name)s has left.", name=leaving.name)
    for order in orders:
        if successor is not None and successor.is_on_shift:
            transfer_order(scope, order, successor.id, reason)
        else:
            give_back_order(scope, order, reason)
    scope.session.flush()
    return len(orders)


def _technician(scope: Scope, user_id: UUID) -> Technician | None:
    query = select(Technician).where(Technician.user_id == user_id)
    return scope.session.scalars(query).one_or_none()
