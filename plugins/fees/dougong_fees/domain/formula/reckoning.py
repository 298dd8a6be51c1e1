"""Reckons a formula for one room, exactly. None stands for what is not known, as NULL does."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from dougong_fees.domain.formula.syntax import COMPARISONS, Call, Formula, Name, Node, Number, Text

# A quotient is cut after so many places, here and in the database.
QUOTIENT = 10**12
Value = Fraction | bool | str | None


def reckon(formula: Formula, facts: Mapping[str, Decimal | int | str | None]) -> Fraction | None:
    """Return what a formula comes to in yuan, before rounding; None when it has no value.

    facts: by English name. There is no value when a fact that counts is not known, or something is
    divided by zero: never take that for zero.
    """
    found = _value(formula.root, facts)
    return found if isinstance(found, Fraction) else None


def _value(node: Node, facts: Mapping[str, Decimal | int | str | None]) -> Value:
    if isinstance(node, Number):
        return Fraction(node.value)
    if isinstance(node, Text):
        return node.value
    if isinstance(node, Name):
        found = facts.get(node.name)
        return found if found is None or isinstance(found, str) else Fraction(found)
    if node.function == "if":
        condition = _value(node.arguments[0], facts)
        if condition is None:
            return None
        return _value(node.arguments[1 if condition else 2], facts)
    return _applied(node, [_value(argument, facts) for argument in node.arguments])


def _applied(node: Call, values: list[Value]) -> Value:
    if node.function == "and":
        return False if False in _truths(values) else None if None in values else True
    if node.function == "or":
        return True if True in _truths(values) else None if None in values else False
    if any(value is None for value in values):
        return None
    if node.function == "not":
        return not values[0]
    if node.function in COMPARISONS:
        return _compared(node.function, values[0], values[1])
    return _number(node.function, [Fraction(value) for value in values if value is not None])


def _truths(values: list[Value]) -> list[Value]:
    return [value for value in values if isinstance(value, bool)]


def _compared(sign: str, left: Value, right: Value) -> bool:
    assert left is not None and right is not None
    if sign in ("=", "!="):
        return (left == right) is (sign == "=")
    a, b = Fraction(left), Fraction(right)
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[sign]


def _number(function: str, values: list[Fraction]) -> Fraction | None:
    first, last = values[0], values[-1]
    if function == "/":
        return _quotient(first, last) if last else None
    if function == "round":
        return _rounded(first, int(last) if len(values) == 2 else 0)
    return {
        "+": lambda: first + last,
        "-": lambda: first - last,
        "*": lambda: first * last,
        "minus": lambda: -first,
        "min": lambda: min(values),
        "max": lambda: max(values),
        "ceil": lambda: Fraction(ceil(first)),
        "floor_of": lambda: Fraction(floor(first)),
    }[function]()


def _quotient(value: Fraction, divisor: Fraction) -> Fraction:
    exact = value * QUOTIENT / divisor
    return Fraction(int(exact), QUOTIENT)


def _rounded(value: Fraction, places: int) -> Fraction:
    """Return a value rounded half away from zero, as PostgreSQL does."""
    scaled = floor(abs(value) * 10**places + Fraction(1, 2))
    return Fraction(scaled if value >= 0 else -scaled, 10**places)
