"""Accounts, journal, orders, payments, wallets, deposits and receipts."""

from dougong_ledger.models.books import (
    Account,
    AccountMonth,
    Base,
    BookPeriod,
    JournalEntry,
    JournalLine,
    MonthDraft,
    TotalsMark,
)
from dougong_ledger.models.channels import (
    ChannelNotice,
    ChannelReturn,
    PaymentAttempt,
    SurplusPayment,
)
from dougong_ledger.models.deposits import Deposit, DepositMovement
from dougong_ledger.models.payments import (
    Payment,
    PaymentOrder,
    PaymentOrderItem,
    Receipt,
    ReceiptSeries,
    Refund,
    Wallet,
    WalletMovement,
)
from dougong_ledger.models.reconciliation import (
    BankLine,
    ReconciliationDay,
    ReconciliationException,
)

__all__ = [
    "Account",
    "AccountMonth",
    "BankLine",
    "Base",
    "BookPeriod",
    "ChannelNotice",
    "ChannelReturn",
    "Deposit",
    "DepositMovement",
    "JournalEntry",
    "JournalLine",
    "MonthDraft",
    "Payment",
    "PaymentAttempt",
    "PaymentOrder",
    "PaymentOrderItem",
    "Receipt",
    "ReceiptSeries",
    "ReconciliationDay",
    "ReconciliationException",
    "Refund",
    "SurplusPayment",
    "TotalsMark",
    "Wallet",
    "WalletMovement",
]
