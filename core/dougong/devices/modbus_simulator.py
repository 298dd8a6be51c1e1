"""Simulated Modbus devices. The framing and the messages are pymodbus's, not our codec's.

The only module that imports pymodbus: so what our codec is tested against was written by others,
and pymodbus's frequent changes of its interface meet one file.
"""

import logging
from collections.abc import Sequence
from decimal import Decimal

from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerBase, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsResponse,
    ReadDiscreteInputsResponse,
    WriteSingleCoilResponse,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersResponse,
    ReadInputRegistersResponse,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterResponse,
)

from dougong.devices.contract import SimulatedDevice, Transport
from dougong.devices.modbus import MAX_WORDS, ModbusAddress, ModbusWrite, pack
from dougong.devices.readings import Point
from dougong.devices.simulated import Answered, Life, Responder

TABLES = {
    1: "coil",
    2: "discrete",
    3: "holding",
    4: "input",
    5: "coil",
    6: "holding",
    16: "holding",
}
READS = {
    1: ReadCoilsResponse,
    2: ReadDiscreteInputsResponse,
    3: ReadHoldingRegistersResponse,
    4: ReadInputRegistersResponse,
}
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class ModbusResponder(Responder):
    """The Modbus devices behind one gateway; a number that nobody has stays mute.

    refusing: numbers of devices that answer every request with "device failure".
    """

    def __init__(self, devices: Sequence[SimulatedDevice], transport: Transport) -> None:
        super().__init__(devices)
        kind = FramerSocket if transport is Transport.TCP else FramerRTU
        self.framer: FramerBase = kind(DecodePDU(True))
        self.by_id = {device.settings.device_id: i for i, device in enumerate(devices)}
        self.written: dict[tuple[int, str, int], int | bool] = {}
        self.refusing: frozenset[int] = frozenset()

    def respond(self, buffer: bytes) -> Answered:
        try:
            used, asked = self.framer.handleFrame(buffer, 0, 0)
        except (ModbusException, IndexError, ValueError):
            return Answered(len(buffer), None, None)
        if asked is None:
            return Answered(used, None, None)
        device = self.by_id.get(asked.dev_id)
        if device is None:
            return Answered(used, None, None)
        told = self._told(device, asked)
        told.dev_id, told.transaction_id = asked.dev_id, asked.transaction_id
        return Answered(used, self.framer.buildFrame(told), device)

    def _told(self, device: int, asked: ModbusPDU) -> ModbusPDU:
        function = asked.function_code
        if device in self.refusing:
            return ExceptionResponse(function, 4)
        if function not in TABLES:
            return ExceptionResponse(function, ILLEGAL_FUNCTION)
        cells = self._cells(device, TABLES[function])
        if function in READS:
            span = range(asked.address, asked.address + asked.count)
            if not all(register in cells for register in span):
                return ExceptionResponse(function, ILLEGAL_ADDRESS)
            return _read(function, [cells[register] for register in span])
        given = list(asked.bits if function == 5 else asked.registers)
        if not all(asked.address + i in cells for i in range(len(given))):
            return ExceptionResponse(function, ILLEGAL_ADDRESS)
        for i, cell in enumerate(given):
            self.written[device, TABLES[function], asked.address + i] = cell
        self._obey(device, TABLES[function], asked.address, given)
        return _write(function, asked)

    def _cells(self, device: int, table: str) -> dict[int, int | bool]:
        """Return every register of a table that the device has, with its content."""
        life = self.lives[device]
        cells: dict[int, int | bool] = {}
        for point in life.device.profile.points:
            if point.address.table == table:
                cells.update(_content(point, life))
        for command in life.device.profile.commands:
            where: ModbusWrite = command.address
            if where.table == table:
                for i in range(where.count):
                    cells.setdefault(where.register_ + i, 0)
        states = {
            point.address.register_
            for point in life.device.profile.points
            if point.kind == "state" and point.address.table == table
        }
        for (owner, where_to, register), cell in self.written.items():
            if owner == device and where_to == table and register not in states:
                cells[register] = cell
        return cells

    def _obey(self, device: int, table: str, register: int, given: list[int | bool]) -> None:
        """Do what a command of the profile wants that wrote there, and show it at its read-back."""
        for command in self.lives[device].device.profile.commands:
            where: ModbusWrite = command.address
            if (where.table, where.register_) == (table, register) and where.value == given[0]:
                if command.effect == "cut_supply":
                    self.lives[device].cut(True)
                elif command.effect == "restore_supply":
                    self.lives[device].cut(False)
                elif command.verify is not None and command.verify.equals is not None:
                    self.lives[device].values[command.verify.point] = command.verify.equals


def _content(point: Point, life: Life) -> dict[int, int | bool]:
    where: ModbusAddress = point.address
    value = life.value(point)
    if where.is_bits:
        return {where.register_: bool(value)}
    if where.datatype == "bool":
        return {where.register_: int(bool(value)) << where.bit}
    if where.datatype == "string":
        data = str(value).encode().ljust(2 * where.length, b"\0")[: 2 * MAX_WORDS]
    else:
        data = pack(_steps(point, Decimal(str(value))), where)
    words = [int.from_bytes(data[i : i + 2]) for i in range(0, len(data), 2)]
    return {where.register_ + i: word for i, word in enumerate(words)}


def _steps(point: Point, value: Decimal) -> Decimal:
    raw = point.raw_of(value)
    return raw if point.address.datatype.startswith("float") else raw.to_integral_value()


def _read(function: int, cells: list[int | bool]) -> ModbusPDU:
    if function in (1, 2):
        return READS[function](bits=[bool(cell) for cell in cells])
    return READS[function](registers=[int(cell) for cell in cells])


def _write(function: int, asked: ModbusPDU) -> ModbusPDU:
    if function == 5:
        return WriteSingleCoilResponse(address=asked.address, bits=asked.bits)
    if function == 6:
        return WriteSingleRegisterResponse(address=asked.address, registers=asked.registers)
    return WriteMultipleRegistersResponse(address=asked.address, count=len(asked.registers))
