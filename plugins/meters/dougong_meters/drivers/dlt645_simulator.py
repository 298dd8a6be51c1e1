"""Simulated DL/T 645-2007 meters: read, read rest, read address, relay with password, status.

A meter answers only its own address, the wildcard and shortened addresses; it is silent to
others, to the broadcast address, and to frames whose checksum is wrong.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from dougong.devices import SimulatedDevice
from dougong.devices.readings import Point, Value
from dougong.devices.simulated import Answered, Life, Responder
from dougong_meters.drivers.dlt645 import (
    CONTROL,
    CONTROLS,
    ERROR,
    MORE,
    READ,
    READ_REST,
    REPLY,
    WRITE,
    Dlt645Address,
    Frame,
    scan,
)
from dougong_meters.drivers.framing import is_addressed, on_the_wire

READ_ADDRESS = 0x13
NO_SUCH_DATA, NOT_PERMITTED, OTHER = 0x02, 0x04, 0x01
NAMES = {number: name for name, number in CONTROLS.items()}


class Dlt645Responder(Responder):
    """The meters on one bus. part: bytes per frame before the rest must be asked for."""

    def __init__(self, devices: Sequence[SimulatedDevice], part: int = 200) -> None:
        super().__init__(devices)
        self.part = part
        self.by_address = {
            on_the_wire(device.settings.address): i for i, device in enumerate(devices)
        }
        self.written: list[dict[str, bytes]] = [_empty_lists(device) for device in devices]
        self.keeps_power: set[int] = set()

    def respond(self, buffer: bytes) -> Answered:
        _, end, frame = scan(buffer)
        if frame is None:
            return Answered(end if end < len(buffer) else 0, None, None)
        device = self._addressed(frame.address)
        if device is None or frame.control & REPLY:
            return Answered(end, None, None)
        told = self._told(device, frame)
        return Answered(end, told.encoded(preamble=2) if told else None, device)

    def _addressed(self, asked: bytes) -> int | None:
        for address, device in self.by_address.items():
            if is_addressed(asked, address):
                return device
        return None

    def _told(self, device: int, asked: Frame) -> Frame | None:
        own = on_the_wire(self.lives[device].device.settings.address)
        if asked.control == READ_ADDRESS:
            return Frame(own, READ_ADDRESS | REPLY, own)
        if asked.control in (READ, READ_REST) and len(asked.data) >= 4:
            return self._reading(device, own, asked)
        obey = {CONTROL: self._control, WRITE: self._write}.get(asked.control)
        if obey is not None and len(asked.data) >= 14:
            error = obey(device, asked.data)
            if error:
                return Frame(own, asked.control | REPLY | ERROR, bytes([error]))
            return Frame(own, asked.control | REPLY, b"")
        return Frame(own, asked.control | REPLY | ERROR, bytes([OTHER]))

    def _reading(self, device: int, own: bytes, asked: Frame) -> Frame:
        di = asked.data[:4][::-1].hex().upper()
        content = self.written[device].get(di) or block(self.lives[device], di)
        if content is None:
            return Frame(own, asked.control | REPLY | ERROR, bytes([NO_SUCH_DATA]))
        number = asked.data[4] if asked.control == READ_REST else 0
        piece = content[number * self.part : (number + 1) * self.part]
        more = MORE if len(content) > (number + 1) * self.part else 0
        tail = bytes([number]) if asked.control == READ_REST else b""
        return Frame(own, asked.control | REPLY | more, asked.data[:4] + piece + tail)

    def _may(self, device: int, authority: bytes) -> bool:
        settings = self.lives[device].device.settings
        secret = bytes.fromhex(settings.password.get_secret_value())[::-1]
        return authority[:4] == bytes.fromhex(settings.password_level) + secret

    def _write(self, device: int, data: bytes) -> int:
        """Obey function 14 for what the model's lists cover; return the error byte, or 0."""
        di, content = data[:4][::-1].hex().upper(), data[12:]
        if not self._may(device, data[4:]):
            return NOT_PERMITTED
        if len(self.written[device].get(di, b"")) != len(content):
            return NO_SUCH_DATA
        self.written[device][di] = content
        return 0

    def _control(self, device: int, data: bytes) -> int:
        """Obey function 1C; return the error byte, 0 when it was done."""
        life = self.lives[device]
        if not self._may(device, data) or len(data) != 16:
            return NOT_PERMITTED
        until = datetime.strptime(data[10:16].hex(), "%S%M%H%d%m%y").replace(tzinfo=_zone(life))
        name = NAMES.get(data[8])
        if name is None or until <= datetime.now(_zone(life)):
            return OTHER
        if name == "trip" and device in self.keeps_power:
            return OTHER
        if name in ("trip", "close", "allow_close"):
            life.cut(name == "trip")
        elif name.startswith("keep_power"):
            (self.keeps_power.add if name.endswith("on") else self.keeps_power.discard)(device)
        return 0


def _empty_lists(device: SimulatedDevice) -> dict[str, bytes]:
    """Return what a new meter says behind the data identifiers of its lists."""
    empty: dict[str, bytes] = {}
    for spec in device.profile.lists:
        empty[spec.address.count] = bytes(2)
        empty |= {spec.address.slot(n): bytes(4) for n in range(1, spec.capacity + 1)}
    return empty


def block(life: Life, di: str) -> bytes | None:
    """Return the data behind an identifier, lowest byte first; None when the meter has none."""
    points = [p for p in life.device.profile.points if p.address.di == di]
    if not points:
        return None
    content = b""
    ordered = sorted(points, key=lambda p: p.address.item)
    for item, sharing in groupby(ordered, key=lambda p: p.address.item):
        first = next(iter(sharing))
        content = content.ljust(item * first.address.length, b"\0")
        content += _item([p for p in points if p.address.item == item], life)
    return content


def _item(points: list[Point], life: Life) -> bytes:
    where: Dlt645Address = points[0].address
    if where.datatype == "bit":
        bits = sum(bool(life.value(p)) << p.address.bit for p in points)
        return bits.to_bytes(where.length, "little")
    value = life.value(points[0])
    if where.datatype == "clock":
        digits = datetime.now(_zone(life)).strftime(
            "%y%m%d%H%M%S" if where.length == 6 else "%y%m%d0%w%H%M%S"
        )
    elif where.datatype == "text":
        digits = str(value).zfill(2 * where.length)
    else:
        return _number(points[0], value)
    return bytes.fromhex(digits)[::-1]


def _number(point: Point, value: Value) -> bytes:
    where: Dlt645Address = point.address
    raw = int(point.raw_of(Decimal(value)).to_integral_value())
    data = bytearray.fromhex(f"{abs(raw) % 10 ** (2 * where.length):0{2 * where.length}d}")
    if raw < 0:
        data[0] |= 0x80
    return bytes(data[::-1])


def _zone(life: Life):  # type: ignore[no-untyped-def]
    from zoneinfo import ZoneInfo

    return ZoneInfo(life.device.settings.zone)
