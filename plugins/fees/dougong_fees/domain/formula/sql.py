"""The same formula as an expression of PostgreSQL, for a whole run at once.

Only numbers and words that the parser knows get into the text, and facts only by the names that
the caller gives. NULL goes through everything, so a room without a value is listed, never billed.
"""

from collections.abc import Mapping

from dougong_fees.domain.formula.reckoning import QUOTIENT
from dougong_fees.domain.formula.syntax import Call, Formula, FormulaError, Name, Node, Number, Text

LONGEST = 20_000
PLAIN = {
    "+": "({0} + {1})",
    "-": "({0} - {1})",
    "*": "({0} * {1})",
    "/": f"(div({{0}} * {QUOTIENT}, nullif({{1}}, 0)) * {1 / QUOTIENT:.12f})",
    "minus": "(- {0})",
    "ceil": "ceil({0})",
    "floor_of": "floor({0})",
    "and": "({0} and {1})",
    "or": "({0} or {1})",
    "not": "(not {0})",
    "=": "({0} = {1})",
    "!=": "({0} <> {1})",
    "<": "({0} < {1})",
    "<=": "({0} <= {1})",
    ">": "({0} > {1})",
    ">=": "({0} >= {1})",
}


def to_sql(formula: Formula, columns: Mapping[str, str]) -> str:
    """Return the formula as a numeric SQL expression, NULL where it has no value.

    columns: the SQL of each fact: numeric, but text for ``kind``. Raises FormulaError when a fact
    has no column, or the expression grows too long.
    """
    found = _sql(formula.root, columns)
    if len(found) > LONGEST:
        raise FormulaError("too_long", 0)
    return found


def _sql(node: Node, columns: Mapping[str, str]) -> str:
    if isinstance(node, Number):
        return f"cast({node.value:f} as numeric)"
    if isinstance(node, Text):
        return f"cast('{node.value}' as text)"
    if isinstance(node, Name):
        if node.name not in columns:
            raise FormulaError("unknown_fact", node.at, word=node.name)
        return columns[node.name]
    return _applied(node, [_sql(argument, columns) for argument in node.arguments])


def _applied(node: Call, parts: list[str]) -> str:
    if node.function == "if":
        condition, yes, no = parts
        # Asked twice: a condition that is not known chooses neither side.
        return f"(case when {condition} then {yes} when not {condition} then {no} end)"
    if node.function in ("min", "max"):
        # least() and greatest() would pass over what is not known.
        rows = ", ".join(f"({part})" for part in parts)
        return (
            f"(select case when bool_and(v is not null) then {node.function}(v) end"
            f" from (values {rows}) as x (v))"
        )
    if node.function == "round":
        places = node.arguments[1] if len(node.arguments) == 2 else None
        digits = int(places.value) if isinstance(places, Number) else 0
        return f"round({parts[0]}, {digits})"
    return PLAIN[node.function].format(*parts)
