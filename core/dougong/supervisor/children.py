"""One supervised process: started, known to be ready, started again when it dies or hangs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from dougong import pulse
from dougong.supervisor import state
from dougong.supervisor.forking import Forked

FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S = 0.2, 10.0, 30.0
# A process that is silent for so long hangs; one that starts imports a lot first.
HANG_S, START_S = 45.0, 240.0
# Our own loop stood still for so long: asleep with the machine, or stopped. Nobody is to blame.
ASLEEP_S = 5.0
ABORT_S, RETIRE_S = 2.0, 900.0
LARGEST_LOG = 16 * 1024 * 1024


Process = subprocess.Popen[bytes] | Forked


class Phase(StrEnum):
    """Where a process stands."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    STOPPED = "stopped"


@dataclass
class Child:
    """A program of ours that shall run.

    listen_fd: the listening socket, for one that inherits it. overlaps: a new generation may
    start before the old one has gone. program: the command, without its name at the end.
    fork: what starts the first process instead, from its environment, its log and the descriptors
    that it keeps and those that it must not hold; None for an interpreter of its own. reason: why
    it last ended.
    """

    name: str
    environment: Mapping[str, str]
    log: Path
    listen_fd: int | None = None
    overlaps: bool = True
    program: Sequence[str] = (sys.executable, "-m", "dougong.supervisor.child")
    fork: Callable[..., Forked] | None = None
    hang_s: float = HANG_S
    reason: str = ""
    phase: Phase = Phase.STOPPED
    restarts: int = 0
    process: Process | None = None
    started_at: float = 0.0
    again_at: float = 0.0
    retiring: list[Process] = field(default_factory=list)
    beat_at: float = 0.0
    _pause_s: float = FIRST_PAUSE_S
    _ready: int | None = None
    _beats: int | None = None
    _looked_at: float = 0.0
    _retired_at: float = 0.0

    def start(self) -> None:
        """Start a process; it is ready when it has said so through a pipe."""
        self._close_pipes()
        read, write = os.pipe()
        beats, beat = os.pipe()
        for descriptor in (read, beats, beat):
            os.set_blocking(descriptor, False)
        inherited = [write, beat, *([] if self.listen_fd is None else [self.listen_fd])]
        extra = {
            "DOUGONG_READY_FD": str(write),
            "DOUGONG_SUPERVISOR": str(os.getpid()),
            pulse.VARIABLE: str(beat),
        }
        if self.listen_fd is not None:
            extra["DOUGONG_LISTEN_FD"] = str(self.listen_fd)
        environment = {**self.environment, **extra}
        fork, self.fork = self.fork, None
        with self._log_file() as log:
            if fork is not None:
                self.process = fork(environment, log, keep=inherited, drop=(read, beats))
            else:
                self.process = self._interpreter(environment, log, inherited)
        os.close(write)
        os.close(beat)
        self._ready, self._beats = read, beats
        self.started_at = self.beat_at = self._looked_at = time.monotonic()
        self.phase = Phase.STARTING

    def _interpreter(
        self, environment: Mapping[str, str], log: IO[bytes], inherited: Sequence[int]
    ) -> Process:
        return subprocess.Popen(
            [*self.program, self.name],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=inherited,
            start_new_session=True,
        )

    def look(self) -> bool:
        """Notice what happened to the process; start it again when its pause is over.

        Returns whether anything changed.
        """
        before = (self.phase, self.pid)
        self._bury()
        if self.phase == Phase.WAITING:
            if time.monotonic() >= self.again_at:
                self.start()
        elif self.process is not None and self.process.poll() is not None:
            self._died()
        elif self._is_silent():
            self._hangs()
        elif self.phase == Phase.STARTING and self._said_ready():
            self.phase, self.beat_at = Phase.READY, time.monotonic()
        return (self.phase, self.pid) != before

    def _is_silent(self) -> bool:
        """Tell whether the process has shown no sign of life for too long."""
        now = time.monotonic()
        slept, self._looked_at = now - self._looked_at > ASLEEP_S, now
        if self._read(self._beats, 4096) or slept:
            self.beat_at = now
        limit = max(START_S, self.hang_s) if self.phase == Phase.STARTING else self.hang_s
        return self.process is not None and now - self.beat_at > limit

    def _hangs(self) -> None:
        """End a process that hangs; its log tells where each thread stood."""
        assert self.process is not None
        self.process.send_signal(signal.SIGABRT)
        try:
            self.process.wait(ABORT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        silent_s = time.monotonic() - self.beat_at
        self._died(f"no sign of life for {silent_s:.0f} s")

    def _bury(self) -> None:
        """Forget old generations that have gone; end those that never do."""
        self.retiring = [old for old in self.retiring if old.poll() is None]
        if self.retiring and self._retired_at and time.monotonic() - self._retired_at > RETIRE_S:
            for old in self.retiring:
                old.kill()

    def _died(self, reason: str = "") -> None:
        self.reason = reason or _end_of(self.process)
        if time.monotonic() - self.started_at > STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        self.again_at = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        self.restarts += 1
        self.phase = Phase.WAITING

    def _said_ready(self) -> bool:
        return self._read(self._ready, 16).startswith(b"ready")

    def _read(self, descriptor: int | None, most: int) -> bytes:
        """Return what lies in a pipe, nothing when it is empty or closed."""
        try:
            return os.read(descriptor, most) if descriptor is not None else b""
        except BlockingIOError:
            return b""

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
        self._retired_at = time.monotonic()
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
        self._close_pipes()

    def _end(self, process: Process) -> None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _running(self) -> list[Process]:
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
            "reason": self.reason,
            "log": str(self.log),
        }

    def _log_file(self) -> Any:
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            self.log.replace(self.log.with_suffix(".1.log"))
        return self.log.open("ab")

    def _close_pipes(self) -> None:
        for descriptor in (self._ready, self._beats):
            if descriptor is not None:
                os.close(descriptor)
        self._ready = self._beats = None


def _end_of(process: Process | None) -> str:
    """Return how a process ended, in a few words."""
    code = process.returncode if process is not None else None
    if code is None:
        return ""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
