"""The program of every supervised process: ``python -m dougong.supervisor.child <name>``."""

import ctypes
import faulthandler
import gc
import inspect
import os
import resource
import signal
import sys
from collections.abc import Callable
from importlib import import_module

from dougong.settings import Settings

PR_SET_PDEATHSIG = 1
PROGRAMS = {
    "web": "dougong.supervisor.serving",
    "worker": "dougong.jobs.process",
    "devices": "dougong.devices.process",
    "simulators": "dougong.devices.simulators",
}


def main(name: str) -> None:
    """Run one of ``PROGRAMS`` until SIGTERM, or until the supervisor is gone."""
    start_quickly()
    stay_with_supervisor()
    show_where_it_hangs()
    log_to_stderr()
    program = import_module(PROGRAMS[name]).main
    settings = Settings.from_environment()
    if "ready" in inspect.signature(program).parameters:
        program(settings, ready=say_ready)
    else:
        say_ready()
        program(settings)


def start_quickly() -> None:
    """Collect no garbage while modules and models are made: a fifth of the start, for nothing."""
    gc.disable()


def keep_what_stays() -> None:
    """Collect garbage from now on, and never look again at what the start has made."""
    gc.freeze()
    gc.enable()


def say_ready() -> None:
    """Tell the supervisor that this process does its work from now on."""
    keep_what_stays()
    descriptor = os.environ.pop("DOUGONG_READY_FD", None)
    if descriptor is not None:
        os.write(int(descriptor), b"ready\n")
        os.close(int(descriptor))


def stay_with_supervisor() -> None:
    """Have the kernel end this process when its supervisor dies, even by SIGKILL."""
    expected = os.environ.pop("DOUGONG_SUPERVISOR", None)
    if expected is None:
        return
    prctl: Callable[..., int] | None = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(expected):
        sys.exit(0)


def show_where_it_hangs() -> None:
    """Have SIGABRT write every thread's place in the code to the log, and no memory to a file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable()


def log_to_stderr() -> None:
    """Write warnings and our own messages as lines with time and level.

    Tracebacks show code only: the values of variables may be personal, or keys.
    """
    import logging

    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for talkative in ("procrastinate", "alembic", "httpx", "weasyprint", "fontTools"):
        logging.getLogger(talkative).setLevel(logging.WARNING)


if __name__ == "__main__":
    main(sys.argv[1])
