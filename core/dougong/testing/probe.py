"""A small plugin with jobs and events, and a real worker process for it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dougong.installation import Installation
from dougong.testing.planting import plant_small

SERVICES = '''
import os
import time

from sqlalchemy import text

from dougong.db import Scope
from dougong.errors import Conflict
from dougong.services import service


def append(path: str, line: str) -> None:
    with open(path, "a") as file:
        file.write(line + "\\n")


@service("round.walk")
def walk(scope: Scope, number: int, path: str, pause: float = 0.0) -> int:
    """Leave a trace in the database and one in a file, which no rollback takes back."""
    scope.emit("walked", number=number)
    append(path, str(number))
    scope.progress(1, 2, "half")
    time.sleep(pause)
    return number


@service("round.refuse")
def refuse(scope: Scope) -> None:
    """Say no."""
    raise Conflict("It is closed.")


@service("round.stumble")
def stumble(scope: Scope, path: str) -> None:
    """Fail twice, then work."""
    append(path, "try")
    if len(open(path).readlines()) < 3:
        raise RuntimeError("13800138000 must not show")


@service("round.hang")
def hang(scope: Scope, where: str) -> None:
    """Come to no end, in one of three places."""
    scope.emit("told", by=where)
    if where == "in the database":
        scope.session.execute(text("select pg_sleep(600)"))
    if where == "outside of Python":
        time.sleep(600)
    while True:
        try:
            time.sleep(0.05)
        except Exception:
            pass


@service("round.tell_time")
def tell_time(scope: Scope) -> None:
    """Say that it ran."""
    scope.emit("told", by=scope.actor.kind)
'''
HOOKS = """
import os

from dougong.hookspecs import hookimpl


@hookimpl
def event_happened(scope, event):
    scope.emit("heard", number=event.ids.get("number"))
    stop = os.environ.get("PROBE_STOPS")
    if stop and os.path.exists(stop):
        raise RuntimeError("not now")
"""
TABLES = """capabilities = ["jobs"]
[permissions]
round = ["walk", "refuse", "stumble", "hang", "tell_time"]
[events]
emits = ["walked", "heard", "told"]
subscribes = ["probe.walked"]
[[jobs]]
id = "tell_time"
schedule = "30 8 * * *"
service = "round.tell_time"
[[jobs]]
id = "hang"
service = "round.hang"
timeout_s = 1
[[jobs]]
id = "walk"
service = "round.walk"
[[jobs]]
id = "refuse"
service = "round.refuse"
[[jobs]]
id = "stumble"
service = "round.stumble"
"""
WORKER = """
import os
from dougong import limits
from dougong.jobs import process
from dougong.settings import Settings
from dougong.supervisor.child import log_to_stderr
log_to_stderr()
process.STALLED_S, process.HEARTBEAT_S, process.LOOK_S, process.POLL_S = 1.0, 0.2, 0.3, 0.2
limits.LETTING_GO_S = 2.0
if "PROBE_CHUNK" in os.environ:
    from dougong.web.admin import import_runs
    import_runs.CHUNK = int(os.environ["PROBE_CHUNK"])
process.main(Settings.from_environment())
"""


def plant_probe(folder: Path) -> None:
    """Write the plugin ``probe`` below ``folder``."""
    package = plant_small(folder, "probe", services=SERVICES, hooks=HOOKS)
    manifest = package / "manifest.toml"
    manifest.write_text(manifest.read_text() + TABLES)


def start_worker(installation: Installation, log: Path, **more: str) -> subprocess.Popen[bytes]:
    """Start a worker process of its own for this installation."""
    settings = installation.settings
    environment = {
        **os.environ,
        "DOUGONG_HOME": str(settings.paths.home),
        "DOUGONG_DATABASE": str(settings.database),
        "DOUGONG_PLUGIN_PATH": os.pathsep.join(map(str, settings.plugin_paths)),
        **more,
    }
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-c", WORKER], env=environment, stdout=out, stderr=out
        )


@contextmanager
def worker(installation: Installation, log: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker process inside the block."""
    process = start_worker(installation, log, **more)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Return the condition's first true answer; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")
