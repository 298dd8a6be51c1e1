"""The device process and the simulator process, as they run in the field; and killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random

import psycopg
import pytest
from sqlalchemy import select, text

from dougong.db.scope import Actor
from dougong.devices import process
from dougong.devices.models import Device, DeviceEvent, DeviceValue, Gateway
from dougong.plugins import watching
from dougong.testing.factories import make_place
from dougong_meters import demo
from dougong_meters.models import Reading

CHILD = Path(__file__).with_name("devices_child.py")


@pytest.fixture(scope="module")
def environment(settings, installation):
    """Return the environment of processes that use the test's installation."""
    return {
        **os.environ,
        "DOUGONG_HOME": str(settings.paths.home),
        "DOUGONG_DATABASE": settings.database,
    }


@contextmanager
def running(environment, *command):
    process = subprocess.Popen(
        [sys.executable, *command], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def entry(module):
    return ("-c", f"import sys; from dougong.devices import {module}; sys.exit({module}.main())")


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
    return found


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_device_process_watches_the_deadlines_of_plugins(installation, monkeypatch):
    """What hooks took in this process is written down, which only the watch does."""
    monkeypatch.setattr(watching, "LOOK_S", 0.05)
    monkeypatch.setattr(watching, "WRITE_S", 0.05)
    community = make_place(installation).community_id

    def calls():
        return sum(t.calls for t in watching.read_usage(installation) if t.plugin == "meters")

    async def run():
        stop = asyncio.Event()
        running = asyncio.create_task(process.run(installation, stop))
        try:
            async with asyncio.timeout(60):
                while await asyncio.to_thread(calls) == before:
                    await asyncio.sleep(0.05)
        finally:
            stop.set()
            await running

    before = calls()
    with installation.scope(Actor.system("test"), community=community) as scope:
        scope.ask("readings_received", readings=[])
    asyncio.run(run())
    assert not [t for t in threading.enumerate() if t.name == "plugins-watch"]


def test_demo_devices_are_played_read_and_stored_by_two_processes(installation, environment):
    community = make_place(installation).community_id
    system = Actor.system("test")
    with installation.scope(system, community=community) as scope:
        demo.load(scope, Random(1))
        for gateway in scope.session.scalars(select(Gateway)):
            gateway.port = free_port()
        scope.session.execute(text("update dougong.device set poll_s = 1"))

    def good():
        with installation.scope(system, community=community) as scope:
            query = select(DeviceValue).where(DeviceValue.quality == "good")
            return {(v.device_id, v.point): v for v in scope.session.scalars(query)}

    with (
        running(environment, *entry("simulators")),
        running(environment, *entry("process")) as host,
    ):
        values = until(lambda: (v := good()) and len(v) == 4 * 7 and v)
        assert {v.value for (_, point), v in values.items() if point == "voltage_a"} == {"220.4"}
        host.send_signal(signal.SIGTERM)
        assert host.wait(10) == 0
    with installation.scope(system, community=community) as scope:
        stored = scope.session.scalars(select(Reading).where(Reading.source == "collector"))
        newest = max(r.read_at for r in stored)
        # Of an hour the first is kept: in the one after midnight, what the meter froze then.
        midnight = scope.now.astimezone(scope.zone).replace(hour=0, minute=0, second=0)
        assert min(scope.now - newest, abs(newest - midnight)) < timedelta(seconds=60)
        serials = set(scope.session.scalars(select(Device.serial)))
    said = {v.value for (_, point), v in values.items() if point == "serial_no"}
    assert {int(s) for s in serials} == {int(s) for s in said}


@contextmanager
def database_away(test_server, roles=("app", "access", "platform")):
    """Refuse every connection of the application for a while."""
    with psycopg.connect(test_server.dsn(database="postgres"), autocommit=True) as link:
        for role in roles:
            link.execute(f"alter role dougong_{role} nologin")
        link.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = any (%s)",
            [[f"dougong_{role}" for role in roles]],
        )
        try:
            yield
        finally:
            for role in roles:
                link.execute(f"alter role dougong_{role} login")


def test_a_kill_loses_no_acknowledged_reading_and_stores_none_twice(
    installation, environment, test_server
):
    community = make_place(installation).community_id
    device = device_of(installation, community)
    acknowledged, number, places = set(), 1, set()
    dice = Random(3)
    for is_away in (False, True, False):
        with running(environment, str(CHILD), str(device), str(number)) as child:
            collect(child, acknowledged, places, 3)
            if is_away:
                with database_away(test_server):
                    installation.databases.dispose()
                    collect(child, acknowledged, places, 10, wanted="spool")
                    child.kill()
            else:
                collect(child, acknowledged, places, dice.randrange(5, 20))
                child.kill()
            collect(child, acknowledged, places, None)
        number = max(acknowledged) + 1000
    drained = subprocess.run([sys.executable, str(CHILD), str(device), "drain"], env=environment)
    assert drained.returncode == 0
    with installation.scope(Actor.system("test"), community=community) as scope:
        query = select(DeviceEvent.key).where(DeviceEvent.device_id == device)
        stored = [int(key) for key in scope.session.scalars(query)]
    assert places == {"database", "spool"}
    assert acknowledged - set(stored) == set()
    assert len(stored) == len(set(stored))


def device_of(installation, community):
    """Return the id of a device that nobody polls."""
    with installation.scope(Actor.system("test"), community=community) as scope:
        gateway = Gateway(name="gateway", transport="tcp", host="127.0.0.1", port=9)
        scope.session.add(gateway)
        scope.session.flush()
        device = Device(gateway_id=gateway.id, name="device", driver="modbus", is_enabled=False,
                        profile="three_phase_meter")  # fmt: skip
        scope.session.add(device)
        scope.session.flush()
        return device.id


def collect(child, acknowledged, places, lines, wanted=None):
    """Read what a child says is safe: so many lines, or all that is left of a dead one."""
    seen = 0
    while lines is None or seen < lines:
        line = child.stdout.readline()
        if not line.endswith("\n"):
            assert lines is None, "the child ended by itself"
            return
        place, numbers = json.loads(line)
        places.add(place)
        acknowledged.update(numbers)
        seen += wanted is None or place == wanted
