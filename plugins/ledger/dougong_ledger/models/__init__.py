"""Accounts, journal, orders, payments, wallets, deposits and receipts."""

from dougong_ledger.models.books import Account, Base, BookPeriod, JournalEntry, JournalLine
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

__all__ = [
    "Account",
    "Base",
    "BookPeriod",
    "Deposit",
    "DepositMovement",
    "JournalEntry",
    "JournalLine",
    "Payment",
    "PaymentOrder",
    "PaymentOrderItem",
    "Receipt",
    "ReceiptSeries",
    "Refund",
    "Wallet",
    "WalletMovement",
]
