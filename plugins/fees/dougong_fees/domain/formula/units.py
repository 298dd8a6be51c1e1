"""What a formula's parts are measured in: area cannot be added to usage, and the result is yuan."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from dougong_fees.domain.formula.syntax import (
    COMPARISONS,
    Call,
    Formula,
    FormulaError,
    Name,
    Node,
    Number,
    Text,
)

WORDS = {
    "yuan": "yuan",
    "元": "yuan",
    "m2": "m2",
    "m²": "m2",
    "㎡": "m2",
    "平方米": "m2",
    "person": "person",
    "人": "person",
    "floor": "floor",
    "层": "floor",
    "kwh": "kWh",
    "度": "kWh",
    "m3": "m3",
    "m³": "m3",
    "立方米": "m3",
    "吨": "m3",
    "gj": "GJ",
    "吉焦": "GJ",
    "household": "household",
    "户": "household",
}
SHOWN = {"m2": "m²", "m3": "m³"}


@dataclass(frozen=True)
class Measure:
    """A product of units with their powers; none of them for a plain number."""

    powers: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, powers: Mapping[str, int]) -> "Measure":
        return cls(tuple(sorted((k, v) for k, v in powers.items() if v)))

    def times(self, other: "Measure", sign: int = 1) -> "Measure":
        powers = Counter(dict(self.powers))
        for unit, power in other.powers:
            powers[unit] += sign * power
        return Measure.of(powers)

    def __str__(self) -> str:
        above = [SHOWN.get(u, u) for u, p in self.powers for _ in range(max(p, 0))]
        below = [SHOWN.get(u, u) for u, p in self.powers for _ in range(max(-p, 0))]
        return "/".join(["·".join(above) or "1", *below])


PLAIN, YUAN = Measure(), Measure((("yuan", 1),))
TRUTH, WORD = "truth", "word"
# A number without a unit takes that of its neighbour.
LOOSE = "loose"
Kind = Measure | str

VARIABLES: Mapping[str, Kind] = {
    "area": Measure((("m2", 1),)),
    "inner_area": Measure((("m2", 1),)),
    "floor": Measure((("floor", 1),)),
    "persons": Measure((("person", 1),)),
    "kind": WORD,
}
USAGE_UNITS = {"water": "m3", "electricity": "kWh", "gas": "m3", "heat": "GJ"}


def measure(text: str, at: int = 0) -> Measure:
    """Return the measure of a unit such as ``yuan/m2``. Raises FormulaError for unknown words."""
    powers: Counter[str] = Counter()
    for number, part in enumerate(text.replace("每", "/").split("/")):
        for word in part.replace("·", "*").split("*"):
            unit = WORDS.get(word.strip().lower())
            if unit is None and word.strip() != "1":
                raise FormulaError("unknown_unit", at, word=word.strip())
            if unit:
                powers[unit] += -1 if number else 1
    return Measure.of(powers)


def check(formula: Formula, commodity: str | None = None) -> None:
    """Raise FormulaError unless every part fits its neighbours and the result is yuan.

    commodity: whose usage the formula may look at, None for none.
    """
    found = _kind(formula.root, commodity)
    if found not in (YUAN, LOOSE):
        raise FormulaError("not_yuan", _at(formula.root), found=str(found))


def _kind(node: Node, commodity: str | None) -> Kind:
    if isinstance(node, Number):
        return LOOSE if node.unit is None else measure(node.unit, node.at)
    if isinstance(node, Text):
        return WORD
    if isinstance(node, Name):
        return _fact(node, commodity)
    kinds = [_kind(argument, commodity) for argument in node.arguments]
    if node.function in ("*", "/"):
        return _product(node, kinds)
    if node.function == "if":
        _need(node.arguments[0], kinds[0], TRUTH)
        return _joined(node, kinds[1:])
    if node.function in ("and", "or", "not"):
        for argument, kind in zip(node.arguments, kinds, strict=True):
            _need(argument, kind, TRUTH)
        return TRUTH
    if node.function in COMPARISONS:
        return _comparison(node, kinds)
    return _number(node, kinds)


def _fact(node: Name, commodity: str | None) -> Kind:
    if node.name == "price":
        return LOOSE if node.unit is None else measure(node.unit, node.at)
    if node.unit is not None:
        raise FormulaError("unit_of_fact", node.at, word=node.name)
    if node.name == "usage" and commodity:
        return Measure(((USAGE_UNITS[commodity], 1),))
    if node.name not in VARIABLES:
        raise FormulaError("unknown_fact", node.at, word=node.name)
    return VARIABLES[node.name]


def _product(node: Call, kinds: list[Kind]) -> Kind:
    left, right = (_measured(n, k) for n, k in zip(node.arguments, kinds, strict=True))
    if LOOSE in kinds and kinds[0] == kinds[1]:
        return LOOSE
    return left.times(right, 1 if node.function == "*" else -1)


def _measured(node: Node, kind: Kind) -> Measure:
    if kind == LOOSE:
        return PLAIN
    if not isinstance(kind, Measure):
        raise FormulaError("not_a_number", _at(node))
    return kind


def _joined(node: Call, kinds: list[Kind]) -> Kind:
    """Return the one kind that parts have in common; loose numbers follow the others."""
    firm = [kind for kind in kinds if kind != LOOSE]
    for kind in firm[1:]:
        if kind != firm[0]:
            raise FormulaError("units_differ", node.at, left=str(firm[0]), right=str(kind))
    return firm[0] if firm else LOOSE


def _comparison(node: Call, kinds: list[Kind]) -> Kind:
    if _joined(node, kinds) == TRUTH:
        raise FormulaError("not_a_number", node.at)
    if WORD in kinds and node.function not in ("=", "!="):
        raise FormulaError("not_a_number", node.at)
    return TRUTH


def _number(node: Call, kinds: list[Kind]) -> Kind:
    if node.function == "round" and len(node.arguments) == 2:
        places = node.arguments[1]
        if not isinstance(places, Number) or places.value not in {Decimal(n) for n in range(7)}:
            raise FormulaError("places", node.at)
        kinds = kinds[:1]
    for argument, kind in zip(node.arguments, kinds, strict=False):
        if kind != LOOSE:
            _measured(argument, kind)
    return _joined(node, kinds)


def _need(node: Node, kind: Kind, wanted: str) -> None:
    if kind != wanted:
        raise FormulaError("not_a_condition", _at(node))


def _at(node: Node) -> int:
    return node.at
