"""What happens at the counter."""

from dougong_desk.services.drafts import drop_draft, my_drafts, park_draft
from dougong_desk.services.printing import print_form, print_shift, print_slip
from dougong_desk.services.releases import (
    agree_release,
    approve_release,
    ask_release,
    issue_release,
    let_out,
    note_owner,
    print_release,
    refuse_release,
    revoke_release,
)
from dougong_desk.services.shifts import (
    Drawer,
    close_shift,
    drawer,
    my_shift,
    open_shift,
    sign_off_shift,
    waiting_floats,
)
from dougong_desk.services.takings import at_counter, dues_of, payments_of, take_payment
from dougong_desk.services.voids import approve_void, ask_void, carry_out_void, refuse_void

__all__ = [
    "Drawer",
    "agree_release",
    "approve_release",
    "ask_release",
    "issue_release",
    "let_out",
    "note_owner",
    "print_release",
    "refuse_release",
    "revoke_release",
    "approve_void",
    "ask_void",
    "at_counter",
    "carry_out_void",
    "close_shift",
    "drawer",
    "drop_draft",
    "dues_of",
    "my_drafts",
    "my_shift",
    "open_shift",
    "park_draft",
    "payments_of",
    "print_shift",
    "print_form",
    "print_slip",
    "refuse_void",
    "sign_off_shift",
    "take_payment",
    "waiting_floats",
]
