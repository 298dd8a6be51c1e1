"""What people and jobs do with equipment."""

from dougong_equipment.services.alarms import watch
from dougong_equipment.services.commanding import control, run_schedules, withdraw
from dougong_equipment.services.faults import (
    check_fault,
    equipment_of,
    fix_fault,
    report_by_code,
    report_fault,
)
from dougong_equipment.services.ledger import (
    add_cost,
    commission,
    follow_law,
    lock,
    record_hours,
    retire,
    stop_equipment,
    tell_me,
    unlock,
)
from dougong_equipment.services.planning import keep_calendar
from dougong_equipment.services.rounds import (
    check_visit,
    keep_rounds,
    make_up_round,
    visit_point,
)
from dougong_equipment.services.shifts import begin_shift, hand_over, note_shift
from dougong_equipment.services.stock import (
    count_part,
    give_back_part,
    receive_part,
    use_part,
)
from dougong_equipment.services.tasks import (
    cancel_task,
    create_task,
    finish_task,
    start_task,
)

__all__ = [
    "add_cost",
    "begin_shift",
    "cancel_task",
    "check_fault",
    "check_visit",
    "commission",
    "control",
    "count_part",
    "create_task",
    "equipment_of",
    "finish_task",
    "fix_fault",
    "follow_law",
    "give_back_part",
    "hand_over",
    "keep_calendar",
    "keep_rounds",
    "lock",
    "make_up_round",
    "note_shift",
    "receive_part",
    "record_hours",
    "report_by_code",
    "report_fault",
    "retire",
    "run_schedules",
    "start_task",
    "stop_equipment",
    "tell_me",
    "unlock",
    "use_part",
    "visit_point",
    "watch",
    "withdraw",
]
