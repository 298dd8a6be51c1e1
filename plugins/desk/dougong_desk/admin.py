"""The admin's view of shifts, slips, drafts and voids."""

from typing import Any

from dougong.db import Scope, member_label
from dougong.i18n import N_, bilingual
from dougong.web.admin import RecordView, action
from dougong_desk import services
from dougong_desk.models import Draft, ReleasePass, Shift, Taking, TakingPayment, VoidRequest
from dougong_ledger.domain import PaymentChannel

# What a shift's takings are called where they stand as they were kept.
KEPT_WORDS = (N_("Back"), N_("Taken"), N_("Number of payments"))


def _takings(_scope: Scope, shift: Any) -> list[dict[str, Any]]:
    """Return what a shift took, its means in words."""
    return [
        {
            "channel": member_label(PaymentChannel(t["channel"])),
            "number_of_payments": t["count"],
            "taken": t["taken"],
            "back": t["back"],
        }
        for t in shift.takings or ()
    ]


class ShiftView(RecordView, model=Shift):
    title = bilingual("Shifts", "收费班次")
    icon = "clock"
    columns = ("cashier_name", "opened_at", "closed_at", "state", "counted", "difference", "kept")
    filters = ("state", "opened_at", "difference")
    search = ("cashier_name",)
    said = {"takings": _takings}
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


class ReleasePassView(RecordView, model=ReleasePass):
    title = bilingual("Item release passes", "物品放行条")
    icon = "log-out"
    columns = (
        "number",
        "room",
        "items",
        "bearer",
        "plate",
        "from_on",
        "until_on",
        "state",
        "left_at",
    )
    filters = ("state", "room", "person", "from_on", "left_at")
    search = ("bearer", "plate", "room")
    form = ("room_id", "person_id", "items", "bearer", "plate", "from_on", "until_on", "owner_word")
    actions = (
        action(services.note_owner, states=("requested",)),
        action(services.approve_release, confirm=True, states=("requested",)),
        action(services.refuse_release, states=("requested",)),
        action(services.revoke_release, confirm=True, states=("issued",)),
        action(services.print_release, states=("issued",)),
    )
    order = "-number"
    can_change = can_delete = can_import = False
    menu_order = 25
