"""Promises about a driver that runs for long: leaks, cost, clock, health, what is logged."""

import asyncio
import gc
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID, uuid4

from dougong.devices.contract import Health, utc_now
from dougong.devices.memory import MemoryStore
from dougong.devices.readings import Quality, judge_clock
from dougong.testing.driver_promises import DriverSubject, promise
from dougong.testing.driver_promises.stage import (
    gateway,
    hosted,
    numbers_of,
    on_a_loop,
    read_all,
    running,
    served,
    until,
)

BUDGET_DEVICES, BUDGET_CPU = 200, 0.6


@promise
@on_a_loop
async def starting_and_stopping_leaks_nothing(subject: DriverSubject) -> list[str]:
    server = served(subject)
    async with server:
        config = gateway(subject, server.port, poll_s=0.05)
        before = await _held()
        for _ in range(50):
            host, _ = hosted(subject, replace(config, id=uuid4()))
            async with host:
                await asyncio.sleep(0.005)
        await until(lambda: not server._callers, 2)
        after = await _held()
    leaked = [f"{what}: {b} before, {a} after" for what, b, a in zip(
        ("tasks", "files"), before, after, strict=True) if a > b]  # fmt: skip
    return leaked


async def _held() -> tuple[int, int]:
    await asyncio.sleep(0.05)
    gc.collect()
    return len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))


@promise
@on_a_loop
async def two_hundred_devices_cost_little(subject: DriverSubject) -> list[str]:
    """Poll 200 devices behind 20 gateways each second; both sides together stay in the budget."""
    numbers = range(1, BUDGET_DEVICES // 20 + 1)
    servers = [served(subject, numbers) for _ in range(20)]
    for server in servers:
        await server.start()
    gateways = [
        gateway(subject, server.port, numbers, 1.0, first=1 + i * len(numbers))
        for i, server in enumerate(servers)
    ]
    host, store = hosted(subject, *gateways)
    async with host:
        await asyncio.sleep(0.5)
        started, cpu = time.monotonic(), time.process_time()
        await asyncio.sleep(1.2)
        share = (time.process_time() - cpu) / (time.monotonic() - started)
    for server in servers:
        await server.stop()
    read = len({r.device_id for r in store.readings if r.quality is Quality.GOOD})
    broken = [] if read >= BUDGET_DEVICES * 0.95 else [f"only {read} devices were read"]
    return broken + ([f"it takes {share:.0%} of a core"] if share > BUDGET_CPU else [])


@promise
@on_a_loop
async def every_point_reads_what_the_device_shows(subject: DriverSubject) -> list[str]:
    """Scale, sign and order of bytes of every number, there and back."""
    server = served(subject)
    shown = dict(numbers_of(subject, every=True))
    server.responder.lives[0].values = {point.key: value for point, value in shown.items()}
    async with server:
        said = await read_all(subject, server.port)
    return [
        f"{point.key}: it shows {value} and reads {said[point.key]}"
        for point, value in shown.items()
        if said[point.key].value != value
    ]


@promise
@on_a_loop
async def its_clock_is_an_instant_and_one_that_is_off_makes_doubtful(
    subject: DriverSubject,
) -> list[str]:
    """The simulator's clock is right: an instant read from it is now, in whatever zone."""
    server, broken = served(subject), []
    async with server:
        said = await read_all(subject, server.port)
    for found in said.values():
        at, now = found.device_time, utc_now()
        if at is None:
            continue
        if at.tzinfo is None:
            broken.append(f"{found.point}: its time has no zone")
        elif abs((at - now).total_seconds()) > 120:
            broken.append(f"{found.point}: it says {at} at {now}")
        else:
            off = now + timedelta(seconds=2 * subject.profile.clock_tolerance_s + 120)
            if judge_clock(found, off, subject.profile.clock_tolerance_s).quality is Quality.GOOD:
                broken.append(f"{found.point}: a clock that is far off is trusted")
    return broken


@dataclass
class Recording(MemoryStore):
    """A store that remembers every health that it was told of one subject."""

    told: dict[UUID, list[Health]] = field(default_factory=dict)

    async def save_health(self, health: Sequence[Health]) -> None:
        for one in health:
            self.told.setdefault(one.subject_id, []).append(one)
        await super().save_health(health)


@promise
@on_a_loop
async def health_turns_once_each_way_and_says_since_when(subject: DriverSubject) -> list[str]:
    """Silent from the third poll on and then back: well, failing with a count, well again."""
    server = served(subject)
    async with server:
        config = gateway(subject, server.port, poll_s=0.1)
        host, _ = hosted(subject, config)
        host.store = store = Recording([config])
        async with host:
            device = UUID(int=1)
            if not await until(lambda: _is_well(store, device)):
                return ["it is never well"]
            server.faults.mute = 1
            if not await until(lambda: (h := store.health[device]).failures >= 2 and not h.is_ok):
                return ["silence is not told"]
            server.faults.mute = 0
            if not await until(lambda: _is_well(store, device)):
                return ["it does not recover"]
    return _wrong_health(store.told[device])


def _is_well(store: MemoryStore, device: UUID) -> bool:
    return device in store.health and store.health[device].is_ok


def _wrong_health(told: Sequence[Health]) -> list[str]:
    broken = []
    turns = [h.is_ok for i, h in enumerate(told) if i == 0 or h.is_ok != told[i - 1].is_ok]
    if turns != [True, False, True]:
        broken.append(f"it turns {turns}")
    for before, after in zip(told, told[1:], strict=False):
        has_turned = before.is_ok != after.is_ok
        if (before.since != after.since) != has_turned:
            broken.append(f"since moves from {before.since} to {after.since}")
    for one in told:
        if one.is_ok != (one.failures == 0) or one.is_ok != (one.next_try_at is None):
            broken.append(f"it says {one}")
    return broken


class _Heard(logging.Handler):
    """Keeps everything that is logged, at any level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.getMessage()} {record.exc_info or ''}")


@contextmanager
def _everything_heard() -> Iterator[_Heard]:
    root, heard = logging.getLogger(), _Heard()
    level = root.level
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    try:
        yield heard
    finally:
        root.removeHandler(heard)
        root.setLevel(level)


@promise
@on_a_loop
async def no_secret_is_logged_while_it_runs(subject: DriverSubject) -> list[str]:
    """Poll and obey with every logger at its most talkative."""
    spec = subject.cut()
    secret = replace(subject, settings=lambda n: {**subject.settings(n), **subject.secrets})
    with _everything_heard() as heard:
        async with running(secret, poll_s=0.1) as (_server, store):
            if spec is not None:
                store.order(subject.command(spec.name))
            await until(lambda: store.readings and all(
                not r.state.is_open for r in store.results.values()), 5)  # fmt: skip
    logged = "\n".join(heard.lines)
    shown = [name for name, value in subject.secrets.items() if value in logged]
    return [f"the secret {name} stands in the log" for name in shown]
