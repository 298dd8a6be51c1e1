"""The farm: sixty meters that answer on real sockets, for the demo and for trials.

Which meters there are is fixed, so that demo data can be written before any of them runs.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from dougong.devices.contract import Driver, SimulatedDevice, Transport
from dougong.devices.simulated import Faults, SimulatedGateway

FIRST_PORT = 15020


@dataclass(frozen=True)
class FarmMeter:
    """One simulated meter: what a row of the device table needs. start_kwh: its register."""

    serial: str
    settings: Mapping[str, Any]
    load_kw: float
    start_kwh: float


@dataclass(frozen=True)
class FarmGateway:
    """One simulated gateway with its meters."""

    name: str
    transport: Transport
    driver: str
    profile: str
    port: int
    meters: tuple[FarmMeter, ...]


def farm(first_port: int = FIRST_PORT) -> tuple[FarmGateway, ...]:
    """Return the sixty meters: 20 Modbus TCP, 20 Modbus RTU-over-TCP, 20 DL/T 645 over TCP."""
    kinds = [("Modbus TCP", Transport.TCP, "modbus", "three_phase_meter", 4),
             ("Modbus RTU", Transport.RTU_TCP, "modbus", "three_phase_meter", 2),
             ("DL/T 645", Transport.RTU_TCP, "dlt645", "single_phase_meter", 2)]  # fmt: skip
    gateways: list[FarmGateway] = []
    for kind, (title, transport, driver, profile, count) in enumerate(kinds):
        each = 20 // count
        for number in range(count):
            meters = tuple(_meter(driver, kind, number * each + i, i) for i in range(each))
            port = first_port + len(gateways)
            name = f"{title} {number + 1}"
            gateways.append(FarmGateway(name, transport, driver, profile, port, meters))
    return tuple(gateways)


def _meter(driver: str, kind: int, number: int, place: int) -> FarmMeter:
    if driver == "dlt645":
        serial = f"2026{kind}{number:07d}"
        settings: dict[str, Any] = {"address": serial, "password": "123456"}
    else:
        serial = f"26{kind}{number:05d}"
        settings = {"device_id": place + 1}
    load_kw = 0.2 + (number * 7 % 20) * 0.12
    return FarmMeter(serial, settings, load_kw, 800 + (number * 137 + kind * 53) % 4000)


def simulated_devices(driver: Driver, gateway: FarmGateway) -> list[SimulatedDevice]:
    """Return the meters of a gateway, ready for the driver's simulator."""
    profile = driver.profiles[gateway.profile]
    return [
        SimulatedDevice(
            profile, driver.settings(**meter.settings), meter.serial, meter.load_kw, meter.start_kwh
        )
        for meter in gateway.meters
    ]


def simulator(
    driver: Driver, gateway: FarmGateway, faults: Faults | None = None, host: str = "127.0.0.1"
) -> SimulatedGateway:
    """Return the server that plays a gateway; raises ValueError without a simulator."""
    if driver.simulator is None:
        raise ValueError(f"the driver {driver.id} has no simulator")
    responder = driver.simulator(simulated_devices(driver, gateway), gateway.transport)
    return SimulatedGateway(responder, faults, host, gateway.port)


async def run_farm(
    drivers: Mapping[str, Driver],
    gateways: Sequence[FarmGateway] | None = None,
    *,
    faults: Faults | None = None,
    host: str = "127.0.0.1",
    started: asyncio.Event | None = None,
) -> None:
    """Play the farm until cancelled; gateways of drivers that are not there are left out."""
    async with AsyncExitStack() as running:
        for gateway in gateways if gateways is not None else farm():
            if gateway.driver in drivers:
                served = simulator(drivers[gateway.driver], gateway, faults, host)
                await running.enter_async_context(served)
        if started is not None:
            started.set()
        await asyncio.Event().wait()
