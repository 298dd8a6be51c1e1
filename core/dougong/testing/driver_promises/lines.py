"""Promises that time and lines put to the test, on real sockets."""

import asyncio
import gc
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from dougong.devices.commands import CommandState, Ground
from dougong.devices.contract import (
    DeviceConfig,
    GatewayConfig,
    Health,
    LineError,
    LineTimeout,
    LineUnreachable,
    utc_now,
)
from dougong.devices.host import Host
from dougong.devices.memory import MemoryStore
from dougong.devices.readings import Measured, Point, PointKind, Quality, judge_clock
from dougong.devices.simulated import Faults, SimulatedGateway
from dougong.devices.transports import Line
from dougong.testing.driver_promises import DriverSubject, promise

COMMUNITY = UUID(int=2)
TIMEOUT_S, SETTLE_S = 0.2, 0.35
BUDGET_DEVICES, BUDGET_CPU = 200, 0.6
LIMIT_S = 30
PATIENCE_S = 20


def on_a_loop(
    action: Callable[[DriverSubject], Awaitable[list[str]]],
) -> Callable[[DriverSubject], Iterator[str]]:
    """Return a promise from a coroutine that returns what is broken."""

    def run(subject: DriverSubject) -> Iterator[str]:
        if subject.driver.simulator is None:
            yield "the driver brings no simulator"
            return

        async def bounded() -> list[str]:
            async with asyncio.timeout(LIMIT_S):
                return await action(subject)

        yield from asyncio.run(bounded())

    run.__name__ = action.__name__  # type: ignore[attr-defined]
    return run


def served(
    subject: DriverSubject, numbers: Sequence[int] = (1,), faults: Faults | None = None
) -> SimulatedGateway:
    """Return a simulated gateway with the devices of these numbers."""
    assert subject.driver.simulator is not None
    devices = [subject.simulated(number) for number in numbers]
    return SimulatedGateway(subject.driver.simulator(devices, subject.transport), faults)


def gateway(
    subject: DriverSubject,
    port: int,
    numbers: Sequence[int] = (1,),
    poll_s: float = 0.2,
    first: int = 1,
) -> GatewayConfig:
    """Return the configuration of such a gateway; devices are numbered from ``first``."""
    devices = tuple(
        DeviceConfig(
            UUID(int=first + i), COMMUNITY, f"device {n}", subject.driver.id, subject.profile.id,
            subject.settings(n), f"{n:08d}", poll_s,
        )
        for i, n in enumerate(numbers)
    )  # fmt: skip
    return GatewayConfig(
        uuid4(), COMMUNITY, "gateway", subject.transport, devices, "127.0.0.1", port,
        TIMEOUT_S, SETTLE_S,
    )  # fmt: skip


def hosted(subject: DriverSubject, *gateways: GatewayConfig) -> tuple[Host, MemoryStore]:
    """Return a host with its store that runs these gateways, not started yet."""
    store = MemoryStore(list(gateways))
    drivers = {subject.driver.id: subject.driver}
    return Host(store, drivers, flush_s=0.05, reload_s=5), store


async def until(condition: Callable[[], object], seconds: float | None = None) -> bool:
    """Wait for a condition; tell whether it came true in time."""
    end = time.monotonic() + (PATIENCE_S if seconds is None else seconds)
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)
    return True


def line_to(subject: DriverSubject, port: int) -> Line:
    return Line.to(subject.transport, "127.0.0.1", port, SETTLE_S)


def numbers_of(subject: DriverSubject, *, every: bool = False) -> list[tuple[Point, Decimal]]:
    """Return two numeric points, or every one, each with a value of its own."""
    found: list[tuple[Point, Decimal]] = []
    for point in subject.profile.points:
        if point.kind in (PointKind.STATE, PointKind.TEXT):
            continue
        value = point.scale * (111 + 37 * len(found))
        if point.valid is None or point.valid[0] <= value <= point.valid[1]:
            found.append((point, value))
    return found if every else found[:2]


# --- promises -------------------------------------------------------------------------------------


@promise
@on_a_loop
async def a_late_answer_is_never_taken_for_the_next(subject: DriverSubject) -> list[str]:
    """Every other answer comes after its time is over, while the next one is on its way."""
    faults = Faults(late_s=1.4 * TIMEOUT_S, answer_s=(0.6 * TIMEOUT_S, 0.6 * TIMEOUT_S))
    server = served(subject, faults=faults)
    pairs = numbers_of(subject)
    server.responder.lives[0].values = {point.key: value for point, value in pairs}
    codec, wrong, answered = subject.codec(1), [], 0
    async with server:
        line = line_to(subject, server.port)
        for turn in range(6):
            faults.late = (turn + 1) % 2
            point, value = pairs[turn % len(pairs)]
            (request,) = codec.plan_reads([point])
            try:
                (found,) = codec.decode(request, await line.ask(codec, request, TIMEOUT_S))
            except LineTimeout:
                continue
            answered += 1
            if found.value != value:
                wrong.append(f"{point.key}: it reads {found.value}, not {value}")
        line.close()
    return wrong or ([] if answered else ["nothing was answered at all"])


@promise
@on_a_loop
async def silence_is_no_value_and_the_neighbour_is_read(subject: DriverSubject) -> list[str]:
    server = served(subject, (1, 2), Faults(mute_devices=frozenset({0})))
    async with server:
        host, store = hosted(subject, gateway(subject, server.port, (1, 2)))
        async with host:
            enough = await until(
                lambda: (
                    any(r.device_id == UUID(int=2) for r in store.readings)
                    and any(r.device_id == UUID(int=1) for r in store.readings)
                )
            )
    mute = {(r.value, r.quality) for r in store.readings if r.device_id == UUID(int=1)}
    broken = [] if enough else ["the two devices are not both reported"]
    if mute - {(None, Quality.BAD_COMM)}:
        broken.append(f"a mute device reads {mute}")
    return broken


@promise
@on_a_loop
async def a_restarted_peer_is_read_again_and_health_says_so(subject: DriverSubject) -> list[str]:
    server = served(subject)
    broken = []
    async with server:
        config = gateway(subject, server.port)
        host, store = hosted(subject, config)
        async with host:
            if not await until(lambda: any(r.quality is Quality.GOOD for r in store.readings)):
                return ["it is never read"]
            await server.restart(after_s=0.4)
            if not await until(lambda: any(not h.is_ok for h in store.health.values())):
                broken.append("nobody notices that it is gone")
            seen = len(store.readings)
            if not await until(
                lambda: any(r.quality is Quality.GOOD for r in store.readings[seen:])
            ):
                broken.append("it is not read again")
            if not await until(lambda: store.health[config.id].is_ok):
                broken.append("its health does not recover")
    return broken


@promise
@on_a_loop
async def a_half_open_peer_costs_its_timeout_and_no_more(subject: DriverSubject) -> list[str]:
    server = await asyncio.start_server(_swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    codec, started = subject.codec(1), time.monotonic()
    (request, *_) = codec.plan_reads(subject.profile.points)
    line = line_to(subject, port)
    try:
        await line.ask(codec, request, TIMEOUT_S)
        return ["it takes silence for an answer"]
    except LineTimeout:
        took = time.monotonic() - started
        return [f"it waits {took:.1f} s"] if took > TIMEOUT_S + 0.5 else []
    finally:
        line.close()
        server.close()


async def _swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@promise
@on_a_loop
async def nobody_there_means_that_nothing_was_sent(subject: DriverSubject) -> list[str]:
    server = served(subject)
    async with server:
        port = server.port
    codec = subject.codec(1)
    (request, *_) = codec.plan_reads(subject.profile.points)
    for host in ("127.0.0.1", "no-such-host.invalid"):
        try:
            await Line(host, port).ask(codec, request, TIMEOUT_S)
            return [f"{host} answers"]
        except LineUnreachable as error:
            if error.was_sent:
                return [f"{host}: it says that bytes were sent"]
        except LineError as error:
            return [f"{host}: {error!r}"]
    return []


@promise
@on_a_loop
async def a_cancelled_exchange_leaves_the_line_usable(subject: DriverSubject) -> list[str]:
    """The answer to the one that was cancelled comes while the next is on its way."""
    server = served(subject, faults=Faults(late=1, late_s=TIMEOUT_S / 2))
    pairs = numbers_of(subject)
    server.responder.lives[0].values = {point.key: value for point, value in pairs}
    codec = subject.codec(1)
    requests = [codec.plan_reads([point])[0] for point, _ in pairs]
    async with server:
        line = line_to(subject, server.port)
        asking = asyncio.create_task(line.ask(codec, requests[0], 2))
        await asyncio.sleep(0.03)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        server.faults.late, server.faults.answer_s = 0, (TIMEOUT_S, TIMEOUT_S)
        (found,) = codec.decode(requests[-1], await line.ask(codec, requests[-1], 2))
        line.close()
    wanted = pairs[-1][1]
    return [] if found.value == wanted else [f"it reads {found.value}, not {wanted}"]


@promise
@on_a_loop
async def a_command_is_sent_once_and_read_back(subject: DriverSubject) -> list[str]:
    spec = subject.cut()
    if spec is None:
        return []
    server = served(subject)
    broken = []
    async with server:
        host, store = hosted(subject, gateway(subject, server.port, poll_s=3600))
        async with host:
            command = subject.command(spec.name)
            store.order(command)
            await until(lambda: not store.results[command.id].state.is_open, 8)
            await until(lambda: store.results[command.id].state is CommandState.CONFIRMED, 2)
            if store.results[command.id].state is not CommandState.CONFIRMED:
                broken.append(f"it ends as {store.results[command.id]}")
            asked = server.requests
            store.order(command)
            host._busy.clear()
            host.submit(command)
            await asyncio.sleep(0.2)
            if server.requests != asked:
                broken.append("the same command again asks the device again")
    if not server.responder.lives[0].is_cut:
        broken.append("the simulator's relay is still closed")
    return broken


@promise
@on_a_loop
async def an_expired_or_forbidden_command_sends_no_byte(subject: DriverSubject) -> list[str]:
    spec = subject.cut()
    if spec is None:
        return []
    server = served(subject)
    past = subject.command(spec.name).deadline.replace(year=2020)
    orders = [
        (subject.command(spec.name, deadline=past), CommandState.EXPIRED),
        (subject.command(spec.name, ground=Ground.PROPERTY_FEES), CommandState.REJECTED),
        (subject.command(spec.name, approved_by=None), CommandState.REJECTED),
        (subject.command(spec.name, arguments={"no_such": 1}), CommandState.REJECTED),
    ]
    async with server:
        host, store = hosted(subject, gateway(subject, server.port, poll_s=3600))
        async with host:
            for command, _ in orders:
                store.order(command)
            await until(lambda: all(not r.state.is_open for r in store.results.values()), 5)
    broken = [
        f"{store.results[c.id]} instead of {state}"
        for c, state in orders
        if store.results[c.id].state is not state
    ]
    return broken + (["bytes were sent"] if server.requests else [])


@promise
@on_a_loop
async def a_lost_acknowledgement_is_unknown_until_read_back(subject: DriverSubject) -> list[str]:
    spec = subject.cut()
    if spec is None:
        return []
    server = served(subject, faults=Faults(mute=1))
    async with server:
        host, store = hosted(subject, gateway(subject, server.port, poll_s=3600))
        async with host:
            command = subject.command(spec.name)
            store.order(command)
            await until(lambda: any(r.state is CommandState.UNKNOWN for r in store.history), 5)
            server.faults.mute = 0
            await until(lambda: store.results[command.id].state is CommandState.CONFIRMED, 8)
    states = [r.state for r in store.history]
    once = states.count(CommandState.SENT) == 1
    found_out = states[-1] is CommandState.CONFIRMED and CommandState.UNKNOWN in states
    return [] if once and found_out else [f"it goes {[s.value for s in states]}"]


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


async def read_all(subject: DriverSubject, port: int) -> dict[str, Measured]:
    """Return what the device with number 1 says at every point."""
    codec, line = subject.codec(1), line_to(subject, port)
    said: dict[str, Measured] = {}
    try:
        for request in codec.plan_reads(subject.profile.points):
            answers = await line.ask(codec, request, 5 * TIMEOUT_S)
            said |= {m.point: m for m in codec.decode(request, answers)}
    finally:
        line.close()
    return said


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


@promise
@on_a_loop
async def no_secret_is_logged_while_it_runs(subject: DriverSubject) -> list[str]:
    """Poll and obey with every logger at its most talkative."""
    root, heard = logging.getLogger(), _Heard()
    level, spec = root.level, subject.cut()
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    try:
        secret = replace(subject, settings=lambda n: {**subject.settings(n), **subject.secrets})
        server = served(secret)
        async with server:
            host, store = hosted(secret, gateway(secret, server.port, poll_s=0.1))
            async with host:
                if spec is not None:
                    store.order(subject.command(spec.name))
                await until(lambda: store.readings and all(
                    not r.state.is_open for r in store.results.values()), 5)  # fmt: skip
    finally:
        root.removeHandler(heard)
        root.setLevel(level)
    logged = "\n".join(heard.lines)
    shown = [name for name, value in subject.secrets.items() if value in logged]
    return [f"the secret {name} stands in the log" for name in shown]
