"""A thousand meters polled on one loop, over real sockets, with mute, refusing and late ones.

Usage: python bench/polling.py [--devices N] [--seconds N] [--poll-s N]. The field is the gate's
(`dougong.devices.gate`): one to five meters of four points on a bus, each point with a value of its
own so that a value of another point or meter is seen as wrong; the simulators are a process of
their own. Tells readings and exchanges per second, the share of one core that the polling process
needs for everything (reading configuration, polling, judging, keeping in memory), how late its loop
woke up, and the wrong values, which fail the bench. One JSON line per figure, as in README.md;
spread: of the whole seconds of the run.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from _measure import tell

from dougong.devices.contract import GatewayConfig
from dougong.devices.gate import SETTLE_S, Field, Tally, _at, _watch, driver, judge
from dougong.devices.host import Host
from dougong.devices.memory import MemoryStore

WARM_UP_S = 6


@dataclass
class Seconds:
    """What each whole second of a run cost and brought."""

    cpu_s: list[float]
    readings: list[int]


def field(devices: int) -> Field:
    """Return the same field in every process."""
    made = Field(driver(), SETTLE_S, random.Random(1))
    made.plant(devices)
    return made


async def serve(devices: int) -> None:
    """Play the field, tell its ports, and end with standard input."""
    played = field(devices)
    async with AsyncExitStack() as running:
        for server, _ in played.servers:
            await running.enter_async_context(server)
        print(json.dumps([server.port for server, _ in played.servers]), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(sum(server.requests for server, _ in played.servers), flush=True)


def gateways(played: Field, ports: Sequence[int], poll_s: float) -> list[GatewayConfig]:
    """Return what the host runs; every meter is due once in ``poll_s``."""
    found = []
    for (server, numbers), port in zip(played.servers, ports, strict=True):
        server.port = port
        config = played.config(server, numbers)
        devices = tuple(replace(device, poll_s=poll_s) for device in config.devices)
        found.append(replace(config, devices=devices))
    return found


async def poll(store: MemoryStore, seconds: int, tally: Tally) -> Seconds:
    """Run the host; count the seconds after it has warmed up."""
    spent = Seconds([], [])
    watching = asyncio.create_task(_watch(tally.lags))
    async with Host(store, {"gate": driver()}):
        await asyncio.sleep(WARM_UP_S)
        tally.lags.clear()
        for _ in range(seconds):
            cpu, known = time.process_time(), len(store.readings)
            await asyncio.sleep(1)
            spent.cpu_s.append(time.process_time() - cpu)
            spent.readings.append(len(store.readings) - known)
    watching.cancel()
    return spent


def measure(given: argparse.Namespace) -> int:
    """Poll, print the figures, and return 1 when a value was wrong."""
    played, tally = field(given.devices), Tally()
    command = [sys.executable, __file__, "--devices", str(given.devices), "--serve"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as simulators:
        assert simulators.stdin is not None and simulators.stdout is not None
        ports = json.loads(simulators.stdout.readline())
        store = MemoryStore(gateways(played, ports, given.poll_s))
        began = time.perf_counter()
        spent = asyncio.run(poll(store, given.seconds, tally))
        took = time.perf_counter() - began
        simulators.stdin.close()
        exchanges = int(simulators.stdout.readline())
    judge(tally, store.readings, played.truth, played.mute | played.refusing)
    name = f"poll_{given.devices}_devices"
    more = {"poll_s": given.poll_s, "buses": len(ports), "devices_read": tally.devices_read}
    tell(f"{name}_core_share", "cores", spent.cpu_s, reach="<= 0.25", **more)
    qualities = Counter({str(k): v for k, v in tally.qualities.items()})
    tell(f"{name}_readings_per_s", "1/s", spent.readings, qualities=dict(sorted(qualities.items())))
    tell(f"{name}_exchanges_per_s", "1/s", [exchanges / took])
    tell(f"{name}_loop_lag_p99_ms", "ms", [_at(sorted(tally.lags) or [0.0], 0.99) * 1000])
    wrong = tally.wrong + tally.from_the_mute
    tell(f"{name}_wrong_values", "readings", [wrong], reach="0")
    return 1 if wrong or tally.devices_read < 0.85 * given.devices else 0


def main() -> int:
    """Run the bench, or with --serve the field of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--poll-s", type=float, default=5.0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.devices))
        return 0
    return measure(given)


if __name__ == "__main__":
    sys.exit(main())
