"""The admin's view of fee items, prices, charges, runs, bills and waivers."""

from dougong.i18n import bilingual
from dougong.web.admin import RecordView, ViewExtension, action, extend_view
from dougong_fees import cards, services
from dougong_fees.domain.states import OWED, SEEN
from dougong_fees.models import (
    Apportionment,
    ApportionmentShare,
    Bill,
    BillLine,
    BillPayment,
    BillRun,
    Charge,
    Delivery,
    DeliveryRoom,
    Discount,
    FeeItem,
    FeePrice,
    FeeRule,
    FeeTemplate,
    FeeTemplateRule,
    FeeTemplateTier,
    HandOver,
    Prepayment,
    PrepaymentMonth,
    PriceTier,
    TemplateCopy,
    Vacancy,
    Waiver,
)


class BillView(RecordView, model=Bill):
    title = bilingual("Bills", "账单")
    icon = "file-text"
    columns = ("room", "payer", "title", "due_on", "amount", "paid", "balance", "state")
    filters = ("state", "run", "room", "payer", "due_on", "balance", "kind")
    search = ("room", "payer")
    actions = (
        action(services.pay_bills, states=OWED),
        action(services.pay_from_wallet, states=OWED),
        action(services.request_waiver, states=OWED),
        action(services.demand_late_fee, confirm=True, bulk=True, states=SEEN),
        action(services.withdraw_bill, confirm=True, states=("open",)),
        action(services.reverse_bill, confirm=True, states=("partly_paid", "paid")),
    )
    can_create = can_change = can_delete = False
    menu_order = 10


class BillRunView(RecordView, model=BillRun):
    title = bilingual("Bill runs", "出账")
    icon = "calendar"
    columns = ("name", "from_on", "to_on", "due_on", "state", "bills", "amount", "previous_amount")
    filters = ("state", "from_on")
    actions = (
        action(services.prepare_run, states=("reckoning", "draft", "approved")),
        action(services.approve_run, states=("draft",)),
        action(services.publish_run, confirm=True, states=("draft", "approved")),
        action(services.roll_back_run, confirm=True, states=("published",)),
    )
    order = "-from_on"
    can_change = can_delete = False
    menu_order = 20


class ChargeView(RecordView, model=Charge):
    title = bilingual("Charges", "费用绑定")
    icon = "paperclip"
    columns = ("room", "fee_item", "from_on", "to_on", "quantity", "factor", "payer")
    filters = ("fee_item", "room", "from_on")
    search = ("room",)
    menu_order = 30


class FeeItemView(RecordView, model=FeeItem):
    title = bilingual("Fee items", "费用项")
    icon = "tag"
    columns = ("code", "name", "method", "commodity", "period_method", "rounding", "is_active")
    filters = ("method", "is_active")
    search = ("code", "name")
    actions = (
        action(services.add_price),
        action(services.step_up_price),
        action(services.assign_charges),
        action(services.request_discount),
        action(services.start_apportionment),
    )
    order = "code"
    menu_order = 40


class FeePriceView(RecordView, model=FeePrice):
    title = bilingual("Prices", "价格版本")
    icon = "trending-up"
    columns = ("fee_item", "from_on", "to_on", "unit_price", "addition", "source")
    filters = ("fee_item", "from_on")
    order = "-from_on"
    menu_order = 50


class PriceTierView(RecordView, model=PriceTier):
    title = bilingual("Price tiers", "阶梯价格")
    icon = "layers"
    columns = ("price", "above", "up_to", "unit_price")
    filters = ("price",)
    menu_order = 60


class ApportionmentView(RecordView, model=Apportionment):
    title = bilingual("Apportionments", "公摊")
    icon = "share-2"
    columns = ("name", "fee_item", "building", "from_on", "to_on", "key", "pool_amount", "state")
    filters = ("state", "from_on", "fee_item")
    actions = (
        action(services.share_out, states=("draft",)),
        action(services.publish_apportionment, confirm=True, states=("draft",)),
        action(services.correct_apportionment, confirm=True, states=("published",)),
    )
    order = "-from_on"
    can_create = can_change = False
    menu_order = 62


class ApportionmentShareView(RecordView, model=ApportionmentShare):
    title = bilingual("Shares", "公摊明细")
    icon = "pie-chart"
    columns = ("apportionment", "room", "ratio", "amount", "is_excluded", "reason", "payer")
    filters = ("apportionment", "room", "is_excluded")
    inline = ("ratio", "reason")
    can_create = can_delete = False
    menu_order = 64


class HandOverView(RecordView, model=HandOver):
    title = bilingual("Hand-overs", "过户记录")
    icon = "repeat"
    columns = ("handed_over_on", "room", "seller", "buyer", "state", "made_at")
    filters = ("handed_over_on", "state", "room", "seller", "buyer")
    search = ("room",)
    actions = (
        action(services.certify_hand_over, states=("done",)),
        action(services.undo_hand_over, confirm=True, states=("done",)),
    )
    attach_with = "make"
    order = "-handed_over_on"
    can_create = can_change = can_delete = False
    menu_order = 66


class DeliveryView(RecordView, model=Delivery):
    title = bilingual("Deliveries", "交房批次")
    icon = "key"
    columns = ("name", "building", "from_on", "until_on", "deemed_on", "state")
    filters = ("state", "building", "from_on")
    actions = (
        action(services.deem_delivered, confirm=True, states=("open",)),
        action(services.print_delivery, states=("open",)),
        action(services.close_delivery, confirm=True, states=("open",)),
    )
    order = "-from_on"
    can_create = can_change = can_delete = False
    menu_order = 67


class DeliveryRoomView(RecordView, model=DeliveryRoom):
    title = bilingual("Delivered rooms", "交房明细")
    icon = "key"
    columns = ("room", "delivery", "buyers", "phone", "state", "taken_over_on", "keys", "defects")
    filters = ("state", "delivery", "room", "taken_over_on")
    search = ("room", "buyers")
    actions = (
        action(services.refuse_delivery, states=("expected", "refused")),
        action(services.print_delivery_room),
    )
    can_create = can_change = can_delete = False
    menu_order = 68


class WaiverView(RecordView, model=Waiver):
    title = bilingual("Waivers", "减免")
    icon = "percent"
    columns = ("bill", "amount", "reason", "state", "made_at")
    filters = ("state", "made_at")
    actions = (
        action(services.approve_waiver, confirm=True, states=("requested",)),
        action(services.refuse_waiver, confirm=True, states=("requested",)),
    )
    can_create = can_change = can_delete = False
    menu_order = 70


class FeeTemplateView(RecordView, model=FeeTemplate):
    title = bilingual("Fee items of the group", "集团收费模板")
    icon = "layers"
    columns = ("code", "name", "from_on", "unit_price", "method", "may_differ")
    filters = ("method", "from_on")
    search = ("code", "name")
    can_import = False
    menu_order = 42


class TemplateCopyView(RecordView, model=TemplateCopy):
    title = bilingual("Followed templates", "模板下发记录")
    columns = ("fee_item", "price", "made_item", "made_at")
    filters = ("fee_item", "made_at")
    can_create = can_change = can_delete = False
    menu_order = 44


class DiscountView(RecordView, model=Discount):
    title = bilingual("Discounts", "优惠")
    icon = "percent"
    columns = ("room", "fee_item", "kind", "share", "from_on", "to_on", "state", "basis")
    filters = ("state", "kind", "room", "fee_item", "from_on")
    search = ("room",)
    actions = (
        action(services.approve_discount, confirm=True, states=("requested",)),
        action(services.refuse_discount, confirm=True, states=("requested",)),
        action(services.end_discount, confirm=True, states=("approved",)),
    )
    can_create = can_change = can_delete = False
    menu_order = 72


class FeeRuleView(RecordView, model=FeeRule):
    title = bilingual("Fee rules", "收费规则")
    icon = "sliders"
    columns = ("fee_item", "kind", "from_on", "to_on", "share", "pay_months", "get_months", "basis")
    filters = ("kind", "fee_item", "from_on")
    actions = (action(services.offer_prepayment),)
    order = "-from_on"
    menu_order = 61


class FeeTemplateRuleView(RecordView, model=FeeTemplateRule):
    title = bilingual("Rules of templates", "模板收费规则")
    icon = "sliders"
    columns = ("template", "kind", "share", "pay_months", "get_months", "basis")
    filters = ("kind", "template")
    can_import = False
    menu_order = 43


class FeeTemplateTierView(RecordView, model=FeeTemplateTier):
    title = bilingual("Tiers of templates", "模板阶梯")
    icon = "layers"
    columns = ("template", "above", "up_to", "unit_price")
    filters = ("template",)
    can_import = False
    menu_order = 43


class PrepaymentView(RecordView, model=Prepayment):
    title = bilingual("Months paid ahead", "预缴")
    icon = "fast-forward"
    columns = ("room", "fee_item", "from_on", "to_on", "amount", "recognised", "state", "bill")
    filters = ("state", "fee_item", "room", "to_on")
    search = ("room",)
    actions = (action(services.end_prepayment, confirm=True, states=("running",)),)
    can_create = can_change = can_delete = False
    menu_order = 74


class PrepaymentMonthView(RecordView, model=PrepaymentMonth):
    title = bilingual("Income of months paid ahead", "预缴摊销")
    columns = ("prepayment", "month_on", "amount", "made_at")
    filters = ("prepayment", "month_on")
    can_create = can_change = can_delete = False
    menu_order = 76


class VacancyView(RecordView, model=Vacancy):
    title = bilingual("Vacancies", "空置申报")
    icon = "moon"
    columns = ("room", "from_on", "to_on", "state", "proof")
    filters = ("state", "room", "from_on")
    search = ("room",)
    actions = (
        action(services.approve_vacancy, confirm=True, states=("requested",)),
        action(services.refuse_vacancy, confirm=True, states=("requested",)),
        action(services.end_vacancy, states=("approved",)),
    )
    can_change = can_delete = False
    menu_order = 73


class BillLineView(RecordView, model=BillLine):
    title = bilingual("Bill lines", "账单明细")
    columns = ("bill", "fee_item", "from_on", "to_on", "quantity", "unit_price", "amount")
    filters = ("bill", "fee_item", "from_on", "is_withdrawn")
    can_create = can_change = can_delete = False
    menu_order = 80


class BillPaymentView(RecordView, model=BillPayment):
    title = bilingual("Settled by payments", "账单收款")
    columns = ("bill", "payment", "amount", "settled_at")
    filters = ("bill", "settled_at")
    can_create = can_change = can_delete = False
    menu_order = 90


# The room list says who owes, and can be narrowed to those, to whom bills may be shown.
extend_view(
    "fees",
    ViewExtension(
        "dougong.room",
        "overdue",
        bilingual("Overdue", "逾期欠费"),
        cards.owed_by_room,
        condition=cards.rooms_by_arrears,
        choices=(("yes", bilingual("Owing", "有欠费")), ("no", bilingual("Nothing", "无欠费"))),
        permission="fees.bill.view",
    ),
)
