"""What people, jobs and devices do with meters."""

from dougong_meters.services.alarms import close_alarm, raise_tamper, watch
from dougong_meters.services.balance import (
    Balance,
    balance,
    main_commodity,
    reckon_balance,
    reckon_balances,
    shown_balance,
)
from dougong_meters.services.collecting import collect
from dougong_meters.services.counters import (
    check_counters,
    keep_counters,
    recount_counters,
    wrong_counters,
)
from dougong_meters.services.readings import (
    accept_reading,
    estimate_reading,
    record_reading,
    reject_reading,
    replace_meter,
    too_high,
)
from dougong_meters.services.residents import (
    meters_of_rooms,
    my_meter,
    my_rooms,
    send_reading,
)
from dougong_meters.services.route import Stop, Stretch, next_stop, record_at, stop_at, stretches
from dougong_meters.services.usage import (
    RoomUsage,
    months_from,
    months_query,
    usage_by_month,
    usage_for_period,
    usage_of_meters,
)
from dougong_meters.services.usage_map import FloorUsage, usage_by_floor, usage_by_room

__all__ = [
    "Balance",
    "FloorUsage",
    "RoomUsage",
    "Stop",
    "Stretch",
    "accept_reading",
    "balance",
    "check_counters",
    "keep_counters",
    "recount_counters",
    "usage_by_floor",
    "wrong_counters",
    "close_alarm",
    "collect",
    "estimate_reading",
    "main_commodity",
    "reckon_balance",
    "reckon_balances",
    "shown_balance",
    "meters_of_rooms",
    "my_meter",
    "my_rooms",
    "next_stop",
    "raise_tamper",
    "record_at",
    "record_reading",
    "reject_reading",
    "replace_meter",
    "send_reading",
    "stop_at",
    "stretches",
    "too_high",
    "months_from",
    "months_query",
    "usage_by_month",
    "usage_by_room",
    "usage_for_period",
    "usage_of_meters",
    "watch",
]
