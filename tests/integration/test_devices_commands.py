"""`dougong devices …` against a simulated gateway."""

import asyncio
import json
import threading
from random import Random

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from dougong.cli import main
from dougong.db.scope import Actor
from dougong.devices.models import Device, Gateway
from dougong.devices.simulators import Players, drivers_of
from dougong_meters import demo


@pytest.fixture
def served(installation, community):
    """Return a community whose demonstration devices are played, on free ports."""
    with installation.scope(Actor.system("test"), community=community) as scope:
        demo.load(scope, Random(1))
        for gateway in scope.session.scalars(select(Gateway)):
            gateway.port = 0
    started, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(play(installation, started, stop)))
    thread.start()
    assert started.wait(60)
    yield community
    stop.set()
    thread.join(10)


async def play(installation, started, stop):
    players = Players(installation, drivers_of(installation)[0])
    await players.follow()
    started.set()
    await asyncio.to_thread(stop.wait)
    await players.stop()


def test_a_device_is_asked_from_the_command_line(installation, served):
    with installation.scope(Actor.system("test"), community=served) as scope:
        device = scope.session.scalars(select(Device).order_by(Device.name)).first().id
    done = CliRunner().invoke(main, ["devices", "poll", str(device)], obj=installation)
    assert done.exit_code == 0, done.output
    said = {line.split()[0]: line.split()[1:] for line in done.output.splitlines()}
    assert said["voltage_a"][:2] == ["220.4", "good"]


def test_devices_are_listed(installation, served):
    done = CliRunner().invoke(main, ["devices", "list", "--json"], obj=installation)
    rows = [json.loads(line) for line in done.output.splitlines()]
    assert {r["driver"] for r in rows} >= {"modbus"}
    table = CliRunner().invoke(main, ["devices", "list"], obj=installation)
    assert table.exit_code == 0, table.output


def test_an_unknown_device_is_said_to_be_unknown(installation):
    done = CliRunner().invoke(main, ["devices", "poll", "nobody"], obj=installation)
    assert (done.exit_code, "nobody" in done.output) == (1, True)
