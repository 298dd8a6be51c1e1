"""Lines: connections over which one request at a time is exchanged.

A line owns what bytes cannot know: time. It connects when it must, gives up after a timeout, and
on a half-duplex bus it then waits until a late answer cannot come any more, because nothing in
such an answer says which request it belongs to.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from dougong.devices.certificates import Tls
from dougong.devices.contract import (
    Codec,
    Found,
    LineLate,
    LineLost,
    LineTimeout,
    LineUnreachable,
    Request,
    Transport,
    utc_now,
)
from dougong.i18n import N_

CONNECT_TIMEOUT_S = 5.0
QUIET_S = 0.05
MAX_FOLLOW_UPS = 255
MAX_BUFFER = 64 * 1024

Find = Callable[[bytes], Found]
IsLate = Callable[[], bool]


class Line:
    """A TCP connection to one gateway; one exchange at a time.

    settle_s: on a half-duplex bus, how long to listen and throw away after an exchange that did
    not end with its answer; 0 where answers name their request. tls: whom to trust; None sends
    in the clear. certificate_ends_at: of the peer that was reached last.
    """

    def __init__(self, host: str, port: int, settle_s: float = 0, tls: Tls | None = None) -> None:
        self.host, self.port, self.settle_s, self.tls = host, port, settle_s, tls
        self.certificate_ends_at: datetime | None = None
        self.sequence = 0
        self._wire: _Wire | None = None
        self._buffer = bytearray()
        self._find: Find | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._lock = asyncio.Lock()
        self._quiet_at = 0.0

    @classmethod
    def to(
        cls, transport: Transport, host: str, port: int, settle_s: float, tls: Tls | None = None
    ) -> "Line":
        """Return the line for a kind of transport."""
        return cls(host, port, settle_s if transport is Transport.RTU_TCP else 0, tls)

    @property
    def is_open(self) -> bool:
        return self._wire is not None and not self._wire.transport.is_closing()

    # --- exchange ---------------------------------------------------------------------------

    async def ask(
        self, codec: Codec, request: Request, timeout_s: float, is_late: IsLate | None = None
    ) -> list[bytes]:
        """Return the answer to a request and to whatever the codec asks to follow it.

        is_late: see ``exchange``.
        """
        answers: list[bytes] = []
        step: Request | None = request
        while step is not None and len(answers) <= MAX_FOLLOW_UPS:
            # Once a part of a command was sent it is no longer simply late.
            late = None if answers else is_late
            answers.append(await self._ask_once(codec, step, timeout_s, late))
            step = codec.follow_up(request, answers)
        return answers

    async def _ask_once(
        self, codec: Codec, request: Request, timeout_s: float, is_late: IsLate | None
    ) -> bytes:
        self.sequence = sequence = self.sequence + 1
        return await self.exchange(
            codec.encode(request, sequence),
            lambda buffer: codec.find_answer(buffer, request, sequence),
            timeout_s,
            is_late,
        )

    async def exchange(
        self, frame: bytes, find: Find, timeout_s: float, is_late: IsLate | None = None
    ) -> bytes:
        """Send a frame and return the bytes in which ``find`` sees its answer.

        is_late: asked when nothing is left to wait for before the first byte; True raises
        LineLate instead. Also raises LineUnreachable, LineTimeout or LineLost. Cancelling it
        leaves the line usable.
        """
        async with self._lock:
            await self._prepare()
            if is_late is not None and is_late():
                raise LineLate(N_("The line was ready too late."), was_sent=False)
            loop = asyncio.get_running_loop()
            assert self._wire is not None
            self._buffer.clear()
            self._find, self._answer = find, loop.create_future()
            timer = loop.call_later(timeout_s, self._give_up)
            is_answered = False
            try:
                self._wire.transport.write(frame)
                answer = await self._answer
                is_answered = True
                return answer
            finally:
                timer.cancel()
                self._find = self._answer = None
                if not is_answered:
                    self._quiet_at = loop.time() + self.settle_s

    async def prepare(self) -> None:
        """Connect and let the bus settle, so that the next exchange sends at once."""
        async with self._lock:
            await self._prepare()

    def close(self) -> None:
        """Drop the connection; the next exchange makes a new one."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.transport.abort()
            self.lost()

    async def _prepare(self) -> None:
        if not self.is_open:
            await self._connect()
        loop = asyncio.get_running_loop()
        while (wait := self._quiet_at - loop.time()) > 0:
            await asyncio.sleep(wait)
        if not self.is_open:
            await self._connect()

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._wire = await self._reached()
        except (OSError, TimeoutError) as error:
            raise LineUnreachable(
                N_("%(host)s:%(port)s cannot be reached: %(reason)s"),
                was_sent=False,
                host=self.host,
                port=self.port,
                reason=str(error) or "no answer",
            ) from error

    async def _reached(self) -> "_Wire":
        """Return a connection to a peer that may be trusted; raises OSError."""
        loop, tls = asyncio.get_running_loop(), self.tls
        if tls is None:
            return (await loop.create_connection(lambda: _Wire(self), self.host, self.port))[1]
        _, wire = await loop.create_connection(
            lambda: _Wire(self), self.host, self.port,
            ssl=tls.context(), server_hostname=tls.name or self.host,
        )  # fmt: skip
        try:
            peer = wire.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            self.certificate_ends_at = tls.admit(peer, utc_now())
        except BaseException:
            wire.transport.abort()
            raise
        return wire

    def _give_up(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LineTimeout(N_("No answer in time."), was_sent=True))

    # --- what the wire says -----------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Look for the answer; bytes that nobody waits for are dropped."""
        if self._find is None or self._answer is None or self._answer.done():
            now = asyncio.get_running_loop().time()
            self._quiet_at = max(self._quiet_at, now + min(QUIET_S, self.settle_s))
            return
        self._buffer += data
        try:
            used, answer = self._find(bytes(self._buffer))
        except Exception as error:  # noqa: BLE001 - the boundary to a driver's code
            self._answer.set_exception(error)
            return
        del self._buffer[:used]
        if answer is not None:
            self._answer.set_result(answer)
        elif len(self._buffer) > MAX_BUFFER:
            self._buffer.clear()

    def lost(self, wire: "_Wire | None" = None) -> None:
        """Fail the exchange that is under way; an older wire has no say."""
        if wire is not None:
            if wire is not self._wire:
                return
            self._wire = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LineLost(N_("The connection broke."), was_sent=True))


class _Wire(asyncio.Protocol):
    """One connection of a line; a line outlives its connections."""

    transport: asyncio.Transport

    def __init__(self, line: Line) -> None:
        self.line = line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.line.received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.line.lost(self)
