"""How fast a line is polled, beside raw sockets and pymodbus that exchange the same bytes.

Usage: python bench/devices.py [--exchanges N]. Prints one JSON line per figure: name, value, unit,
against (the peer's value), ratio (ours / peer for rates, so 1 is as fast as raw sockets), spread
(largest less smallest of the runs, in the same unit). Raw sockets write the request's bytes and
wait for as many bytes as the answer has: no framing, no checksum, no values.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient

from dougong.devices.contract import SimulatedDevice, Transport
from dougong.devices.gate import driver as gate_driver
from dougong.devices.modbus import ModbusSettings
from dougong.devices.modbus_simulator import ModbusResponder
from dougong.devices.simulated import SimulatedGateway
from dougong.devices.transports import Line

RUNS = 5


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


async def median(measure: Callable[[], Awaitable[float]]) -> tuple[float, float]:
    """Return median and spread of some runs."""
    found = [await measure() for _ in range(RUNS)]
    return statistics.median(found), max(found) - min(found)


async def compare(count: int) -> int:
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

    mine, spread = await median(ours)
    peer, _ = await median(lambda: raw(port, frame, len(answer), count))
    say("devices.exchanges_per_second_to_raw_sockets", mine, "1/s", peer, spread)
    peer, _ = await median(lambda: pymodbus(port, count))
    say("devices.exchanges_per_second_to_pymodbus", mine, "1/s", peer, spread)
    server.close()
    async with SimulatedGateway(responder) as served:
        port = served.port
        mine, spread = await median(ours)
    say("devices.exchanges_per_second_with_simulator", mine, "1/s", None, spread)
    return 0


def say(name: str, value: float, unit: str, against: float | None, spread: float) -> None:
    """Print one figure."""
    ratio = None if against is None else value / against if unit == "1/s" else against / value
    figure = {
        "name": name,
        "value": round(value, 2),
        "unit": unit,
        "against": None if against is None else round(against, 2),
        "ratio": None if ratio is None else round(ratio, 2),
        "spread": round(spread, 2),
    }
    print(json.dumps(figure), flush=True)


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exchanges", type=int, default=3000)
    return asyncio.run(compare(parser.parse_args().exchanges))


if __name__ == "__main__":
    sys.exit(main())
