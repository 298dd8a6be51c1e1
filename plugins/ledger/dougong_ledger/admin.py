"""The admin's view of accounts, journal, orders, payments, wallets and receipts."""

from dougong.i18n import bilingual
from dougong.web.admin import RecordView, action
from dougong_ledger import services
from dougong_ledger.models import (
    Account,
    BookPeriod,
    Deposit,
    DepositMovement,
    JournalEntry,
    JournalLine,
    Payment,
    PaymentOrder,
    Receipt,
    Refund,
    Wallet,
    WalletMovement,
)


class PaymentView(RecordView, model=Payment):
    title = bilingual("Payments", "收款")
    icon = "credit-card"
    columns = ("paid_at", "payer", "order", "channel", "amount", "refunded", "state", "reference")
    filters = ("state", "channel", "paid_at", "amount")
    search = ("reference", "payer")
    actions = (action(services.refund_payment, confirm=True),)
    can_create = can_change = can_delete = False
    menu_order = 10


class ReceiptView(RecordView, model=Receipt):
    title = bilingual("Receipts", "收据")
    icon = "printer"
    columns = ("code", "payer_name", "amount", "issued_on", "state", "void_reason")
    filters = ("state", "issued_on", "amount")
    search = ("code", "payer_name")
    actions = (action(services.void_receipt, confirm=True, states=("issued",)),)
    can_create = can_change = can_delete = False
    menu_order = 20


class PaymentOrderView(RecordView, model=PaymentOrder):
    title = bilingual("Payment orders", "支付单")
    icon = "send"
    columns = ("title", "payer", "amount", "state", "opened_at", "expires_at")
    filters = ("state", "opened_at", "amount")
    search = ("title", "payer")
    actions = (
        action(services.record_cash, states=("open",)),
        action(services.cancel_order, confirm=True, states=("open",)),
    )
    can_create = can_change = can_delete = False
    menu_order = 30


class RefundView(RecordView, model=Refund):
    title = bilingual("Refunds", "退款")
    icon = "rotate-ccw"
    columns = ("refunded_at", "payment", "amount", "reason")
    filters = ("refunded_at", "amount")
    can_create = can_change = can_delete = False
    menu_order = 40


class WalletView(RecordView, model=Wallet):
    title = bilingual("Wallets", "钱包")
    icon = "save"
    columns = ("person", "balance")
    filters = ("balance",)
    search = ("person",)
    actions = (action(services.pay_out, confirm=True),)
    can_create = can_change = can_delete = False
    menu_order = 50


class WalletMovementView(RecordView, model=WalletMovement):
    title = bilingual("Wallet movements", "钱包明细")
    icon = "activity"
    columns = ("moved_at", "wallet", "amount")
    filters = ("wallet", "moved_at", "amount")
    can_create = can_change = can_delete = False
    menu_order = 60


class DepositView(RecordView, model=Deposit):
    title = bilingual("Deposits", "押金")
    icon = "shield"
    columns = ("title", "room", "person", "amount", "given_back", "deducted", "held")
    filters = ("room", "held")
    search = ("room", "person", "title")
    actions = (
        action(services.give_back_deposit, confirm=True),
        action(services.deduct_deposit, confirm=True),
    )
    can_change = can_delete = False
    menu_order = 64


class DepositMovementView(RecordView, model=DepositMovement):
    title = bilingual("Deposit movements", "押金明细")
    icon = "activity"
    columns = ("moved_at", "deposit", "kind", "amount", "reason")
    filters = ("deposit", "kind", "moved_at")
    can_create = can_change = can_delete = False
    menu_order = 66


class BookPeriodView(RecordView, model=BookPeriod):
    title = bilingual("Closed months", "结账月份")
    icon = "lock"
    columns = ("month_on", "state", "closed_at", "reopening_reason")
    filters = ("state", "month_on")
    order = "-month_on"
    actions = (
        action(services.ask_reopening, states=("closed",)),
        action(services.reopen_month, confirm=True, states=("reopening",)),
    )
    can_create = can_change = can_delete = False
    menu_order = 84


class JournalEntryView(RecordView, model=JournalEntry):
    title = bilingual("Journal", "凭证")
    icon = "archive"
    columns = ("posted_on", "memo", "kind", "posted_at")
    filters = ("posted_on", "kind")
    search = ("memo",)
    can_create = can_change = can_delete = False
    menu_order = 70


class JournalLineView(RecordView, model=JournalLine):
    title = bilingual("Journal lines", "凭证明细")
    columns = ("entry", "debit", "credit", "amount", "memo", "room", "person")
    filters = ("entry", "debit", "credit", "amount")
    can_create = can_change = can_delete = False
    menu_order = 80


class AccountView(RecordView, model=Account):
    title = bilingual("Accounts", "会计科目")
    icon = "sliders"
    columns = ("code", "name", "kind")
    filters = ("kind",)
    search = ("code", "name")
    order = "code"
    can_delete = False
    menu_order = 90
