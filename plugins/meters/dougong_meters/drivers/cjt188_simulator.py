"""Simulated CJ/T 188-2004 meters: read, read address, valve with its state to read back.

A meter answers only its own address, with the type of meter that it is, and the wildcard; it is
silent to others and to frames whose checksum is wrong.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from dougong.devices import SimulatedDevice
from dougong.devices.readings import Point
from dougong.devices.simulated import Answered, Life, Responder
from dougong_meters.drivers.cjt188 import (
    ERROR,
    READ,
    REPLY,
    UNITS,
    WRITE,
    CjtAddress,
    CjtOptions,
    Frame,
    scan,
)
from dougong_meters.drivers.framing import is_addressed, on_the_wire

READ_ADDRESS = 0x03
NO_SUCH_DATA = 0x02


class CjtResponder(Responder):
    """The meters on one bus."""

    def __init__(self, devices: Sequence[SimulatedDevice]) -> None:
        super().__init__(devices)
        self.options = [CjtOptions.model_validate(d.profile.options) for d in devices]

    def respond(self, buffer: bytes) -> Answered:
        _, end, frame = scan(buffer)
        if frame is None:
            return Answered(end if end < len(buffer) else 0, None, None)
        device = self._addressed(frame)
        if device is None or frame.control & REPLY or len(frame.data) < 3:
            return Answered(end, None, None)
        return Answered(end, self._told(device, frame).encoded(preamble=2), device)

    def _addressed(self, asked: Frame) -> int | None:
        for device, options in enumerate(self.options):
            own = self._address(device)
            if is_addressed(asked.address, own) and asked.type in (0xAA, int(options.type, 16)):
                return device
        return None

    def _address(self, device: int) -> bytes:
        return on_the_wire(self.lives[device].device.settings.address)

    def _told(self, device: int, asked: Frame) -> Frame:
        options, life = self.options[device], self.lives[device]
        own, head = self._address(device), asked.data[:3]
        kind = int(options.type, 16)
        if asked.control == READ_ADDRESS:
            return Frame(kind, own, READ_ADDRESS | REPLY, head)
        printed = head[:2] if options.order == "high_first" else head[1::-1]
        di = printed.hex().upper()
        if asked.control == READ:
            content = block(life, di)
            if content is not None:
                return Frame(kind, own, READ | REPLY, head + content)
        if asked.control == WRITE and self._write(life, di, asked.data[3:]):
            return Frame(kind, own, WRITE | REPLY, head + bytes([int(life.is_cut), 0xFF]))
        return Frame(kind, own, asked.control | REPLY | ERROR, head + bytes([NO_SUCH_DATA]))

    def _write(self, life: Life, di: str, data: bytes) -> bool:
        """Obey a command of the profile; return whether there is such a one."""
        for spec in life.device.profile.commands:
            if (spec.address.di, spec.address.data) == (di, data.hex().upper()):
                life.cut(spec.effect.value == "cut_supply")
                return True
        return False


def block(life: Life, di: str) -> bytes | None:
    """Return the data behind an identifier; None when the meter has none."""
    points = [p for p in life.device.profile.points if p.address.di == di]
    if not points:
        return None
    size = max(p.address.at + p.address.length for p in points)
    units = [p.address.unit_at for p in points if p.address.unit_at is not None]
    content = bytearray(max([size, *(at + 1 for at in units)]))
    for point in points:
        _put(content, point, life)
    return bytes(content)


def _put(content: bytearray, point: Point, life: Life) -> None:
    where: CjtAddress = point.address
    value = life.value(point)
    if where.datatype == "clock":
        now = datetime.now(ZoneInfo(life.device.settings.zone))
        raw = bytes.fromhex(now.strftime("%Y%m%d%H%M%S"))[::-1]
    elif where.datatype == "valve":
        raw = bytes([int(bool(value))])
    elif where.datatype == "bit":
        is_set = bool(life.values.get(point.key, False))
        raw = (is_set << where.bit).to_bytes(where.length, "little")
    else:
        steps = int(point.raw_of(Decimal(value)).to_integral_value())
        digits = f"{abs(steps) % 10 ** (2 * where.length):0{2 * where.length}d}"
        raw = bytes.fromhex(digits)[::-1]
    for i, byte in enumerate(raw):
        content[where.at + i] |= byte
    if where.unit_at is not None:
        content[where.unit_at] = next(iter(UNITS[point.uom]))
