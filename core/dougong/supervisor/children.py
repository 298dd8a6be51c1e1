"""One supervised process: started, known to be ready, started again when it dies."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from dougong.supervisor import state

FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S = 0.2, 10.0, 30.0
LARGEST_LOG = 16 * 1024 * 1024


class Phase(StrEnum):
    """Where a process stands."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    STOPPED = "stopped"


@dataclass
class Child:
    """A program of ours that shall run.

    overlaps: a new generation may start before the old one has gone.
    listens: it inherits the listening socket.
    """

    name: str
    environment: Mapping[str, str]
    log: Path
    listen_fd: int | None = None
    overlaps: bool = True
    phase: Phase = Phase.STOPPED
    restarts: int = 0
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    again_at: float = 0.0
    retiring: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _pause_s: float = FIRST_PAUSE_S
    _ready: int | None = None

    def start(self) -> None:
        """Start a process; it is ready when it has said so through a pipe."""
        self._close_pipe()
        read, write = os.pipe()
        os.set_blocking(read, False)
        inherited = [write] if self.listen_fd is None else [write, self.listen_fd]
        extra = {"DOUGONG_READY_FD": str(write), "DOUGONG_SUPERVISOR": str(os.getpid())}
        if self.listen_fd is not None:
            extra["DOUGONG_LISTEN_FD"] = str(self.listen_fd)
        with self._log_file() as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dougong.supervisor.child", self.name],
                env={**self.environment, **extra},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=inherited,
                start_new_session=True,
            )
        os.close(write)
        self._ready = read
        self.started_at = time.monotonic()
        self.phase = Phase.STARTING

    def look(self) -> bool:
        """Notice what happened to the process; start it again when its pause is over.

        Returns whether anything changed.
        """
        before = (self.phase, self.pid)
        self.retiring = [old for old in self.retiring if old.poll() is None]
        if self.phase == Phase.WAITING:
            if time.monotonic() >= self.again_at:
                self.start()
        elif self.process is not None and self.process.poll() is not None:
            self._died()
        elif self.phase == Phase.STARTING and self._said_ready():
            self.phase = Phase.READY
        return (self.phase, self.pid) != before

    def _died(self) -> None:
        if time.monotonic() - self.started_at > STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        self.again_at = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        self.restarts += 1
        self.phase = Phase.WAITING

    def _said_ready(self) -> bool:
        if self._ready is None:
            return False
        try:
            said = os.read(self._ready, 16)
        except BlockingIOError:
            return False
        self._close_pipe()
        return said.startswith(b"ready")

    def renew(self) -> None:
        """Start a new generation; the old one is retired when the new one is ready."""
        if self.process is not None and self.process.poll() is None:
            if self.overlaps:
                self.retiring.append(self.process)
            else:
                self._end(self.process)
        self.start()

    def retire(self) -> None:
        """Let the generations before this one finish what they are doing."""
        for old in self.retiring:
            if old.poll() is None:
                old.terminate()

    def terminate(self) -> None:
        """Ask every generation to stop."""
        for process in self._running():
            process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait until every generation has gone; kill those that have not by ``deadline``."""
        for process in self._running():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.phase = Phase.STOPPED
        self._close_pipe()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _running(self) -> list[subprocess.Popen[bytes]]:
        known = [*self.retiring, *([self.process] if self.process else [])]
        return [process for process in known if process.poll() is None]

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None else None

    def facts(self) -> dict[str, Any]:
        """Return what `dougong status` shows."""
        return {
            "name": self.name,
            "pid": self.pid,
            "born_at": state.born_at(self.pid) if self.pid else None,
            "phase": self.phase.value,
            "restarts": self.restarts,
            "log": str(self.log),
        }

    def _log_file(self) -> Any:
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            self.log.replace(self.log.with_suffix(".1.log"))
        return self.log.open("ab")

    def _close_pipe(self) -> None:
        if self._ready is not None:
            os.close(self._ready)
            self._ready = None
