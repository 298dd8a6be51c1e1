"""Looks after the plugins of a running process: reports calls that do not come back, and writes
down what all of them took."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dougong.plugins.usage import TookTooLong

if TYPE_CHECKING:
    from dougong.installation import Installation

log = logging.getLogger(__name__)
LOOK_S, WRITE_S = 2.0, 15.0
KEPT_DAYS = 30
WRITE = text(
    "insert into dougong.plugin_usage as u"
    " (plugin, point, day_on, calls, taken_us, failures, over_budget, longest_ms) values"
    " (:plugin, :point, current_date, :calls, :taken_us, :failures, :over, :longest_ms)"
    " on conflict (plugin, point, day_on) do update set calls = u.calls + excluded.calls,"
    " taken_us = u.taken_us + excluded.taken_us, failures = u.failures + excluded.failures,"
    " over_budget = u.over_budget + excluded.over_budget,"
    " longest_ms = greatest(u.longest_ms, excluded.longest_ms)"
)
FORGET = text("delete from dougong.plugin_usage where day_on < current_date - cast(:days as int)")
READ = text(
    "select plugin, point, sum(calls)::bigint, sum(taken_us)::bigint, sum(failures)::bigint,"
    " sum(over_budget)::bigint, max(longest_ms)::bigint from dougong.plugin_usage"
    " where day_on >= current_date - cast(:days as int)"
    " group by plugin, point order by sum(taken_us) desc"
)


@dataclass(frozen=True)
class Taken:
    """What a plugin took at one point in some days. over_budget: calls that were too slow."""

    plugin: str
    point: str
    calls: int
    taken_us: int
    failures: int
    over_budget: int
    longest_ms: int

    @property
    def mean_ms(self) -> float:
        return self.taken_us / self.calls / 1000 if self.calls else 0.0


def report_hanging(installation: "Installation") -> int:
    """Put each call that does not come back on the repairs page; return how many were new.

    Each counts as a failure, so that a plugin which hangs again and again is quarantined before
    it holds every thread.
    """
    plugins, found = installation.plugins, 0
    for spent, whereabouts in plugins.usage.hanging():
        found += 1
        spent.failures += 1
        log.error("plugin %s hangs at %s: %s", spent.plugin, spent.point, whereabouts)
        plugins.failed(spent.plugin, spent.point, TookTooLong(whereabouts))
    return found


def write_usage(installation: "Installation") -> None:
    """Add what this process' plugins took since the last time to the figures of today."""
    gained = [
        {
            "plugin": spent.plugin,
            "point": spent.point[:120],
            "calls": calls,
            "taken_us": int(seconds * 1e6),
            "failures": failures,
            "over": over,
            "longest_ms": int(spent.longest_s * 1000),
        }
        for spent, (calls, seconds, failures, over) in installation.plugins.usage.drain()
    ]
    if gained:
        gained.sort(key=lambda row: (str(row["plugin"]), str(row["point"])))
        with installation.access() as session:
            session.execute(WRITE, gained)
            session.execute(FORGET, {"days": KEPT_DAYS})


def read_usage(installation: "Installation", days: int = 1) -> Sequence[Taken]:
    """Return what plugins took today and in the days before; the dearest first."""
    with installation.access() as session:
        return [Taken(*row) for row in session.execute(READ, {"days": days})]


def watch(installation: "Installation", stop: threading.Event) -> None:
    """Report and write until told to stop; the database may go away and come back."""
    waited_s = 0.0
    while not stop.wait(LOOK_S):
        waited_s += LOOK_S
        try:
            report_hanging(installation)
            if waited_s >= WRITE_S:
                waited_s = 0.0
                write_usage(installation)
        except DBAPIError as error:
            log.warning("the figures of plugins wait for the database: %s", error.orig)
