"""When a value is wrong, and when it has come back far enough to be called right again."""

from decimal import Decimal
from typing import Any

from dougong_equipment.domain.kinds import Comparison


def is_wrong(comparison: Comparison, threshold: Decimal | None, value: Any) -> bool:
    """Tell whether a value breaks a rule; a value of another kind than the rule's does not."""
    if comparison is Comparison.IS_ON:
        return truth(value) is True
    if comparison is Comparison.IS_OFF:
        return truth(value) is False
    number = number_of(value)
    if number is None or threshold is None:
        return False
    return number > threshold if comparison is Comparison.ABOVE else number < threshold


def is_back(
    comparison: Comparison, threshold: Decimal | None, dead_band: Decimal, value: Any
) -> bool:
    """Tell whether a value has come back by at least the dead band."""
    if comparison is Comparison.IS_ON:
        return truth(value) is False
    if comparison is Comparison.IS_OFF:
        return truth(value) is True
    number = number_of(value)
    if number is None or threshold is None:
        return False
    if comparison is Comparison.ABOVE:
        return number <= threshold - dead_band
    return number >= threshold + dead_band


def truth(value: Any) -> bool | None:
    """Return a state as a truth, None for anything else; stored ones are words."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).lower())


def number_of(value: Any) -> Decimal | None:
    """Return a value as a number, None for states and words."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return None
    return number if number.is_finite() else None
