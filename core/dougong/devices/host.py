"""The device host: one task per gateway on one loop, and one writer for what they say."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from dougong.devices.commands import Command, CommandResult, CommandState
from dougong.devices.contract import (
    Clock,
    Codec,
    DeviceConfig,
    DeviceStore,
    Driver,
    GatewayConfig,
    Health,
    utc_now,
)
from dougong.devices.interlocks import Interlock
from dougong.devices.lists import WantedList
from dougong.devices.polling import GatewayTask, Polled
from dougong.devices.profiles import find_profile
from dougong.devices.readings import Reading

log = logging.getLogger(__name__)

FLUSH_S = 1.0
RELOAD_S = 10.0
RETRY_OPEN_S = 15.0
MOST_UNSAVED = 200_000
BATCH = 2_000


@dataclass
class Running:
    """A gateway's task and the configuration that it was started with."""

    config: GatewayConfig
    gateway: GatewayTask
    task: asyncio.Task[None]


@dataclass
class Host:
    """Runs every gateway of a store; a change in the store is seen within ``reload_s``.

    blame: told which driver raised, and what. refused: device → why its configuration cannot run.
    lost_readings: how many were dropped because the store was away for too long.
    """

    store: DeviceStore
    drivers: Mapping[str, Driver]
    interlocks: Mapping[str, Interlock] = field(default_factory=dict)
    clock: Clock = utc_now
    flush_s: float = FLUSH_S
    reload_s: float = RELOAD_S
    blame: Callable[[str, Exception], None] = lambda driver, error: None
    refused: dict[UUID, str] = field(default_factory=dict)
    lost_readings: int = 0
    running: dict[UUID, Running] = field(default_factory=dict)
    _unsaved: deque[Reading] = field(default_factory=deque)
    _health: dict[UUID, Health] = field(default_factory=dict)
    _busy: set[UUID] = field(default_factory=set)
    _busy_lists: set[tuple[UUID, str]] = field(default_factory=set)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> "Host":
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Load the configuration and start polling."""
        await self._reload()
        self._tasks = [
            asyncio.create_task(self._every(self.reload_s, self._reload), name="devices-reload"),
            asyncio.create_task(self._every(self.flush_s, self.flush), name="devices-flush"),
            asyncio.create_task(self._every(self.flush_s, self._fetch), name="devices-commands"),
        ]

    async def stop(self) -> None:
        """Stop every task, close every line, and save what was read."""
        tasks = self._tasks + [running.task for running in self.running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks, self.running = [], {}
        await self.flush()

    async def _every(self, period_s: float, action: Callable[[], Awaitable[None]]) -> None:
        name, failures = getattr(action, "__name__", ""), 0
        while True:
            await asyncio.sleep(period_s)
            try:
                await action()
                failures = 0
            except Exception as error:  # an outer loop: the store may be away for a while
                failures += 1
                if failures == 1:
                    log.exception("%s failed and will be repeated", name)
                elif failures % 60 == 0:
                    log.warning("%s failed %d times in a row: %s", name, failures, error)

    # --- configuration ----------------------------------------------------------------------

    async def _reload(self) -> None:
        wanted = {g.id: g for g in await self.store.load() if not g.transport.is_push}
        for gateway_id, running in list(self.running.items()):
            if wanted.get(gateway_id) != running.config or running.task.done():
                running.task.cancel()
                await asyncio.gather(running.task, return_exceptions=True)
                del self.running[gateway_id]
                own = running.gateway.polled.keys()
                self._busy_lists = {key for key in self._busy_lists if key[0] not in own}
        for gateway_id, config in wanted.items():
            if gateway_id not in self.running:
                self.running[gateway_id] = self._start(config)

    def _start(self, config: GatewayConfig) -> Running:
        polled = [p for p in (self._open(config, d) for d in config.devices) if p is not None]
        gateway = GatewayTask(
            config,
            polled,
            self.store,
            tell=self._tell,
            tell_health=self._tell_health,
            interlocks=self.interlocks,
            clock=self.clock,
        )
        gateway.done, gateway.blame = self._done, self.blame
        gateway.list_done = self._list_done
        task = asyncio.create_task(gateway.run(), name=f"gateway-{config.id}")
        return Running(config, gateway, task)

    def _open(self, config: GatewayConfig, device: DeviceConfig) -> Polled | None:
        """Return the device ready to poll, None (and a reason) when its settings are wrong."""
        health = Health(device.id, True, self.clock())
        try:
            driver = self.drivers[device.driver]
            codec = driver.open(device.profile, device.settings, config.transport)
            if not isinstance(codec, Codec):
                raise TypeError("a device that tells cannot be asked")
            profile = find_profile(driver, device.profile, config.transport)
            self.refused.pop(device.id, None)
            return Polled(device, profile, codec, health, sequence=self._first_sequence())
        except Exception as error:  # noqa: BLE001 - the boundary to a driver's code
            reason = f"no driver {device.driver}" if isinstance(error, KeyError) else str(error)
            log.error("device %s cannot run: %s", device.id, reason)
            self.refused[device.id] = reason
            self._tell_health(health.failed(self.clock(), self.clock(), reason))
            return None

    def _first_sequence(self) -> int:
        """Return a number above every earlier one, also of a process that was killed.

        Milliseconds: no device has more than a thousand readings in a second, year after year.
        """
        return int(self.clock().timestamp() * 1000)

    # --- what gateways say ------------------------------------------------------------------

    def _tell(self, readings: Sequence[Reading]) -> None:
        self._unsaved.extend(readings)
        while len(self._unsaved) > MOST_UNSAVED:
            self._unsaved.popleft()
            self.lost_readings += 1

    def _tell_health(self, health: Health) -> None:
        self._health[health.subject_id] = health

    async def flush(self) -> None:
        """Save what was read since the last time; what cannot be saved is kept."""
        while self._unsaved:
            batch = [self._unsaved.popleft() for _ in range(min(BATCH, len(self._unsaved)))]
            try:
                await self.store.save_readings(batch)
            except BaseException:
                self._unsaved.extendleft(reversed(batch))
                raise
        health, self._health = self._health, {}
        if health:
            try:
                await self.store.save_health(list(health.values()))
            except BaseException:
                self._health = {**health, **self._health}
                raise

    # --- commands ---------------------------------------------------------------------------

    async def _fetch(self) -> None:
        for command in await self.store.waiting_commands():
            if not self.submit(command) and command.id not in self._busy:
                await self._expire(command)
        for wanted in await self.store.wanted_lists():
            self._submit_list(wanted)

    async def _expire(self, command: Command) -> None:
        """End a command whose device no gateway here runs, once its deadline is over."""
        stands = await self.store.result(command.id)
        now = self.clock()
        if stands is None or stands.state is not CommandState.QUEUED or not command.is_expired(now):
            return
        await self.store.save_result(
            CommandResult(command.id, CommandState.EXPIRED, now, "no gateway runs its device")
        )

    def submit(self, command: Command) -> bool:
        """Hand a command to its gateway; False when it is there already or nobody can take it."""
        if command.id in self._busy:
            return False
        for running in self.running.values():
            if command.device_id in running.gateway.polled:
                self._busy.add(command.id)
                running.gateway.submit(command)
                return True
        return False

    def _submit_list(self, wanted: WantedList) -> None:
        """Hand a list to its gateway, unless it has it already."""
        key = (wanted.device_id, wanted.name)
        for running in self.running.values():
            if wanted.device_id in running.gateway.polled and key not in self._busy_lists:
                self._busy_lists.add(key)
                running.gateway.submit_list(wanted)

    def _list_done(self, wanted: WantedList) -> None:
        self._busy_lists.discard((wanted.device_id, wanted.name))

    def _done(self, command: Command, state: CommandState | None) -> None:
        """Let an open command be fetched again, an unknown outcome not before a while."""
        wait_s = RETRY_OPEN_S if state in (None, CommandState.UNKNOWN) else self.flush_s
        loop = asyncio.get_running_loop()
        loop.call_later(wait_s, self._busy.discard, command.id)
