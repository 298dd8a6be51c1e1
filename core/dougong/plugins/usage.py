"""How much time each plugin takes, at which point, and which of its calls do not come back.

Counting takes no lock and a fraction of a microsecond: two threads that count at the same instant
may lose one of the two. A call is over its budget after a fifth of its deadline. Statements that
it sends after the deadline are refused and those that run are cancelled (see `savepoint`); a loop
in Python cannot be stopped from outside, but it is reported by name while it runs.
"""

import math
import os
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

DEADLINE_S = 5.0
BUDGET_SHARE = 0.2
PATIENCE_S = {"view": 60.0, "job": 3600.0, "opening sheet": 600.0}
LONG_S = 0.0005
current_call: ContextVar["Call | None"] = ContextVar("plugin_call", default=None)


class TookTooLong(Exception):
    """A plugin's call went on for longer than it may."""


class Spent:
    """What one plugin's calls at one point have taken in this process.

    budget_s: calls that take longer are ``over``. deadline_s: after it nothing more goes to the
    database. patience_s: after it a call that still runs is reported.
    """

    __slots__ = (
        "budget_s", "calls", "deadline_s", "failures", "longest_s", "over", "patience_s",
        "plugin", "point", "seconds",
    )  # fmt: skip

    def __init__(self, plugin: str, point: str, deadline_s: float, patience_s: float) -> None:
        self.plugin, self.point = plugin, point
        self.deadline_s, self.patience_s = deadline_s, patience_s
        self.budget_s = deadline_s * BUDGET_SHARE
        self.calls = self.failures = self.over = 0
        self.seconds = self.longest_s = 0.0

    def figures(self) -> tuple[int, float, int, int]:
        """Return calls, seconds, failures and calls over the budget."""
        return self.calls, self.seconds, self.failures, self.over


class Call:
    """Plugins' code while it runs, one plugin's after the other's.

    spent: whose runs now; set by who calls it. inner_s: of its time, what other calls took.
    """

    __slots__ = ("began", "inner_s", "is_reported", "outer", "since", "spent", "thread", "usage")

    def __init__(self, usage: "Usage") -> None:
        self.usage = usage
        self.spent: Spent | None = None
        self.is_reported = False

    def __enter__(self) -> Any:
        self.outer = current_call.get()
        current_call.set(self)
        self.inner_s = 0.0
        self.since = self.began = perf_counter()
        self.thread = threading.get_ident()
        self.usage.running[id(self)] = self
        return self

    def __exit__(self, *failure: Any) -> None:
        del self.usage.running[id(self)]
        current_call.set(self.outer)
        if self.outer is not None:
            self.outer.inner_s += perf_counter() - self.began

    def end(self) -> None:
        """Count what ran since ``since`` for ``spent``, and start the clock for the next.

        `Hooks.ask` does the same without a call for what took less than ``LONG_S``.
        """
        now, spent = perf_counter(), self.spent
        if spent is None:
            return
        taken_s = max(0.0, now - self.since - self.inner_s)
        self.since = now
        spent.calls += 1
        spent.seconds += taken_s
        self.inner_s, self.is_reported, self.spent = 0.0, False, None
        if taken_s > spent.budget_s:
            spent.over += 1
            spent.longest_s = max(spent.longest_s, taken_s)
            self.usage.on_over(spent, taken_s)
            self.since = perf_counter()

    def left_s(self) -> float:
        """Return the seconds until the deadline, without what inner calls took."""
        if self.spent is None:
            return math.inf
        return self.spent.deadline_s - (perf_counter() - self.since - self.inner_s)

    def check(self) -> None:
        """Raise TookTooLong after the deadline."""
        if self.left_s() <= 0:
            raise TookTooLong("its deadline has passed; nothing more goes to the database")


class Usage:
    """What the plugins of one process have taken, and what runs now.

    on_over: told of each call that took more than its budget, once it is back.
    """

    def __init__(self, on_over: Callable[[Spent, float], None] | None = None) -> None:
        self.on_over = on_over or (lambda spent, taken_s: None)
        self.running: dict[int, Call] = {}
        self._spent: dict[tuple[str, str], Spent] = {}
        self._written: dict[tuple[str, str], tuple[int, float, int, int]] = {}

    def of(self, plugin: str, point: str, deadline_s: float | None = None) -> Spent:
        """Return the account of a plugin at a point; made at the first call.

        deadline_s: of a hook. What is no hook has no deadline, only the patience of its kind.
        """
        known = self._spent.get((plugin, point))
        if known is None:
            patience_s = deadline_s or PATIENCE_S.get(point.partition(" ")[0], 60.0)
            made = Spent(plugin, point, deadline_s or math.inf, patience_s)
            known = self._spent.setdefault((plugin, point), made)
        return known

    def drain(self) -> Iterator[tuple[Spent, tuple[int, float, int, int]]]:
        """Yield what each account has gained since it was drained before."""
        for key, spent in list(self._spent.items()):
            now, before = spent.figures(), self._written.get(key, (0, 0.0, 0, 0))
            if now != before:
                self._written[key] = now
                yield spent, tuple(a - b for a, b in zip(now, before, strict=True))  # type: ignore[misc]
                spent.longest_s = 0.0

    def hanging(self) -> Iterator[tuple[Spent, str]]:
        """Yield each call that runs for longer than it may, once, with where it does.

        A call that waits for another plugin's is not to blame.
        """
        now, running = perf_counter(), list(self.running.values())
        waiting = {id(call.outer) for call in running}
        for call in running:
            spent, taken_s = call.spent, now - call.since - call.inner_s
            if spent is None or call.is_reported or id(call) in waiting:
                continue
            if taken_s > spent.patience_s:
                call.is_reported = True
                yield spent, _whereabouts(taken_s, call.thread)


def _whereabouts(taken_s: float, thread: int) -> str:
    since = datetime.now(UTC) - timedelta(seconds=taken_s)
    name = next((t.name for t in threading.enumerate() if t.ident == thread), str(thread))
    at = f"{since:%Y-%m-%d %H:%M:%S} UTC"
    return f"it has been running since {at} (process {os.getpid()}, thread {name})"
