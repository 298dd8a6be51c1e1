"""Which work orders someone sees, where a group has chosen so for his role."""

from typing import Any

from sqlalchemy import or_, select

from dougong.db import Scope, record_rule
from dougong_repairs.models import Technician, WorkOrder, WorkOrderHelper


@record_rule(
    WorkOrder,
    reason=(
        "Your role shows the work orders only that are assigned to you or that you help with.",
        "您的角色只显示派给您或由您协助的工单。",
    ),
    title=("Only one's own work orders", "仅本人的工单"),
)
def own_work_orders_only(scope: Scope) -> Any:
    me = select(Technician.id).where(Technician.user_id == scope.actor.user_id)
    helping = select(WorkOrderHelper.work_order_id).where(WorkOrderHelper.technician_id.in_(me))
    return or_(WorkOrder.technician_id.in_(me), WorkOrder.id.in_(helping))
