"""What people, jobs and devices do with prepaid energy."""

from dougong_prepaid.services.accounts import (
    count_anew,
    credit,
    open_accounts,
    pay_back,
    protect,
    take_back,
    top_up,
)
from dougong_prepaid.services.beds import Arrival, check_in, check_out, occupied_beds
from dougong_prepaid.services.cards import (
    CARD,
    CardOrder,
    issue_card,
    order_write,
    present,
    refuse_refund,
    report_lost,
    top_up_card,
)
from dougong_prepaid.services.loads import take_readings
from dougong_prepaid.services.residents import (
    movements_of,
    my_accounts,
    my_accounts_query,
    my_person,
    pay_mine,
    people_in,
    standings,
    top_up_mine,
    usage_of_days,
)
from dougong_prepaid.services.settling import post_usage, settle_usage
from dougong_prepaid.services.supply import interlocks_before, refusal, restore_supply
from dougong_prepaid.services.working import settle

__all__ = [
    "Arrival",
    "CARD",
    "check_in",
    "check_out",
    "occupied_beds",
    "CardOrder",
    "issue_card",
    "order_write",
    "present",
    "refuse_refund",
    "report_lost",
    "top_up_card",
    "count_anew",
    "credit",
    "interlocks_before",
    "movements_of",
    "my_accounts",
    "my_accounts_query",
    "my_person",
    "open_accounts",
    "pay_back",
    "pay_mine",
    "people_in",
    "post_usage",
    "protect",
    "refusal",
    "restore_supply",
    "settle",
    "settle_usage",
    "standings",
    "take_back",
    "take_readings",
    "top_up",
    "top_up_mine",
    "usage_of_days",
]
