"""Asks the devices behind one gateway, in turn, and never lets a mute one hold up the others."""

import asyncio
import heapq
import logging
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from dougong.devices.commands import Command, CommandState
from dougong.devices.contract import (
    Clock,
    Codec,
    DeviceConfig,
    DeviceStore,
    GatewayConfig,
    Health,
    LineError,
    LineTimeout,
    Request,
    utc_now,
)
from dougong.devices.execution import Executor
from dougong.devices.interlocks import Interlock
from dougong.devices.lists import ListKeeper, WantedList
from dougong.devices.profiles import Profile
from dougong.devices.readings import (
    Measured,
    Point,
    Quality,
    Reading,
    bad,
    judge_clock,
    judge_counter,
    judge_identity,
)
from dougong.devices.transports import Line

log = logging.getLogger(__name__)

LONGEST_BACKOFF_S = 60.0
LONGEST_SKIP = 8
FIRST_SHARE = 0.1
HALF_OPEN_AFTER = 3


@dataclass
class Backoff:
    """How long to leave a gateway alone: 1, 2, 4 … 60 s, less up to a fifth by chance."""

    dice: random.Random
    failures: int = 0

    def next_s(self) -> float:
        self.failures += 1
        whole = min(LONGEST_BACKOFF_S, 2.0 ** min(self.failures - 1, 16))
        return whole * self.dice.uniform(0.8, 1)

    def reset(self) -> None:
        self.failures = 0


@dataclass
class Polled:
    """One device as its gateway's task knows it."""

    config: DeviceConfig
    profile: Profile
    codec: Codec
    health: Health
    points: Mapping[str, Point] = field(init=False)
    counters: dict[str, Decimal] = field(default_factory=dict)
    sequence: int = 0
    is_blamed: bool = False

    def __post_init__(self) -> None:
        self.points = {point.key: point for point in self.profile.points}

    def groups(self) -> list[tuple[float, tuple[Request, ...]]]:
        """Return the requests by how often they are due.

        The identity is read in every group: it guards the values beside it.
        """
        periods: dict[float, list[Point]] = {}
        for point in self.profile.points:
            periods.setdefault(point.poll_s or self.config.poll_s, []).append(point)
        identity = self.points.get(self.profile.identity or "")
        for points in periods.values():
            if identity is not None and identity not in points:
                points.append(identity)
        return [(s, tuple(self.codec.plan_reads(points))) for s, points in periods.items()]


@dataclass(order=True)
class Job:
    """A group of requests that is due at a time of the loop's clock.

    beat: when it was or will be due by its own rhythm; the first time comes before that.
    """

    due: float
    number: int
    polled: Polled = field(compare=False)
    period_s: float = field(compare=False)
    requests: tuple[Request, ...] = field(compare=False)
    beat: float = field(compare=False, default=0)

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(point for request in self.requests for point in request.points)


class GatewayTask:
    """Everything that goes over one line: polls by schedule, commands before polls."""

    def __init__(
        self,
        config: GatewayConfig,
        polled: Sequence[Polled],
        store: DeviceStore,
        *,
        tell: Callable[[Sequence[Reading]], None],
        tell_health: Callable[[Health], None],
        interlocks: Mapping[str, Interlock] | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.config = config
        self.polled = {p.config.id: p for p in polled}
        self.tell, self.tell_health, self.clock = tell, tell_health, clock
        self.line = Line.to(config.transport, config.host, config.port, config.settle_s, config.tls)
        self.executor = Executor(self.line, store, config.timeout_s, interlocks or {}, clock)
        self.dice = random.Random(config.id.int)
        self.backoff = Backoff(self.dice)
        self.health = Health(config.id, True, clock())
        self.store = store
        self.keeper = ListKeeper(self.line, config.timeout_s, clock)
        self.done: Callable[[Command, CommandState | None], None] = lambda command, state: None
        self.list_done: Callable[[WantedList], None] = lambda wanted: None
        self.blame: Callable[[str, Exception], None] = lambda driver, error: None
        self._commands: deque[Command] = deque()
        self._lists: deque[WantedList] = deque()
        self._wake = asyncio.Event()
        self._jobs: list[Job] = []
        self._timeouts_in_a_row = 0
        self._pause_until = 0.0

    def submit(self, command: Command) -> None:
        """Have a command carried out as soon as the line is free."""
        self._commands.append(command)
        self._wake.set()

    def submit_list(self, wanted: WantedList) -> None:
        """Have a device's list brought to what is wanted, when no command waits."""
        self._lists.append(wanted)
        self._wake.set()

    async def run(self) -> None:
        """Poll, obey and keep lists until cancelled."""
        self._schedule()
        try:
            while True:
                await self._obey()
                if self._lists:
                    await self._keep(self._lists.popleft())
                elif not await self._wait():
                    await self._poll(heapq.heappop(self._jobs))
        finally:
            self.line.close()

    # --- schedule ---------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Spread polls over the period, the same way at every start; ask early the first time."""
        now = asyncio.get_running_loop().time()
        number = 0
        for polled in self.polled.values():
            for period_s, requests in polled.groups():
                share = self.dice.random()
                soon = now + share * period_s * FIRST_SHARE
                beat = now + (share - 1) * period_s
                self._jobs.append(Job(soon, number, polled, period_s, requests, beat))
                number += 1
        heapq.heapify(self._jobs)

    async def _wait(self) -> bool:
        """Sleep until the next poll or command; return whether something else comes first."""
        now = asyncio.get_running_loop().time()
        due = max(self._jobs[0].due, self._pause_until) if self._jobs else now + 3600
        if self._commands or self._lists:
            return True
        if due <= now:
            return False
        self._wake.clear()
        try:
            async with asyncio.timeout(due - now):
                await self._wake.wait()
        except TimeoutError:
            pass
        return True

    def _again(self, job: Job, periods: int = 1) -> None:
        """Put the job back, on the next beat of its own rhythm that is still ahead."""
        now = asyncio.get_running_loop().time()
        missed = max(0, int((now - job.beat) / job.period_s))
        job.beat += (missed + periods) * job.period_s
        job.due = job.beat
        heapq.heappush(self._jobs, job)

    # --- polling ----------------------------------------------------------------------------

    async def _poll(self, job: Job) -> None:
        try:
            measured = await self._sweep(job)
        except LineTimeout as error:
            self._device_failed(job, str(error))
        except LineError as error:
            self._gateway_failed(str(error))
            self._report(job.polled, bad(job.points, Quality.BAD_COMM, str(error)))
            self._again(job)
        except Exception as error:  # an outer loop: a driver's fault must not stop the gateway
            log.exception("driver %s failed on device %s", *_names(job.polled))
            self._blame(job.polled, error)
            self._report(job.polled, bad(job.points, Quality.BAD_DATA, "the driver failed"))
            self._again(job)
        else:
            self._answered(job.polled)
            self._report(job.polled, measured)
            self._again(job)

    async def _sweep(self, job: Job) -> list[Measured]:
        codec = job.polled.codec
        measured: list[Measured] = []
        for request in job.requests:
            answers = await self.line.ask(codec, request, self.config.timeout_s)
            measured += codec.decode(request, answers)
        polled = job.polled
        return judge_identity(measured, polled.profile.identity, polled.config.serial)

    def _answered(self, polled: Polled) -> None:
        now = self.clock()
        self.backoff.reset()
        self._timeouts_in_a_row = 0
        self._tell_health(polled, now_ok=True)
        ends_at, was = self.line.certificate_ends_at, self.health
        if not was.is_ok or was.last_ok_at is None or was.certificate_ends_at != ends_at:
            self.health = was.succeeded(now, ends_at)
            self.tell_health(self.health)

    def _device_failed(self, job: Job, detail: str) -> None:
        """Skip a mute device for 1, 2, 4, 8 of its turns; suspect the line after a few."""
        polled = job.polled
        self._tell_health(polled, now_ok=False, detail=detail)
        self._report(polled, bad(job.points, Quality.BAD_COMM, detail))
        self._again(job, min(2 ** (polled.health.failures - 1), LONGEST_SKIP))
        self._timeouts_in_a_row += 1
        if self._timeouts_in_a_row >= HALF_OPEN_AFTER:
            self._timeouts_in_a_row = 0
            self.line.close()
            if len(self.polled) > 1:
                self._gateway_failed("nobody answers")

    def _gateway_failed(self, detail: str) -> None:
        wait_s = self.backoff.next_s()
        self.line.close()
        self._pause_until = asyncio.get_running_loop().time() + wait_s
        now = self.clock()
        self.health = self.health.failed(now, _later(now, wait_s), detail)
        self.tell_health(self.health)

    def _blame(self, polled: Polled, error: Exception) -> None:
        """Report a driver's fault once per device: one odd device must not cost all the others."""
        if not polled.is_blamed:
            polled.is_blamed = True
            self.blame(polled.config.driver, error)

    def _tell_health(self, polled: Polled, *, now_ok: bool, detail: str = "") -> None:
        now, was = self.clock(), polled.health
        if now_ok:
            polled.health = was.succeeded(now)
        else:
            wait_s = min(2**was.failures, LONGEST_SKIP) * polled.config.poll_s
            polled.health = was.failed(now, _later(now, wait_s), detail)
        if polled.health.is_ok != was.is_ok or was.last_ok_at is None or not now_ok:
            self.tell_health(polled.health)

    def _report(self, polled: Polled, measured: Sequence[Measured]) -> None:
        now = self.clock()
        readings = []
        for found in measured:
            point = polled.points[found.point]
            found = judge_counter(point, polled.counters.get(point.key), found)
            found = judge_clock(found, now, polled.profile.clock_tolerance_s)
            if isinstance(found.value, Decimal) and point.rollover is not None:
                polled.counters[point.key] = found.value
            polled.sequence += 1
            readings.append(reading(polled, point, found, now))
        self.tell(readings)

    # --- commands ---------------------------------------------------------------------------

    async def _obey(self) -> None:
        while self._commands:
            command = self._commands.popleft()
            polled = self.polled[command.device_id]
            state: CommandState | None = None
            try:
                result = await self.executor.execute(
                    command, polled.config, polled.profile, polled.codec
                )
                state = result.state
            except Exception:  # an outer loop: one order must not stop the gateway
                log.exception("command %s failed", command.id)
            self.done(command, state)

    # --- lists ------------------------------------------------------------------------------

    async def _keep(self, wanted: WantedList) -> None:
        polled = self.polled[wanted.device_id]
        spec = polled.profile.list(wanted.name)
        try:
            if spec is None:
                state = self.keeper.failed(wanted, None, "the device keeps no such list")
            else:
                state = await self.keeper.keep(wanted, spec, polled.codec, self._between)
        except LineError as error:
            state = self.keeper.failed(wanted, None, str(error))
        except Exception as error:  # an outer loop: a driver's fault must not stop the gateway
            log.exception("driver %s failed on a list of device %s", *_names(polled))
            self._blame(polled, error)
            state = self.keeper.failed(wanted, None, "the driver failed")
        try:
            await self.store.save_list(state)
        except Exception:  # an outer loop: the store may be away; the list is looked at again
            log.exception("how a list stands could not be saved")
        self.list_done(wanted)

    async def _between(self) -> None:
        """Let commands and polls that are due go before the next entry of a long list."""
        await self._obey()
        now = asyncio.get_running_loop().time()
        if self._jobs and max(self._jobs[0].due, self._pause_until) <= now:
            await self._poll(heapq.heappop(self._jobs))


def reading(polled: Polled, point: Point, found: Measured, now: datetime) -> Reading:
    """Return what a device measured as a reading."""
    return Reading(
        polled.config.id,
        point.key,
        found.value,
        found.quality,
        found.device_time,
        now,
        polled.sequence,
        point.uom,
        point.kind,
        found.detail,
    )


def _names(polled: Polled) -> tuple[str, UUID]:
    return polled.config.driver, polled.config.id


def _later(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)
