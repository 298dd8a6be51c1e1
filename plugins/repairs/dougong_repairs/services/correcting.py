"""A dispatcher puts category or urgency right; the clocks follow, and the model learns."""

from sqlalchemy import select

from dougong.db import Scope
from dougong.services import service
from dougong_repairs.domain.kinds import Category, OrderState, Urgency
from dougong_repairs.models import TriageCorrection, WorkOrder
from dougong_repairs.services import deadlines
from dougong_repairs.services.people import DISPATCH


@service("work_order.correct", title=("Correct", "更正分类"), permission=DISPATCH)
def correct_order(
    scope: Scope, work_order: WorkOrder, category: Category, urgency: Urgency
) -> WorkOrder:
    """Put an order's category and urgency right; with another urgency the clocks start anew."""
    if urgency is not work_order.urgency and work_order.done_at is None:
        work_order.urgency = urgency
        deadlines.start_clocks(scope, work_order)
    work_order.category, work_order.urgency = category, urgency
    query = select(TriageCorrection).where(TriageCorrection.work_order_id == work_order.id)
    known = scope.session.scalars(query).first()
    if known is None:
        known = TriageCorrection(work_order_id=work_order.id)
        scope.session.add(known)
    known.category, known.urgency, known.corrected_at = category, urgency, scope.now
    scope.session.flush()
    return work_order


@service(
    "work_order.suggest",
    title=("Suggest a category", "建议分类"),
    permission=DISPATCH,
    is_public=False,
)
def suggest_order(
    scope: Scope, work_order: WorkOrder, category: Category, urgency: Urgency, reason: str = ""
) -> bool:
    """Take over another judge's opinion of a report that nobody has yet; tell whether it changed.

    What people chose stays, an emergency is never graded down, and nothing is learnt from it.
    """
    if work_order.state is not OrderState.REPORTED or work_order.triage_confidence is None:
        return False
    corrected = select(TriageCorrection.id).where(TriageCorrection.work_order_id == work_order.id)
    if scope.session.scalars(corrected.limit(1)).first() is not None:
        return False
    if work_order.urgency is Urgency.EMERGENCY:
        urgency = Urgency.EMERGENCY
    if (category, urgency) == (work_order.category, work_order.urgency):
        return False
    if urgency is not work_order.urgency:
        work_order.urgency = urgency
        deadlines.start_clocks(scope, work_order)
    work_order.category = category
    work_order.triage_reason = (reason.strip() or work_order.triage_reason or "")[:300]
    scope.session.flush()
    return True
