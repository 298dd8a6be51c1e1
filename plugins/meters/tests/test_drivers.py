"""The drivers of meters keep what every driver promises."""

from dougong.devices import Transport
from dougong.testing.drivers import DriverConformance, Golden
from dougong_meters.drivers.cjt188 import driver as cjt188
from dougong_meters.drivers.dlt645 import driver as dlt645
from dougong_meters.drivers.modbus import driver as modbus


class TestModbusTcp(DriverConformance):
    driver, profile, transport = modbus, "three_phase_meter", Transport.TCP
    has_checksum = False
    golden = (
        Golden(
            ("energy_import",),
            sent="0001 0000 0006 01 03 0002 0002",
            answer="0001 0000 0007 01 03 04 0001 E240",
            values={"energy_import": "1234.56"},
        ),
        Golden(
            ("voltage_a", "current_a"),
            sent="0007 0000 0006 01 03 0010 0003",
            answer="0007 0000 0009 01 03 06 08FC FFFF FC18",
            values={"voltage_a": "230.0", "current_a": "-1"},
            sequence=7,
        ),
        Golden(
            ("is_cut",),
            sent="0001 0000 0006 01 01 0000 0001",
            answer="0001 0000 0004 01 01 01 01",
            values={"is_cut": "true"},
        ),
        Golden(
            ("power",),
            sent="0001 0000 0006 01 03 0020 0002",
            answer="0001 0000 0003 01 83 02",
            values={"power": None},
        ),
    )

    @classmethod
    def settings(cls, number):
        return {"device_id": number}


class TestModbusRtu(DriverConformance):
    driver, profile, transport = modbus, "three_phase_meter", Transport.RTU_TCP
    golden = (
        Golden(
            ("energy_import",),
            sent="01 03 0002 0002 65CB",
            answer="01 03 04 0001 E240 E2A3",
            values={"energy_import": "1234.56"},
        ),
    )

    @classmethod
    def settings(cls, number):
        return {"device_id": number}


class TestRoomClimate(DriverConformance):
    """An environment sensor is a profile and nothing else: below zero, and one part that fails."""

    driver, profile, transport = modbus, "room_climate", Transport.TCP
    has_checksum = False
    golden = (
        Golden(
            ("temperature", "humidity", "pm25", "noise"),
            sent="0001 0000 0006 01 04 0000 0004",
            answer="0001 0000 000B 01 04 08 FFCE 01C2 FFFF 020D",
            values={"temperature": "-5.0", "humidity": "45.0", "pm25": None, "noise": "52.5"},
        ),
    )

    @classmethod
    def settings(cls, number):
        return {"device_id": number}


class TestDlt645(DriverConformance):
    """The frame of a published note on the standard; more of them are in the kernel's tests."""

    driver, profile, transport = dlt645, "single_phase_meter", Transport.RTU_TCP
    number = 161
    secrets = {"password": "987654"}
    lists = {
        "holidays": (
            {"270101": "02", "270206": "02", "270207": "02", "270405": "03"},
            {"270101": "02", "270501": "03"},
        )
    }
    golden = (
        Golden(
            ("voltage_a",),
            sent="68 61 01 00 00 00 00 68 11 04 33 34 34 35 17 16",
            answer="68 61 01 00 00 00 00 68 91 06 33 34 34 35 34 43 10 16",
            values={"voltage_a": "100.1"},
        ),
    )

    @classmethod
    def settings(cls, number):
        return {"address": f"{number:012d}", "preamble": 0}


class TestCjt188(DriverConformance):
    """A frame of a published note; more of them are in the kernel's tests."""

    driver, profile, transport = cjt188, "water_valve_meter", Transport.RTU_TCP
    number = 805000001
    golden = (
        Golden(
            ("volume", "is_cut"),
            sent="68 10 01 00 00 05 08 00 00 01 03 90 1F 00 39 16",
            answer="68 10 01 00 00 05 08 00 00 81 16 90 1F 00 00 23 01 00 2C 00 00 00 00 2C"
            " 00 00 00 00 00 00 00 00 00 48 16",
            values={"volume": "123.00", "is_cut": "false"},
            sequence=0,
        ),
    )

    @classmethod
    def settings(cls, number):
        return {"address": f"{number:014d}", "preamble": 0}


class TestCjt188LowFirst(TestCjt188):
    """The same by makers whose frames do not name their request: the line must settle."""

    profile = "water_valve_meter_low_first"
    golden = (
        Golden(
            ("volume", "is_cut"),
            sent="68 10 01 00 00 05 08 00 00 01 03 1F 90 00 39 16",
            answer="68 10 01 00 00 05 08 00 00 81 16 1F 90 00 00 23 01 00 2C 00 00 00 00 2C"
            " 00 00 00 00 00 00 00 00 00 48 16",
            values={"volume": "123.00", "is_cut": "false"},
        ),
    )
