"""Signs of life of a supervised process: bytes in a pipe that its supervisor reads.

A process beats from the loops that do its work, never from a thread of its own: one whose loop is
blocked falls silent, and the supervisor ends it and starts it again.
"""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

VARIABLE = "DOUGONG_BEAT_FD"
BEAT_S = 2.0
# A helper thread may wait this long for a database that hangs, before it counts as blocked.
SILENT_S = 300.0


def beat() -> None:
    """Tell the supervisor that this process is alive; nothing when there is none."""
    descriptor = os.environ.get(VARIABLE)
    if descriptor is None:
        return
    try:
        os.write(int(descriptor), b".")
    except BlockingIOError:
        return  # the supervisor stands still; it has bytes enough to read
    except OSError:
        os.environ.pop(VARIABLE, None)


async def keep_beating(is_alive: Callable[[], Awaitable[bool]] | None = None) -> None:
    """Beat from an event loop until cancelled, each time ``is_alive`` says so."""
    while True:
        if is_alive is None or await is_alive():
            beat()
        await asyncio.sleep(BEAT_S)


class Watched(threading.Event):
    """The stop signal of a helper thread, which thereby shows that it still comes round."""

    def __init__(self) -> None:
        super().__init__()
        self.seen_at = time.monotonic()

    def is_set(self) -> bool:
        """Tell whether to stop; asking is a sign of life."""
        self.seen_at = time.monotonic()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the signal; waiting is a sign of life."""
        self.seen_at = time.monotonic()
        return super().wait(timeout)


def all_come_round(watched: Sequence[Watched]) -> bool:
    """Tell whether each helper thread has asked for its stop signal lately."""
    return all(time.monotonic() - each.seen_at < SILENT_S for each in watched)
