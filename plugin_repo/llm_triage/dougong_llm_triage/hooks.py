"""What the plugin does when a repair is reported."""

from dougong.hookspecs import hookimpl
from dougong_llm_triage import services
from dougong_repairs.models import WorkOrder


@hookimpl
def event_happened(scope, event):
    order = scope.session.get(WorkOrder, (scope.community_id, event.ids["work_order_id"]))
    if order is not None:
        services.judge_order(scope, order)
