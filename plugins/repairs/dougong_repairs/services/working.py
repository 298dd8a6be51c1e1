"""What technicians and dispatchers do with an order between its report and its end."""

from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

from sqlalchemy import Select, select

from dougong.db import Scope
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_repairs.domain.kinds import PartKind, PauseReason, Urgency
from dougong_repairs.domain.prices import is_price
from dougong_repairs.domain.states import STEPS
from dougong_repairs.models import Technician, WorkOrder, WorkOrderPart
from dougong_repairs.services.people import DISPATCH, WORK, technician_of
from dougong_repairs.services.roster import draw, on_call_now
from dougong_repairs.services.stepping import must_be_his, need, take


@service("work_order.dispatch", title=("Assign", "派单"))
def dispatch_order(
    scope: Scope, work_order: WorkOrder, technician_id: UUID, reason: str = ""
) -> WorkOrder:
    """Give an order to a technician. Raises WrongState, NotFound, Invalid when he is off."""
    technician = scope.get(Technician, technician_id)
    is_on_call = work_order.urgency is Urgency.EMERGENCY and technician.id in on_call_now(scope)
    if not technician.is_on_shift and not is_on_call:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"technician_id": gettext("This technician is not on shift.")},
        )
    work_order.technician_id, work_order.dispatched_at = technician.id, scope.now
    work_order.dispatch_reason = reason.strip()[:300] or None
    scope.session.flush()
    scope.session.expire(work_order, ["technician"])
    return take(scope, work_order, "dispatch", technician.name)


@service("work_order.grab", title=("Take it", "抢单"), permission=WORK)
def grab_order(scope: Scope, work_order: WorkOrder) -> WorkOrder:
    """Take an order that waits. Raises WrongState when somebody was quicker."""
    technician = technician_of(scope)
    take(scope, work_order, "grab", technician.name)
    work_order.technician_id, work_order.dispatched_at = technician.id, scope.now
    work_order.dispatch_reason = None
    return work_order


@service("work_order.accept", title=("Accept", "接单"), permission=WORK)
def accept_order(scope: Scope, work_order: WorkOrder) -> WorkOrder:
    """Accept an order that one was given; the clock of the response stops."""
    return take(scope, work_order, "accept")


@service("work_order.start", title=("Start", "开始处理"), permission=WORK)
def start_order(scope: Scope, work_order: WorkOrder) -> WorkOrder:
    """Begin the work; where the order is becomes the technician's last known building."""
    take(scope, work_order, "start")
    if work_order.technician is not None and work_order.building_id is not None:
        work_order.technician.last_building_id = work_order.building_id
    return work_order


@service("work_order.pause", title=("Pause", "暂停"), permission=WORK)
def pause_order(
    scope: Scope, work_order: WorkOrder, pause_reason: PauseReason, note: str = ""
) -> WorkOrder:
    """Stop the clocks for a reason that is not the technician's."""
    take(scope, work_order, "pause", note)
    work_order.pause_reason = pause_reason
    return work_order


@service("work_order.resume", title=("Go on", "继续处理"), permission=WORK)
def resume_order(scope: Scope, work_order: WorkOrder) -> WorkOrder:
    """Go on after a pause; the clocks run on with what was left."""
    return take(scope, work_order, "resume")


@service("work_order.finish", title=("Done", "完工"), permission=WORK)
def finish_order(scope: Scope, work_order: WorkOrder, solution: str = "") -> WorkOrder:
    """Say that it is repaired; the owner is asked how satisfied he is. Raises WrongState."""
    take(scope, work_order, "finish", solution)
    work_order.solution = solution.strip()[:1000] or None
    return work_order


@service("work_order.give_back", title=("Give back", "退单"), permission=WORK)
def give_back_order(scope: Scope, work_order: WorkOrder, reason: str) -> WorkOrder:
    """Give an order back to the dispatcher, with the reason."""
    need(reason=reason)
    take(scope, work_order, "give_back", reason, is_public=False)
    work_order.dispatch_reason = None
    return work_order


@service("work_order.transfer", title=("Hand to a colleague", "转单"), permission=WORK)
def transfer_order(
    scope: Scope, work_order: WorkOrder, technician_id: UUID, reason: str = ""
) -> WorkOrder:
    """Give an order that somebody has to another technician."""
    technician = scope.get(Technician, technician_id)
    if technician.id == work_order.technician_id:
        raise Invalid(N_("He has this order already."))
    take(scope, work_order, "transfer", f"{technician.name} {reason}".strip(), is_public=False)
    work_order.technician_id, work_order.dispatched_at = technician.id, scope.now
    return work_order


@service("work_order.hand_over", title=("To a contractor", "转外委"), permission=DISPATCH)
def hand_over_order(scope: Scope, work_order: WorkOrder, contractor: str) -> WorkOrder:
    """Hand an order to a contractor's people; the dispatcher finishes it for them."""
    need(contractor=contractor)
    work_order.contractor = contractor.strip()[:120]
    return take(scope, work_order, "hand_over", contractor)


@service("work_order.drop", title=("Cancel", "作废"), permission=DISPATCH)
def drop_order(scope: Scope, work_order: WorkOrder, reason: str) -> WorkOrder:
    """Cancel an order for a reason that the owner reads, wherever it stands before its end."""
    need(reason=reason)
    verb = "cancel" if work_order.state in STEPS["cancel"].sources else "drop"
    return take(scope, work_order, verb, reason)


@service("work_order.close", title=("Close", "办结"), permission=DISPATCH)
def close_order(scope: Scope, work_order: WorkOrder) -> WorkOrder:
    """Close an order that was done and that nobody rates; the owner is told."""
    take(scope, work_order, "close")
    work_order.closed_at = scope.now
    return work_order


@service("work_order.add_part", title=("Add a part", "登记配件"), permission=WORK)
def add_part(
    scope: Scope,
    work_order: WorkOrder,
    name: str,
    quantity: Decimal = Decimal(1),
    unit_price: Decimal = Decimal(0),
    kind: PartKind = PartKind.PART,
) -> WorkOrderPart:
    """Note a part or labour that went into an order, at the company's cost.

    What its technician carries in his van is taken out of it, at its price. What the owner pays
    stands in a quotation. Raises Invalid, NotYours, Conflict when the van has less.
    """
    need(name=name)
    must_be_his(scope, work_order)
    if quantity <= 0 or not is_price(unit_price):
        raise Invalid(
            N_("Some fields are not right yet."), fields={"quantity": gettext("More than nothing.")}
        )
    stock = draw(scope, work_order.technician_id, name, quantity)
    part = WorkOrderPart(
        work_order_id=work_order.id,
        name=name.strip()[:120],
        quantity=quantity,
        unit_price=unit_price or (stock.unit_price if stock is not None else unit_price),
        kind=kind,
    )
    scope.session.add(part)
    scope.session.flush()
    return part


def parts_of_order(scope: Scope, work_order: WorkOrder) -> list[WorkOrderPart]:
    """Return what went into an order, as it was noted."""
    return list(scope.session.scalars(parts_query(work_order)))


def parts_query(work_order: WorkOrder) -> Select[WorkOrderPart]:
    """Return the query of what went into an order, as it was noted."""
    query = select(WorkOrderPart).where(WorkOrderPart.work_order_id == work_order.id)
    return query.order_by(WorkOrderPart.id)


@service(
    "work_order.costs",
    title=("Costs", "工单成本"),
    permission="repairs.work_order.view",
    is_public=False,
)
def costs_of_order(scope: Scope, work_order: WorkOrder) -> dict[str, Decimal]:
    """Return what went into an order in yuan, by ``part`` and ``labour``; each line to the cent."""
    found: dict[str, Decimal] = {}
    for line in parts_of_order(scope, work_order):
        amount = (line.quantity * line.unit_price).quantize(Decimal("0.01"), ROUND_HALF_UP)
        found[line.kind.value] = found.get(line.kind.value, Decimal(0)) + amount
    return found
