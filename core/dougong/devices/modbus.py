"""Modbus over TCP and over a serial bus behind a gateway: a pure codec driven by profiles.

Own framing, because the line must see every byte: only so a late answer on a bus without
transaction ids is thrown away instead of being taken for the next one.
Source: Modbus Application Protocol V1.1b3; Modbus Messaging on TCP/IP V1.0b.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dougong.devices.commands import Command, CommandSpec, Verdict
from dougong.devices.contract import Codec, Found, Request, Transport
from dougong.devices.profiles import Profile
from dougong.devices.readings import Measured, Point, Quality, Value, bad

READ = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
WORDS = {
    "bool": 1,
    "int16": 1,
    "uint16": 1,
    "bcd16": 1,
    "int32": 2,
    "uint32": 2,
    "bcd32": 2,
    "float32": 2,
    "int64": 4,
    "uint64": 4,
    "float64": 4,
}
STRUCTS = {
    "int16": ">h",
    "uint16": ">H",
    "int32": ">i",
    "uint32": ">I",
    "int64": ">q",
    "uint64": ">Q",
    "float32": ">f",
    "float64": ">d",
}
EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target did not respond",
}
WRONG_CONFIG = {1, 2, 3}
MAX_WORDS, MAX_BITS = 125, 2000
MBAP = struct.Struct(">HHHB")


class ModbusSettings(BaseModel):
    """What one Modbus device needs. device_id: its number on the bus.

    gap: registers that may be read along to join two blocks; 0 for devices that refuse holes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    device_id: int = Field(default=1, ge=1, le=247)
    gap: int = Field(default=0, ge=0, le=60)


class ModbusAddress(BaseModel):
    """Where a value lies. register counts from 0, as on the wire.

    word_order: ``big`` sends the high register first. byte_order: ``little`` swaps the bytes
    within each register. length: registers of a string. bit: of a register, for ``bool``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: Literal["holding", "input", "coil", "discrete"] = "holding"
    register_: int = Field(alias="register", ge=0, le=0xFFFF)
    datatype: Literal[
        "bool",
        "int16",
        "uint16",
        "bcd16",
        "int32",
        "uint32",
        "bcd32",
        "int64",
        "uint64",
        "float32",
        "float64",
        "string",
    ] = "uint16"
    word_order: Literal["big", "little"] = "big"
    byte_order: Literal["big", "little"] = "big"
    length: int = Field(default=0, ge=0, le=MAX_WORDS)
    bit: int = Field(default=0, ge=0, le=15)

    @model_validator(mode="after")
    def _sensible(self) -> "ModbusAddress":
        if self.is_bits and self.datatype != "bool":
            raise ValueError("coils and discrete inputs are bool")
        if (self.datatype == "string") != (self.length > 0):
            raise ValueError("a string has a length, nothing else has")
        return self

    @property
    def is_bits(self) -> bool:
        return self.table in ("coil", "discrete")

    @property
    def count(self) -> int:
        return self.length or WORDS[self.datatype]


class ModbusWrite(ModbusAddress):
    """Where a command writes. value: what it always writes; None for the caller's value."""

    value: Decimal | bool | None = None


@dataclass(frozen=True, slots=True)
class Pdu:
    """A request: function, first register and count; data for a write."""

    function: int
    start: int
    count: int
    data: bytes = b""

    def encoded(self) -> bytes:
        if self.function in (5, 6):
            return struct.pack(">BH", self.function, self.start) + self.data
        head = struct.pack(">BHH", self.function, self.start, self.count)
        return head + (bytes([len(self.data)]) + self.data if self.data else b"")

    @property
    def answer_size(self) -> int:
        """Return how long the answer's PDU must be."""
        if self.function in (1, 2):
            return 2 + (self.count + 7) // 8
        return 2 + 2 * self.count if self.function in (3, 4) else 5


class ModbusCodec(Codec):
    """The bytes of one Modbus device."""

    def __init__(self, profile: Profile, settings: ModbusSettings, transport: Transport) -> None:
        self.settings = settings
        self.framing: type[TcpFraming] | type[RtuFraming] = (
            TcpFraming if transport is Transport.TCP else RtuFraming
        )

    def plan_reads(self, points: Sequence[Point]) -> list[Request]:
        return [
            Request(tuple(block), _read_pdu(block)) for block in _blocks(points, self.settings.gap)
        ]

    def encode(self, request: Request, sequence: int) -> bytes:
        return self.framing.wrap(request.payload.encoded(), self.settings.device_id, sequence)

    def find_answer(self, buffer: bytes, request: Request, sequence: int) -> Found:
        return self.framing.find(buffer, request.payload, self.settings.device_id, sequence)

    def decode(self, request: Request, answers: Sequence[bytes]) -> list[Measured]:
        pdu = self.framing.unwrap(answers[0])
        if pdu[0] & 0x80:
            quality = Quality.BAD_CONFIG if pdu[1] in WRONG_CONFIG else Quality.BAD_COMM
            return bad(request.points, quality, _exception(pdu[1]))
        start = request.payload.start
        return [_measure(point, pdu[2:], start) for point in request.points]

    def plan_command(self, command: Command, spec: CommandSpec) -> Request:
        where: ModbusWrite = spec.address
        value = command.value if where.value is None else where.value
        if value is None:
            raise ValueError("a value is needed")
        if where.table == "coil":
            data = b"\xff\x00" if value else b"\x00\x00"
            return Request((), Pdu(5, where.register_, 1, data), is_write=True)
        if where.table != "holding":
            raise ValueError("inputs cannot be written")
        data = pack(Decimal(value), where)
        function = 6 if where.count == 1 else 16
        return Request((), Pdu(function, where.register_, where.count, data), is_write=True)

    def judge(self, request: Request, answer: bytes) -> Verdict:
        pdu = self.framing.unwrap(answer)
        return Verdict(False, _exception(pdu[1])) if pdu[0] & 0x80 else Verdict(True)


class TcpFraming:
    """MBAP: answers carry the transaction id of their request."""

    @staticmethod
    def wrap(pdu: bytes, device_id: int, sequence: int) -> bytes:
        return MBAP.pack(sequence & 0xFFFF, 0, len(pdu) + 1, device_id) + pdu

    @staticmethod
    def unwrap(frame: bytes) -> bytes:
        return frame[7:]

    @staticmethod
    def find(buffer: bytes, asked: Pdu, device_id: int, sequence: int) -> Found:
        at = 0
        while len(buffer) - at >= MBAP.size:
            transaction, protocol, length, unit = MBAP.unpack_from(buffer, at)
            if protocol != 0 or not 3 <= length <= 254:
                at += 1
                continue
            end = at + 6 + length
            if end > len(buffer):
                break
            frame = buffer[at:end]
            mine = transaction == sequence & 0xFFFF and unit == device_id
            if mine and _is_answer(frame[7:], asked):
                return Found(end, frame)
            at = end
        return Found(at, None)


class RtuFraming:
    """Device id and CRC only: nothing in an answer says which request it belongs to."""

    @staticmethod
    def wrap(pdu: bytes, device_id: int, sequence: int) -> bytes:
        frame = bytes([device_id]) + pdu
        return frame + crc16(frame)

    @staticmethod
    def unwrap(frame: bytes) -> bytes:
        return frame[1:-2]

    @staticmethod
    def find(buffer: bytes, asked: Pdu, device_id: int, sequence: int) -> Found:
        """Look at every position: a header inside noise must not hide the answer behind it."""
        unfinished = len(buffer)
        for at in range(len(buffer)):
            if buffer[at] != device_id:
                continue
            function = buffer[at + 1] if at + 1 < len(buffer) else asked.function
            if function & 0x7F != asked.function:
                continue
            end = at + 3 + (2 if function & 0x80 else asked.answer_size)
            if end > len(buffer):
                unfinished = min(unfinished, at)
                continue
            frame = buffer[at:end]
            if crc16(frame[:-2]) == frame[-2:] and _is_answer(frame[1:-2], asked):
                return Found(end, frame)
        return Found(unfinished, None)


def crc16(data: bytes) -> bytes:
    """Return the Modbus CRC, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def _crc_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
    return byte


_CRC_TABLE = [_crc_entry(byte) for byte in range(256)]


def _is_answer(pdu: bytes, asked: Pdu) -> bool:
    if not pdu or pdu[0] & 0x7F != asked.function:
        return False
    if pdu[0] & 0x80:
        return len(pdu) == 2
    if len(pdu) != asked.answer_size:
        return False
    if asked.function <= 4:
        return pdu[1] == len(pdu) - 2
    return pdu[1:] == asked.encoded()[1:5]


def _blocks(points: Sequence[Point], gap: int) -> Iterator[list[Point]]:
    block: list[Point] = []
    for point in sorted(points, key=lambda p: (p.address.table, p.address.register_)):
        if block and not _joins(block, point.address, gap):
            yield block
            block = []
        block.append(point)
    if block:
        yield block


def _joins(block: list[Point], address: ModbusAddress, gap: int) -> bool:
    first = block[0].address
    end = max(p.address.register_ + p.address.count for p in block)
    most = MAX_BITS if address.is_bits else MAX_WORDS
    return (
        address.table == first.table
        and address.register_ <= end + gap
        and address.register_ + address.count - first.register_ <= most
    )


def _read_pdu(block: list[Point]) -> Pdu:
    start = block[0].address.register_
    end = max(point.address.register_ + point.address.count for point in block)
    return Pdu(READ[block[0].address.table], start, end - start)


def _measure(point: Point, data: bytes, start: int) -> Measured:
    address: ModbusAddress = point.address
    at = address.register_ - start
    if address.is_bits:
        return Measured(point.key, bool(data[at // 8] >> at % 8 & 1))
    try:
        raw = unpack(data[2 * at : 2 * (at + address.count)], address)
    except ValueError as error:
        return Measured(point.key, None, Quality.BAD_DATA, None, str(error))
    if isinstance(raw, (bool, str)):
        return Measured(point.key, raw)
    return point.measure(raw)


def _ordered(data: bytes, address: ModbusAddress) -> bytes:
    """Return the bytes with the high one first, or back: swapping is its own inverse."""
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if address.word_order == "little":
        words.reverse()
    return b"".join(w[::-1] for w in words) if address.byte_order == "little" else b"".join(words)


def unpack(data: bytes, address: ModbusAddress) -> Value:
    """Return the raw value in registers; raises ValueError for what is none."""
    data = _ordered(data, address)
    if address.datatype == "bool":
        return bool(int.from_bytes(data) >> address.bit & 1)
    if address.datatype == "string":
        return data.rstrip(b"\0 ").decode("ascii")
    if address.datatype.startswith("bcd"):
        if not data.hex().isdigit():
            raise ValueError("not a decimal number")
        return Decimal(data.hex())
    number = struct.unpack(STRUCTS[address.datatype], data)[0]
    return _exact(number, address.datatype) if isinstance(number, float) else Decimal(number)


def pack(value: Decimal, address: ModbusAddress) -> bytes:
    """Return the registers that hold a raw value; raises ValueError when it does not fit."""
    if address.datatype in ("bool", "string"):
        raise ValueError("only numbers are written to registers")
    if address.datatype.startswith("bcd"):
        digits = f"{int(value):0{4 * address.count}d}"
        if value < 0 or len(digits) > 4 * address.count:
            raise ValueError("the value does not fit")
        return _ordered(bytes.fromhex(digits), address)
    number: Any = float(value) if "float" in address.datatype else int(value)
    if "float" not in address.datatype and value != number:
        raise ValueError("the value is not whole")
    try:
        return _ordered(struct.pack(STRUCTS[address.datatype], number), address)
    except (struct.error, OverflowError) as error:
        raise ValueError("the value does not fit") from error


def _exact(number: float, datatype: str) -> Decimal:
    """Return the shortest decimal that the float stands for."""
    if datatype == "float32" and abs(number) < float("inf"):
        for digits in range(6, 10):
            text = f"{number:.{digits}g}"
            if struct.pack(">f", float(text)) == struct.pack(">f", number):
                return Decimal(text)
    return Decimal(repr(number))


def _exception(code: int) -> str:
    return f"exception {code}: {EXCEPTIONS.get(code, 'unknown')}"
