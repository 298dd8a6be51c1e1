"""Meters that speak Modbus, each model described by a profile (Modbus 表计)."""

from pathlib import Path

from dougong.devices import Driver, Transport
from dougong.devices.modbus import ModbusAddress, ModbusCodec, ModbusSettings, ModbusWrite
from dougong.devices.profiles import read_profiles

PROFILES = Path(__file__).with_name("profiles") / "modbus"


def _simulator(devices, transport):  # type: ignore[no-untyped-def]
    from dougong.devices.modbus_simulator import ModbusResponder

    return ModbusResponder(devices, transport)


driver = Driver(
    id="modbus",
    title=("Modbus meter", "Modbus 表计"),
    transports=frozenset({Transport.TCP, Transport.RTU_TCP}),
    settings=ModbusSettings,
    point_address=ModbusAddress,
    command_address=ModbusWrite,
    profiles=read_profiles(PROFILES, ModbusAddress, ModbusWrite),
    codec=ModbusCodec,
    simulator=_simulator,
)
