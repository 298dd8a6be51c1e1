"""How fast a line is polled, beside raw sockets and pymodbus that exchange the same bytes.

Usage: python bench/devices.py [--exchanges N] [--seconds N]. Prints one JSON line per figure, as
`_measure.py` does; ratio is ours / peer of the same round, so 1 is as fast as the peer. Raw sockets
write the request's bytes and wait for as many bytes as the answer has: no framing, no checksum, no
values. The last figure is the share of a core that the host takes for 1,000 devices (200 gateways,
four exchanges a device) asked every five seconds; the devices answer from a process of their own.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

from _measure import tell
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient

from dougong.devices.contract import DeviceConfig, GatewayConfig, SimulatedDevice, Transport
from dougong.devices.gate import COMMUNITY, POINTS
from dougong.devices.gate import driver as gate_driver
from dougong.devices.host import Host
from dougong.devices.memory import MemoryStore
from dougong.devices.modbus import ModbusSettings
from dougong.devices.modbus_simulator import ModbusResponder
from dougong.devices.simulated import SimulatedGateway
from dougong.devices.transports import Line

ROUNDS = 7
GATEWAYS, ON_EACH, EVERY_S = 200, 5, 5.0


class Echo(asyncio.Protocol):
    """Answers each request with the same prepared bytes, so that the peer costs nothing."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(self.answer)  # type: ignore[attr-defined]


async def raw(port: int, request: bytes, size: int, count: int) -> float:
    """Return exchanges per second over plain streams."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.perf_counter()
    for _ in range(count):
        writer.write(request)
        await reader.readexactly(size)
    taken = time.perf_counter() - began
    writer.close()
    return count / taken


async def pymodbus(port: int, count: int) -> float:
    """Return exchanges per second with pymodbus's own client, which also reads the values."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port, framer=FramerType.RTU, retries=0)
    await client.connect()
    began = time.perf_counter()
    for _ in range(count):
        said = await client.read_holding_registers(0, count=2, device_id=1)
        assert not said.isError()
    taken = time.perf_counter() - began
    client.close()
    return count / taken


async def compare(count: int) -> None:
    """Measure and print."""
    driver = gate_driver()
    profile = driver.profiles["gate"]
    codec = driver.open("gate", {"device_id": 1}, Transport.RTU_TCP)
    request = codec.plan_reads(profile.points[:1])[0]
    frame = codec.encode(request, 1)
    responder = ModbusResponder([SimulatedDevice(profile, ModbusSettings())], Transport.RTU_TCP)
    answer = responder.respond(frame).reply or b""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Echo(answer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def ours() -> float:
        line = Line("127.0.0.1", port, settle_s=1)
        began = time.perf_counter()
        for _ in range(count):
            answers = await line.ask(codec, request, 2)
            (found,) = codec.decode(request, answers)
            assert found.value is not None
        taken = time.perf_counter() - began
        line.close()
        return count / taken

    mine, sockets, peers = [], [], []
    for _ in range(ROUNDS):
        mine.append(await ours())
        sockets.append(await raw(port, frame, len(answer), count))
        peers.append(await pymodbus(port, count))
    tell("devices_exchanges_per_s_to_raw_sockets", "1/s", mine, sockets)
    tell("devices_exchanges_per_s_to_pymodbus", "1/s", mine, peers, reach=">= 0.9")
    server.close()
    async with SimulatedGateway(responder) as served:
        port = served.port
        tell("devices_exchanges_per_s_with_simulator", "1/s", [await ours() for _ in range(3)])


async def answer() -> None:
    """Play the devices until standard input ends; say the ports first."""
    profile = gate_driver().profiles["gate"]
    played = [SimulatedDevice(profile, ModbusSettings(device_id=n + 1)) for n in range(ON_EACH)]
    async with AsyncExitStack() as running:
        gateways = [
            SimulatedGateway(ModbusResponder(played, Transport.RTU_TCP)) for _ in range(GATEWAYS)
        ]
        for gateway in gateways:
            await running.enter_async_context(gateway)
        print(json.dumps([gateway.port for gateway in gateways]), flush=True)
        await asyncio.to_thread(sys.stdin.read)


def gateway(port: int, first: int) -> GatewayConfig:
    """Return a gateway as the host runs it. first: the number of its first device."""
    devices = tuple(
        DeviceConfig(
            UUID(int=first + n), COMMUNITY, f"device {first + n}", "gate", "gate",
            {"device_id": n + 1}, poll_s=EVERY_S,
        )
        for n in range(ON_EACH)
    )  # fmt: skip
    return GatewayConfig(
        uuid4(), COMMUNITY, f"bus {first}", Transport.RTU_TCP, devices, "127.0.0.1", port, 1.0, 0.3
    )


async def host(ports: list[int], seconds: float) -> None:
    """Poll all devices for a while; print the share of a core that it took."""
    store = MemoryStore([gateway(port, 1 + n * ON_EACH) for n, port in enumerate(ports)])
    shares = []
    async with Host(store, {"gate": gate_driver()}):
        await asyncio.sleep(EVERY_S + 1)
        before = len(store.readings)
        for _ in range(3):
            cpu, began = time.process_time(), time.perf_counter()
            await asyncio.sleep(seconds / 3)
            shares.append((time.process_time() - cpu) / (time.perf_counter() - began))
        good = sum(reading.value is not None for reading in store.readings[before:])
    asked = GATEWAYS * ON_EACH * POINTS * seconds / EVERY_S
    tell(
        "devices_1000_every_5_s_core", "cores", shares, reach="< 0.25", read=round(good / asked, 2)
    )


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exchanges", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.answer:
        asyncio.run(answer())
        return 0
    asyncio.run(compare(given.exchanges))
    with subprocess.Popen(
        [sys.executable, __file__, "--answer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as field:
        assert field.stdin is not None and field.stdout is not None
        asyncio.run(host(json.loads(field.stdout.readline()), given.seconds))
        field.stdin.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
