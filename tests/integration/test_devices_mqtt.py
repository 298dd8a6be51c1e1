"""Devices that push through a real broker, each with its own user and access list."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import time

import aiomqtt
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from dougong.db.scope import Actor
from dougong.devices import Transport
from dougong.devices import mqtt as mqtt_module
from dougong.devices.models import Device, DeviceEvent, DeviceValue, Gateway
from dougong.devices.mqtt import listen
from dougong.devices.receiving import Receiver
from dougong.events.delivery import deliver
from dougong.services import create
from dougong_equipment.models import AlarmRule, Equipment, EquipmentKind, Fault
from dougong_equipment.services import ledger

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
USERS = ("dougong", "nb-1", "nb-2")
ACL = """
pattern write dougong/+/%u/up
pattern read dougong/+/%u/down
user dougong
topic read dougong/+/+/up
topic write dougong/+/+/down
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """Return the port of a broker where each device may publish under its own name only."""
    if MOSQUITTO is None or shutil.which("mosquitto_passwd") is None:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say("the protocol peer mosquitto is not installed")
    home = tmp_path_factory.mktemp("broker")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (home / "acl").write_text(ACL)
    for number, user in enumerate(USERS):
        create = ["-c"] if number == 0 else []
        subprocess.run(["mosquitto_passwd", *create, "-b", home / "users", user, f"pw-{user}"],
                       check=True, capture_output=True)  # fmt: skip
    (home / "conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\npersistence false\n"
        f"password_file {home}/users\nacl_file {home}/acl\nuser root\n"
    )
    for name in ("acl", "users"):
        (home / name).chmod(0o600)
    process = subprocess.Popen([MOSQUITTO, "-c", home / "conf"], stderr=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield port
    process.terminate()
    process.wait()


@pytest.fixture
def meters(installation, community):
    """Make the meters nb-1 and nb-2 behind the broker."""
    with installation.scope(Actor.system(), community=community) as scope:
        gateway = Gateway(name="broker", transport=Transport.MQTT_PUSH)
        scope.session.add(gateway)
        scope.session.flush()
        scope.session.add_all(
            Device(gateway_id=gateway.id, name=name, driver="json_push",
                   profile="nb_water_meter", push_key=name)
            for name in USERS[1:]
        )  # fmt: skip


def message(key="m1", litres=12345):
    return json.dumps({"id": key, "values": {"litres": litres}})


async def tell(port, community, body, *, user="nb-1", name="nb-1", wait_s=2):
    """Publish as a device; return the one answer, if any comes in time.

    A listener that is stopped before it could acknowledge gets the last message again: its answer
    is left out.
    """
    own = json.loads(body).get("id") if body != "{" else None
    heard = []
    async with aiomqtt.Client("127.0.0.1", port, username=user, password=f"pw-{user}") as client:
        await client.subscribe(f"dougong/+/{user}/down", qos=1)
        await client.publish(f"dougong/{community}/{name}/up", body, qos=1)
        try:
            async with asyncio.timeout(wait_s):
                async for answer in client.messages:
                    said = json.loads(answer.payload)
                    if own is None or said["id"] == own:
                        heard.append(said)
                        break
        except TimeoutError:
            pass
    return heard


def listening(port, receive, action):
    """Run ``action`` while the listener takes messages in."""

    async def run():
        started = asyncio.Event()
        task = asyncio.create_task(
            listen(f"mqtt://dougong:pw-dougong@127.0.0.1:{port}", receive, started)
        )
        try:
            async with asyncio.timeout(20):
                await started.wait()
                return await action()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return asyncio.run(run())


def events(installation, community):
    with installation.scope(Actor.system(), community=community) as scope:
        return scope.session.scalar(select(func.count()).select_from(DeviceEvent))


def test_a_message_is_stored_and_answered_through_the_broker(
    installation, community, meters, broker
):
    receive = Receiver(installation).receive
    heard = listening(broker, receive, lambda: tell(broker, community, message()))
    assert heard == [{"id": "m1", "accepted": True}]
    with installation.scope(Actor.system(), community=community) as scope:
        assert scope.session.scalars(select(DeviceValue)).one().value == "12.345"


def test_a_device_cannot_speak_for_another(installation, community, meters, broker):
    receive = Receiver(installation).receive
    heard = listening(
        broker, receive, lambda: tell(broker, community, message(), user="nb-2", wait_s=0.7)
    )
    assert heard == []
    assert events(installation, community) == 0


def test_nonsense_does_not_stop_the_next_message(installation, community, meters, broker):
    async def both():
        assert await tell(broker, community, "{", wait_s=0.7) == []
        return await tell(broker, community, message("m2"))

    heard = listening(broker, Receiver(installation).receive, both)
    assert heard[-1] == {"id": "m2", "accepted": True}
    assert events(installation, community) == 1


def test_a_message_that_could_not_be_stored_comes_again(
    installation, community, meters, broker, monkeypatch
):
    monkeypatch.setattr(mqtt_module, "FIRST_WAIT_S", 0.1)
    real, tries = Receiver(installation).receive, []

    def receive(*arguments):
        if b'"m3"' in arguments[2]:
            tries.append(arguments)
            if len(tries) == 1:
                raise OperationalError("insert", {}, Exception("the database restarts"))
        return real(*arguments)

    heard = listening(broker, receive, lambda: tell(broker, community, message("m3")))
    assert heard == [{"id": "m3", "accepted": True}]
    assert len(tries) == 2
    assert events(installation, community) == 1


def test_messages_that_wait_are_stored_together_and_a_wrong_one_alone_is_left_out(
    installation, community, meters, broker
):
    receiver, tried, stored = Receiver(installation), [], []

    def together(community_id, messages):
        tried.append(len(messages))
        answers = receiver.receive_together(community_id, messages)
        stored.append(len(messages))
        return answers

    def alone(*arguments):
        time.sleep(0.3)  # so that others arrive meanwhile
        return receiver.receive(*arguments)

    async def publish(name, *bodies):
        login = {"username": name, "password": f"pw-{name}"}
        async with aiomqtt.Client("127.0.0.1", broker, **login) as client:
            for body in bodies:
                await client.publish(f"dougong/{community}/{name}/up", body, qos=1)

    async def until(count):
        while await asyncio.to_thread(events, installation, community) < count:
            await asyncio.sleep(0.05)

    async def run():
        started = asyncio.Event()
        url = f"mqtt://dougong:pw-dougong@127.0.0.1:{broker}"
        task = asyncio.create_task(listen(url, alone, started, together))
        async with asyncio.timeout(20):
            await started.wait()
            await publish("nb-1", *(message(f"m{n % 4}", 100 + n) for n in range(5)))
            await publish("nb-2", message("m6", 106))
            await until(5)
            assert stored and tried == stored
            await publish("nb-1", message("m7", 107), "{", message("m8", 108))
            await until(7)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert len(tried) > len(stored), "the wrong one was among several"
    with installation.scope(Actor.system(), community=community) as scope:
        values = dict(scope.session.execute(
            select(Device.name, DeviceValue.value)
            .join(Device, Device.id == DeviceValue.device_id)
        ).all())  # fmt: skip
    assert values == {"nb-1": "0.108", "nb-2": "0.106"}


def test_water_on_the_floor_told_through_the_broker_becomes_a_work_order(
    installation, community, broker
):
    with installation.scope(Actor.system(), community=community) as scope:
        ledger.add_kinds(scope)
        kinds = select(EquipmentKind.id).where(EquipmentKind.name == "环境传感器")
        gateway = create(scope, Gateway, {"name": "broker", "transport": Transport.MQTT_PUSH})
        values = {"driver": "equipment_push", "profile": "environment_node", "push_key": "nb-1"}
        device = create(scope, Device, {"gateway_id": gateway.id, "name": "节点", **values})
        values = {"name": "水泵房节点", "kind_id": scope.session.scalars(kinds).one()}
        values |= {"device_id": device.id, "commissioned_on": scope.today}
        sensor = create(scope, Equipment, values)
        values = {"equipment_id": sensor.id, "name": "地面浸水", "point": "is_wet", "delay_s": 0}
        create(scope, AlarmRule, {**values, "comparison": "is_on", "urgency": "emergency"})
    body = json.dumps({"id": "w1", "values": {"wet": True, "temperature": 18.2}})

    async def stored():
        await tell(broker, community, body, wait_s=0.7)
        while await asyncio.to_thread(events, installation, community) < 1:
            await asyncio.sleep(0.05)

    listening(broker, Receiver(installation).receive, stored)
    deliver(installation, community)
    with installation.scope(Actor.system(), community=community) as scope:
        [fault] = scope.session.scalars(select(Fault)).all()
        assert ("地面浸水" in fault.text, fault.urgency) == (True, "emergency")
        assert fault.work_order is not None
