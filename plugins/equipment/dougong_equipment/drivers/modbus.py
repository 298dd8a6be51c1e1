"""Pumps, fans, lighting controllers and sensors that speak Modbus, each described by a profile."""

from pathlib import Path

from dougong.devices import Driver, Transport
from dougong.devices.modbus import ModbusAddress, ModbusCodec, ModbusSettings, ModbusWrite
from dougong.devices.profiles import read_profiles

PROFILES = Path(__file__).with_name("profiles") / "modbus"


def _simulator(devices, transport):  # type: ignore[no-untyped-def]
    from dougong.devices.modbus_simulator import ModbusResponder

    return ModbusResponder(devices, transport)


driver = Driver(
    id="equipment_modbus",
    title=("Modbus equipment", "Modbus 设备"),
    transports=frozenset({Transport.TCP, Transport.RTU_TCP}),
    settings=ModbusSettings,
    point_address=ModbusAddress,
    command_address=ModbusWrite,
    profiles=read_profiles(PROFILES, ModbusAddress, ModbusWrite),
    codec=ModbusCodec,
    simulator=_simulator,
)
