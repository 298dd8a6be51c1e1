"""Who stands behind the technician's pages, and which orders he sees."""

from uuid import UUID

from dougong.db import Scope
from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.services import entered
from dougong.web.app import require_scope
from dougong_repairs import services
from dougong_repairs.models import Technician, WorkOrder
from dougong_repairs.services.people import WORK


def worker_here() -> tuple[Scope, Technician]:
    """Return the request's scope and its technician; raises NotFound on a group's page."""
    scope = require_scope()
    if scope.community_id is None:
        raise NotFound(N_("There is no such page."))
    scope.require(WORK)
    with entered(scope, "repairs.technician.change_shift", WORK):
        technician = services.technician_of(scope)
    return scope, technician


def seen_order(scope: Scope, technician: Technician, order_id: UUID) -> WorkOrder:
    """Return an order that is the technician's, that he helps with or may take.

    Raises NotFound for another's.
    """
    found = scope.get(WorkOrder, order_id)
    if found.technician_id in (None, technician.id):
        return found
    if found.id in services.helps_with(scope, technician):
        return found
    raise NotFound(N_("There is no such record here (%(kind)s)."), kind="work_order")
