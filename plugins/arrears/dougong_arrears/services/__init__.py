"""What people, jobs and other plugins do about arrears."""

from dougong_arrears.services.agreements import (
    cancel_agreement,
    late_fee_pauses,
    print_agreement,
    sign_agreement,
    take_instalment,
    watch_agreements,
)
from dougong_arrears.services.contacts import (
    open_dispute,
    plan_next,
    record_contact,
    reveal_phone,
    settle_dispute,
)
from dougong_arrears.services.leaving import buildings_query, hand_over_collecting
from dougong_arrears.services.notices import deliver_letter, print_notices, start_notices
from dougong_arrears.services.owning import choose_reminders, print_my_agreement
from dougong_arrears.services.reminding import (
    Due,
    due_reminders,
    ensure_levels,
    preview_reminders,
    send_due,
    send_now,
)

__all__ = [
    "Due",
    "buildings_query",
    "cancel_agreement",
    "hand_over_collecting",
    "choose_reminders",
    "deliver_letter",
    "due_reminders",
    "ensure_levels",
    "late_fee_pauses",
    "open_dispute",
    "plan_next",
    "preview_reminders",
    "print_agreement",
    "print_my_agreement",
    "print_notices",
    "record_contact",
    "reveal_phone",
    "send_due",
    "send_now",
    "settle_dispute",
    "sign_agreement",
    "start_notices",
    "take_instalment",
    "watch_agreements",
]
