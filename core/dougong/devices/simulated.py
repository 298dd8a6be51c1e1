"""One simulated gateway: real sockets, devices that live, and faults on purpose.

A driver brings a ``Responder``, which answers frames; everything that goes wrong on a line is
done here, the same for every protocol.
"""

import asyncio
import random
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import NamedTuple

from dougong.devices.contract import SimulatedDevice
from dougong.devices.readings import Point, PointKind, Value

TARIFF_SHARES = (Decimal("0.1"), Decimal("0.3"), Decimal("0.4"), Decimal("0.2"))
TYPICAL = {"V": Decimal("220.4"), "A": Decimal("4.5"), "kW": Decimal("1.2")}


@dataclass
class Faults:
    """What goes wrong. Shares are between 0 and 1, of all requests.

    mute: no answer. late: the answer comes ``late_s`` after the request. drop: the connection is
    cut instead. garbage: noise stands before the answer, and half the time instead of it.
    mute_devices: numbers of devices that never answer. answer_s: how long an answer takes.
    """

    mute: float = 0
    late: float = 0
    late_s: float = 1
    drop: float = 0
    garbage: float = 0
    mute_devices: frozenset[int] = frozenset()
    answer_s: tuple[float, float] = (0, 0)
    seed: int = 1
    dice: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def strikes(self, share: float) -> bool:
        return share > 0 and self.dice.random() < share


@dataclass
class Life:
    """What one simulated device measures. values: fixed ones, by point; they win."""

    device: SimulatedDevice
    values: dict[str, Value] = field(default_factory=dict)
    is_cut: bool = False
    born: float = 0

    def __post_init__(self) -> None:
        since = self.device.since
        self.born = time.time() if since is None else since
        for key, value in self.device.values.items():
            given = value if isinstance(value, bool | str) else Decimal(str(value))
            self.values.setdefault(key, given)

    def value(self, point: Point) -> Value:
        """Return what the device measures at a point now."""
        if point.key in self.values:
            return self.values[point.key]
        if point.key == self.device.profile.identity:
            return self.device.serial
        if point.kind is PointKind.COUNTER:
            return self._counter(point)
        if point.kind is PointKind.STATE:
            return self.is_cut
        return Decimal(0) if self.is_cut else TYPICAL.get(point.uom, Decimal(1))

    def cut(self, is_cut: bool) -> None:
        """Open or close the relay; a cut meter counts no further."""
        self.device = replace(self.device, start=self._total())
        self.born, self.is_cut = time.time(), is_cut

    def _total(self) -> float:
        hours = 0 if self.is_cut else max(0, time.time() - self.born) / 3600
        return self.device.start + self.device.load_kw * hours

    def _counter(self, point: Point) -> Decimal:
        total = Decimal(str(self._total()))
        if "export" in point.tags:
            total = Decimal(0)
        if "tariff" in point.tags:
            tariffs = [p.key for p in self.device.profile.points if "tariff" in p.tags]
            total *= TARIFF_SHARES[tariffs.index(point.key) % len(TARIFF_SHARES)]
        steps = (total / point.scale).to_integral_value()
        return steps * point.scale


class Answered(NamedTuple):
    """What a responder made of the bytes so far: how many it used, its reply, which device."""

    used: int
    reply: bytes | None
    device: int | None


class Responder(ABC):
    """The devices behind one simulated gateway, as their protocol sees them."""

    def __init__(self, devices: Sequence[SimulatedDevice]) -> None:
        self.lives = [Life(device) for device in devices]

    @abstractmethod
    def respond(self, buffer: bytes) -> Answered:
        """Return the answer to the first request in ``buffer``; used 0 when it is not all there."""


class SimulatedGateway:
    """A server on a real socket whose devices answer through a responder.

    tls: how it proves who it is; None answers in the clear.
    """

    def __init__(
        self,
        responder: Responder,
        faults: Faults | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.responder = responder
        self.tls = tls
        self.faults = faults or Faults()
        self.host, self.port = host, port
        self.requests = 0
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.Transport] = set()

    async def __aenter__(self) -> "SimulatedGateway":
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; the port stays the same over restarts."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Caller(self), self.host, self.port, reuse_address=True, ssl=self.tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse new callers and cut the present ones."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for caller in list(self._callers):
            caller.abort()
        await server.wait_closed()

    async def restart(self, after_s: float = 0) -> None:
        """Go away and come back, as a gateway does after a power cut."""
        await self.stop()
        await asyncio.sleep(after_s)
        await self.start()


class _Caller(asyncio.Protocol):
    def __init__(self, gateway: SimulatedGateway) -> None:
        self.gateway = gateway
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.gateway._callers.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.gateway._callers.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self.buffer:
            used, reply, device = self.gateway.responder.respond(self.buffer)
            self.buffer = self.buffer[used:]
            if reply is not None:
                self._answer(reply, device)
            if not used:
                return

    def _answer(self, reply: bytes, device: int | None) -> None:
        faults = self.gateway.faults
        self.gateway.requests += 1
        if device in faults.mute_devices or faults.strikes(faults.mute):
            return
        if faults.strikes(faults.drop):
            self.transport.abort()
            return
        if faults.strikes(faults.garbage):
            noise = faults.dice.randbytes(faults.dice.randint(1, 12))
            reply = noise + (reply if faults.strikes(0.5) else b"")
        is_late = faults.strikes(faults.late)
        wait_s = faults.late_s if is_late else faults.dice.uniform(*faults.answer_s)
        if wait_s <= 0:
            self._write(reply)
        else:
            asyncio.get_running_loop().call_later(wait_s, self._write, reply)

    def _write(self, reply: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(reply)
