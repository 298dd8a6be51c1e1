"""What people, jobs and other plugins do with fees."""

from dougong_fees.services.ahead import cancel_mine, declare_mine, save_mine, start_mine
from dougong_fees.services.apportionments import (
    correct_apportionment,
    publish_apportionment,
    share_out,
    start_apportionment,
)
from dougong_fees.services.bills import (
    pay_bills,
    pay_from_wallet,
    reverse_bill,
    room_dues,
    settle,
    take_back,
    withdraw_bill,
)
from dougong_fees.services.clearance import certify_hand_over, keep_photos
from dougong_fees.services.deferred import recognise_month, recognise_prepayments
from dougong_fees.services.deliveries import (
    close_delivery,
    deem_delivered,
    deliver,
    deliver_many,
    plan_delivery,
    print_delivery,
    print_delivery_room,
    refuse_delivery,
)
from dougong_fees.services.discounts import (
    approve_discount,
    end_discount,
    refuse_discount,
    request_discount,
)
from dougong_fees.services.explain import explain_bill
from dougong_fees.services.group_runs import (
    CommunityRun,
    approve_group_runs,
    create_group_runs,
    group_runs,
    publish_group_runs,
    roll_back_group_runs,
    together,
)
from dougong_fees.services.handovers import (
    hand_over,
    preview_hand_over,
    print_hand_over,
    undo_hand_over,
)
from dougong_fees.services.items import add_price, assign_charges, step_up_price
from dougong_fees.services.late import demand_late_fee, late_fee_due, late_items
from dougong_fees.services.mine import (
    explain_mine,
    my_bills,
    order_mine,
    pay_mine,
    print_mine,
    print_my_bill,
    top_up_mine,
)
from dougong_fees.services.month_end import month_end_figures
from dougong_fees.services.prepayments import (
    end_prepayment,
    lapse_prepayments,
    offer_prepayment,
)
from dougong_fees.services.printing import print_bill
from dougong_fees.services.runs import (
    approve_run,
    create_run,
    prepare_run,
    publish_run,
    reckon_run,
    roll_back_run,
)
from dougong_fees.services.single import demand_single
from dougong_fees.services.templates import (
    preview_template,
    roll_out_template,
    undo_template,
)
from dougong_fees.services.vacancies import (
    approve_vacancy,
    declare_vacancy,
    end_vacancy,
    refuse_vacancy,
)
from dougong_fees.services.waivers import approve_waiver, refuse_waiver, request_waiver
from dougong_fees.services.whole import WholeBill, whole_bill

__all__ = [
    "WholeBill",
    "certify_hand_over",
    "close_delivery",
    "keep_photos",
    "deem_delivered",
    "deliver",
    "deliver_many",
    "plan_delivery",
    "print_delivery",
    "print_delivery_room",
    "refuse_delivery",
    "cancel_mine",
    "declare_mine",
    "save_mine",
    "start_mine",
    "CommunityRun",
    "preview_template",
    "roll_out_template",
    "undo_template",
    "approve_discount",
    "refuse_discount",
    "request_discount",
    "add_price",
    "approve_group_runs",
    "publish_group_runs",
    "roll_back_group_runs",
    "together",
    "approve_vacancy",
    "declare_vacancy",
    "end_discount",
    "end_prepayment",
    "end_vacancy",
    "lapse_prepayments",
    "offer_prepayment",
    "recognise_month",
    "recognise_prepayments",
    "refuse_vacancy",
    "approve_run",
    "approve_waiver",
    "assign_charges",
    "correct_apportionment",
    "create_group_runs",
    "create_run",
    "demand_late_fee",
    "demand_single",
    "explain_bill",
    "whole_bill",
    "explain_mine",
    "group_runs",
    "hand_over",
    "late_fee_due",
    "late_items",
    "month_end_figures",
    "my_bills",
    "order_mine",
    "pay_bills",
    "pay_from_wallet",
    "pay_mine",
    "prepare_run",
    "preview_hand_over",
    "print_bill",
    "print_hand_over",
    "print_mine",
    "print_my_bill",
    "publish_apportionment",
    "publish_run",
    "reckon_run",
    "refuse_waiver",
    "request_waiver",
    "reverse_bill",
    "roll_back_run",
    "room_dues",
    "settle",
    "share_out",
    "start_apportionment",
    "step_up_price",
    "take_back",
    "top_up_mine",
    "undo_hand_over",
    "withdraw_bill",
]
