"""The devices' gate: 250 devices, mute, refusing, late and noisy ones, and no wrong value.

``python -m dougong.devices.gate [--devices 250] [--seconds 30]`` first shows that it would count:
with lines that do not settle after silence it must find wrong values. Then it polls with the
protection on, prints one line per count, and exits 1 on any wrong value.

Every point of every device has a value of its own, so a value that belongs to another point or
device is seen as such. No device says its number here: that second guard would hide the first.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from dougong.devices.contract import (
    DeviceConfig,
    Driver,
    GatewayConfig,
    SimulatedDevice,
    Transport,
)
from dougong.devices.host import Host
from dougong.devices.memory import MemoryStore
from dougong.devices.modbus import ModbusAddress, ModbusCodec, ModbusSettings, ModbusWrite
from dougong.devices.modbus_simulator import ModbusResponder
from dougong.devices.profiles import read_profile
from dougong.devices.readings import Quality, Reading
from dougong.devices.simulated import Faults, SimulatedGateway

POINTS = 4
PROFILE = 'id = "gate"\nversion = 1\nmaker = "gate"\nmodel = "four numbers"\n' + "".join(
    f'[[points]]\nkey = "p{n}"\naddress = {{register = {n * 100}, datatype = "uint32"}}\n'
    for n in range(POINTS)
)
COMMUNITY = UUID(int=1)
TIMEOUT_S, LATE_S, SETTLE_S = 0.25, 0.33, 0.3
MUTE, REFUSING, LATE, GARBAGE, DROP = 0.05, 0.04, 0.05, 0.01, 0.002
LAG_S = 0.02


@dataclass
class Tally:
    """What a run counted. lags: how late the loop woke up, in seconds."""

    readings: int = 0
    wrong: int = 0
    from_the_mute: int = 0
    devices_read: int = 0
    qualities: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    cpu_s: float = 0
    lags: list[float] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the counts as lines to print."""
        lags = sorted(self.lags) or [0.0]
        return [
            f"requests answered or not: {self.requests}",
            f"readings: {self.readings} ({', '.join(f'{k} {v}' for k, v in self._sorted())})",
            f"devices that were read: {self.devices_read}",
            f"processor: {self.cpu_s:.1f} s; loop lag p99 {_at(lags, 0.99) * 1000:.0f} ms",
            f"values of mute devices: {self.from_the_mute}",
            f"wrong values: {self.wrong}",
        ]

    def _sorted(self) -> list[tuple[str, int]]:
        return sorted(self.qualities.items())


def driver() -> Driver:
    """Return a Modbus driver with the gate's own profile."""
    profile = read_profile(PROFILE, "gate", ModbusAddress, ModbusWrite)
    return Driver(
        id="gate",
        title=("Gate", "门禁测试"),
        transports=frozenset({Transport.TCP, Transport.RTU_TCP}),
        settings=ModbusSettings,
        point_address=ModbusAddress,
        command_address=ModbusWrite,
        profiles={"gate": profile},
        codec=ModbusCodec,
        simulator=ModbusResponder,
    )


@dataclass
class Field:
    """The simulated field: gateways on real sockets, what each point must say, who is mute."""

    driver: Driver
    settle_s: float
    dice: random.Random
    servers: list[tuple[SimulatedGateway, list[int]]] = field(default_factory=list)
    truth: dict[tuple[UUID, str], Decimal] = field(default_factory=dict)
    mute: set[UUID] = field(default_factory=set)
    refusing: set[UUID] = field(default_factory=set)

    def plant(self, devices: int) -> None:
        """Put a third of the devices alone on their bus, the others five to a bus."""
        first = 1
        while first <= devices:
            size = 1 if first <= devices // 3 else min(5, devices - first + 1)
            self._gateway(list(range(first, first + size)))
            first += size

    def _gateway(self, numbers: list[int]) -> None:
        profile = self.driver.profiles["gate"]
        played = [
            SimulatedDevice(profile, ModbusSettings(device_id=i + 1)) for i in range(len(numbers))
        ]
        faults = Faults(
            late=LATE, late_s=LATE_S, garbage=GARBAGE, drop=DROP, answer_s=(0.03, 0.12),
            seed=self.dice.randrange(1 << 30),
        )  # fmt: skip
        responder = ModbusResponder(played, Transport.RTU_TCP)
        mute, refusing = set(), set()
        for place, number in enumerate(numbers):
            device = UUID(int=number)
            values = {f"p{n}": Decimal(number * 10 + n) for n in range(POINTS)}
            responder.lives[place].values = dict(values)
            self.truth |= {(device, key): value for key, value in values.items()}
            draw = self.dice.random()
            if draw < MUTE:
                mute.add(place)
                self.mute.add(device)
            elif draw < MUTE + REFUSING:
                refusing.add(place)
                self.refusing.add(device)
        faults.mute_devices, responder.refusing = frozenset(mute), frozenset(refusing)
        self.servers.append((SimulatedGateway(responder, faults), numbers))

    def config(self, server: SimulatedGateway, numbers: Sequence[int]) -> GatewayConfig:
        """Return the gateway as the host runs it; one alone on its bus is asked without pause."""
        poll_s = 0.1 if len(numbers) == 1 else 1.0
        devices = tuple(
            DeviceConfig(
                UUID(int=number), COMMUNITY, f"device {number}", "gate", "gate",
                {"device_id": place + 1}, poll_s=poll_s,
            )
            for place, number in enumerate(numbers)
        )  # fmt: skip
        return GatewayConfig(
            uuid4(), COMMUNITY, f"bus {numbers[0]}", Transport.RTU_TCP, devices, server.host,
            server.port, TIMEOUT_S, self.settle_s,
        )  # fmt: skip


async def run(devices: int, seconds: float, settle_s: float, seed: int = 1) -> Tally:
    """Poll a field of devices for a while; return what was counted."""
    played = Field(driver(), settle_s, random.Random(seed))
    played.plant(devices)
    async with AsyncExitStack() as running:
        for server, _ in played.servers:
            await running.enter_async_context(server)
        store = MemoryStore([played.config(s, numbers) for s, numbers in played.servers])
        tally, cpu = Tally(), time.process_time()
        watching = asyncio.create_task(_watch(tally.lags))
        async with Host(store, {"gate": played.driver}, flush_s=0.2):
            await asyncio.sleep(seconds)
        watching.cancel()
        tally.cpu_s = time.process_time() - cpu
        tally.requests = sum(server.requests for server, _ in played.servers)
    return judge(tally, store.readings, played.truth, played.mute | played.refusing)


def judge(
    tally: Tally,
    readings: Sequence[Reading],
    truth: Mapping[tuple[UUID, str], Any],
    silent: set[UUID],
) -> Tally:
    """Count the readings whose value is not the one that the point has."""
    for reading in readings:
        tally.readings += 1
        tally.qualities[reading.quality.value] += 1
        if reading.value is None:
            continue
        tally.wrong += reading.value != truth[reading.device_id, reading.point]
        tally.from_the_mute += reading.device_id in silent
    good = {r.device_id for r in readings if r.quality is Quality.GOOD}
    tally.devices_read = len(good)
    return tally


async def _watch(lags: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_S
        await asyncio.sleep(LAG_S)
        lags.append(loop.time() - due)


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gate; return 0 when nothing is wrong."""
    parser = argparse.ArgumentParser(prog="python -m dougong.devices.gate")
    parser.add_argument("--devices", type=int, default=250)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args(arguments)
    without = asyncio.run(run(options.devices, options.seconds / 3, settle_s=0))
    print(f"protection off: {without.wrong} wrong of {without.readings} readings")
    if without.wrong == 0:
        print("the gate would not see a wrong value: it proves nothing")
        return 1
    tally = asyncio.run(run(options.devices, options.seconds, SETTLE_S))
    print("\n".join(tally.lines()))
    enough = tally.devices_read >= 0.85 * options.devices
    return 0 if enough and not tally.wrong and not tally.from_the_mute else 1


if __name__ == "__main__":
    sys.exit(main())
