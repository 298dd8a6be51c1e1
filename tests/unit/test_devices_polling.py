"""When devices are asked: spread over their period, the same way at every start."""

import asyncio
from collections import Counter
from uuid import UUID

import pytest

from dougong.devices import DeviceConfig, GatewayConfig, Transport
from dougong.devices.host import Host
from dougong.devices.memory import MemoryStore
from dougong_meters.drivers.modbus import driver

PERIOD_S, TENTHS = 30, 10


def gateways(count, each):
    """Return gateways with devices of one period behind them; nobody listens there."""
    return [
        GatewayConfig(
            UUID(int=1000 + number), UUID(int=1), f"gateway {number}", Transport.TCP,
            tuple(
                DeviceConfig(UUID(int=100_000 + number * each + place), UUID(int=1), "meter",
                             "modbus", "three_phase_meter", {"device_id": place + 1},
                             poll_s=PERIOD_S)
                for place in range(each)
            ),
            "127.0.0.1", 1,
        )
        for number in range(count)
    ]  # fmt: skip


def phases(count, each):
    """Return when in their period devices are asked, as a share of it, by device."""

    async def start():
        host = Host(MemoryStore(gateways(count, each)), {"modbus": driver})
        async with host:
            await asyncio.sleep(0)
            now = asyncio.get_running_loop().time()
            return {
                (job.polled.config.id, job.number): (job.beat - now) % job.period_s / job.period_s
                for running in host.running.values()
                for job in running.gateway._jobs
            }

    return asyncio.run(start())


@pytest.mark.parametrize(("count", "each"), [(1, 60), (60, 1)], ids=["one line", "sixty lines"])
def test_devices_of_the_same_period_are_not_asked_at_once(count, each):
    found = phases(count, each)
    tenths = Counter(int(share * TENTHS) for share in found.values())
    assert len(found) >= 60 - count and len(tenths) >= 8
    assert max(tenths.values()) <= 0.3 * len(found)


def test_the_spread_is_the_same_after_a_restart():
    first, second = phases(1, 40), phases(1, 40)
    both = sorted(first.keys() & second.keys())
    assert len(both) >= 39
    for key in both:
        off = abs(first[key] - second[key])
        assert min(off, 1 - off) < 0.05
