"""What people, portals and other plugins do with money."""

from dougong_ledger.services.asking import ask_about, ask_all, ask_attempt, is_undecided
from dougong_ledger.services.bank import BankImport, assign_line, import_statement
from dougong_ledger.services.bulk import ReceivedPayment, record_many
from dougong_ledger.services.channels import (
    Offer,
    Start,
    channel_of,
    channels,
    offers,
    offers_in,
    provider_title,
    settle,
    start_payment,
    take_notice,
)
from dougong_ledger.services.closing import (
    MonthEnd,
    ask_reopening,
    close_month,
    frozen,
    month_end,
    reopen_month,
    vouchers,
)
from dougong_ledger.services.deposits import (
    deduct_deposit,
    deposit_to_wallet,
    give_back_deposit,
    take_deposit,
)
from dougong_ledger.services.journal import (
    account_ids,
    ensure_account,
    ensure_chart,
    kind_title,
    post,
    trial_balance,
)
from dougong_ledger.services.orders import OrderItem, cancel_order, open_order
from dougong_ledger.services.payments import pay_with_wallet, record_cash, refund_payment
from dougong_ledger.services.receipts import issue_receipt, print_receipt, void_receipt
from dougong_ledger.services.reconciling import (
    ask_missing,
    book_missing,
    close_exception,
    fetch_all,
    fetch_day,
    reconcile,
    unreconciled,
)
from dougong_ledger.services.returns import approve_refund, propose_refund, send_return
from dougong_ledger.services.wallets import add_to_wallet, balance_of, pay_out, top_up, wallet_of

__all__ = [
    "BankImport",
    "MonthEnd",
    "Offer",
    "Start",
    "approve_refund",
    "ask_about",
    "ask_all",
    "ask_attempt",
    "ask_missing",
    "assign_line",
    "book_missing",
    "channel_of",
    "channels",
    "close_exception",
    "fetch_all",
    "fetch_day",
    "import_statement",
    "is_undecided",
    "offers",
    "offers_in",
    "propose_refund",
    "provider_title",
    "reconcile",
    "send_return",
    "settle",
    "start_payment",
    "take_notice",
    "unreconciled",
    "ask_reopening",
    "close_month",
    "deduct_deposit",
    "deposit_to_wallet",
    "frozen",
    "give_back_deposit",
    "month_end",
    "reopen_month",
    "take_deposit",
    "vouchers",
    "OrderItem",
    "ReceivedPayment",
    "account_ids",
    "add_to_wallet",
    "balance_of",
    "cancel_order",
    "ensure_account",
    "ensure_chart",
    "kind_title",
    "issue_receipt",
    "open_order",
    "pay_out",
    "pay_with_wallet",
    "post",
    "print_receipt",
    "record_cash",
    "record_many",
    "refund_payment",
    "top_up",
    "trial_balance",
    "void_receipt",
    "wallet_of",
]
