"""Help for a technician: the desk hears where he is and with what, and says that it comes."""

from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import Conflict
from dougong.i18n import N_
from dougong.messages import notify
from dougong.services import entered, service
from dougong_repairs.models import DutyContact, Technician, WorkOrder
from dougong_repairs.services.people import DISPATCH, WORK
from dougong_repairs.services.stepping import write_down


def call_for_help(scope: Scope, order: WorkOrder, technician: Technician) -> None:
    """Tell everybody on duty, at once, that a technician needs help, where, and with what.

    The order stands out on the board until somebody answers.
    """
    with entered(scope, "repairs.work_order.help", WORK):
        for contact in scope.session.scalars(select(DutyContact)):
            notify(
                scope,
                contact.user_id,
                "repairs:technician_needs_help",
                {
                    "technician": technician.name,
                    "number": order.number,
                    "text": order.text[:60],
                    "place": place_of(order),
                },
                is_urgent=True,
                link=f"admin/repairs/work_order/{order.id}/",
            )
        order.help_wanted_at = scope.now
        write_down(scope, order, "help", place_of(order), is_public=False)


@service("work_order.answer_help", title=("Help is on its way", "已安排支援"), permission=DISPATCH)
def answer_help(scope: Scope, work_order: WorkOrder) -> WorkOrder:
    """Say that a technician's call for help was heard; he reads it. Raises Conflict without one."""
    if work_order.help_wanted_at is None:
        raise Conflict(N_("Nobody asks for help with this order."))
    work_order.help_wanted_at = None
    write_down(scope, work_order, "answer_help", is_public=False)
    return work_order


def place_of(order: WorkOrder) -> str:
    """Return where an order is, as a technician would say it."""
    if order.room is not None:
        return f"{order.room.code} {order.place or ''}".strip()
    names = (order.building.name if order.building is not None else "", order.place or "")
    return " ".join(name for name in names if name)
