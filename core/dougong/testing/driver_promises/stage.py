"""The stage for promises that time and lines put to the test: simulators, hosts, patience."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from uuid import UUID, uuid4

from dougong.devices.certificates import Tls
from dougong.devices.contract import DeviceConfig, GatewayConfig
from dougong.devices.host import Host
from dougong.devices.memory import MemoryStore
from dougong.devices.readings import Measured, Point, PointKind
from dougong.devices.simulated import Faults, SimulatedGateway
from dougong.devices.transports import Line
from dougong.testing.driver_promises import DriverSubject

LOOPBACK = "127.0.0.1"
COMMUNITY = UUID(int=2)
TIMEOUT_S, SETTLE_S = 0.2, 0.35
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
        uuid4(), COMMUNITY, "gateway", subject.transport, devices, LOOPBACK, port,
        TIMEOUT_S, SETTLE_S,
    )  # fmt: skip


def hosted(subject: DriverSubject, *gateways: GatewayConfig) -> tuple[Host, MemoryStore]:
    """Return a host with its store that runs these gateways, not started yet."""
    store = MemoryStore(list(gateways))
    drivers = {subject.driver.id: subject.driver}
    return Host(store, drivers, flush_s=0.05, reload_s=5), store


@asynccontextmanager
async def running(
    subject: DriverSubject, poll_s: float
) -> AsyncIterator[tuple[SimulatedGateway, MemoryStore]]:
    """Run a host at a simulated gateway; yield the gateway and the host's store."""
    async with served(subject) as server:
        host, store = hosted(subject, gateway(subject, server.port, poll_s=poll_s))
        async with host:
            yield server, store


async def until(condition: Callable[[], object], seconds: float | None = None) -> bool:
    """Wait for a condition; tell whether it came true in time."""
    end = time.monotonic() + (PATIENCE_S if seconds is None else seconds)
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)
    return True


def line_to(
    subject: DriverSubject, port: int, host: str = LOOPBACK, tls: Tls | None = None
) -> Line:
    """Return a line to a gateway, in the clear unless told whom to trust."""
    return Line.to(subject.transport, host, port, SETTLE_S, tls)


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
