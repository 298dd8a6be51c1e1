"""Electricity meters that speak DL/T 645-2007, and the 1997 edition for reading (多功能电能表).

Source: DL/T 645-2007, 5 (frames), 7 (data link), annex A (data identifiers); relay control as in
its 2013 supplement. Every data byte travels with 33H added; the lowest byte goes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from dougong.devices import Codec, Driver, Found, Request, Transport
from dougong.devices.commands import Command, CommandSpec, Verdict
from dougong.devices.profiles import Profile, read_profiles
from dougong.devices.readings import Measured, Point, Quality, bad

PROFILES = Path(__file__).with_name("profiles") / "dlt645"
START, END, SHIFT, PREAMBLE = 0x68, 0x16, 0x33, b"\xfe"
REPLY, ERROR, MORE = 0x80, 0x40, 0x20
READ, READ_REST, CONTROL = 0x11, 0x12, 0x1C
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
ANY = "A"


class Dlt645Settings(BaseModel):
    """What one meter needs. address: its 12 digits as printed; ``A`` pairs stand for any.

    password: six digits; password_level: 00 to 99 as the meter was set up. operator: eight
    digits that the meter logs. preamble: wake-up bytes FE. zone: what the meter's clock shows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    password: SecretStr = SecretStr("000000")
    password_level: str = Field(default="02", pattern=r"^\d{2}$")
    operator: str = Field(default="00000000", pattern=r"^\d{8}$")
    preamble: int = Field(default=4, ge=0, le=16)
    edition: Literal["2007", "1997"] = "2007"
    zone: str = "Asia/Shanghai"

    @field_validator("address")
    @classmethod
    def _digits(cls, value: str) -> str:
        pairs = [value[i : i + 2] for i in range(0, len(value), 2)]
        if len(value) != 12 or not all(pair.isdecimal() or pair == "AA" for pair in pairs):
            raise ValueError("a meter's address has 12 digits")
        return value

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


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame without its wrapping. address and data: lowest byte first, 33H taken off."""

    address: bytes
    control: int
    data: bytes

    def encoded(self, preamble: int = 0) -> bytes:
        """Return the bytes for the wire."""
        head = bytes([START]) + self.address + bytes([START, self.control, len(self.data)])
        body = head + bytes((byte + SHIFT) & 0xFF for byte in self.data)
        return PREAMBLE * preamble + body + bytes([sum(body) & 0xFF, END])


def scan(buffer: bytes, start: int = 0) -> tuple[int, int, Frame | None]:
    """Return where the first frame from ``start`` begins and ends, and the frame.

    Without a complete frame: the first position where one may still be growing, twice, and None.
    """
    growing = len(buffer)
    at = buffer.find(START, start)
    while at >= 0:
        size = _size(buffer, at)
        if size is not None and at + size > len(buffer):
            growing = min(growing, at)
        elif size is not None:
            body = buffer[at : at + size]
            if body[-1] == END and sum(body[:-2]) & 0xFF == body[-2]:
                data = bytes((byte - SHIFT) & 0xFF for byte in body[10:-2])
                return at, at + size, Frame(body[1:7], body[8], data)
        at = buffer.find(START, at + 1)
    return growing, growing, None


def _size(buffer: bytes, at: int) -> int | None:
    """Return how long the frame at this position is or may become, None when it is none."""
    if at + 7 < len(buffer) and buffer[at + 7] != START:
        return None
    return 12 + buffer[at + 9] if at + 9 < len(buffer) else 12


class Dlt645Codec(Codec):
    """The bytes of one DL/T 645 meter."""

    def __init__(self, profile: Profile, settings: Dlt645Settings, transport: Transport) -> None:
        self.settings = settings
        self.address = bytes.fromhex(settings.address)[::-1]
        self.read = READ if settings.edition == "2007" else READ_1997
        self.zone = ZoneInfo(settings.zone)

    def plan_reads(self, points: Sequence[Point]) -> list[Request]:
        blocks: dict[str, list[Point]] = {}
        for point in points:
            blocks.setdefault(point.address.di, []).append(point)
        return [
            Request(tuple(block), Frame(self.address, self.read, bytes.fromhex(di)[::-1]))
            for di, block in blocks.items()
        ]

    def encode(self, request: Request, sequence: int) -> bytes:
        return request.payload.encoded(self.settings.preamble)

    def find_answer(self, buffer: bytes, request: Request, sequence: int) -> Found:
        at = 0
        while True:
            start, end, frame = scan(buffer, at)
            if frame is None:
                return Found(start, None)
            if self._answers(frame, request.payload):
                return Found(end, buffer[start:end])
            at = end

    def _answers(self, frame: Frame, asked: Frame) -> bool:
        if not _same_meter(self.address, frame.address):
            return False
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
        last = _unwrapped(answers[-1])
        if not last.control & MORE or last.control & ERROR:
            return None
        data = request.payload.data[:4] + bytes([len(answers) & 0xFF])
        return Request(request.points, Frame(self.address, READ_REST, data))

    def decode(self, request: Request, answers: Sequence[bytes]) -> list[Measured]:
        frames = [_unwrapped(answer) for answer in answers]
        failed = next((frame for frame in frames if frame.control & ERROR), None)
        if failed is not None:
            return bad(request.points, Quality.BAD_CONFIG, _error(failed.data))
        width = len(request.payload.data[:4])
        data = frames[0].data[width:] + b"".join(f.data[width:-1] for f in frames[1:])
        return [self._measure(point, data) for point in request.points]

    def _measure(self, point: Point, data: bytes) -> Measured:
        where: Dlt645Address = point.address
        raw = data[where.item * where.length : (where.item + 1) * where.length][::-1]
        if len(raw) < where.length:
            return Measured(point.key, None, Quality.BAD_DATA, None, "the answer is too short")
        if where.datatype == "bit":
            return Measured(point.key, bool(int.from_bytes(raw) >> where.bit & 1))
        is_negative = where.datatype == "signed_bcd" and bool(raw[0] & 0x80)
        if is_negative:
            raw = bytes([raw[0] & 0x7F]) + raw[1:]
        digits = raw.hex()
        if not digits.isdecimal():
            return Measured(point.key, None, Quality.BAD_DATA, None, f"{digits} is no number")
        if where.datatype == "text":
            return Measured(point.key, digits)
        if where.datatype == "clock":
            return self._clock(point, digits)
        return point.measure(-Decimal(digits) if is_negative else Decimal(digits))

    def _clock(self, point: Point, digits: str) -> Measured:
        if len(digits) == 14:
            digits = digits[:6] + digits[8:]
        try:
            local = datetime.strptime(digits, "%y%m%d%H%M%S").replace(tzinfo=self.zone)
        except ValueError:
            return Measured(point.key, None, Quality.BAD_DATA, None, f"{digits} is no time")
        return Measured(point.key, local.isoformat(), device_time=local.astimezone(UTC))

    def plan_command(self, command: Command, spec: CommandSpec) -> Request:
        if ANY in self.settings.address:
            raise ValueError("a command needs a meter's full address")
        if self.settings.edition != "2007":
            raise ValueError("the 1997 edition has no relay control")
        settings = self.settings
        secret = bytes.fromhex(settings.password.get_secret_value())[::-1]
        until = command.deadline.astimezone(self.zone)
        expiry = bytes.fromhex(until.strftime("%S%M%H%d%m%y"))
        data = (
            bytes.fromhex(settings.password_level)
            + secret
            + bytes.fromhex(settings.operator)[::-1]
            + bytes([CONTROLS[spec.address.control], 0])
            + expiry
        )
        return Request((), Frame(self.address, CONTROL, data), is_write=True)

    def judge(self, request: Request, answer: bytes) -> Verdict:
        frame = _unwrapped(answer)
        return Verdict(False, _error(frame.data)) if frame.control & ERROR else Verdict(True)


def _unwrapped(answer: bytes) -> Frame:
    frame = scan(answer)[2]
    assert frame is not None, "an answer is a frame that find_answer returned"
    return frame


def _same_meter(asked: bytes, said: bytes) -> bool:
    """Tell whether the address fits; AA stands for any digits."""
    return all(ours in (0xAA, theirs) for ours, theirs in zip(asked, said, strict=True))


def _error(data: bytes) -> str:
    flags = data[0] if data else 0
    said = [text for bit, text in enumerate(ERRORS) if flags >> bit & 1]
    return ", ".join(said) or f"error {data.hex()}"


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
    profiles=read_profiles(PROFILES, Dlt645Address, Dlt645Control),
    codec=Dlt645Codec,
    simulator=_simulator,
)
