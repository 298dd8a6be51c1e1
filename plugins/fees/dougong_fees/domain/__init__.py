"""The arithmetic of fees: periods, amounts, late fees, states. Pure and exact."""
