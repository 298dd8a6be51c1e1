"""Accounts, journal, payment orders, wallets and receipts."""
