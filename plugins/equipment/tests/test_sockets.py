"""Pump, fan, lighting and sensor over real sockets: values, alarm, order, read-back."""

import asyncio
from decimal import Decimal

import pytest
from sqlalchemy import select

from dougong.devices import CommandState, Transport
from dougong.devices.configuration import drivers_of, simulated_device
from dougong.devices.models import Device, DeviceCommand, DeviceValue, Gateway
from dougong.devices.process import host_of
from dougong.devices.simulated import SimulatedGateway
from dougong.errors import Conflict
from dougong.events.delivery import deliver
from dougong.services import create
from dougong_equipment import services
from dougong_equipment.domain.kinds import AlarmState, Comparison
from dougong_equipment.models import Alarm, AlarmRule, Condition, Equipment, Fault

MADE = {
    "pump": {"is_running": False, "is_faulty": False, "pressure": 0.42, "current": 18.6},
    "fan": {"is_running": False, "speed": 60, "bearing_temperature": 46},
    "lighting": {"is_on": False, "level": 80, "power": 0},
    "environment": {"temperature": 17.4, "humidity": 61, "level": 0.62, "is_wet": False},
}
ORDERS = (
    ("pump", "start", "", "True"),
    ("pump", "stop", "", "False"),
    ("fan", "start", "", "True"),
    ("fan", "set_speed", "45", "45"),
    ("fan", "stop", "", "False"),
    ("lighting", "turn_on", "", "True"),
    ("lighting", "set_level", "30", "30"),
)


@pytest.fixture
def plant(enter, stand):
    """Return the ids of four pieces of equipment and the simulated gateway that plays them."""
    with enter() as scope:
        values = {"name": "机房网关", "transport": Transport.TCP, "host": "127.0.0.1", "port": 1}
        gateway = create(scope, Gateway, {**values, "timeout_s": "1", "settle_s": "0"}).id
        devices = {}
        for number, (profile, said) in enumerate(MADE.items()):
            row = Device(
                gateway_id=gateway, name=profile, driver="equipment_modbus", profile=profile,
                settings={"device_id": number + 1}, poll_s=1, simulation={"values": said},
            )  # fmt: skip
            scope.session.add(row)
            scope.session.flush()
            devices[profile] = row.id
        drivers, _ = drivers_of(scope.installation)
        rows = [scope.get(Device, each) for each in devices.values()]
        played = [simulated_device(row, drivers) for row in rows]
    made = {
        profile: stand(profile, kind, device_id=devices[profile])
        for profile, kind in zip(
            MADE, ("生活给水泵", "风机", "公共照明", "环境传感器"), strict=True
        )
    }
    responder = drivers.working["equipment_modbus"].simulator(played, Transport.TCP)
    lives = dict(zip(MADE, responder.lives, strict=True))
    with enter() as scope:
        watched = {"watched_id": made["environment"], "point": "is_wet", "name": "浸水禁启"}
        watched |= {"equipment_id": made["pump"], "command": "start"}
        create(scope, Condition, {**watched, "comparison": Comparison.IS_ON})
        values = {"equipment_id": made["environment"], "name": "液位高", "point": "level"}
        values |= {"threshold": "1.5", "dead_band": "0.3", "delay_s": 1, "urgency": "urgent"}
        create(scope, AlarmRule, {**values, "comparison": Comparison.ABOVE})
    return made, devices, lives, SimulatedGateway(responder)


def test_four_models_are_read_watched_and_controlled_over_sockets(
    installation, place, enter, plant, engineer
):
    made, devices, lives, served = plant

    def values():
        with enter() as scope:
            found = scope.session.scalars(select(DeviceValue)).all()
            return {(v.device_id, v.point): v.value for v in found if v.quality == "good"}

    def said(profile, point):
        return values().get((devices[profile], point))

    async def until(look):
        while not (found := look()):
            await asyncio.sleep(0.05)
        return found

    def alarm():
        with enter() as scope:
            services.watch(scope)
            return scope.session.scalars(select(Alarm.state)).one_or_none()

    async def obeyed(profile, name, value):
        with enter(engineer) as scope:
            equipment = scope.get(Equipment, made[profile])
            ordered = services.control(scope, equipment, name, "试验", value).id

        def ended():
            with enter() as scope:
                command = scope.get(DeviceCommand, ordered)
                return (command.state, command.readback) if command.ended_at else None

        return await until(ended)

    async def run():
        async with served:
            with enter() as scope:
                scope.session.scalars(select(Gateway)).one().port = served.port
            host = host_of(installation, flush_s=0.05, reload_s=0.1)
            async with host, asyncio.timeout(60):
                await until(lambda: len({device for device, _ in values()}) == len(MADE))
                assert Decimal(said("environment", "temperature")) == Decimal("17.4")
                assert Decimal(said("pump", "pressure")) == Decimal("0.42")
                for profile, name, value, read in ORDERS:
                    assert await obeyed(profile, name, value) == (CommandState.CONFIRMED, read)
                assert [lives[profile].values["is_running"] for profile in ("pump", "fan")] == [
                    False, False,
                ]  # fmt: skip
                assert lives["lighting"].values["is_on"] is True
                lives["environment"].values |= {"level": Decimal("1.7"), "is_wet": True}
                await until(lambda: said("environment", "is_wet") == "true")
                before = served.requests
                with enter(engineer) as scope, pytest.raises(Conflict):
                    services.control(scope, scope.get(Equipment, made["pump"]), "start", "试验")
                assert lives["pump"].values["is_running"] is False
                await until(lambda: alarm() is AlarmState.RAISED)
                lives["environment"].values["level"] = Decimal("1.3")
                await until(lambda: Decimal(said("environment", "level")) == Decimal("1.3"))
                assert (alarm(), served.requests > before) == (AlarmState.RAISED, True)
                lives["environment"].values["level"] = Decimal("1.1")
                await until(lambda: alarm() is AlarmState.OVER)
            host.store.spool.close()

    asyncio.run(run())
    deliver(installation, place.community_id)
    with enter() as scope:
        [fault] = scope.session.scalars(select(Fault)).all()
        assert ("液位高" in fault.text, fault.urgency.value) == (True, "urgent")
        assert fault.work_order == "1"
