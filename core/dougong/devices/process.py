"""The device process: one loop that runs every enabled device of every community.

``main(settings)`` is what the supervisor starts. It ends at SIGTERM or SIGINT, after it has made
safe what was read; a kill -9 loses nothing that was acknowledged.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dougong.devices.configuration import drivers_of
from dougong.devices.host import FLUSH_S, RELOAD_S, Host
from dougong.devices.interlocks import Interlock
from dougong.devices.mqtt import listen
from dougong.devices.receiving import Receiver
from dougong.devices.spool import Spool, SpoolTaken
from dougong.devices.store import AWAY, DatabaseStore
from dougong.pulse import keep_beating
from dougong.settings import Settings

if TYPE_CHECKING:
    from dougong.installation import Installation

log = logging.getLogger(__name__)

RETRY_START_S = 2.0


def main(settings: Settings | None = None) -> int:
    """Run the devices of an installation until told to stop; return the exit code."""
    from dougong.installation import Installation

    settings = settings or Settings.from_environment()
    installation = Installation.open(settings)
    try:
        asyncio.run(run(installation))
    finally:
        installation.close()
    return 0


async def run(installation: "Installation", stop: asyncio.Event | None = None) -> None:
    """Run the devices until ``stop`` is set (or the process is told to end)."""
    stop = stop or _stop_at_signals()
    beating = asyncio.create_task(keep_beating())
    watching = threading.Event()
    watcher = threading.Thread(
        target=installation.plugins.watch, args=(watching,), name="plugins-watch", daemon=True
    )
    watcher.start()
    try:
        await _run_until(stop, installation)
    finally:
        beating.cancel()
        watching.set()
        await asyncio.to_thread(watcher.join)


async def _run_until(stop: asyncio.Event, installation: "Installation") -> None:
    host = await _take_over(installation, stop)
    if host is None:
        return
    await _start(host, stop)
    url = installation.settings.mqtt_url
    receiver = Receiver(installation)
    taking = listen(url, receiver.receive, None, receiver.receive_together) if url else None
    listening = asyncio.create_task(taking) if taking else None
    try:
        await stop.wait()
    finally:
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        await host.stop()
        if isinstance(host.store, DatabaseStore):
            host.store.spool.close()
        log.info("the devices have stopped")


async def _take_over(installation: "Installation", stop: asyncio.Event) -> Host | None:
    """Return the host as soon as the process before this one has ended; None when told to stop."""
    while not stop.is_set():
        try:
            return host_of(installation)
        except SpoolTaken:
            log.info("another process still runs the devices")
            await asyncio.sleep(RETRY_START_S / 4)
    return None


def host_of(
    installation: "Installation",
    interlocks: Mapping[str, Interlock] | None = None,
    flush_s: float = FLUSH_S,
    reload_s: float = RELOAD_S,
) -> Host:
    """Return the host of an installation, its store and spool, not started yet."""
    drivers, owners = drivers_of(installation)
    spool = Spool(installation.settings.paths.home / "spool")
    store = DatabaseStore(installation, owners, spool)

    def blame(driver: str, error: Exception) -> None:
        """Count the failure of the plugin that brings the driver; in a thread, for it writes."""
        plugin, failed = owners.get(driver), installation.plugins.failed
        if plugin is not None:
            loop = asyncio.get_running_loop()
            loop.run_in_executor(None, failed, plugin, f"driver {driver}", error)

    return Host(
        store,
        drivers.working,
        interlocks or {},
        flush_s=flush_s,
        reload_s=reload_s,
        blame=blame,
    )


async def _start(host: Host, stop: asyncio.Event) -> None:
    """Start the host, as soon as the database is there."""
    while not stop.is_set():
        try:
            await host.start()
            log.info("%d gateways run", len(host.running))
            return
        except AWAY as error:
            log.warning("the database is not there yet: %s", error)
            await asyncio.sleep(RETRY_START_S)


def _stop_at_signals() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
