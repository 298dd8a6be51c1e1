"""The one driver contract: a profile (data) and a codec (pure functions).

A driver never opens a connection, reads a clock, or touches a database. The host owns time,
sockets, retries, secrets and storage; so the same driver runs in the centre and at the edge, and
every one of its bytes can be tested without either. See ``docs/decisions/0010``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from pydantic import BaseModel

from dougong.devices.certificates import Tls
from dougong.devices.commands import Command, CommandResult, CommandSpec, Verdict
from dougong.devices.lists import Entries, ListSpec, ListState, WantedList
from dougong.devices.profiles import Profile, check_settings, find_profile
from dougong.devices.readings import Measured, Point, Reading
from dougong.errors import DeviceError
from dougong.i18n import bilingual

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present instant."""
    return datetime.now(UTC)


class Transport(StrEnum):
    """How bytes travel. The first two are asked by us, the others tell us.

    ``rtu_tcp`` is a serial bus behind a gateway: half-duplex and without transaction ids, so
    that the line must settle after every timeout.
    """

    TCP = "tcp"
    RTU_TCP = "rtu_tcp"
    HTTP_PUSH = "http_push"
    MQTT_PUSH = "mqtt_push"

    __labels__ = {
        "TCP": bilingual("TCP", "TCP"),
        "RTU_TCP": bilingual("Serial bus over TCP", "串口透传（TCP）"),
        "HTTP_PUSH": bilingual("HTTP push", "HTTP 上报"),
        "MQTT_PUSH": bilingual("MQTT push", "MQTT 上报"),
    }

    @property
    def is_push(self) -> bool:
        return self in (Transport.HTTP_PUSH, Transport.MQTT_PUSH)


@dataclass(frozen=True, slots=True)
class Request:
    """One exchange that a codec planned. payload is the codec's own business.

    points: what the answer will tell. is_write: the request changes something. list: the list
    that the request reads.
    """

    points: tuple[Point, ...]
    payload: Any
    is_write: bool = False
    list: ListSpec | None = None


class Found(NamedTuple):
    """What a codec found in the bytes received so far.

    used: leading bytes that may be dropped. answer: the frame that answers the request, None
    while it is not there.
    """

    used: int
    answer: bytes | None


class Codec(ABC):
    """The bytes of one device that is asked. Pure: same arguments, same result, no I/O."""

    @abstractmethod
    def plan_reads(self, points: Sequence[Point]) -> list[Request]:
        """Return the fewest requests that read ``points``; each point in exactly one."""

    @abstractmethod
    def encode(self, request: Request, sequence: int) -> bytes:
        """Return the frame to send. sequence: grows with every exchange on the line."""

    @abstractmethod
    def find_answer(self, buffer: bytes, request: Request, sequence: int) -> Found:
        """Return the answer to ``request`` in ``buffer``, skipping noise and strangers.

        An answer of another device, to another request, with a wrong checksum or of a wrong
        length is not an answer: it is skipped, never returned.
        """

    @abstractmethod
    def decode(self, request: Request, answers: Sequence[bytes]) -> list[Measured]:
        """Return exactly one value, or reason for none, per point of the request.

        Never raises for anything that a device may send.
        """

    def follow_up(self, request: Request, answers: Sequence[bytes]) -> Request | None:
        """Return the request for the rest of an answer that came in parts; None when complete."""
        return None

    def plan_command(self, command: Command, spec: CommandSpec) -> Request:
        """Return the write; raises ValueError for arguments that the device cannot take."""
        raise ValueError("this device takes no commands")

    def judge(self, request: Request, answer: bytes) -> Verdict:
        """Return whether the device accepted a write."""
        return Verdict(True)

    def plan_list(self, spec: ListSpec) -> Request:
        """Return the request for a list that the device keeps; ``follow_up`` asks for the rest."""
        raise ValueError("this device keeps no lists")

    def decode_list(self, request: Request, answers: Sequence[bytes]) -> Entries:
        """Return what the device holds, in its order; raises ValueError when it does not say."""
        raise ValueError("this device keeps no lists")

    def plan_changes(self, spec: ListSpec, held: Entries, wanted: Entries) -> Sequence[Request]:
        """Return the writes that make ``wanted`` of what ``decode_list`` said; none when it is.

        Raises ValueError for an entry that the device cannot take.
        """
        raise ValueError("this device keeps no lists")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a device. key makes it unique per device: told twice, kept once.

    media: file name → bytes.
    """

    device_id: UUID
    type: str
    key: str
    server_time: datetime
    device_time: datetime | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    media: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What a pushed message says: one key for de-duplication, values, and what happened.

    type: the event's type, ``reading`` for plain values.
    """

    key: str
    type: str = "reading"
    device_time: datetime | None = None
    measured: Sequence[Measured] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    media: Mapping[str, bytes] = field(default_factory=dict)


class PushCodec(ABC):
    """The bytes of one device that tells. Pure as well."""

    @abstractmethod
    def receive(self, body: bytes) -> Told:
        """Return what a message says; raises ValueError for one that says nothing."""

    @abstractmethod
    def reply(self, told: Told, decision: Mapping[str, Any] | None) -> bytes:
        """Return the synchronous answer. decision: None when nobody decided in time."""


@dataclass(frozen=True)
class Driver:
    """What a driver is, as data, and the two functions that make its codec and its simulator.

    settings: what one device needs; every ``SecretStr`` in it is kept encrypted and out of logs.
    point_address, command_address, list_address: the models behind ``address`` in profiles.
    """

    id: str
    title: tuple[str, str]
    transports: frozenset[Transport]
    settings: type[BaseModel]
    point_address: type[BaseModel]
    profiles: Mapping[str, Profile]
    codec: Callable[[Profile, Any, Transport], Codec | PushCodec]
    simulator: Callable[[Sequence["SimulatedDevice"], Transport], Any] | None = None
    command_address: type[BaseModel] | None = None
    list_address: type[BaseModel] | None = None
    api_version: int = 1

    def open(
        self, profile: str, settings: Mapping[str, Any], transport: Transport
    ) -> Codec | PushCodec:
        """Return the codec of one device; raises Invalid naming the field that is wrong."""
        found = find_profile(self, profile, transport)
        return self.codec(found, check_settings(self, settings), transport)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the names of the settings that are secrets."""
        return tuple(
            name
            for name, info in self.settings.model_fields.items()
            if "SecretStr" in str(info.annotation)
        )


@dataclass(frozen=True)
class DeviceConfig:
    """One device as the host runs it.

    serial: the number that the device must say when its profile reads one. is_vital: a lift, a
    fire pump, emergency light; its supply is never cut. push_secret: of a device that tells.
    """

    id: UUID
    community_id: UUID
    name: str
    driver: str
    profile: str
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    serial: str | None = None
    poll_s: float = 60
    is_vital: bool = False
    push_key: str | None = None
    push_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class GatewayConfig:
    """One connection and the devices behind it; push gateways have no address.

    settle_s: longer than the slowest answer on a half-duplex bus. tls: None without encryption.
    """

    id: UUID
    community_id: UUID
    name: str
    transport: Transport
    devices: tuple[DeviceConfig, ...]
    host: str = ""
    port: int = 0
    timeout_s: float = 2
    settle_s: float = 2
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How a gateway or a device is doing. since: when ``is_ok`` last changed.

    certificate_ends_at: of the certificate that a gateway showed last, None without encryption.
    """

    subject_id: UUID
    is_ok: bool
    since: datetime
    last_ok_at: datetime | None = None
    failures: int = 0
    next_try_at: datetime | None = None
    detail: str = ""
    certificate_ends_at: datetime | None = None

    def succeeded(self, now: datetime, certificate_ends_at: datetime | None = None) -> "Health":
        """Return the health after an answer."""
        since = self.since if self.is_ok else now
        return Health(
            self.subject_id, True, since, last_ok_at=now, certificate_ends_at=certificate_ends_at
        )

    def failed(self, now: datetime, next_try_at: datetime, detail: str) -> "Health":
        """Return the health after a failure."""
        since = now if self.is_ok else self.since
        return replace(
            self,
            is_ok=False,
            since=since,
            failures=self.failures + 1,
            next_try_at=next_try_at,
            detail=detail,
        )


@dataclass(frozen=True)
class SimulatedDevice:
    """One device that a simulator plays.

    load_kw: what its counter grows by, per hour. start: what the counter showed ``since``, a
    time in seconds since 1970; without it, when the simulator started. values: what its points
    say at first.
    """

    profile: Profile
    settings: Any
    serial: str = ""
    load_kw: float = 1.2
    start: float = 1000.0
    since: float | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


class DeviceStore(Protocol):
    """Where the host keeps what must outlive it. Any method may raise; the host repeats."""

    async def load(self) -> Sequence[GatewayConfig]:
        """Return everything to run; called again to see changes."""

    async def save_readings(self, readings: Sequence[Reading]) -> None:
        """Keep the last value of each point and pass the readings on."""

    async def waiting_commands(self) -> Sequence[Command]:
        """Return the commands that are queued, and those whose outcome is open."""

    async def result(self, command_id: UUID) -> CommandResult | None:
        """Return how a command stands, None for an unknown one."""

    async def objection(self, command_id: UUID, names: Sequence[str]) -> str | None:
        """Return why one of these interlocks refuses now, None when all agree.

        names: interlocks that the host itself does not have; an unknown one refuses.
        """

    async def mark_sent(self, command_id: UUID, at: datetime) -> bool:
        """Move queued → sent, durably, before a byte is sent; False when it was not queued."""

    async def save_result(self, result: CommandResult) -> None:
        """Keep how a command stands now."""

    async def wanted_lists(self) -> Sequence[WantedList]:
        """Return the lists whose devices are to be brought to them, or looked at again, now."""

    async def save_list(self, state: ListState) -> None:
        """Keep how a device's list stands."""

    async def save_event(self, event: Event) -> bool:
        """Keep an event; False when (device, key) is known already."""

    async def save_health(self, health: Sequence[Health]) -> None:
        """Keep how gateways and devices are doing."""


class LineError(DeviceError):
    """An exchange failed. was_sent: whether any byte may have reached the device."""

    def __init__(self, message: str, /, *, was_sent: bool, **parameters: Any) -> None:
        super().__init__(message, **parameters)
        self.was_sent = was_sent


class LineUnreachable(LineError):
    """No connection: refused, no such name, no answer to the call."""


class LineLate(LineError):
    """The line was ready only when the request must not be sent any more."""


class LineTimeout(LineError):
    """Nobody answered in time."""


class LineLost(LineError):
    """The connection broke in the middle."""
