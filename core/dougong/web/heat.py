"""Heat maps as tables: every cell says its number, the colour only repeats it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

LEVELS = 5


@dataclass(frozen=True)
class Spot:
    """One measured place: its row and column, what it is called, how much, and where it leads.

    value: None where nothing is known. text: the value as people read it.
    """

    row: str
    column: str
    name: str
    value: Decimal | None
    text: str = ""
    url: str = ""


@dataclass(frozen=True)
class Shade:
    """A cell with how strong its colour is, 1 to 5; 0 for none."""

    spot: Spot
    level: int


@dataclass(frozen=True)
class HeatMap:
    """Rows of cells: name and cells of each, several spots of one place side by side.

    scale: from and to of each level, weakest first. links: where the name of a row leads.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[Shade, ...], ...]], ...]
    scale: tuple[tuple[int, Decimal, Decimal], ...]
    links: Mapping[str, str] = field(default_factory=dict)


def heat_map(
    spots: Sequence[Spot],
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    links: Mapping[str, str] | None = None,
) -> HeatMap:
    """Return the heat map of some spots; rows and columns in the order given, else as they come.

    Levels hold the same number of spots each, so that one burst pipe does not pale all others;
    equal values have the same level.
    """
    rows = rows or list(dict.fromkeys(spot.row for spot in spots))
    columns = columns or list(dict.fromkeys(spot.column for spot in spots))
    levels = _levels([spot.value for spot in spots if spot.value is not None])
    cells: dict[tuple[str, str], list[Shade]] = {}
    for spot in spots:
        level = 0 if spot.value is None else levels[spot.value]
        cells.setdefault((spot.row, spot.column), []).append(Shade(spot, level))
    made = tuple((row, tuple(tuple(cells.get((row, c), ())) for c in columns)) for row in rows)
    return HeatMap(tuple(columns), made, _scale(levels), links or {})


def _levels(values: Sequence[Decimal]) -> dict[Decimal, int]:
    """Return the level of each value: by its rank among all of them."""
    ordered = sorted(values)
    first: dict[Decimal, int] = {}
    for rank, value in enumerate(ordered):
        first.setdefault(value, 1 + rank * LEVELS // len(ordered))
    return first


def _scale(levels: Mapping[Decimal, int]) -> tuple[tuple[int, Decimal, Decimal], ...]:
    held: dict[int, list[Decimal]] = {}
    for value, level in levels.items():
        held.setdefault(level, []).append(value)
    return tuple((level, min(own), max(own)) for level, own in sorted(held.items()))
