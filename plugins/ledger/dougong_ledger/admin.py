"""The admin's view of accounts, journal, orders, payments, wallets and receipts."""

from typing import Any

from dougong.db.scope import Scope
from dougong.i18n import bilingual
from dougong.web.admin import RecordView, action
from dougong.web.admin.menu import section_title
from dougong_ledger import services
from dougong_ledger.models import (
    Account,
    BankLine,
    BookPeriod,
    ChannelNotice,
    ChannelReturn,
    Deposit,
    DepositMovement,
    JournalEntry,
    JournalLine,
    Payment,
    PaymentAttempt,
    PaymentOrder,
    Receipt,
    ReconciliationDay,
    ReconciliationException,
    Refund,
    SurplusPayment,
    Wallet,
    WalletMovement,
)
from dougong_ledger.services.channels import provider_title


def _day(scope: Scope, record: Any) -> str:
    return f"{record.day.day_on} {provider_title(scope, record.day.provider)}"


def _kind(scope: Scope, entry: JournalEntry) -> str:
    return services.kind_title(scope, entry.kind)


def _provider(scope: Scope, record: Any) -> str:
    return provider_title(scope, record.provider)


class PaymentView(RecordView, model=Payment):
    title = bilingual("Payments", "收款")
    icon = "credit-card"
    columns = (
        "paid_at",
        "payer",
        "order",
        "channel",
        "provider",
        "amount",
        "refunded",
        "state",
        "reconciliation",
    )
    said = {"provider": _provider}
    filters = ("state", "channel", "provider", "reconciliation", "paid_at", "amount")
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
    said = {"plugin": lambda scope, order: section_title(scope.installation, order.plugin)}
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


class PaymentAttemptView(RecordView, model=PaymentAttempt):
    title = bilingual("Channel payments", "渠道支付请求")
    icon = "phone"
    columns = ("started_at", "order", "provider", "way", "amount", "state", "trade_no", "problem")
    said = {"provider": _provider}
    filters = ("state", "provider", "started_at", "amount")
    search = ("trade_no", "transaction_id")
    actions = (action(services.ask_attempt, states=("requested", "waiting", "unknown", "blocked")),)
    can_create = can_change = can_delete = False
    menu_order = 42


class SurplusPaymentView(RecordView, model=SurplusPayment):
    title = bilingual("Paid too much", "多收款")
    icon = "help-circle"
    columns = ("found_at", "provider", "amount", "reason", "state", "transaction_id", "proposal")
    said = {"provider": _provider}
    filters = ("state", "provider", "found_at", "amount")
    search = ("transaction_id",)
    actions = (
        action(services.propose_refund, states=("found",)),
        action(services.approve_refund, confirm=True, states=("proposed",)),
    )
    can_create = can_change = can_delete = False
    menu_order = 43


class ChannelReturnView(RecordView, model=ChannelReturn):
    title = bilingual("Refunds through channels", "原路退款")
    icon = "rotate-ccw"
    columns = ("started_at", "attempt", "amount", "reason", "state", "problem", "done_at")
    filters = ("state", "started_at", "amount")
    search = ("refund_no",)
    actions = (action(services.send_return, confirm=True, states=("waiting", "unknown", "failed")),)
    can_create = can_change = can_delete = False
    menu_order = 44


class ReconciliationDayView(RecordView, model=ReconciliationDay):
    title = bilingual("Reconciled days", "渠道对账日")
    icon = "check-circle"
    columns = ("day_on", "provider", "state", "their_amount", "our_amount", "fees", "fetched_at")
    said = {"provider": _provider}
    filters = ("state", "provider", "day_on")
    order = "-day_on"
    can_create = can_change = can_delete = False
    in_menu = False


class ReconciliationExceptionView(RecordView, model=ReconciliationException):
    title = bilingual("Differences", "对账差异")
    icon = "alert-triangle"
    columns = ("day", "kind", "trade_no", "our_amount", "their_amount", "state", "resolution")
    said = {"day": _day}
    filters = ("state", "kind", "day")
    search = ("trade_no", "transaction_id")
    actions = (
        action(services.book_missing, confirm=True, states=("open",)),
        action(services.ask_missing, states=("open",)),
        action(services.close_exception, confirm=True, states=("open",)),
    )
    can_create = can_change = can_delete = False
    menu_order = 46


class BankLineView(RecordView, model=BankLine):
    title = bilingual("Bank lines", "银行流水")
    icon = "list"
    columns = ("on", "amount", "payer", "memo", "serial", "state", "payment")
    filters = ("state", "on", "amount")
    search = ("serial",)
    actions = (action(services.assign_line, states=("suspense",)),)
    can_create = can_change = can_delete = can_import = False
    menu_order = 48


class ChannelNoticeView(RecordView, model=ChannelNotice):
    title = bilingual("Notices of channels", "支付通知")
    icon = "inbox"
    columns = ("received_at", "provider", "trade_no", "result", "detail", "event_id")
    said = {"provider": _provider}
    filters = ("result", "provider", "received_at")
    search = ("trade_no", "event_id")
    can_create = can_change = can_delete = False
    menu_order = 49


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
    said = {"kind": _kind}
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
