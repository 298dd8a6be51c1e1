"""Prices of parts and work: whole fen, and sums that are rounded once per line."""

from decimal import ROUND_HALF_UP, Decimal

FEN = Decimal("0.01")
MOST = Decimal(10) ** 6


def is_price(yuan: Decimal) -> bool:
    """Tell whether an amount in yuan is a price: nothing or more, whole fen, below a million."""
    yuan = Decimal(yuan)
    return yuan.is_finite() and 0 <= yuan < MOST and yuan == yuan.quantize(FEN)


def line_total(quantity: Decimal, unit_price: Decimal) -> Decimal:
    """Return what a line costs in yuan, rounded once to the fen, half up."""
    return (quantity * unit_price).quantize(FEN, ROUND_HALF_UP)
