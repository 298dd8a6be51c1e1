"""Times the same request done in two ways, in turns, so that a busy machine slows both."""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

Work = Callable[[Connection, int], None]
PARTS = 5


def compare(
    name: str,
    ours: tuple[Connection, Work],
    against: tuple[Connection, Work],
    requests: int,
    warm_up: int = 20,
) -> None:
    """Print milliseconds per request of both sides and their ratio as one JSON line.

    Each request is a transaction. value and against are medians over single requests that took
    turns; the spread is that of the medians of five parts of the run.
    """
    times: list[list[float]] = [[], []]
    for number in range(requests + warm_up):
        order = (0, 1) if number % 2 else (1, 0)
        for side in order:
            connection, work = (ours, against)[side]
            started = time.perf_counter()
            work(connection, number)
            connection.commit()
            if number >= warm_up:
                times[side].append((time.perf_counter() - started) * 1000)
    tell(name, "ms", times[0], times[1])


def tell(name: str, unit: str, ours: list[float], against: list[float] | None = None) -> None:
    """Print one figure: the medians of both sides and their ratio."""
    value = statistics.median(ours)
    peer = statistics.median(against) if against else None
    size = max(len(ours) // PARTS, 1)
    parts = [statistics.median(ours[at : at + size]) for at in range(0, len(ours), size)]
    figure: dict[str, Any] = {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "against": round(peer, 3) if peer else None,
        "ratio": round(value / peer, 3) if peer else None,
        "spread": round(max(parts) - min(parts), 3),
    }
    print(json.dumps(figure), flush=True)
