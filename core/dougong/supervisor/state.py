"""What other commands may know of a running supervisor: a lock and a small file below ``run``."""

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dougong.paths import Paths

FILE = "supervisor.json"
LOCK = "supervisor.lock"


class AlreadyRunning(RuntimeError):
    """Another supervisor of the same installation holds the lock."""


@contextmanager
def held(paths: Paths) -> Iterator[int]:
    """Hold the lock of the one supervisor and yield its descriptor; raises AlreadyRunning.

    It dies with the process, and with those that were forked from it and hold the descriptor.
    """
    with (paths.run / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning from None
        yield file.fileno()


def is_held(paths: Paths) -> bool:
    """Tell whether a supervisor runs."""
    try:
        with held(paths):
            return False
    except AlreadyRunning:
        return True


def write(paths: Paths, facts: Mapping[str, Any]) -> None:
    """Replace the file that `dougong status` and `dougong down` read."""
    temporary = paths.run / f".{FILE}.{os.getpid()}"
    temporary.write_text(json.dumps(facts, indent=1))
    temporary.replace(paths.run / FILE)


def read(paths: Paths) -> dict[str, Any]:
    """Return the facts that the last supervisor wrote, empty when there was none."""
    try:
        return json.loads((paths.run / FILE).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def forget(paths: Paths) -> None:
    """Remove the file: nothing runs any more."""
    (paths.run / FILE).unlink(missing_ok=True)


def born_at(pid: int) -> int | None:
    """Return when a process started (in clock ticks since boot), None when it is gone.

    Together with the number it names a process for good, whatever number is given out again.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[19])


def is_alive(facts: Mapping[str, Any]) -> bool:
    """Tell whether the process that ``facts`` (pid and born_at) describe still runs."""
    born = born_at(facts["pid"]) if facts.get("pid") else None
    return born is not None and born == facts.get("born_at")


def stop_process(facts: Mapping[str, Any], patience_s: float = 10.0) -> None:
    """Stop a process by SIGTERM, and by SIGKILL when it does not go in time."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not is_alive(facts):
            return
        with suppress(ProcessLookupError):
            os.kill(facts["pid"], number)
        deadline = time.monotonic() + patience_s
        while is_alive(facts) and time.monotonic() < deadline:
            time.sleep(0.05)


def stop_leftovers(paths: Paths) -> int:
    """Stop processes that a killed supervisor left; return how many there were."""
    left = [p for p in read(paths).get("processes", ()) if is_alive(p)]
    for process in left:
        stop_process(process)
    return len(left)
