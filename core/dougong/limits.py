"""How long work of the worker may last; what overruns is ended, whatever it hangs in.

Three steps, each where the one before was of no use: its statement in the database is cancelled and
an exception raised in its thread; after some seconds the job's failure is recorded and the whole
worker ends, for nothing else stops a thread that waits outside of Python. Its other jobs run again.
"""

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog

from dougong.errors import DougongError
from dougong.i18n import N_

log = structlog.get_logger(__name__)

JOB_S, DELIVERY_S = 3600.0, 120.0
LETTING_GO_S = 10.0
LOOK_S = 0.5
EXIT_CODE = 75


class Overrun(DougongError):
    """The job ran longer than it may; what it did is undone."""

    status = 504
    code = "overrun"


class TimeUp(BaseException):
    """Raised inside the thread of a job that overruns; no plugin catches it by mistake."""


@dataclass
class Limit:
    """One piece of work in the thread that began it.

    on_stuck: records the failure when the thread cannot be ended, before the worker goes.
    """

    name: str
    seconds: float
    on_stuck: Callable[[Overrun], None]
    thread: int = field(default_factory=threading.get_ident)
    began: float = field(default_factory=time.monotonic)
    connection: psycopg.Connection[Any] | None = None
    told_at: float | None = None

    def of(self, scope: Any) -> None:
        """Name the scope whose statement is to be cancelled; it must outlive the block."""
        self.connection = scope.session.connection().connection.driver_connection

    @property
    def is_over(self) -> bool:
        return time.monotonic() - self.began > self.seconds

    @property
    def is_stuck(self) -> bool:
        return self.told_at is not None and time.monotonic() - self.told_at > LETTING_GO_S

    def error(self) -> Overrun:
        """Return the failure that is recorded and shown."""
        return Overrun(
            N_("It ran longer than %(seconds)s s and was ended."), seconds=f"{self.seconds:g}"
        )


_lock = threading.Lock()
_running: list[Limit] = []


@contextmanager
def limited(name: str, seconds: float, on_stuck: Callable[[Overrun], None]) -> Iterator[Limit]:
    """Run the block for ``seconds`` at most; raises Overrun. `look` must be called meanwhile."""
    limit = Limit(name, seconds, on_stuck)
    with _lock:
        _running.append(limit)
    try:
        try:
            yield limit
        finally:
            _forget(limit)
    except TimeUp:
        _forget(limit)
        raise limit.error() from None
    except Exception as error:
        if limit.told_at is not None:
            raise limit.error() from error  # such as the cancelled statement
        raise


def _forget(limit: Limit) -> None:
    """Take the limit away, and an exception that is on its way to the thread with it."""
    with _lock:
        if limit in _running:
            _running.remove(limit)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(limit.thread), None)


def _end(limit: "Limit") -> None:
    """Interrupt what overruns, once in Python, and again in the database; the lock is held."""
    if limit.told_at is None:
        limit.told_at = time.monotonic()
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(limit.thread), ctypes.py_object(TimeUp)
        )
        log.error("a job overruns and is ended", job=limit.name, seconds=limit.seconds)
    if limit.connection is not None and not limit.connection.closed:
        with suppress(psycopg.Error):
            limit.connection.cancel_safe(timeout=2)


def look() -> None:
    """End what overruns; the worker calls this all the time."""
    with _lock:
        over = [limit for limit in _running if limit.is_over]
        for limit in over:
            _end(limit)
    for limit in over:
        if limit.is_stuck:
            _give_up(limit)


def _give_up(limit: Limit) -> None:
    log.error("a job cannot be ended; the worker starts anew", job=limit.name)
    try:
        limit.on_stuck(limit.error())
    finally:
        os._exit(EXIT_CODE)


def watch(stop: threading.Event) -> None:
    """Look until told to stop."""
    while not stop.wait(LOOK_S):
        look()
