"""Water, heat and gas meters that speak CJ/T 188-2004, with a valve where they have one (水表).

Source: CJ/T 188-2004, 7 (frames), annex A (data identifiers), annex C (data formats). The lowest
byte goes first and nothing is added to it. Makers read the standard differently: in which order
the two bytes of a data identifier go, and whether the serial number counts, is said in a profile's
options.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dougong.devices import Driver, Request, Transport
from dougong.devices.commands import Command, CommandSpec
from dougong.devices.profiles import Profile, checked, read_profiles
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

PROFILES = Path(__file__).with_name("profiles") / "cjt188"
READ, WRITE = 0x01, 0x04
LONGEST = 100
# What a counter's unit byte says, beside the measure that a point is kept in; the first is what a
# simulator sends. Source: CJ/T 188-2004, table 13 (CJ/T 188-2018, table 20).
UNITS = {
    "m3": {0x2C: Decimal(1), 0x29: Decimal("0.001")},
    "kW.h": {0x05: Decimal(1), 0x02: Decimal("0.001"), 0x08: Decimal(1000), 0x0A: Decimal(100_000)},
    "MJ": {0x0E: Decimal(1), 0x0B: Decimal("0.001"), 0x11: Decimal(1000), 0x13: Decimal(100_000)},
    "GJ": {0x11: Decimal(1), 0x0E: Decimal("0.001"), 0x13: Decimal(100)},
    "kW": {0x17: Decimal(1), 0x14: Decimal("0.001"), 0x1A: Decimal(1000)},
    "m3/h": {0x35: Decimal(1), 0x32: Decimal("0.001")},
}
VALVE = {0b00: False, 0b01: True}


class CjtSettings(FramedSettings):
    """What one meter needs: its address has 14 digits, the maker's four first."""

    @classmethod
    def address_digits(cls) -> int:
        return 14


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
        return wrapped(head + self.data, preamble)


def _size(buffer: bytes, at: int) -> int | None:
    length = buffer[at + 10] if at + 10 < len(buffer) else 0
    return 13 + length if length <= LONGEST else None


def _parsed(body: bytes) -> Frame:
    return Frame(body[1], body[2:9], body[9], body[11:])


FRAMING = Framing(_size, _parsed)
scan = FRAMING.scan


class CjtCodec(FramedCodec[Frame]):
    """The bytes of one CJ/T 188 meter."""

    framing = FRAMING

    def __init__(self, profile: Profile, settings: CjtSettings, transport: Transport) -> None:
        super().__init__(settings)
        self.options = checked(CjtOptions, profile.options, profile.id)
        self.type = int(self.options.type, 16)

    def reading(self, di: str) -> Frame:
        return Frame(self.type, self.address, READ, self._di(di))

    def refusal(self, frame: Frame) -> str:
        return f"the meter refuses: error {frame.data[3:].hex() or frame.data[1:].hex()}"

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

    def answers(self, frame: Frame, asked: Frame, sequence: int) -> bool:
        if frame.type != asked.type or frame.control & ~ERROR != asked.control | REPLY:
            return False
        serial, is_error = self._serial(sequence), bool(frame.control & ERROR)
        if is_error and len(frame.data) == 3:
            return frame.data[:1] == serial
        return len(frame.data) >= 3 + is_error and frame.data[:3] == asked.data[:2] + serial

    def decode(self, request: Request, answers: Sequence[bytes]) -> list[Measured]:
        frames = self.frames(request, answers[:1])
        if not frames or isinstance(frames[0], Measured):
            return frames
        return [self._measure(point, frames[0].data[3:]) for point in request.points]

    def _measure(self, point: Point, data: bytes) -> Measured:
        where: CjtAddress = point.address
        raw = data[where.at : where.at + where.length]
        if len(raw) < where.length:
            return nothing(point, "the answer is too short")
        number = int.from_bytes(raw, "little")
        if where.datatype == "bit":
            return Measured(point.key, bool(number >> where.bit & 1))
        if where.datatype == "valve":
            state = VALVE.get(number & 0b11)
            faulty = nothing(point, "the valve is faulty")
            return faulty if state is None else Measured(point.key, state)
        digits = raw[::-1].hex()
        if not digits.isdecimal():
            return nothing(point, f"{digits} is no number")
        if where.datatype == "clock":
            return self.clock(point, digits, "%Y%m%d%H%M%S")
        factor = _factor(point, data)
        if factor is None:
            return nothing(point, f"its unit is not {point.uom}")
        return point.measure(Decimal(digits) * factor)

    def plan_command(self, command: Command, spec: CommandSpec) -> Request:
        self.needs_one_meter()
        write: CjtWrite = spec.address
        data = self._di(write.di) + bytes.fromhex(write.data)
        return Request((), Frame(self.type, self.address, WRITE, data), is_write=True)


def _factor(point: Point, data: bytes) -> Decimal | None:
    """Return what one step of the counter is in the point's measure; None for a foreign unit."""
    at = point.address.unit_at
    if at is None:
        return Decimal(1)
    return UNITS.get(point.uom, {}).get(data[at]) if at < len(data) else None


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
