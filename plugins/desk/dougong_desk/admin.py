"""The admin's view of shifts, slips, drafts and voids."""

from dougong.i18n import N_, bilingual
from dougong.web.admin import RecordView, action
from dougong_desk import services
from dougong_desk.models import Draft, Shift, Taking, TakingPayment, VoidRequest

# What a shift's takings are called where they stand as they were kept.
KEPT_WORDS = (N_("Back"), N_("Taken"))


class ShiftView(RecordView, model=Shift):
    title = bilingual("Shifts", "收费班次")
    icon = "clock"
    columns = ("cashier_name", "opened_at", "closed_at", "state", "counted", "difference", "kept")
    filters = ("state", "opened_at", "difference")
    search = ("cashier_name",)
    order = "-opened_at"
    actions = (action(services.sign_off_shift, confirm=True, states=("closed",)),)
    can_create = can_change = can_delete = False
    menu_order = 20


class VoidRequestView(RecordView, model=VoidRequest):
    title = bilingual("Voids", "作废申请")
    icon = "x-circle"
    columns = ("asked_on", "payment", "reason", "asked_name", "state", "decided_name")
    filters = ("state", "asked_on", "shift")
    actions = (
        action(services.approve_void, confirm=True, states=("asked",)),
        action(services.refuse_void, confirm=True, states=("asked",)),
    )
    can_create = can_change = can_delete = False
    menu_order = 30


class TakingView(RecordView, model=Taking):
    title = bilingual("Slips", "柜台小票")
    icon = "printer"
    columns = ("taken_at", "room", "amount", "received", "change", "shift")
    filters = ("shift", "room", "taken_at")
    order = "-taken_at"
    can_create = can_change = can_delete = False
    menu_order = 40


class TakingPaymentView(RecordView, model=TakingPayment):
    title = bilingual("Payments on slips", "小票收款")
    columns = ("taking", "payment")
    filters = ("taking",)
    can_create = can_change = can_delete = False
    menu_order = 50


class DraftView(RecordView, model=Draft):
    title = bilingual("Drafts", "挂单")
    icon = "inbox"
    columns = ("parked_at", "room", "note")
    filters = ("room", "parked_at")
    can_create = can_change = can_delete = False
    menu_order = 60
