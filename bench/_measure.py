"""What every bench shares: one JSON line per figure, ratios taken within each round.

Both sides of a comparison run in one program, turn by turn. Machines slow down and speed up; what
was measured in the same round shares that, so the ratio is the median of the rounds' ratios, not
the ratio of two medians.
"""

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def tell(
    name: str,
    unit: str,
    ours: Sequence[float],
    against: Sequence[float] | None = None,
    *,
    reach: str | None = None,
    **more: Any,
) -> float | None:
    """Print one figure and return its ratio.

    ours, against: one value per round, in the same order. ratio is ours / against. spread is the
    largest less the smallest of ours. reach: what the figure is to reach, such as ``>= 0.7``.
    """
    ratios = [o / a for o, a in zip(ours, against, strict=True)] if against else []
    ratio = statistics.median(ratios) if ratios else None
    figure = {
        "name": name,
        "value": _short(statistics.median(ours)),
        "unit": unit,
        "against": _short(statistics.median(against)) if against else None,
        "ratio": _short(ratio) if ratio is not None else None,
        "spread": _short(max(ours) - min(ours)),
    }
    if ratios:
        figure["ratio_spread"] = [_short(min(ratios)), _short(max(ratios))]
    if reach:
        figure["reach"] = reach
    print(json.dumps({**figure, **more}, ensure_ascii=False), flush=True)
    return ratio


def interleave(sides: Sequence[Callable[[int], float]], rounds: int) -> tuple[list[float], ...]:
    """Return each side's values, measured turn by turn; a side gets the number of the round."""
    found: tuple[list[float], ...] = tuple([] for _ in sides)
    for number in range(rounds):
        for values, measure in zip(found, sides, strict=True):
            values.append(measure(number))
    return found


def forget_peak() -> None:
    """Let the kernel forget how much memory this process needed at most."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """Return the most memory that this process has held since `forget_peak`, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _short(value: float) -> float:
    return round(value, 4 if abs(value) < 1 else 3 if abs(value) < 100 else 1)
