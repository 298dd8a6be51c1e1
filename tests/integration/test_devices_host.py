"""The device host against simulated gateways on real sockets."""

import asyncio
import functools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from dougong.devices import (
    Command,
    CommandState,
    DeviceConfig,
    GatewayConfig,
    Ground,
    LineLost,
    LineUnreachable,
    PointKind,
    Quality,
    SimulatedDevice,
    Transport,
)
from dougong.devices.host import Host
from dougong.devices.memory import MemoryStore
from dougong.devices.polling import Backoff
from dougong.devices.simulated import Faults, SimulatedGateway
from dougong.devices.simulators import farm, run_farm, simulator
from dougong.devices.transports import Line
from dougong_meters.drivers.dlt645 import driver as dlt645
from dougong_meters.drivers.modbus import driver as modbus

DRIVERS = {"modbus": modbus, "dlt645": dlt645}
COMMUNITY = uuid4()


def on_a_loop(test):
    @functools.wraps(test)
    def run(*arguments, **named):
        asyncio.run(asyncio.wait_for(test(*arguments, **named), 120))

    return run


def gateway(numbers=(1,), transport=Transport.RTU_TCP, faults=None, **overrides):
    """Return a simulated gateway of Modbus meters and its configuration, without its port."""
    profile = modbus.profiles["three_phase_meter"]
    devices = [
        SimulatedDevice(profile, modbus.settings(device_id=n), str(1000 + n)) for n in numbers
    ]
    served = SimulatedGateway(modbus.simulator(devices, transport), faults)
    configs = tuple(
        DeviceConfig(
            id=UUID(int=n), community_id=COMMUNITY, name=f"meter {n}", driver="modbus",
            profile="three_phase_meter", settings={"device_id": n}, serial=str(1000 + n),
            poll_s=0.2,
        )
        for n in numbers
    )  # fmt: skip
    config = GatewayConfig(
        id=uuid4(), community_id=COMMUNITY, name="gateway", transport=transport, devices=configs,
        host="127.0.0.1", timeout_s=0.15, settle_s=0.3,
    )  # fmt: skip
    return served, replace(config, **overrides)


def hosted(store, *configs):
    store.gateways = list(configs)
    return Host(store, DRIVERS, flush_s=0.05, reload_s=0.1)


def order(name="trip", seconds=5.0, **more):
    given = {
        "ground": Ground.SAFETY,
        "reason": "burnt smell in the shaft",
        "approved_by": "Wang",
        **more,
    }
    return Command(
        uuid4(), UUID(int=1), name, "Li", datetime.now(UTC) + timedelta(seconds=seconds), **given
    )


async def until(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def carried_out(command, served, config, seconds=12.0):
    """Return the store after a command has come to an end on a running host."""
    store = MemoryStore()
    config = replace(config, port=served.port)
    async with hosted(store, config):
        store.order(command)
        await until(lambda: store.results[command.id].state is not CommandState.QUEUED, seconds)
        await until(lambda: not store.results[command.id].state.is_open, seconds)
        await asyncio.sleep(0.1)
    return store


def writes(served):
    """Return what was written to the simulated meters."""
    return dict(served.responder.written)


@on_a_loop
async def test_sixty_meters_of_three_kinds_are_read_on_one_loop():
    gateways = farm(first_port=25020)
    started = asyncio.Event()
    running = asyncio.create_task(run_farm(DRIVERS, gateways, started=started))
    await started.wait()
    store = MemoryStore()
    configs = [
        GatewayConfig(
            uuid4(), COMMUNITY, g.name, g.transport,
            tuple(
                DeviceConfig(uuid4(), COMMUNITY, m.serial, g.driver, g.profile, m.settings,
                             m.serial, poll_s=0.5)
                for m in g.meters
            ),
            "127.0.0.1", g.port,
        )
        for g in gateways
    ]  # fmt: skip
    async with hosted(store, *configs):
        await until(lambda: len({r.device_id for r in store.readings}) == 60)
        await asyncio.sleep(0.6)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert {r.quality for r in store.readings} == {Quality.GOOD}
    energy = [r for r in store.readings if r.point == "energy_import"]
    starts = {m.serial: m.start_kwh for g in gateways for m in g.meters}
    names = {d.id: d.name for c in configs for d in c.devices}
    for reading in energy:
        assert reading.point_kind is PointKind.COUNTER
        assert 0 <= reading.value - Decimal(starts[names[reading.device_id]]) < 1


@on_a_loop
async def test_a_mute_meter_is_bad_comm_and_does_not_hold_up_its_neighbour():
    served, config = gateway(numbers=(1, 2), faults=Faults(mute_devices=frozenset({0})))
    store = MemoryStore()
    async with served, hosted(store, replace(config, port=served.port)):
        await until(lambda: sum(r.device_id == UUID(int=2) for r in store.readings) >= 21)
    mute = [r for r in store.readings if r.device_id == UUID(int=1)]
    assert {(r.value, r.quality) for r in mute} == {(None, Quality.BAD_COMM)}
    assert all(r.quality is Quality.GOOD for r in store.readings if r.device_id == UUID(int=2))
    assert store.health[UUID(int=1)].is_ok is False
    assert store.health[UUID(int=2)].is_ok is True


@on_a_loop
async def test_a_meter_of_another_number_gives_no_values():
    served, config = gateway()
    device = replace(config.devices[0], serial="4711")
    store = MemoryStore()
    async with served, hosted(store, replace(config, port=served.port, devices=(device,))):
        await until(lambda: len(store.readings) > 0)
    assert {(r.value, r.quality) for r in store.readings} == {(None, Quality.BAD_CONFIG)}


@on_a_loop
async def test_a_gateway_that_restarts_is_read_again():
    served, config = gateway()
    store = MemoryStore()
    async with served, hosted(store, replace(config, port=served.port)):
        await until(lambda: any(r.quality is Quality.GOOD for r in store.readings))
        await served.restart(after_s=0.5)
        seen = len(store.readings)
        await until(lambda: any(r.quality is Quality.BAD_COMM for r in store.readings))
        await until(lambda: any(r.quality is Quality.GOOD for r in store.readings[seen:]))
        await until(lambda: store.health[config.id].is_ok)


@on_a_loop
async def test_a_change_of_configuration_is_seen_without_a_restart():
    served, config = gateway(numbers=(1, 2))
    one = replace(config, port=served.port, devices=config.devices[:1])
    store = MemoryStore()
    async with served:
        one = replace(one, port=served.port)
        async with hosted(store, one):
            await until(lambda: len(store.readings) > 0)
            store.gateways = [replace(one, devices=config.devices)]
            await until(lambda: any(r.device_id == UUID(int=2) for r in store.readings))


@on_a_loop
async def test_wrong_settings_stop_one_device_and_say_why():
    served, config = gateway(numbers=(1, 2))
    broken = replace(config.devices[0], settings={"device_id": 900})
    store = MemoryStore()
    async with served:
        config = replace(config, port=served.port, devices=(broken, config.devices[1]))
        async with hosted(store, config) as host:
            await until(lambda: any(r.device_id == UUID(int=2) for r in store.readings))
            assert "device_id" in host.refused[UUID(int=1)]


@on_a_loop
async def test_readings_wait_for_a_store_that_is_away():
    class Away(MemoryStore):
        is_away = True

        async def save_readings(self, readings):
            if self.is_away:
                raise ConnectionError("the database restarts")
            await super().save_readings(readings)

    served, config = gateway()
    store = Away()
    async with served, hosted(store, replace(config, port=served.port)):
        await asyncio.sleep(0.6)
        assert store.readings == []
        store.is_away = False
        await until(lambda: len(store.readings) >= 14)
    first = store.readings[0].sequence
    assert [r.sequence - first for r in store.readings] == list(range(len(store.readings)))


# --- lines --------------------------------------------------------------------------------------


@on_a_loop
async def test_nobody_listening_is_unreachable_and_no_byte_was_sent():
    served, _ = gateway()
    async with served:
        port = served.port
    with pytest.raises(LineUnreachable) as caught:
        await Line("127.0.0.1", port).prepare()
    assert caught.value.was_sent is False
    with pytest.raises(LineUnreachable):
        await Line("no-such-host.invalid", 1).prepare()


@on_a_loop
async def test_a_cut_connection_fails_at_once_and_not_after_the_timeout():
    served, _ = gateway(faults=Faults(drop=1))
    codec = modbus.open("three_phase_meter", {"device_id": 1}, Transport.RTU_TCP)
    (request,) = codec.plan_reads([modbus.profiles["three_phase_meter"].point("power")])
    async with served:
        line = Line("127.0.0.1", served.port)
        started = asyncio.get_running_loop().time()
        with pytest.raises(LineLost):
            await line.ask(codec, request, 5)
        assert asyncio.get_running_loop().time() - started < 1


@on_a_loop
async def test_a_cancelled_exchange_leaves_the_line_usable():
    served, _ = gateway(faults=Faults(late=1, late_s=0.15))
    codec = modbus.open("three_phase_meter", {"device_id": 1}, Transport.RTU_TCP)
    profile = modbus.profiles["three_phase_meter"]
    (first,) = codec.plan_reads([profile.point("energy_import")])
    (second,) = codec.plan_reads([profile.point("energy_export")])
    async with served:
        line = Line("127.0.0.1", served.port, settle_s=0.3)
        asking = asyncio.create_task(line.ask(codec, first, 2))
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        served.faults.late = 0
        (found,) = codec.decode(second, await line.ask(codec, second, 2))
        assert found.value == 0
        line.close()


def test_backoff_doubles_to_a_minute_and_starts_again():
    import random

    backoff = Backoff(random.Random(1))
    waits = [backoff.next_s() for _ in range(9)]
    for wait, whole in zip(waits, (1, 2, 4, 8, 16, 32, 60, 60, 60), strict=True):
        assert 0.8 * whole <= wait <= whole
    backoff.reset()
    assert backoff.next_s() <= 1


# --- commands -----------------------------------------------------------------------------------


@on_a_loop
async def test_a_trip_is_confirmed_by_reading_back():
    served, config = gateway()
    async with served:
        command = order()
        store = await carried_out(command, served, config)
    result = store.results[command.id]
    assert (result.state, result.readback) == (CommandState.CONFIRMED, True)
    states = [r.state for r in store.history if r.command_id == command.id]
    assert states == [CommandState.SENT, CommandState.ACKED, CommandState.CONFIRMED]


@on_a_loop
async def test_the_same_command_twice_is_one_write():
    served, config = gateway()
    counted = []
    async with served:
        respond = served.responder._obey
        served.responder._obey = lambda *a: (counted.append(a), respond(*a))[1]
        command = order()
        store = MemoryStore()
        async with hosted(store, replace(config, port=served.port)) as host:
            store.order(command)
            store.order(command)
            host.submit(command)
            await until(lambda: store.results[command.id].state is CommandState.CONFIRMED)
            host._busy.discard(command.id)
            host.submit(command)
            await asyncio.sleep(0.3)
    assert len(counted) == 1


@on_a_loop
async def test_an_expired_command_is_never_sent():
    served, config = gateway()
    async with served:
        command = order(seconds=-1)
        store = await carried_out(command, served, config)
        assert store.results[command.id].state is CommandState.EXPIRED
        assert writes(served) == {}


@on_a_loop
async def test_a_command_for_an_unreachable_gateway_waits_and_expires_unsent():
    served, config = gateway()
    async with served:
        port = served.port
    command = order(seconds=0.8)
    served.port = port
    store = await carried_out(command, served, config)
    assert store.results[command.id].state is CommandState.EXPIRED
    assert CommandState.SENT not in {r.state for r in store.history}


@pytest.mark.parametrize(
    ("changes", "device", "words"),
    [
        ({"ground": Ground.PROPERTY_FEES}, {}, "property fees"),
        ({"ground": Ground.PROPERTY_FEES, "policy": "board resolution 7"}, {}, "property fees"),
        ({"ground": None}, {}, "ground"),
        ({"reason": ""}, {}, "reason"),
        ({"approved_by": None}, {}, "second person"),
        ({"approved_by": "Li"}, {}, "second person"),
        ({"requires": ("legal_notice",)}, {}, "not there"),
        ({}, {"is_vital": True}, "vital"),
    ],
    ids=["property-fees", "property-fees-with-policy", "no-ground", "no-reason", "alone",
         "approves-himself", "unknown-interlock", "vital-load"],
)  # fmt: skip
def test_an_interlock_refuses_before_any_byte_is_sent(changes, device, words):
    @on_a_loop
    async def run():
        served, config = gateway()
        config = replace(
            config, devices=tuple(replace(d, poll_s=3600, **device) for d in config.devices)
        )
        async with served:
            command = order(**changes)
            store = await carried_out(command, served, config)
            assert served.requests == 0
        result = store.results[command.id]
        assert result.state is CommandState.REJECTED
        assert words in result.detail

    run()


@on_a_loop
async def test_a_lost_acknowledgement_is_found_out_by_reading_back_and_not_sent_again():
    served, config = gateway()
    counted = []
    obey = served.responder._obey

    def obeyed(*arguments):
        counted.append(arguments)
        obey(*arguments)
        served.faults.mute = 1
        asyncio.get_running_loop().call_later(0.4, setattr, served.faults, "mute", 0)

    served.responder._obey = obeyed
    async with served:
        command = order()
        store = await carried_out(command, served, config)
    states = [r.state for r in store.history if r.command_id == command.id]
    assert states == [CommandState.SENT, CommandState.UNKNOWN, CommandState.CONFIRMED]
    assert len(counted) == 1


@on_a_loop
async def test_a_command_that_a_crash_left_sent_is_read_back_and_not_sent_again():
    served, config = gateway()
    command = order()
    store = MemoryStore()
    store.order(command)
    await store.mark_sent(command.id, datetime.now(UTC) - timedelta(minutes=2))
    async with served, hosted(store, replace(config, port=served.port)):
        await until(lambda: store.results[command.id].state is CommandState.FAILED, 15)
        assert writes(served) == {}
    assert store.results[command.id].readback is False


@on_a_loop
async def test_a_wrong_password_is_rejected_and_the_relay_stays_closed():
    profile = dlt645.profiles["single_phase_meter"]
    meter = SimulatedDevice(
        profile, dlt645.settings(address="202600000001", password="123456"), "202600000001"
    )
    served = SimulatedGateway(dlt645.simulator([meter], Transport.RTU_TCP))
    device = DeviceConfig(
        UUID(int=1), COMMUNITY, "meter", "dlt645", "single_phase_meter",
        {"address": "202600000001", "password": "999999"}, poll_s=3600,
    )  # fmt: skip
    config = GatewayConfig(
        uuid4(), COMMUNITY, "g", Transport.RTU_TCP, (device,), "127.0.0.1", 0, 0.3, 0.3
    )
    async with served:
        command = order()
        store = await carried_out(command, served, config)
        assert served.responder.lives[0].is_cut is False
    assert store.results[command.id].state is CommandState.REJECTED
    assert "not permitted" in store.results[command.id].detail


@on_a_loop
async def test_a_dlt645_meter_trips_and_closes_with_its_password():
    (gateway_,) = [g for g in farm(25080) if g.name == "DL/T 645 1"]
    served = simulator(dlt645, gateway_)
    first = gateway_.meters[0]
    device = DeviceConfig(
        UUID(int=1), COMMUNITY, "meter", "dlt645", "single_phase_meter", first.settings,
        first.serial, poll_s=3600,
    )  # fmt: skip
    config = GatewayConfig(
        uuid4(), COMMUNITY, "g", Transport.RTU_TCP, (device,), "127.0.0.1", 0, 0.3, 0.3
    )
    async with served:
        trip = order()
        store = await carried_out(trip, served, config)
        assert store.results[trip.id].state is CommandState.CONFIRMED
        assert served.responder.lives[0].is_cut is True
        close = order("close", ground=None, reason="", approved_by=None)
        store = await carried_out(close, served, config)
        assert store.results[close.id].state is CommandState.CONFIRMED
        assert served.responder.lives[0].is_cut is False


@on_a_loop
async def test_a_driver_that_raises_is_blamed_once_per_device_and_its_neighbour_is_read():
    served, config = gateway(numbers=(1, 2))
    blamed = []

    def codec(profile, settings, transport):
        made = modbus.codec(profile, settings, transport)
        if settings.device_id == 1:
            made.decode = lambda request, answers: 1 / 0
        return made

    store = MemoryStore()
    async with served:
        store.gateways = [replace(config, port=served.port)]
        drivers = {"modbus": replace(modbus, codec=codec)}
        blame = lambda driver, error: blamed.append((driver, type(error)))  # noqa: E731
        async with Host(store, drivers, flush_s=0.05, blame=blame):
            await until(lambda: sum(r.device_id == UUID(int=1) for r in store.readings) > 14)
            await until(lambda: any(r.device_id == UUID(int=2) for r in store.readings))
    assert blamed == [("modbus", ZeroDivisionError)]
    said = {(r.value, r.quality) for r in store.readings if r.device_id == UUID(int=1)}
    assert said == {(None, Quality.BAD_DATA)}
