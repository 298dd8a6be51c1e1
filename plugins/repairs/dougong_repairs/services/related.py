"""What belongs to many orders at once: pages of many orders ask once, not once for each."""

from collections.abc import Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Mapped

from dougong.db import Scope
from dougong_repairs.models import WorkOrder


class OfOrder(Protocol):
    """A row that belongs to an order."""

    id: Mapped[UUID]
    work_order_id: Mapped[UUID]


R = TypeVar("R", bound=OfOrder)


def rows_of(scope: Scope, model: type[R], orders: Sequence[WorkOrder]) -> dict[UUID, list[R]]:
    """Return the rows of a model by their order's id, oldest first. One statement."""
    found: dict[UUID, list[R]] = {order.id: [] for order in orders}
    query = select(model).where(model.work_order_id.in_(found)).order_by(model.id)
    for row in scope.session.scalars(query):
        found[row.work_order_id].append(row)  # type: ignore[index]
    return found
