"""Electricity meters that speak DL/T 645-2007, and the 1997 edition for reading (多功能电能表).

Source: DL/T 645-2007, 5 (frames), 7 (data link), annex A (data identifiers); relay control as in
its 2013 supplement. Every data byte travels with 33H added; the lowest byte goes first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from dougong.devices import Driver, ListSpec, Request, Transport
from dougong.devices.commands import Command, CommandSpec
from dougong.devices.profiles import Profile, read_profiles
from dougong.devices.readings import Measured, Point
from dougong_meters.drivers.framing import (
    ERROR,
    REPLY,
    START,
    FramedCodec,
    FramedSettings,
    Framing,
    nothing,
    wrapped,
)

PROFILES = Path(__file__).with_name("profiles") / "dlt645"
SHIFT, MORE = 0x33, 0x20
READ, READ_REST, WRITE, CONTROL = 0x11, 0x12, 0x14, 0x1C
READ_1997 = 0x01
CONTROLS = {
    "trip": 0x1A,
    "allow_close": 0x1B,
    "close": 0x1C,
    "alarm_on": 0x2A,
    "alarm_off": 0x2B,
    "keep_power_on": 0x3A,
    "keep_power_off": 0x3B,
}
ERRORS = (
    "other error",
    "no such data",
    "wrong password or not permitted",
    "baud rate cannot change",
    "too many year zones",
    "too many day periods",
    "too many tariffs",
)


class Dlt645Settings(FramedSettings):
    """What one meter needs, beside its address of 12 digits.

    password: six digits; password_level: 00 to 99 as the meter was set up. operator: eight
    digits that the meter logs.
    """

    password: SecretStr = SecretStr("000000")
    password_level: str = Field(default="02", pattern=r"^\d{2}$")
    operator: str = Field(default="00000000", pattern=r"^\d{8}$")
    edition: Literal["2007", "1997"] = "2007"

    @classmethod
    def address_digits(cls) -> int:
        return 12

    @field_validator("password")
    @classmethod
    def _password(cls, value: SecretStr) -> SecretStr:
        secret = value.get_secret_value()
        if len(secret) != 6 or not secret.isdecimal():
            raise ValueError("a password has six digits")
        return value


class Dlt645Address(BaseModel):
    """Where a value lies. di: data identifier as printed, highest byte first.

    length: bytes of one item. item: which one of a block, from 0. datatype: ``bcd``,
    ``signed_bcd`` (sign in the top bit), ``text`` (digits kept as they are), ``bit``, or
    ``clock`` for YY MM DD hh mm ss (6 bytes) or with the weekday behind the day (7).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    di: str = Field(pattern=r"^([0-9A-F]{8}|[0-9A-F]{4})$")
    length: int = Field(ge=1, le=200)
    item: int = Field(default=0, ge=0, le=63)
    datatype: Literal["bcd", "signed_bcd", "text", "bit", "clock"] = "bcd"
    bit: int = Field(default=0, ge=0, le=15)

    @model_validator(mode="after")
    def _sensible(self) -> "Dlt645Address":
        if self.datatype == "bit" and self.bit >= 8 * self.length:
            raise ValueError("the bit lies outside of the item")
        if self.datatype == "clock" and self.length not in (6, 7):
            raise ValueError("a clock has 6 or 7 bytes")
        return self


class Dlt645Control(BaseModel):
    """What a command does: the meaning of N1 in function 1C."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    control: Literal[
        "trip", "allow_close", "close", "alarm_on", "alarm_off", "keep_power_on", "keep_power_off"
    ]


class Dlt645List(BaseModel):
    """Where a list of days lies. count: how many entries hold. first: the entry number 1.

    An entry is a day, YYMMDD, and the number of the table of day periods that is used on it.
    Source: DL/T 645-2007, table A.4: 04000205 and 04030001 to 040300FE.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: str = Field(pattern=r"^[0-9A-F]{8}$")
    first: str = Field(pattern=r"^[0-9A-F]{8}$")

    def slot(self, number: int) -> str:
        """Return the data identifier of an entry, counted from 1."""
        return f"{int(self.first, 16) + number - 1:08X}"


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame without its wrapping. address and data: lowest byte first, 33H taken off."""

    address: bytes
    control: int
    data: bytes

    def encoded(self, preamble: int = 0) -> bytes:
        """Return the bytes for the wire."""
        head = bytes([START]) + self.address + bytes([START, self.control, len(self.data)])
        return wrapped(head + bytes((byte + SHIFT) & 0xFF for byte in self.data), preamble)


def _size(buffer: bytes, at: int) -> int | None:
    if at + 7 < len(buffer) and buffer[at + 7] != START:
        return None
    return 12 + buffer[at + 9] if at + 9 < len(buffer) else 12


def _parsed(body: bytes) -> Frame:
    return Frame(body[1:7], body[8], bytes((byte - SHIFT) & 0xFF for byte in body[10:]))


FRAMING = Framing(_size, _parsed)
scan = FRAMING.scan


class Dlt645Codec(FramedCodec[Frame]):
    """The bytes of one DL/T 645 meter."""

    framing = FRAMING
    settings: Dlt645Settings

    def __init__(self, profile: Profile, settings: Dlt645Settings, transport: Transport) -> None:
        super().__init__(settings)
        self.read = READ if settings.edition == "2007" else READ_1997

    def reading(self, di: str) -> Frame:
        return Frame(self.address, self.read, _wire(di))

    def refusal(self, frame: Frame) -> str:
        flags = frame.data[0] if frame.data else 0
        said = [text for bit, text in enumerate(ERRORS) if flags >> bit & 1]
        return ", ".join(said) or f"error {frame.data.hex()}"

    def answers(self, frame: Frame, asked: Frame, sequence: int) -> bool:
        if frame.control & ~(ERROR | MORE) != asked.control | REPLY:
            return False
        if frame.control & ERROR:
            return 1 <= len(frame.data) <= 2
        if asked.control in (READ, READ_REST, READ_1997):
            width = 2 if asked.control == READ_1997 else 4
            is_same = frame.data[:width] == asked.data[:width]
            if asked.control == READ_REST:
                return is_same and frame.data[-1:] == asked.data[-1:]
            return is_same
        return not frame.data

    def follow_up(self, request: Request, answers: Sequence[bytes]) -> Request | None:
        last = FRAMING.only(answers[-1])
        if last.control & ERROR:
            return None
        if request.list is not None:
            return self._next_entry(request, answers)
        if not last.control & MORE:
            return None
        data = request.payload.data[:4] + bytes([len(answers) & 0xFF])
        return Request(request.points, Frame(self.address, READ_REST, data))

    def decode(self, request: Request, answers: Sequence[bytes]) -> list[Measured]:
        frames = self.frames(request, answers)
        if not frames or isinstance(frames[0], Measured):
            return frames
        width = len(request.payload.data[:4])
        data = frames[0].data[width:] + b"".join(f.data[width:-1] for f in frames[1:])
        return [self._measure(point, data) for point in request.points]

    def _measure(self, point: Point, data: bytes) -> Measured:
        where: Dlt645Address = point.address
        raw = data[where.item * where.length : (where.item + 1) * where.length][::-1]
        if len(raw) < where.length:
            return nothing(point, "the answer is too short")
        if where.datatype == "bit":
            return Measured(point.key, bool(int.from_bytes(raw) >> where.bit & 1))
        is_negative = where.datatype == "signed_bcd" and bool(raw[0] & 0x80)
        if is_negative:
            raw = bytes([raw[0] & 0x7F]) + raw[1:]
        digits = raw.hex()
        if not digits.isdecimal():
            return nothing(point, f"{digits} is no number")
        if where.datatype == "text":
            return Measured(point.key, digits)
        if where.datatype == "clock":
            weekday_less = digits[:6] + digits[8:] if len(digits) == 14 else digits
            return self.clock(point, weekday_less, "%y%m%d%H%M%S")
        return point.measure(-Decimal(digits) if is_negative else Decimal(digits))

    def plan_command(self, command: Command, spec: CommandSpec) -> Request:
        self.needs_one_meter()
        if self.settings.edition != "2007":
            raise ValueError("the 1997 edition has no relay control")
        until = command.deadline.astimezone(self.zone)
        expiry = bytes.fromhex(until.strftime("%S%M%H%d%m%y"))
        data = self._authority() + bytes([CONTROLS[spec.address.control], 0]) + expiry
        return Request((), Frame(self.address, CONTROL, data), is_write=True)

    def _authority(self) -> bytes:
        """Return level, password and operator, as every write begins."""
        settings = self.settings
        secret = bytes.fromhex(settings.password.get_secret_value())[::-1]
        return bytes.fromhex(settings.password_level) + secret + _wire(settings.operator)

    # --- the list of days -------------------------------------------------------------------

    def plan_list(self, spec: ListSpec) -> Request:
        return Request((), self.reading(spec.address.count), list=spec)

    def _next_entry(self, request: Request, answers: Sequence[bytes]) -> Request | None:
        assert request.list is not None
        if len(answers) > min(_count(answers[0]), request.list.capacity):
            return None
        di = request.list.address.slot(len(answers))
        return Request((), self.reading(di), list=request.list)

    def decode_list(self, request: Request, answers: Sequence[bytes]) -> Mapping[str, str]:
        """Return day → table in the meter's order; what is no day is ``#`` and its place."""
        assert request.list is not None
        frames = [FRAMING.only(answer) for answer in answers]
        failed = next((frame for frame in frames if frame.control & ERROR), None)
        if failed is not None:
            raise ValueError(self.refusal(failed))
        if _count(answers[0]) > request.list.capacity:
            raise ValueError(f"it says that it holds {_count(answers[0])} entries")
        held: dict[str, str] = {}
        for place, frame in enumerate(frames[1:], 1):
            digits = frame.data[4:8][::-1].hex()
            day = digits[:6]
            is_day = len(digits) == 8 and digits.isdecimal() and day not in held
            held[day if is_day else f"#{place}"] = digits[6:] if is_day else digits
        return held

    def plan_changes(
        self, spec: ListSpec, held: Mapping[str, str], wanted: Mapping[str, str]
    ) -> Sequence[Request]:
        self.needs_one_meter()
        for day, table in wanted.items():
            if not (len(day) == 6 and len(table) == 2 and (day + table).isdecimal()):
                raise ValueError(f"{day} {table} is no day YYMMDD with a table of two digits")
        if dict(held) == dict(wanted):
            return []
        slots, present = sorted(wanted.items()), list(held.items())
        entries = [
            self._write(spec.address.slot(place), _wire(day + table))
            for place, (day, table) in enumerate(slots, 1)
            if present[place - 1 : place] != [(day, table)]
        ]
        if len(present) == len(slots):
            return entries
        count = self._write(spec.address.count, _wire(f"{len(slots):04d}"))
        # An entry counts from the moment that the number covers it: so it is written before.
        return [*entries, count] if len(slots) > len(present) else [count, *entries]

    def _write(self, di: str, content: bytes) -> Request:
        data = _wire(di) + self._authority() + content
        return Request((), Frame(self.address, WRITE, data), is_write=True)


def _wire(printed: str) -> bytes:
    """Return printed digits as they travel, the lowest first."""
    return bytes.fromhex(printed)[::-1]


def _count(answer: bytes) -> int:
    """Return how many entries a list has; a count that is no number is more than any list has."""
    digits = FRAMING.only(answer).data[4:6][::-1].hex()
    return int(digits) if len(digits) == 4 and digits.isdecimal() else 10_000


def _simulator(devices, transport):  # type: ignore[no-untyped-def]
    from dougong_meters.drivers.dlt645_simulator import Dlt645Responder

    return Dlt645Responder(devices)


driver = Driver(
    id="dlt645",
    title=("DL/T 645 electricity meter", "DL/T 645 电能表"),
    transports=frozenset({Transport.TCP, Transport.RTU_TCP}),
    settings=Dlt645Settings,
    point_address=Dlt645Address,
    command_address=Dlt645Control,
    list_address=Dlt645List,
    profiles=read_profiles(PROFILES, Dlt645Address, Dlt645Control, Dlt645List),
    codec=Dlt645Codec,
    simulator=_simulator,
)
