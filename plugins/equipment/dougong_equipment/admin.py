"""The admin's view of the ledger, maintenance, rounds, alarms, control and stock."""

from dougong.devices.configuration import command_title
from dougong.web.admin import RecordView, action, menu_page
from dougong_equipment import services
from dougong_equipment.models import (
    Alarm,
    AlarmRule,
    Answer,
    Checklist,
    ChecklistItem,
    Condition,
    Contractor,
    ControlRun,
    ControlSchedule,
    Equipment,
    EquipmentCost,
    EquipmentKind,
    Fault,
    InspectionPlan,
    InspectionPoint,
    InspectionRound,
    InspectionRoute,
    MaintenancePlan,
    MaintenanceTask,
    PointVisit,
    RouteStop,
    Shift,
    ShiftNote,
    SparePart,
    StockMove,
    SyncedWork,
    Watcher,
)
from dougong_equipment.rule_words import rule_words

RULE = {"rule": lambda _scope, record: rule_words(record.rule)}
COMMAND = {"command": lambda scope, record: command_title(scope.installation, record.command)}


class EquipmentView(RecordView, model=Equipment):
    title = ("Equipment", "设备台账")
    icon, menu_order = "settings", 10
    columns = ("number", "name", "level", "kind", "building", "place", "state", "warranty_until_on")
    filters = (
        "state",
        "level",
        "kind",
        "parent",
        "building",
        "room",
        "contractor",
        "commissioned_on",
        "warranty_until_on",
    )
    search = ("name", "number", "registration", "model", "supplier")
    inline = ("place", "post")
    actions = (
        action(services.commission, bulk=True, states=("planned", "stopped", "standby")),
        action(services.report_fault),
        action(services.control),
        action(services.lock),
        action(services.unlock),
        action(services.record_hours),
        action(services.stop_equipment, confirm=True, states=("in_use", "standby", "faulty")),
        action(services.retire, confirm=True),
    )


class EquipmentKindView(RecordView, model=EquipmentKind):
    title = ("Kinds of equipment", "设备类别")
    icon, menu_order = "grid", 80
    columns = ("name", "statute", "needs_registration", "life_years")
    filters = ("statute",)
    inline = ("life_years",)
    order = "name"


class FaultView(RecordView, model=Fault):
    title = ("Faults and findings", "故障与整改")
    icon, menu_order = "alert-triangle", 30
    columns = ("raised_at", "equipment", "text", "urgency", "source", "state", "due_on", "score",
               "work_order")  # fmt: skip
    filters = ("state", "source", "urgency", "equipment", "building", "raised_at", "due_on",
               "is_breakdown")  # fmt: skip
    search = ("text", "place")
    form = ("urgency", "due_on", "is_breakdown")
    can_create = can_delete = can_import = False
    actions = (
        action(services.fix_fault, bulk=True, states=("open",)),
        action(services.check_fault, states=("fixed",)),
    )


class EquipmentCostView(RecordView, model=EquipmentCost):
    title = ("Cost of equipment", "设备费用")
    icon, menu_order = "credit-card", 70
    columns = ("spent_on", "equipment", "kind", "amount", "note")
    filters = ("kind", "equipment", "spent_on")


class ContractorView(RecordView, model=Contractor):
    title = ("Contractors", "维保单位")
    icon, menu_order = "truck", 15
    columns = ("name", "contract_no", "ends_on", "licence", "licensed_until_on", "contact")
    filters = ("ends_on", "licensed_until_on")
    search = ("name", "contract_no")
    inline = ("ends_on", "licensed_until_on")


class MaintenancePlanView(RecordView, model=MaintenancePlan):
    title = ("Maintenance plans", "保养计划")
    icon, menu_order = "calendar", 20
    columns = ("equipment", "name", "statute", "rule", "counter_every", "catch_up", "is_active",
               "planned_until_on")  # fmt: skip
    said = RULE
    filters = ("statute", "equipment", "is_active", "catch_up")
    search = ("name",)
    inline = ("lead_days", "is_active")
    actions = (action(services.follow_law, bulk=True, confirm=True),)


class MaintenanceTaskView(RecordView, model=MaintenanceTask):
    title = ("Maintenance tasks", "保养任务")
    icon, menu_order = "check-square", 21
    columns = ("due_on", "equipment", "name", "statute", "state", "done_at", "done_by", "is_fine")
    filters = ("state", "statute", "equipment", "plan", "due_on", "done_at", "is_fine")
    search = ("name",)
    form = ("equipment_id", "name", "due_on", "checklist_id")
    order = "due_on"
    can_delete = can_import = False
    actions = (
        action(services.start_task, bulk=True, states=("open",)),
        action(services.cancel_task, states=("planned", "open", "started")),
    )


class ChecklistView(RecordView, model=Checklist):
    title = ("Checklists", "检查表")
    icon, menu_order = "list", 81
    columns = ("name",)
    search = ("name",)
    order = "name"


class ChecklistItemView(RecordView, model=ChecklistItem):
    title = ("Lines of checklists", "检查项")
    icon, menu_order = "list", 82
    columns = ("checklist", "position", "title", "kind", "lowest", "highest", "uom", "is_required")
    filters = ("checklist", "kind")
    search = ("title",)
    inline = ("lowest", "highest")


class InspectionRoundView(RecordView, model=InspectionRound):
    title = ("Inspection rounds", "巡检任务")
    icon, menu_order = "map", 25
    columns = ("starts_at", "route", "state", "visited", "points", "closes_at", "done_at",
               "makes_up")  # fmt: skip
    filters = ("state", "route", "starts_at", "makes_up")
    can_create = can_change = can_delete = can_import = False
    actions = (action(services.make_up_round, states=("missed",)),)


class PointVisitView(RecordView, model=PointVisit):
    title = ("Visits of points", "巡检记录")
    icon, menu_order = "map-pin", 26
    columns = ("arrived_at", "point", "round", "proof", "is_fine", "visited_by", "note", "score")
    filters = ("proof", "is_fine", "point", "round", "arrived_at", "score", "checked_at")
    can_create = can_change = can_delete = can_import = False
    actions = (action(services.check_visit),)


class AnswerView(RecordView, model=Answer):
    title = ("Answers", "检查结果")
    columns = ("item", "value", "is_fine", "task", "visit")
    filters = ("item", "is_fine", "task", "visit")
    can_create = can_change = can_delete = can_import = False
    in_menu = False


class ShiftView(RecordView, model=Shift):
    title = ("Shifts", "值班交接")
    icon, menu_order = "users", 27
    columns = ("begun_at", "post", "trade", "held_by", "state", "ended_at", "taken_by", "hand_over",
               "open_words", "objection")  # fmt: skip
    filters = ("state", "trade", "post", "begun_at")
    can_create = can_change = can_delete = can_import = False


class ShiftNoteView(RecordView, model=ShiftNote):
    title = ("Shift log", "值班日志")
    icon, menu_order = "list", 28
    columns = ("noted_at", "shift", "noted_by", "text")
    filters = ("shift", "noted_at")
    search = ("text",)
    can_create = can_change = can_delete = can_import = False


class InspectionPointView(RecordView, model=InspectionPoint):
    title = ("Inspection points", "巡检点")
    icon, menu_order = "map-pin", 83
    columns = ("name", "building", "floor", "equipment", "checklist", "tag", "stay_s")
    filters = ("building", "equipment", "checklist")
    search = ("name",)
    inline = ("tag", "stay_s")


class InspectionRouteView(RecordView, model=InspectionRoute):
    title = ("Routes", "巡检路线")
    icon, menu_order = "map", 84
    columns = ("name", "trade")
    filters = ("trade",)
    search = ("name",)


class RouteStopView(RecordView, model=RouteStop):
    title = ("Stops of routes", "路线站点")
    icon, menu_order = "map", 85
    columns = ("route", "position", "point")
    filters = ("route", "point")
    inline = ("position",)


class InspectionPlanView(RecordView, model=InspectionPlan):
    title = ("Plans of rounds", "巡检计划")
    icon, menu_order = "calendar", 24
    columns = ("route", "rule", "starts_at", "window_minutes", "is_active", "planned_until_at")
    said = RULE
    filters = ("route", "is_active")
    inline = ("is_active",)


class AlarmView(RecordView, model=Alarm):
    title = ("Alarms of equipment", "设备告警")
    icon, menu_order = "bell", 40
    columns = ("since_at", "equipment", "rule", "state", "value", "raised_at", "over_at")
    filters = ("state", "equipment", "rule", "since_at")
    can_create = can_change = can_delete = can_import = False


class AlarmRuleView(RecordView, model=AlarmRule):
    title = ("Alarm rules", "告警规则")
    icon, menu_order = "bell", 86
    columns = ("equipment", "name", "point", "comparison", "threshold", "dead_band", "delay_s",
               "urgency", "is_active")  # fmt: skip
    filters = ("equipment", "is_active", "urgency")
    inline = ("threshold", "dead_band", "delay_s")


class ConditionView(RecordView, model=Condition):
    title = ("Interlocks", "联锁条件")
    icon, menu_order = "lock", 87
    columns = ("equipment", "command", "watched", "point", "comparison", "threshold", "name",
               "is_active")  # fmt: skip
    said = COMMAND
    filters = ("equipment", "is_active")


class ControlScheduleView(RecordView, model=ControlSchedule):
    title = ("Control schedules", "定时控制")
    icon, menu_order = "clock", 45
    columns = ("equipment", "name", "command", "moment", "at", "offset_minutes", "rule",
               "is_active")  # fmt: skip
    said = {**RULE, **COMMAND}
    filters = ("equipment", "moment", "is_active")
    inline = ("at", "offset_minutes", "is_active")


class ControlRunView(RecordView, model=ControlRun):
    title = ("Runs of schedules", "定时执行记录")
    icon, menu_order = "clock", 46
    columns = ("due_at", "schedule", "state", "detail")
    filters = ("state", "schedule", "due_at")
    can_create = can_change = can_delete = can_import = False


class SparePartView(RecordView, model=SparePart):
    title = ("Spare parts", "备件库存")
    icon, menu_order = "package", 60
    columns = ("name", "model", "shelf", "stock", "minimum", "uom", "unit_price", "is_low")
    filters = ("is_low", "shelf")
    search = ("name", "model")
    form = ("name", "model", "uom", "shelf", "minimum", "unit_price")
    inline = ("minimum",)
    actions = (
        action(services.receive_part),
        action(services.use_part),
        action(services.give_back_part),
        action(services.count_part),
    )


class StockMoveView(RecordView, model=StockMove):
    title = ("Movements of parts", "出入库记录")
    icon, menu_order = "package", 61
    columns = ("moved_at", "part", "kind", "quantity", "balance", "equipment", "moved_by", "note")
    filters = ("kind", "part", "equipment", "moved_at")
    can_create = can_change = can_delete = can_import = False


class SyncedWorkView(RecordView, model=SyncedWork):
    title = ("Done without network", "离线同步")
    icon, menu_order = "refresh-cw", 90
    columns = ("synced_at", "worker", "verb", "is_done", "problem")
    filters = ("is_done", "synced_at")
    can_create = can_change = can_delete = can_import = False


class WatcherView(RecordView, model=Watcher):
    title = ("Told of legal dates", "到期提醒人")
    icon, menu_order = "bell", 88
    columns = ("name", "level")
    filters = ("level",)
    form = ("level",)
    can_create = can_import = False


menu_page(
    "equipment.work",
    ("Today's tasks and rounds", "今日保养与巡检"),
    "equipment.maintenance_task.work",
    plugin="equipment",
    icon="clipboard",
    order=5,
    only_in="community",
)
menu_page(
    "equipment.shifts",
    ("Shift log and hand-over", "值班与交接班"),
    "equipment.inspection_round.walk",
    plugin="equipment",
    icon="users",
    order=7,
    only_in="community",
)
menu_page(
    "equipment.scan",
    ("Scan a code", "扫码"),
    "equipment.equipment.view",
    plugin="equipment",
    icon="maximize",
    order=6,
    only_in="community",
)
menu_page(
    "equipment.replacements",
    ("When to replace what", "更新预测"),
    "equipment.equipment.view",
    plugin="equipment",
    icon="trending-up",
    order=71,
    only_in="community",
)
