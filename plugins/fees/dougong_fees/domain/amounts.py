"""What a bill line costs: price, tiers, rounding once, and shares that add up to the fen."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

FEN = Decimal("0.01")
QUANTITY = Decimal("0.000001")


class Rounding(StrEnum):
    """To what a line is rounded, once, half up."""

    FEN = "fen"
    JIAO = "jiao"
    YUAN = "yuan"

    @property
    def places(self) -> int:
        return {"fen": 2, "jiao": 1, "yuan": 0}[self.value]


def round_amount(exact: Fraction | Decimal, rounding: Rounding = Rounding.FEN) -> Decimal:
    """Return yuan rounded half up (away from zero): 444.195 → 444.20."""
    value = Fraction(exact)
    scale = 10**rounding.places
    whole = (abs(value) * scale + Fraction(1, 2)).__floor__()
    result = Decimal(whole) / scale
    return (-result if value < 0 else result).quantize(FEN)


def line_amount(
    quantity: Decimal,
    unit_price: Decimal,
    *,
    months: Fraction = Fraction(1),
    addition: Decimal = Decimal(0),
    factor: Decimal = Decimal(1),
    rounding: Rounding = Rounding.FEN,
) -> Decimal:
    """Return (quantity × price + addition) × months × factor in yuan, rounded once.

    unit_price and addition: yuan per month. factor: share that is charged, 1 for all of it.
    """
    exact = (Fraction(quantity) * Fraction(unit_price) + Fraction(addition)) * months
    return round_amount(exact * Fraction(factor), rounding)


@dataclass(frozen=True)
class Tier:
    """A step of a tiered price: from ``above`` (not included) up to ``up_to``, None for ever."""

    above: Decimal
    up_to: Decimal | None
    unit_price: Decimal


def tier_parts(
    before: Decimal, quantity: Decimal, tiers: Sequence[Tier]
) -> list[tuple[Tier, Decimal]]:
    """Return how much of ``quantity`` falls into each tier, when ``before`` was used already.

    The parts add up to the quantity. Raises ValueError for a quantity below zero and for tiers that
    leave a part of it without a price.
    """
    if quantity < 0:
        raise ValueError("usage is not negative")
    after = before + quantity
    parts = []
    for tier in tiers:
        top = after if tier.up_to is None else min(after, tier.up_to)
        share = top - max(before, tier.above)
        if share > 0:
            parts.append((tier, share))
    if sum((share for _, share in parts), Decimal(0)) != quantity:
        raise ValueError("the tiers leave a gap or overlap")
    return parts


def head_count_extra(
    persons: int, counted_from: int | None, extra: Decimal | None, *, per_person: bool
) -> Decimal:
    """Return by how many units the tiers of a household of ``persons`` grow.

    counted_from: the number of people from which on they do. extra: units, for each person from
    that one on, or once. Nothing without both.
    """
    if counted_from is None or extra is None or persons < counted_from:
        return Decimal(0)
    return extra * (persons - counted_from + 1) if per_person else extra


def stretched(tiers: Sequence[Tier], times: int = 1, extra: Decimal = Decimal(0)) -> list[Tier]:
    """Return tiers for so many spans and a household's extra units in each of them.

    Every boundary but zero moves by the extra units, so the steps between them keep their size.
    """
    return [
        Tier(
            (tier.above + extra) * times if tier.above else tier.above,
            None if tier.up_to is None else (tier.up_to + extra) * times,
            tier.unit_price,
        )
        for tier in tiers
    ]


def split_by_days(quantity: Decimal, days: Sequence[int]) -> list[Decimal]:
    """Return a quantity split by days, six places; the parts add up to the whole.

    For a price that changes inside a period whose usage is one figure.
    """
    total, done, parts = sum(days), 0, []
    cut = Decimal(0)
    for count in days:
        done += count
        upto = (quantity * done / total).quantize(QUANTITY)
        parts.append(upto - cut)
        cut = upto
    return parts


def oldest_first(money: Decimal, owed: Sequence[Decimal]) -> list[Decimal]:
    """Return what ``money`` yuan pay of debts in their order; the last one may be paid in part.

    Source: Civil Code art. 560: what was due first is paid first, unless the payer chooses.
    """
    shares = []
    for amount in owed:
        share = min(max(money, Decimal(0)), amount)
        shares.append(share)
        money -= share
    return shares


def step_up_prices(
    price: Decimal, percent: Decimal, every_months: int, count: int
) -> list[tuple[int, Decimal]]:
    """Return the months after the beginning and the prices of a rent that steps up.

    Each step is ``percent`` of the price before, rounded to the fen. Raises ValueError for a step
    that never comes or a rent that falls below zero.
    """
    if every_months < 1 or count < 1 or percent <= -100:
        raise ValueError("a rent steps up after at least a month, and stays above zero")
    steps = []
    for number in range(1, count + 1):
        price = round_amount(Fraction(price) * (1 + Fraction(percent) / 100))
        steps.append((number * every_months, price))
    return steps


def apportion(total: Decimal, keys: Sequence[Decimal]) -> list[Decimal]:
    """Return ``total`` yuan shared out by ``keys``; the shares add up to the fen.

    Largest remainder: every share is rounded down, and the fen that are left go to the largest
    remainders, the earlier one first. Raises ValueError when all keys are zero or one is negative.
    """
    whole = sum(keys, Decimal(0))
    if whole <= 0 or min(keys) < 0:
        raise ValueError("shares need keys that are not negative, and one above zero")
    fen = int(total * 100)
    exact = [Fraction(fen) * Fraction(key) / Fraction(whole) for key in keys]
    shares = [share.__floor__() for share in exact]
    order = sorted(range(len(keys)), key=lambda i: (shares[i] - exact[i], i))
    for index in order[: fen - sum(shares)]:
        shares[index] += 1
    return [(Decimal(share) / 100).quantize(FEN) for share in shares]
