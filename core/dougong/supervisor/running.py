"""The supervisor: starts the processes, watches them, renews them, stops them."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from types import FrameType
from typing import IO, Any

import psycopg

from dougong.db.embedded import EmbeddedPostgres
from dougong.installation import open_databases
from dougong.settings import Settings
from dougong.supervisor import state
from dougong.supervisor.child import PROGRAMS
from dougong.supervisor.child import main as run_program
from dougong.supervisor.children import HANG_S, START_S, Child, Phase
from dougong.supervisor.forking import Forked, is_safe
from dougong.tenancy.operations import PLATFORM

LOOK_S, CHECK_S, STOP_S = 0.1, 1.0, 15.0
PORTS_TRIED = 50
OVERLAPPING = {"web", "worker"}
# Moves whenever somebody installs, upgrades, uninstalls or restores a plugin.
GENERATION = f"select version from dougong.scope_version where id = '{PLATFORM}'"


class Stopped(BaseException):
    """Somebody pressed Ctrl-C, or `dougong down` was called."""


class NotReady(RuntimeError):
    """A process did not come up; the message names its log."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn the first of SIGINT, SIGTERM and SIGHUP into Stopped; the next ones are ignored."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listening_socket(host: str, port: int, *, exact: bool = False) -> socket.socket:
    """Return a listening socket on ``port``, or on the next one that is free.

    exact: raise OSError instead of trying others.
    """
    for candidate in range(port, port + (1 if exact else PORTS_TRIED)):
        made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, candidate))
            made.listen(512)
        except OSError:
            made.close()
            if exact or candidate == port + PORTS_TRIED - 1:
                raise
            continue
        made.set_inheritable(True)
        return made
    raise AssertionError("unreachable")


def reachable_settings(settings: Settings, port: int) -> Settings:
    """Return the settings with the port that was free, and the address that goes with it."""
    is_told = os.environ.get("DOUGONG_URL")
    url = settings.url if is_told else f"http://{settings.host}:{port}"
    return replace(settings, port=port, url=url)


@dataclass
class Supervisor:
    """The processes of one installation.

    server: the embedded PostgreSQL, None when another one is used. lock: the descriptor of the lock
    that no process may hold after this one.
    """

    settings: Settings
    server: EmbeddedPostgres | None
    listener: socket.socket
    names: tuple[str, ...] = ("web", "worker", "devices", "simulators")
    tell: Callable[[str, str, str], None] = lambda name, what, why: None
    children: list[Child] = field(default_factory=list)
    lock: int | None = None
    hang_s: float = field(default_factory=lambda: float(os.environ.get("DOUGONG_HANG_S", HANG_S)))
    _generation: Any = None
    _checked_at: float = 0.0
    _server_silent_since: float | None = None

    def start(self) -> None:
        """Start every process and wait until all are ready; raises NotReady."""
        self.spawn()
        self.wait_until_ready()

    def spawn(self) -> None:
        """Start every process, forked where that is safe; whoever calls has closed connections."""
        for name in self.names:
            if _has_main(name):
                self.children.append(self._child(name))
        self._generation = self._read_generation()
        for child in self.children:
            if is_safe():
                child.fork = partial(self._fork, child)
            child.start()
        self._write()

    def _fork(
        self,
        child: Child,
        environment: Mapping[str, str],
        log: IO[bytes],
        keep: Sequence[int],
        drop: Sequence[int],
    ) -> Forked:
        held = [d for d in (self.lock, self.listener.fileno()) if d is not None]
        work = partial(run_program, child.name)
        return Forked(work, environment, log, keep, (*drop, *held))

    def wait_until_ready(self) -> None:
        """Wait until every process is ready; raises NotReady."""
        deadline = time.monotonic() + START_S
        while waiting := [c for c in self.children if c.phase != Phase.READY]:
            self._look()
            failed = [c for c in waiting if c.restarts >= 3]
            if failed or time.monotonic() > deadline:
                raise NotReady(", ".join(f"{c.name} ({c.log})" for c in failed or waiting))
            time.sleep(LOOK_S / 2)

    def _child(self, name: str) -> Child:
        environment = {
            **os.environ,
            "DOUGONG_HOME": str(self.settings.paths.home),
            "DOUGONG_PORT": str(self.settings.port),
            "DOUGONG_HOST": self.settings.host,
            "DOUGONG_URL": self.settings.url,
            "PYTHONUNBUFFERED": "1",
        }
        return Child(
            name,
            environment,
            self.settings.paths.log / f"{name}.log",
            listen_fd=self.listener.fileno() if name == "web" else None,
            overlaps=name in OVERLAPPING,
            hang_s=self.hang_s,
        )

    def run(self) -> None:
        """Watch until Stopped is raised: restart what dies, renew when plugins change."""
        while True:
            self._look()
            if time.monotonic() - self._checked_at >= CHECK_S:
                self._checked_at = time.monotonic()
                self._check_server()
                self._check_generation()
            time.sleep(LOOK_S)

    def _look(self) -> None:
        changed = [child for child in self.children if self._look_at(child)]
        if changed:
            self._write()

    def _look_at(self, child: Child) -> bool:
        """Tell whether a child's phase has changed, and say what is news."""
        phase = child.phase
        if not child.look():
            return False
        if child.phase == Phase.WAITING:
            self.tell(child.name, "died", child.reason)
        elif child.phase == Phase.READY and phase == Phase.STARTING:
            child.retire()
            if child.restarts:
                self.tell(child.name, "ready", "")
        return True

    def _check_server(self) -> None:
        """Start the embedded server again when it died; kill it first when it hangs."""
        if self.server is None or self.server.is_running():
            self._server_silent_since = None
            return
        if self.server.is_alive():
            since = self._server_silent_since or time.monotonic()
            self._server_silent_since = None if self.server.answers() else since
            if time.monotonic() - since <= self.hang_s:
                return
            self.tell("database", "died", f"no answer for {self.hang_s:.0f} s")
            self.server.kill()
        else:
            self.tell("database", "died", "")
        self._server_silent_since = None
        self.server.start()
        self.tell("database", "ready", "")

    def _check_generation(self) -> None:
        generation = self._read_generation()
        if generation is not None and generation != self._generation:
            self._generation = generation
            for child in self.children:
                child.renew()
                self.tell(child.name, "renewed", "")
            self._write()

    def _read_generation(self) -> Any:
        """Return what changes when plugins are installed, upgraded or removed; None if away."""
        try:
            info = open_databases(self.settings).conninfo("access")
            with psycopg.connect(info, autocommit=True, connect_timeout=3) as link:
                row = link.execute(GENERATION).fetchone()
                return row[0] if row else None
        except psycopg.OperationalError:
            return None

    def stop(self, *, with_server: bool = True) -> None:
        """Stop every process, the embedded server last."""
        deadline = time.monotonic() + STOP_S
        for child in self.children:
            child.terminate()
        for child in self.children:
            child.wait(deadline)
        self.listener.close()
        if with_server and self.server is not None:
            self.server.stop()
        state.forget(self.settings.paths)

    def _write(self) -> None:
        state.write(
            self.settings.paths,
            {
                "pid": os.getpid(),
                "born_at": state.born_at(os.getpid()),
                "url": self.settings.url,
                "processes": [child.facts() for child in self.children],
            },
        )


def _has_main(name: str) -> bool:
    """Tell whether the program of a process is there, without running it."""
    try:
        spec = find_spec(PROGRAMS[name])
    except ModuleNotFoundError:
        return False
    if spec is None or spec.origin is None:
        return False
    with open(spec.origin, encoding="utf-8") as source:
        return "\ndef main(" in source.read()
