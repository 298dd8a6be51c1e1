"""The first generation of processes, forked from a supervisor that has imported everything.

Four processes that import the same thousand modules take four times the processor; forked, they
begin where the supervisor stands and share its memory. Only what is started first is forked: a
later generation may have other plugins, and a process that died gets a new interpreter.
"""

import atexit
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from importlib import import_module
from typing import IO, Any, NoReturn

# What the worker imports when it runs.
ALSO = ("dougong.web.admin.work",)
STEP_S = 0.02
FIRST_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def is_safe() -> bool:
    """Tell whether this process may be forked: on Linux, while no other thread is in a lock."""
    return sys.platform == "linux" and threading.active_count() == 1


def import_programs() -> None:
    """Import the programs of the processes, and what they import when they run."""
    from dougong.supervisor.child import PROGRAMS

    for module in (*PROGRAMS.values(), *ALSO):
        import_module(module)
    from dougong.web.app import KERNEL_PAGES

    for module in KERNEL_PAGES:
        import_module(module)


class Forked:
    """A forked process with the methods of ``subprocess.Popen`` that the supervisor uses."""

    def __init__(
        self,
        work: Callable[[], Any],
        environment: Mapping[str, str],
        log: IO[bytes],
        keep: Sequence[int],
        drop: Sequence[int],
    ) -> None:
        """Fork; the child does ``work`` and ends, the parent goes on.

        keep: descriptors that the child inherits for good. drop: those of the supervisor that it
        must not hold, such as its lock.
        """
        self.returncode: int | None = None
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        gc.freeze()  # so that no collection writes to pages that both have
        self.pid = os.fork()
        if self.pid == 0:
            _become(work, environment, log.fileno(), set(drop) - set(keep))
        gc.unfreeze()

    def poll(self) -> int | None:
        """Return how the process ended, None while it runs."""
        if self.returncode is None:
            with suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended; raises TimeoutExpired as Popen does."""
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() >= until:
                raise subprocess.TimeoutExpired("dougong", timeout or 0)
            time.sleep(STEP_S)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process."""
        self.send_signal(signal.SIGKILL)


def _become(
    work: Callable[[], Any], environment: Mapping[str, str], log: int, drop: set[int]
) -> NoReturn:
    """Be what an interpreter of its own would be, do the work and end; never return."""
    code = 1
    try:
        for number in FIRST_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for given, place in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(given, place)
        for descriptor in {nothing, log, *drop}:
            with suppress(OSError):
                os.close(descriptor)
        os.environ.clear()
        os.environ.update(environment)
        for handler in tuple(logging.getLogger().handlers):
            logging.getLogger().removeHandler(handler)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        gc.unfreeze()
        Context().run(work)  # the supervisor speaks the terminal's language
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - nothing of the supervisor below may run here
        traceback.print_exc()
    finally:
        # What an interpreter does at its end: threads finish, what was registered is called.
        with suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
