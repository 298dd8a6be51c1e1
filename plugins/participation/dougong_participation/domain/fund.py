"""The maintenance fund's arithmetic and steps. Pure."""

from collections.abc import Sequence
from decimal import Decimal

FEN = Decimal("0.01")


def portions(total: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Return what each of some weights bears of a sum, by largest remainder, to the fen.

    total: yuan, whole fen. weights: such as square metres, none below zero. The portions add up to
    the total. Raises ValueError when nothing weighs anything.
    """
    weight = sum(weights, Decimal(0))
    if weight <= 0 or any(each < 0 for each in weights):
        raise ValueError("something must weigh more than nothing, and nothing less")
    fen = int(total / FEN)
    exact = [fen * each / weight for each in weights]
    whole = [int(each) for each in exact]
    order = sorted(range(len(weights)), key=lambda n: (whole[n] - exact[n], n))
    for position in order[: fen - sum(whole)]:
        whole[position] += 1
    return [each * FEN for each in whole]
