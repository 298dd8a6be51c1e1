"""Water, heat and gas meters that speak CJ/T 188-2004, with a valve where they have one (水表).

Source: CJ/T 188-2004, 7 (frames), annex A (data identifiers), annex C (data formats). The lowest
byte goes first and nothing is added to it. Makers read the standard differently: in which order
the two bytes of a data identifier go, and whether the serial number counts, is said in a profile's
options.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dougong.devices import Codec, Driver, Found, Request, Transport
from dougong.devices.commands import Command, CommandSpec, Verdict
from dougong.devices.profiles import Profile, checked, read_profiles
from dougong.devices.readings import Measured, Point, Quality, bad

PROFILES = Path(__file__).with_name("profiles") / "cjt188"
START, END, PREAMBLE = 0x68, 0x16, b"\xfe"
REPLY, ERROR = 0x80, 0x40
READ, WRITE = 0x01, 0x04
LONGEST = 100
# What a counter's unit byte says, beside the measure that a point is kept in.
UNITS = {
    "m3": {0x2C: Decimal(1)},
    "kW.h": {0x05: Decimal(1), 0x08: Decimal(1000)},
    "MJ": {0x0A: Decimal(1), 0x0B: Decimal(1000)},
    "GJ": {0x0B: Decimal(1), 0x0A: Decimal("0.001")},
    "kW": {0x17: Decimal(1)},
    "m3/h": {0x35: Decimal(1)},
}
VALVE = {0b00: False, 0b01: True}
ANY = "A"


class CjtSettings(BaseModel):
    """What one meter needs. address: its 14 digits as printed, the maker's four first.

    ``AA`` pairs stand for any, when one meter is alone on the wire. preamble: wake-up bytes FE.
    zone: what the meter's clock shows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    preamble: int = Field(default=4, ge=0, le=16)
    zone: str = "Asia/Shanghai"

    @field_validator("address")
    @classmethod
    def _digits(cls, value: str) -> str:
        pairs = [value[i : i + 2] for i in range(0, len(value), 2)]
        if len(value) != 14 or not all(pair.isdecimal() or pair == "AA" for pair in pairs):
            raise ValueError("a meter's address has 14 digits")
        return value


class CjtOptions(BaseModel):
    """What differs between makers, said once per model.

    type: what the meter counts (10 cold water, 20 heat, 30 gas), two hexadecimal digits.
    order: which byte of a data identifier goes first. serial: the number in each request, counting
    up or fixed; counting is safer, for an answer then names its request.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = Field(default="10", pattern=r"^[0-9A-F]{2}$")
    order: Literal["high_first", "low_first"] = "high_first"
    serial: Literal["counting", 0, 1] = "counting"


class CjtAddress(BaseModel):
    """Where a value lies. di: data identifier as printed, highest byte first.

    at: bytes behind the serial number. unit_at: where the counter's unit byte lies; one that does
    not fit the point's measure gives no value. datatype: ``bcd``, ``bit``, ``valve`` (true when
    closed), or ``clock`` for YYYY MM DD hh mm ss.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    di: str = Field(pattern=r"^[0-9A-F]{4}$")
    at: int = Field(ge=0, le=LONGEST)
    length: int = Field(ge=1, le=8)
    unit_at: int | None = Field(default=None, ge=0, le=LONGEST)
    datatype: Literal["bcd", "bit", "valve", "clock"] = "bcd"
    bit: int = Field(default=0, ge=0, le=15)

    @model_validator(mode="after")
    def _sensible(self) -> "CjtAddress":
        if self.datatype == "bit" and self.bit >= 8 * self.length:
            raise ValueError("the bit lies outside of the item")
        if self.datatype == "clock" and self.length != 7:
            raise ValueError("a clock has 7 bytes")
        return self


class CjtWrite(BaseModel):
    """What a command writes. data: hexadecimal digits, as they go on the wire."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    di: str = Field(pattern=r"^[0-9A-F]{4}$")
    data: str = Field(pattern=r"^([0-9A-F]{2}){1,32}$")


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame without its wrapping. address: seven bytes, the lowest first."""

    type: int
    address: bytes
    control: int
    data: bytes

    def encoded(self, preamble: int = 0) -> bytes:
        """Return the bytes for the wire."""
        head = bytes([START, self.type]) + self.address + bytes([self.control, len(self.data)])
        body = head + self.data
        return PREAMBLE * preamble + body + bytes([sum(body) & 0xFF, END])


def scan(buffer: bytes, start: int = 0) -> tuple[int, int, Frame | None]:
    """Return where the first frame from ``start`` begins and ends, and the frame.

    Without a complete frame: the first position where one may still be growing, twice, and None.
    """
    growing = len(buffer)
    at = buffer.find(START, start)
    while at >= 0:
        length = buffer[at + 10] if at + 10 < len(buffer) else 0
        end = at + 13 + length
        if length <= LONGEST and end > len(buffer):
            growing = min(growing, at)
        elif length <= LONGEST and buffer[end - 1] == END:
            body = buffer[at : end - 2]
            if sum(body) & 0xFF == buffer[end - 2]:
                return at, end, Frame(body[1], body[2:9], body[9], body[11:])
        at = buffer.find(START, at + 1)
    return growing, growing, None


class CjtCodec(Codec):
    """The bytes of one CJ/T 188 meter."""

    def __init__(self, profile: Profile, settings: CjtSettings, transport: Transport) -> None:
        self.settings = settings
        self.options = checked(CjtOptions, profile.options, profile.id)
        self.address = bytes.fromhex(settings.address)[::-1]
        self.type = int(self.options.type, 16)
        self.zone = ZoneInfo(settings.zone)

    def plan_reads(self, points: Sequence[Point]) -> list[Request]:
        blocks: dict[str, list[Point]] = {}
        for point in points:
            blocks.setdefault(point.address.di, []).append(point)
        return [
            Request(tuple(block), Frame(self.type, self.address, READ, self._di(di)))
            for di, block in blocks.items()
        ]

    def _di(self, di: str) -> bytes:
        printed = bytes.fromhex(di)
        return printed if self.options.order == "high_first" else printed[::-1]

    def _serial(self, sequence: int) -> bytes:
        fixed = self.options.serial
        return bytes([sequence & 0xFF if fixed == "counting" else fixed])

    def encode(self, request: Request, sequence: int) -> bytes:
        asked: Frame = request.payload
        data = asked.data[:2] + self._serial(sequence) + asked.data[2:]
        return replace(asked, data=data).encoded(self.settings.preamble)

    def find_answer(self, buffer: bytes, request: Request, sequence: int) -> Found:
        at = 0
        while True:
            start, end, frame = scan(buffer, at)
            if frame is None:
                return Found(start, None)
            if self._answers(frame, request.payload, self._serial(sequence)):
                return Found(end, buffer[start:end])
            at = end

    def _answers(self, frame: Frame, asked: Frame, serial: bytes) -> bool:
        if frame.type != asked.type or not _same_meter(self.address, frame.address):
            return False
        if frame.control & ~ERROR != asked.control | REPLY:
            return False
        is_error = bool(frame.control & ERROR)
        if is_error and len(frame.data) == 3:
            return frame.data[:1] == serial
        return len(frame.data) >= 3 + is_error and frame.data[:3] == asked.data[:2] + serial

    def decode(self, request: Request, answers: Sequence[bytes]) -> list[Measured]:
        frame = _unwrapped(answers[0])
        if frame.control & ERROR:
            return bad(request.points, Quality.BAD_CONFIG, _error(frame.data))
        return [self._measure(point, frame.data[3:]) for point in request.points]

    def _measure(self, point: Point, data: bytes) -> Measured:
        where: CjtAddress = point.address
        raw = data[where.at : where.at + where.length]
        if len(raw) < where.length:
            return _nothing(point, "the answer is too short")
        number = int.from_bytes(raw, "little")
        if where.datatype == "bit":
            return Measured(point.key, bool(number >> where.bit & 1))
        if where.datatype == "valve":
            state = VALVE.get(number & 0b11)
            faulty = _nothing(point, "the valve is faulty")
            return faulty if state is None else Measured(point.key, state)
        digits = raw[::-1].hex()
        if not digits.isdecimal():
            return _nothing(point, f"{digits} is no number")
        if where.datatype == "clock":
            return self._clock(point, digits)
        factor = _factor(point, data)
        if factor is None:
            return _nothing(point, f"its unit is not {point.uom}")
        return point.measure(Decimal(digits) * factor)

    def _clock(self, point: Point, digits: str) -> Measured:
        try:
            local = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=self.zone)
        except ValueError:
            return _nothing(point, f"{digits} is no time")
        return Measured(point.key, local.isoformat(), device_time=local.astimezone(UTC))

    def plan_command(self, command: Command, spec: CommandSpec) -> Request:
        if ANY in self.settings.address:
            raise ValueError("a command needs a meter's full address")
        write: CjtWrite = spec.address
        data = self._di(write.di) + bytes.fromhex(write.data)
        return Request((), Frame(self.type, self.address, WRITE, data), is_write=True)

    def judge(self, request: Request, answer: bytes) -> Verdict:
        frame = _unwrapped(answer)
        return Verdict(False, _error(frame.data)) if frame.control & ERROR else Verdict(True)


def _factor(point: Point, data: bytes) -> Decimal | None:
    """Return what one step of the counter is in the point's measure; None for a foreign unit."""
    at = point.address.unit_at
    if at is None:
        return Decimal(1)
    return UNITS.get(point.uom, {}).get(data[at]) if at < len(data) else None


def _nothing(point: Point, why: str) -> Measured:
    return Measured(point.key, None, Quality.BAD_DATA, None, why)


def _unwrapped(answer: bytes) -> Frame:
    frame = scan(answer)[2]
    assert frame is not None, "an answer is a frame that find_answer returned"
    return frame


def _same_meter(asked: bytes, said: bytes) -> bool:
    """Tell whether the address fits; AA stands for any digits."""
    return all(ours in (0xAA, theirs) for ours, theirs in zip(asked, said, strict=True))


def _error(data: bytes) -> str:
    return f"the meter refuses: error {data[3:].hex() or data[1:].hex()}"


def _simulator(devices, transport):  # type: ignore[no-untyped-def]
    from dougong_meters.drivers.cjt188_simulator import CjtResponder

    return CjtResponder(devices)


driver = Driver(
    id="cjt188",
    title=("CJ/T 188 meter", "CJ/T 188 水表、热表、气表"),
    transports=frozenset({Transport.TCP, Transport.RTU_TCP}),
    settings=CjtSettings,
    point_address=CjtAddress,
    command_address=CjtWrite,
    profiles=read_profiles(PROFILES, CjtAddress, CjtWrite),
    codec=CjtCodec,
    simulator=_simulator,
)
