"""What plugins cost: switching one on, asking sixty, starting with thirty.

Usage: python bench/plugins.py. Prints one JSON line per figure; exits 1 when one is over its limit.
The server runs with fsync, like in production.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pluggy

from dougong import hookspecs
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.plugins import operations
from dougong.testing.factories import make_place
from dougong.testing.planting import plant, plant_small, workshop

ACTOR = Actor.system("bench")
HOOKS = """
from dougong.hookspecs import hookimpl


@hookimpl
def dashboard_cards(scope):
    return None
"""
BOOT = """
import sys, time
started = time.perf_counter()
from dougong.supervisor.child import keep_what_stays, start_quickly
start_quickly()
from dougong.installation import Installation
from dougong.web.app import create_app
installation = Installation.open()
opened = time.perf_counter()
create_app(installation)
keep_what_stays()
print(len(installation.plugins.installed), opened - started, time.perf_counter() - started)
"""


def figure(name: str, values: list[float], unit: str, limit: float, **more: Any) -> bool:
    """Print one figure, the median of ``values`` unless ``value`` is given; tell if it is met."""
    value = more.pop("value", statistics.median(values))
    ordered = sorted(values)
    spread = [round(ordered[len(ordered) // 10], 2), round(ordered[-1 - len(ordered) // 10], 2)]
    line = {"name": name, "value": round(value, 2), "unit": unit, "limit": limit, **more}
    print(json.dumps({**line, "spread": spread}), flush=True)
    return value <= limit


def percentile(values: list[float], share: float) -> float:
    """Return the value below which ``share`` of the others lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def enabling(installation: Installation, times: int = 300) -> bool:
    """Measure switching a plugin on and off, until it is committed and synced, in ms."""
    place, plugin = make_place(installation), installation.plugins.installed[-1]
    taken: list[float] = []
    for number in range(times):
        act = operations.disable if number % 2 == 0 else operations.enable
        started = time.perf_counter()
        act(installation, ACTOR, plugin, place.community_id)
        taken.append((time.perf_counter() - started) * 1000)
    p99 = percentile(taken, 0.99)
    return figure("plugin_enable_p99", taken, "ms", 50, value=p99, median=statistics.median(taken))


def timed(work: Callable[[], Any], times: int = 2000, rounds: int = 15) -> list[float]:
    """Return µs per call of several rounds."""
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(times):
            work()
        found.append((time.perf_counter() - started) / times * 1e6)
    return found


def asking(installation: Installation) -> bool:
    """Measure a hook that sixty plugins implement and twenty may answer, against pluggy's call."""
    place = make_place(installation)
    plugins = installation.plugins.installed
    with installation.access() as session:
        for plugin in plugins[20:]:
            session.connection().exec_driver_sql(
                "delete from dougong.plugin_enablement where plugin = %s", (plugin,)
            )
        session.connection().exec_driver_sql(
            "update dougong.scope_version set version = version + 1"
        )
    manager = pluggy.PluginManager("dougong")
    manager.add_hookspecs(hookspecs)
    for plugin in plugins:
        manager.register(sys.modules[f"dougong_{plugin}.hooks"], name=plugin)
    with installation.scope(ACTOR, community=place.community_id) as scope:
        assert (len(plugins), len(scope.enablement)) == (60, 20)
        plain = statistics.median(timed(lambda: manager.hook.dashboard_cards(scope=scope)))
        ours = timed(lambda: scope.ask("dashboard_cards"))
    ratio = round(statistics.median(ours) / plain, 2)
    return figure(
        "isolated_hook_call",
        ours,
        "µs",
        15,
        against=f"pluggy asking all 60 without isolation: {plain:.1f} µs",
        ratio=ratio,
    )


def booting(installation: Installation, rounds: int = 5) -> bool:
    """Measure a process from its first import until it could answer its first request, in s."""
    settings = installation.settings
    environment = {
        **os.environ,
        "DOUGONG_HOME": str(settings.paths.home),
        "DOUGONG_DATABASE": settings.database or "",
        "DOUGONG_PLUGIN_PATH": os.pathsep.join(map(str, settings.plugin_paths)),
    }
    taken, opened = [], []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", BOOT], env=environment, capture_output=True, text=True
        )
        count, to_open, whole = done.stdout.split()[-3:]
        assert int(count) == 30, done.stderr
        taken.append(float(whole))
        opened.append(float(to_open))
    return figure(
        "boot_with_30_plugins", taken, "s", 3, installation=round(statistics.median(opened), 2)
    )


def main() -> int:
    """Measure on a server of its own."""
    home = Path(tempfile.mkdtemp(prefix="dougong-bench-"))
    home.chmod(0o755)
    server = EmbeddedPostgres(home, home / "keys")
    server.start()
    met = []
    try:
        small, whole = home / "small", home / "whole"
        for number in range(60):
            plant_small(small, f"small{number:02}", hooks=HOOKS)
        for number in range(30):
            plant(whole, f"whole{number:02}")
        with workshop(server, small) as installation:
            operations.install_everything(installation, only=_planted(installation, "small"))
            met += [enabling(installation), asking(installation)]
        with workshop(server, whole) as installation:
            operations.install_everything(installation, only=_planted(installation, "whole"))
            met.append(booting(installation))
    finally:
        server.destroy()
    return 0 if all(met) else 1


def _planted(installation: Installation, prefix: str) -> set[str]:
    return {plugin for plugin in installation.plugins.found if plugin.startswith(prefix)}


if __name__ == "__main__":
    sys.exit(main())
