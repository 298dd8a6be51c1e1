"""The front desk: shifts, payments at the counter, drafts, voids."""
