"""Charts drawn on the server: the geometry of an SVG, so that a page needs no script for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

WIDTH, HEIGHT = 720, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 10, 28
GAP = timedelta(hours=3)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, and what stands beside it."""

    at: float
    label: str


@dataclass(frozen=True)
class LineChart:
    """A line over time. lines: SVG paths, one per stretch without a gap."""

    lines: tuple[str, ...]
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    foot: int = HEIGHT - BOTTOM


def line_chart(
    points: Sequence[tuple[datetime, Decimal]], zone: tzinfo, gap: timedelta = GAP
) -> LineChart | None:
    """Return the chart of values over time, oldest first; None with fewer than two.

    Where more than ``gap`` lies between two values the line is broken: nothing is made up.
    """
    if len(points) < 2:
        return None
    start, end = points[0][0], points[-1][0]
    span = max((end - start).total_seconds(), 1)
    values = [float(value) for _, value in points]
    low, high = _bounds(values)
    inner, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(at: datetime, value: float) -> tuple[float, float]:
        x = LEFT + inner * (at - start).total_seconds() / span
        return round(x, 1), round(TOP + tall * (high - value) / (high - low), 1)

    parts: list[list[str]] = [[]]
    for number, ((at, _), value) in enumerate(zip(points, values, strict=True)):
        if number and at - points[number - 1][0] > gap:
            parts.append([])
        parts[-1].append("{:g},{:g}".format(*place(at, value)))
    lines = tuple("M" + " L".join(part if len(part) > 1 else part * 2) for part in parts)
    rows = tuple(
        Tick(
            place(start, low + (high - low) * n / 4)[1],
            _short(low + (high - low) * n / 4, high - low),
        )
        for n in range(5)
    )
    form = "%m-%d" if span > 2 * 86400 else "%H:%M"
    columns = tuple(
        Tick(place(at, low)[0], at.astimezone(zone).strftime(form))
        for at in (start + timedelta(seconds=span * n / 4) for n in range(5))
    )
    return LineChart(lines, rows, columns)


@dataclass(frozen=True)
class Bar:
    """One bar: where it stands, how high it is, what stands below it and what it says."""

    x: float
    y: float
    width: float
    height: float
    label: str
    value: Decimal


@dataclass(frozen=True)
class BarChart:
    """Bars over names, from zero; none is less than zero."""

    bars: tuple[Bar, ...]
    rows: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    foot: int = HEIGHT - BOTTOM


def bar_chart(values: Sequence[tuple[str, Decimal]]) -> BarChart | None:
    """Return the chart of named values that are zero or more; None without any."""
    if not values:
        return None
    high = float(max(value for _, value in values)) * 1.05 or 1.0
    inner, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    step = inner / len(values)
    bars = []
    for number, (label, value) in enumerate(values):
        height = round(tall * float(value) / high, 1)
        x = round(LEFT + step * (number + 0.15), 1)
        bars.append(
            Bar(x, round(HEIGHT - BOTTOM - height, 1), round(step * 0.7, 1), height, label, value)
        )
    rows = tuple(
        Tick(round(TOP + tall * (1 - n / 4), 1), _short(high * n / 4, high)) for n in range(5)
    )
    return BarChart(tuple(bars), rows)


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def _short(value: float, span: float) -> str:
    """Return a value with as many places as tell it from the next tick of an axis."""
    places = next((n for n in range(6) if span / 4 >= 10.0**-n), 6)
    return f"{value:,.{places}f}"
