"""The commands' gate: virtual time, and a link that loses, holds and doubles frames.

Time jumps to the next timer, so a day passes in seconds. ``Wires`` stands in for the network
below the host: what is above, from the line's protocol on, is the host's own code.
"""

import asyncio
import random
import selectors
import struct
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dougong.devices.contract import Transport
from dougong.devices.modbus import MBAP, crc16

READ, WRITE = 3, 16


class _Jumping(selectors.DefaultSelector):
    """Waits in virtual time: with nothing to read, the time asked for is over at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing is left to wait for")
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual seconds whose connections go to ``wires``; no threads."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self.wires: Wires | None = None

    def time(self) -> float:
        return self._jumping.now

    async def create_connection(  # type: ignore[override]
        self, make: Any, host: Any = None, port: Any = None
    ) -> Any:
        assert self.wires is not None
        return await self.wires.connect(make, int(port))


@dataclass(frozen=True)
class Losses:
    """What the link does. Shares of frames; seconds are drawn evenly.

    held_s: of a request, ``late_s``: of an answer; both together stay below the time-out and the
    settling time of a serial bus, as an installer sets it.
    """

    unreachable: float = 0.05
    request_lost: float = 0.06
    answer_lost: float = 0.06
    held: float = 0.04
    late: float = 0.05
    doubled: float = 0.05
    broken: float = 0.01
    transit_s: tuple[float, float] = (0.01, 0.15)
    held_s: tuple[float, float] = (1.0, 2.0)
    late_s: tuple[float, float] = (0.9, 1.3)


@dataclass
class Wires:
    """Every gateway's network, and the devices behind it: registers of two words.

    sent, effects: the number that a write carries → when it went on the wire, when it was obeyed.
    unanswered: numbers of writes whose request, answer or connection was lost on purpose.
    """

    dice: random.Random
    transports: list[Transport]
    losses: Losses = field(default_factory=Losses)
    registers: dict[tuple[int, int, int], int] = field(default_factory=dict)
    sent: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    effects: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    unanswered: set[int] = field(default_factory=set)
    faults: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def connect(self, make: Callable[[], Any], port: int) -> tuple["_End", Any]:
        """Return a connection to the gateway of a port; raises OSError when it is away."""
        await asyncio.sleep(self.dice.uniform(*self.losses.transit_s))
        if self.strikes("unreachable"):
            raise OSError("no answer")
        protocol = make()
        end = _End(self, port, protocol)
        protocol.connection_made(end)
        return end, protocol

    def strikes(self, fault: str) -> bool:
        """Throw the dice for a fault, and count it."""
        hit = self.dice.random() < getattr(self.losses, fault)
        self.faults[fault] += hit
        return hit

    def obey(self, gateway: int, frame: bytes, now: float) -> bytes:
        """Let the device do what a frame asks; return its answer."""
        is_tcp = self.transports[gateway] is Transport.TCP
        unit, pdu = (frame[6], frame[7:]) if is_tcp else (frame[0], frame[1:-2])
        function, start, count = struct.unpack_from(">BHH", pdu)
        if function == WRITE:
            value = written(pdu)
            self.registers[gateway, unit, start] = value
            self.effects[value].append(now)
            told = pdu[:5]
        else:
            cells = range(start, start + count, 2)
            data = b"".join(
                struct.pack(">I", self.registers.get((gateway, unit, r), 0)) for r in cells
            )
            told = bytes([READ, len(data)]) + data
        if is_tcp:
            return MBAP.pack(int.from_bytes(frame[:2]), 0, len(told) + 1, unit) + told
        return bytes([unit]) + told + crc16(bytes([unit]) + told)


class _End(asyncio.Transport):
    """The host's end of one connection. Frames keep their order, as on TCP."""

    def __init__(self, wires: Wires, gateway: int, protocol: Any) -> None:
        super().__init__()
        self.wires, self.gateway, self.protocol = wires, gateway, protocol
        self.loop = asyncio.get_running_loop()
        self.closed = False
        self.there_at = self.back_at = 0.0

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        """Close; what is on its way to the device still arrives."""
        if not self.closed:
            self.closed = True
            self.loop.call_soon(self.protocol.connection_lost, None)

    def write(self, data: Any) -> None:
        """Take one request of the host: lose it, hold it, or bring it to the device."""
        wires, number = self.wires, self._number(bytes(data))
        if number is not None:
            wires.sent[number].append(self.loop.time())
        if wires.strikes("request_lost"):
            self._unanswered(number)
            return
        span = wires.losses.held_s if wires.strikes("held") else wires.losses.transit_s
        self.there_at = max(self.there_at, self.loop.time() + wires.dice.uniform(*span))
        self.loop.call_at(self.there_at, self._arrived, bytes(data), number)

    def _arrived(self, frame: bytes, number: int | None) -> None:
        wires = self.wires
        answer = wires.obey(self.gateway, frame, self.loop.time())
        if wires.strikes("broken"):
            self._unanswered(number)
            self.abort()
        elif wires.strikes("answer_lost"):
            self._unanswered(number)
        else:
            span = wires.losses.late_s if wires.strikes("late") else wires.losses.transit_s
            self._answer(answer, wires.dice.uniform(*span))
            if wires.strikes("doubled"):
                self._answer(answer, wires.dice.uniform(*wires.losses.transit_s))

    def _answer(self, answer: bytes, after_s: float) -> None:
        self.back_at = max(self.back_at, self.loop.time() + after_s)
        self.loop.call_at(self.back_at, self._told, answer)

    def _told(self, answer: bytes) -> None:
        if not self.closed:
            self.protocol.data_received(answer)

    def _unanswered(self, number: int | None) -> None:
        if number is not None:
            self.wires.unanswered.add(number)

    def _number(self, frame: bytes) -> int | None:
        is_tcp = self.wires.transports[self.gateway] is Transport.TCP
        pdu = frame[7:] if is_tcp else frame[1:-2]
        return written(pdu) if pdu[0] == WRITE else None


def written(pdu: bytes) -> int:
    """Return the number that a write of two registers carries."""
    return int(struct.unpack_from(">I", pdu, 6)[0])
