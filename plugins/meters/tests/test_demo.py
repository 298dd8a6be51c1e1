"""The demonstration's meters: bills of last month have their usage."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import func, select, text, update

from dougong.db.scope import Actor
from dougong.demo.ground import Ground as BuildingGround
from dougong.devices import Ground, Transport
from dougong.devices.configuration import drivers_of, simulated_device
from dougong.devices.host import Host
from dougong.devices.models import Device, DeviceCommand, Gateway
from dougong.devices.services import order_command
from dougong.devices.simulated import Life, SimulatedGateway
from dougong.devices.spool import Spool
from dougong.devices.store import DatabaseStore
from dougong.tenancy.models import Community
from dougong.tenancy.operations import set_setting
from dougong.testing.factories import make_place
from dougong_meters import demo
from dougong_meters.models import Meter, Reading
from dougong_meters.services import balance, usage_for_period

PATIENCE_S = 60


def last_month(today):
    first = today.replace(day=1)
    return (first - timedelta(days=1)).replace(day=1), first


@pytest.fixture(scope="module", params=["estate", "campus"])
def demonstration(request, installation):
    """Return kind and id of a community with the demonstration's ground and meters."""
    community = make_place(installation, rooms=0).community_id
    with installation.platform() as session:
        session.execute(
            text("update dougong.community set kind = :kind where id = :id"),
            {"kind": request.param, "id": community},
        )
        session.execute(
            text("update dougong.scope_version set version = version + 1 where id = :id"),
            {"id": community},
        )
    with installation.scope(Actor.system("demo"), community=community) as scope:
        scope.session.execute(text("delete from dougong.unit"))
        scope.session.execute(text("delete from dougong.building"))
        getattr(BuildingGround(Random(1), 500_000), request.param)().write(scope)
    with installation.scope(Actor.system("demo"), community=community) as scope:
        assert scope.session.get(Community, community).kind == request.param
        demo.load(scope, Random(1))
    with installation.platform() as session:
        session.execute(text("analyze"))
    return request.param, community


def test_the_devices_are_there_with_their_rooms(installation, demonstration):
    kind, community = demonstration
    with installation.scope(Actor.system("t"), community=community) as scope:
        devices = list(scope.session.scalars(select(Device)))
        gateways = list(scope.session.scalars(select(Gateway)))
        assert len(devices) == (40 if kind == "estate" else 28)
        assert len({g.port for g in gateways}) == len(gateways)
        secrets = {d.secrets for d in devices}
    assert secrets == ({None} if kind == "estate" else {None, '{"password": "123456"}'})


def test_usage_of_last_month_is_known_for_nearly_every_room(installation, demonstration):
    kind, community = demonstration
    commodity = "water" if kind == "estate" else "electricity"
    with installation.scope(Actor.system("t"), community=community) as scope:
        query = select(Meter.room_id).where(Meter.commodity == commodity)
        rooms = list(scope.session.scalars(query.where(Meter.room_id.is_not(None))))
        start, end = last_month(scope.today)
        found = usage_for_period(scope, sorted(set(rooms)), start, end, commodity)
    known = [u for u in found if u.quantity is not None]
    assert len(known) > 0.975 * len(found)
    assert all(u.quantity > 0 for u in known)
    assert {u.problem for u in found if u.quantity is None} == {
        "There is no reading at the end of the period."
    }
    assert len(set(rooms)) > (1300 if kind == "estate" else 300)


def test_a_collected_meter_has_usage_of_last_month_to_the_hundredth(installation, demonstration):
    _, community = demonstration
    with installation.scope(Actor.system("t"), community=community) as scope:
        query = select(Device).where(Device.driver != "cjt188").order_by(Device.name)
        device = scope.session.scalars(query).first()
        meter = scope.session.scalars(select(Meter).where(Meter.serial == device.serial)).one()
        start, end = last_month(scope.today)
        (found,) = usage_for_period(scope, [meter.room_id], start, end, "electricity")
        hours = (end - start).days * 24
    assert abs(float(found.quantity) - device.simulation["load_kw"] * hours) <= 0.011


def test_the_counter_goes_on_from_the_history(installation, demonstration):
    _, community = demonstration
    drivers, _ = drivers_of(installation)
    with installation.scope(Actor.system("t"), community=community) as scope:
        for device in scope.session.scalars(select(Device).order_by(Device.name).limit(9)):
            life = Life(simulated_device(device, drivers))
            meter = scope.session.scalars(select(Meter).where(Meter.serial == device.serial)).one()
            _, point = demo.COUNTED[device.profile]
            shown = life.value(life.device.profile.point(point))
            assert 0 <= shown - meter.last_value < 24 * 3


def test_water_and_heat_are_read_over_sockets_and_a_valve_closes_and_is_read_back(
    installation, demonstration, tmp_path
):
    kind, community = demonstration
    if kind == "estate":
        pytest.skip("the dormitories have them")
    drivers, owners = drivers_of(installation)
    with installation.access() as session:
        set_setting(session, community, "meters.collect_minutes", 1)
    with installation.scope(Actor.system("t"), community=community) as scope:
        query = select(Device).where(Device.driver == "cjt188").order_by(Device.name)
        devices = scope.session.scalars(query).all()
        lines = {
            d.gateway_id: [x for x in devices if x.gateway_id == d.gateway_id] for d in devices
        }
        played = {line: [simulated_device(d, drivers) for d in own] for line, own in lines.items()}
        assert {len(own) for own in played.values()} == {6, 2}
        others = Device.driver != "cjt188"
        scope.session.execute(update(Device).where(others).values(is_enabled=False))
        scope.session.execute(update(Device).where(~others).values(poll_s=1))
        valve, serials = devices[0].id, [device.serial for device in devices]

    def fresh(scope):
        since = scope.now - timedelta(minutes=5)
        query = select(Meter.commodity).where(Meter.serial.in_(serials), Meter.last_read_at > since)
        return Counter(scope.session.scalars(query).all())

    async def story():
        make = drivers.working["cjt188"].simulator
        async with AsyncExitStack() as stack:
            for line, own in played.items():
                served = SimulatedGateway(make(own, Transport.RTU_TCP))
                await stack.enter_async_context(served)
                await asyncio.to_thread(within, aim, line, served.port)
            store = DatabaseStore(installation, owners, Spool(tmp_path))
            async with Host(store, drivers.working, flush_s=0.1, reload_s=0.3):
                await until(lambda scope: fresh(scope) == {"water": 6, "heat": 2})
                ordered = await asyncio.to_thread(within, shut)
                await until(lambda scope: outcome(scope, ordered) == ("confirmed", "True"))

    def within(act, *arguments):
        with installation.scope(Actor.system("t"), community=community) as scope:
            return act(scope, *arguments)

    def outcome(scope, command_id):
        command = scope.get(DeviceCommand, command_id)
        return command.state.value, command.readback

    def aim(scope, line, port):
        scope.get(Gateway, line).port = port

    def shut(scope):
        device = scope.get(Device, valve)
        rule = {"policy": "计量器具维修规程"}
        return order_command(scope, device, "trip", "换阀", Ground.METER_WORK, **rule).id

    async def until(is_so):
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(within, is_so):
                await asyncio.sleep(0.1)

    asyncio.run(story())


def test_the_cases_of_the_trade_are_among_them(installation, demonstration):
    _, community = demonstration
    with installation.scope(Actor.system("t"), community=community) as scope:
        count = scope.session.scalar
        assert count(select(func.count()).where(Meter.replaces_id.is_not(None))) >= 2
        assert count(select(func.count()).where(Reading.state == "suspect")) >= 2
        assert count(select(func.count()).where(Meter.room_id.is_(None))) >= 2
        assert count(select(func.min(Meter.installed_on))) < date.today() - timedelta(days=200)


def test_one_building_loses_an_eighth_and_the_others_little(installation, demonstration):
    kind, community = demonstration
    with installation.scope(Actor.system("t"), community=community) as scope:
        start, end = last_month(scope.today)
        found = balance(scope, "electricity" if kind == "campus" else "water", start, end)
        shares = sorted(place.share for place in found)
        assert len(shares) >= 2
        assert Decimal("0.11") < shares[-1] < Decimal("0.16")
        assert all(Decimal("0.02") < share < Decimal("0.08") for share in shares[:-1])
