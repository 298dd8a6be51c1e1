"""The admin's view of renovations and what belongs to them."""

from dougong.web.admin import RecordView, action, menu_page
from dougong_renovation import services
from dougong_renovation.domain.states import sources
from dougong_renovation.models import (
    Application,
    ApplicationStep,
    Document,
    Inspection,
    Violation,
    WorkerPass,
)
from dougong_renovation.words import verb_words


class ApplicationView(RecordView, model=Application):
    title = ("Renovations", "装修申报")
    icon = "tool"
    columns = ("number", "room", "person", "state", "starts_on", "valid_until_on", "deposit_amount")
    filters = ("state", "room", "person", "starts_on", "valid_until_on", "refund_from_on")
    search = ("text", "contractor", "permit_number")
    form = ("text", "contractor", "contact_phone", "starts_on", "ends_on")
    actions = (
        action(services.agree_application, states=sources("agree")),
        action(services.send_back, states=sources("send_back")),
        action(services.refuse_application, states=sources("refuse")),
        action(services.sign_on_paper, confirm=True, states=sources("sign")),
        action(services.take_deposit, states=sources("take_deposit")),
        action(services.permit_application, confirm=True, states=sources("permit")),
        action(services.extend_permit, states=sources("extend")),
        action(services.stop_work, states=sources("stop")),
        action(services.let_go_on, confirm=True, states=sources("go_on")),
        action(services.find_defects, states=sources("find_defects")),
        action(services.accept_work, confirm=True, states=sources("accept")),
        action(services.settle_application, states=sources("settle")),
    )
    can_create = can_delete = can_import = False
    order = "-number"
    menu_order = 10


class DocumentView(RecordView, model=Document):
    title = ("Papers", "申报资料")
    icon = "file-text"
    columns = ("application", "kind", "handed_in_at")
    filters = ("application", "kind", "handed_in_at")
    can_create = can_import = False
    menu_order = 20


class WorkerPassView(RecordView, model=WorkerPass):
    title = ("Workers' passes", "施工出入证")
    icon = "user"
    columns = ("application", "name", "trade", "issued_at", "revoked_at")
    filters = ("application", "issued_at", "revoked_at")
    search = ("name",)
    actions = (action(services.revoke_pass, confirm=True, bulk=True),)
    can_change = can_delete = can_import = False
    menu_order = 30


class InspectionView(RecordView, model=Inspection):
    title = ("Inspections of renovations", "装修巡查")
    icon = "eye"
    columns = ("application", "kind", "is_passed", "inspected_at", "inspector", "note")
    filters = ("application", "kind", "is_passed", "inspected_at")
    can_change = can_delete = can_import = False
    attach_with = "create"
    menu_order = 40


class ViolationView(RecordView, model=Violation):
    title = ("Violations", "违规记录")
    icon = "alert-triangle"
    columns = ("application", "kind", "text", "state", "is_quiet_time", "due_on", "claim")
    filters = ("application", "kind", "state", "is_quiet_time", "due_on", "found_at")
    search = ("text",)
    actions = (
        action(services.confirm_violation, states=("reported",)),
        action(services.rectify_violation, confirm=True, states=("open",)),
        action(services.claim_damage, states=("open", "rectified")),
        action(services.report_to_authority, states=("open",)),
        action(services.dismiss_violation, confirm=True, states=("reported", "open")),
    )
    can_change = can_delete = can_import = False
    attach_with = "create"
    menu_order = 50


class ApplicationStepView(RecordView, model=ApplicationStep):
    title = ("Steps of renovations", "装修办理记录")
    columns = ("application", "verb", "state", "taken_at", "author", "note")
    said = {"verb": lambda scope, step: verb_words(step.verb)}
    filters = ("application", "taken_at")
    can_create = can_change = can_delete = can_import = False
    in_menu = False


menu_page(
    "renovation.new_for_somebody",
    ("Apply for somebody", "代为申报"),
    "renovation.application.create",
    plugin="renovation",
    icon="plus",
    order=15,
    only_in="community",
)
