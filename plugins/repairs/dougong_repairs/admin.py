"""The admin's view of work orders, technicians, places and what the model learnt."""

from dougong.i18n import bilingual
from dougong.web.admin import RecordView, ViewExtension, action, extend_view, menu_page
from dougong_repairs import cards, services
from dougong_repairs.domain.states import OPEN, STEPS
from dougong_repairs.models import (
    BuildingPosition,
    CalendarDay,
    CleanUp,
    Delivery,
    DutyContact,
    OnCall,
    Quotation,
    QuotationLine,
    ReportPoint,
    SyncedOperation,
    Technician,
    TechnicianSkill,
    TriageCorrection,
    VanStock,
    WarrantyTerm,
    WorkOrder,
    WorkOrderHelper,
    WorkOrderPart,
    WorkOrderStep,
)
from dougong_repairs.words import verb_words

STILL_OPEN = tuple(sorted(state.value for state in OPEN))


def _from(verb: str) -> tuple[str, ...]:
    """Return the states in which the state machine knows a verb."""
    return tuple(sorted(state.value for state in STEPS[verb].sources))


class WorkOrderView(RecordView, model=WorkOrder):
    title = ("Work orders", "工单")
    icon = "tool"
    said = {
        "dispatch_reason": lambda scope, order: services.reason_words(order.dispatch_reason),
        "triage_reason": lambda scope, order: services.triage_words(order.triage_reason),
    }
    columns = (
        "number",
        "text",
        "category",
        "urgency",
        "state",
        "room",
        "place",
        "technician",
        "reported_at",
        "resolve_due_at",
        "rating",
    )
    filters = (
        "state",
        "urgency",
        "category",
        "source",
        "technician",
        "room",
        "building",
        "person",
        "reported_at",
        "resolve_due_at",
        "done_at",
        "closed_at",
        "rating",
        "alarm_level",
        "help_wanted_at",
    )
    search = ("text", "place", "contact_phone")
    form = (
        "text",
        "category",
        "urgency",
        "room_id",
        "building_id",
        "place",
        "person_id",
        "contact_phone",
        "visit_wanted",
    )
    actions = (
        action(services.dispatch_order, states=_from("dispatch")),
        action(services.accept_order, bulk=True, states=_from("accept")),
        action(services.start_order, states=_from("start")),
        action(services.pause_order, states=_from("pause")),
        action(services.resume_order, states=_from("resume")),
        action(services.finish_order, states=_from("finish")),
        action(services.appoint_order, states=STILL_OPEN),
        action(services.quote_order, states=STILL_OPEN),
        action(services.offer_order, states=STILL_OPEN),
        action(services.add_part, states=(*STILL_OPEN, "done")),
        action(services.add_helper, states=_from("transfer")),
        action(services.transfer_order, states=_from("transfer")),
        action(services.correct_order, bulk=True, states=(*STILL_OPEN, "done")),
        action(services.hand_over_order, states=_from("hand_over")),
        action(services.answer_help, states=_from("transfer")),
        action(services.urge_order, states=_from("urge")),
        action(services.reopen_order, states=_from("reopen")),
        action(services.close_order, confirm=True, bulk=True, states=_from("close")),
        action(services.drop_order, states=STILL_OPEN),
    )
    # Nothing that somebody reported goes away without a word: it is cancelled with a reason.
    can_delete = can_import = False
    menu_order = 20


class WorkOrderStepView(RecordView, model=WorkOrderStep):
    title = ("Steps of work orders", "工单步骤")
    columns = ("work_order", "verb", "state", "taken_at", "author", "note", "is_public")
    said = {
        "author": lambda scope, step: cards.author_of(step),
        "verb": lambda scope, step: verb_words(step.verb),
    }
    filters = ("work_order", "state", "taken_at")
    can_create = can_change = can_delete = can_import = False
    in_menu = False


class WorkOrderPartView(RecordView, model=WorkOrderPart):
    title = ("Parts used", "配件与工时")
    icon = "package"
    columns = ("work_order", "kind", "name", "quantity", "unit_price", "is_charged")
    filters = ("work_order", "kind", "is_charged")
    search = ("name",)
    can_import = False
    menu_order = 60


class TechnicianView(RecordView, model=Technician):
    title = ("Technicians", "维修师傅")
    icon = "users"
    columns = ("name", "is_on_shift", "capacity", "last_building", "had_turn_at")
    filters = ("is_on_shift",)
    search = ("name",)
    inline = ("is_on_shift", "capacity")
    order = "name"
    menu_order = 30


class TechnicianSkillView(RecordView, model=TechnicianSkill):
    title = ("Skills", "技能")
    icon = "star"
    columns = ("technician", "category", "level")
    filters = ("technician", "category", "level")
    inline = ("level",)
    menu_order = 31


class ReportPointView(RecordView, model=ReportPoint):
    title = ("Codes to report by", "报修码")
    icon = "grid"
    columns = ("name", "building", "category", "is_active")
    filters = ("building", "category", "is_active")
    search = ("name",)
    form = ("name", "building_id", "category", "is_active")
    can_import = False
    menu_order = 40


class BuildingPositionView(RecordView, model=BuildingPosition):
    title = ("Positions of buildings", "楼栋坐标")
    icon = "map"
    columns = ("building", "east_m", "south_m")
    filters = ("building",)
    inline = ("east_m", "south_m")
    menu_order = 70


class CalendarDayView(RecordView, model=CalendarDay):
    title = ("Calendar", "工作日历")
    icon = "calendar"
    columns = ("day_on", "is_working", "note")
    filters = ("day_on", "is_working")
    order = "day_on"
    menu_order = 71


class DutyContactView(RecordView, model=DutyContact):
    title = ("Told of late orders", "超时通知人")
    icon = "bell"
    columns = ("name", "level")
    filters = ("level",)
    inline = ("level",)
    form = ("level",)
    can_create = can_import = False
    menu_order = 72


class TriageCorrectionView(RecordView, model=TriageCorrection):
    title = ("Corrections", "分类更正")
    icon = "edit-2"
    columns = ("work_order", "category", "urgency", "corrected_at")
    filters = ("category", "urgency", "corrected_at")
    can_create = can_change = can_import = False
    menu_order = 80


class QuotationView(RecordView, model=Quotation):
    title = ("Quotations", "报价单")
    icon = "file-text"
    columns = ("work_order", "state", "total", "offered_at", "decided_at", "outside_warranty")
    filters = ("work_order", "state", "offered_at")
    can_create = can_change = can_delete = can_import = False
    menu_order = 61


class QuotationLineView(RecordView, model=QuotationLine):
    title = ("Lines of quotations", "报价明细")
    columns = ("quotation", "kind", "name", "quantity", "unit_price")
    filters = ("quotation",)
    can_create = can_change = can_delete = can_import = False
    in_menu = False


class VanStockView(RecordView, model=VanStock):
    title = ("Parts in the vans", "随车备件")
    icon = "truck"
    columns = ("technician", "name", "quantity", "least", "unit_price")
    filters = ("technician",)
    search = ("name",)
    inline = ("least",)
    menu_order = 62


class WorkOrderHelperView(RecordView, model=WorkOrderHelper):
    title = ("Helpers", "协助师傅")
    columns = ("work_order", "technician")
    filters = ("work_order", "technician")
    can_create = can_change = can_import = False
    in_menu = False


class OnCallView(RecordView, model=OnCall):
    title = ("On call", "值班表")
    icon = "phone-call"
    columns = ("technician", "from_at", "to_at")
    filters = ("technician", "from_at")
    menu_order = 33


class WarrantyTermView(RecordView, model=WarrantyTerm):
    title = ("Warranty terms", "保修期")
    icon = "shield"
    columns = ("part", "category", "months")
    filters = ("category",)
    inline = ("months",)
    order = "part"
    menu_order = 73


class DeliveryView(RecordView, model=Delivery):
    title = ("Hand-overs", "交付日期")
    icon = "key"
    columns = ("building", "room", "delivered_on")
    filters = ("building", "room", "delivered_on")
    menu_order = 74


class SyncedOperationView(RecordView, model=SyncedOperation):
    title = ("Done without network", "离线同步")
    icon = "refresh-cw"
    columns = ("synced_at", "technician", "verb", "is_done", "problem")
    filters = ("technician", "is_done", "synced_at")
    can_create = can_change = can_delete = can_import = False
    menu_order = 81


class CleanUpView(RecordView, model=CleanUp):
    title = ("Clean-ups", "清理报告")
    icon = "archive"
    columns = ("run_on", "closed", "stale", "is_dry")
    filters = ("run_on", "is_dry")
    can_create = can_change = can_delete = can_import = False
    menu_order = 82


extend_view(
    "repairs",
    ViewExtension(
        "repairs.work_order", "clock", bilingual("Time left", "剩余时间"), cards.time_left
    ),
)
menu_page(
    "repairs.board",
    ("Dispatcher's board", "调度看板"),
    "repairs.work_order.dispatch",
    plugin="repairs",
    icon="columns",
    order=10,
    only_in="community",
)
menu_page(
    "repairs.metrics",
    ("Figures", "维修统计"),
    "repairs.work_order.view",
    plugin="repairs",
    icon="trending-up",
    order=25,
    only_in="community",
)
menu_page(
    "repairs.work",
    ("My orders", "我的工单"),
    "repairs.work_order.work",
    plugin="repairs",
    icon="clipboard",
    order=15,
    only_in="community",
)
