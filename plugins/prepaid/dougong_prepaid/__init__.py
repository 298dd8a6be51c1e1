"""Prepaid energy of rooms: balances, free quota, warnings, supply, meter cards."""
