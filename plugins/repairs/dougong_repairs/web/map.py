"""The map of the community: where buildings stand, what is open there, and who was there last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from uuid import UUID

from dougong_repairs.domain.assignment import Worker
from dougong_repairs.domain.states import OPEN
from dougong_repairs.models import WorkOrder
from dougong_repairs.services.dispatching import RANK, Spot

# Sizes in the drawing's own units; a cell holds a building, its orders and its technicians.
CELL = (150, 118)
GAP = 12
MOST_SCALE = 8
PINS_A_ROW, MOST_PINS = 4, 8
PIN = (34, 22)
TONES = ("hot", "warm", "some", "some")


@dataclass(frozen=True)
class Pin:
    """An open order as it is drawn: where in its building's cell, and how urgent."""

    order: WorkOrder
    x: int
    y: int
    tone: str


@dataclass(frozen=True)
class Plot:
    """A building as it is drawn: its cell's corner, its orders, and who was there last.

    more: open orders that found no room in the cell.
    """

    id: UUID
    name: str
    x: int
    y: int
    pins: Sequence[Pin]
    more: int
    workers: Sequence[Worker]

    @property
    def tone(self) -> str:
        """Return the colour of the most urgent order."""
        return self.pins[0].tone if self.pins else "calm"


@dataclass(frozen=True)
class Drawing:
    """The map: its size, its buildings, and how many open orders stand in none of them."""

    width: int
    height: int
    plots: Sequence[Plot]
    elsewhere: int


def drawn(
    places: Mapping[UUID, Spot], workers: Sequence[Worker], orders: Sequence[WorkOrder]
) -> Drawing:
    """Return the map of some buildings in proportion, spread until none covers another.

    orders: as they should be shown, the most urgent first; those that are over are left out.
    """
    scale = _scale([spot.at for spot in places.values()])
    still = [order for order in orders if order.state in OPEN]
    plots = [
        _plot(
            id,
            spot,
            scale,
            [order for order in still if order.building_id == id],
            [worker for worker in workers if worker.is_on_shift and worker.at == spot.at],
        )
        for id, spot in places.items()
    ]
    left, top = (min((p.x for p in plots), default=0), min((p.y for p in plots), default=0))
    plots = [replace(plot, x=plot.x - left, y=plot.y - top) for plot in plots]
    return Drawing(
        max((p.x for p in plots), default=0) + CELL[0],
        max((p.y for p in plots), default=0) + CELL[1],
        plots,
        sum(order.building_id not in places for order in still),
    )


def _scale(points: Sequence[tuple[int, int]]) -> float:
    """Return by how much metres grow so that the cells of two buildings stand side by side."""
    wide, high = CELL[0] + GAP, CELL[1] + GAP
    needed = [
        min(wide / abs(a[0] - b[0]) if a[0] != b[0] else MOST_SCALE,
            high / abs(a[1] - b[1]) if a[1] != b[1] else MOST_SCALE)
        for a, b in combinations(points, 2)
    ]  # fmt: skip
    return min(max(needed, default=1), MOST_SCALE)


def _plot(
    id: UUID,
    spot: Spot,
    scale: float,
    orders: Sequence[WorkOrder],
    workers: Sequence[Worker],
) -> Plot:
    pins = [
        Pin(
            order,
            6 + n % PINS_A_ROW * (PIN[0] + 1),
            64 + n // PINS_A_ROW * (PIN[1] + 3),
            TONES[RANK[order.urgency]],
        )
        for n, order in enumerate(orders[:MOST_PINS])
    ]
    x, y = (round(metres * scale) for metres in spot.at)
    return Plot(id, spot.name, x, y, pins, len(orders) - len(pins), workers)
