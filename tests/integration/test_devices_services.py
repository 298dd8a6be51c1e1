"""Commands from people: two for a cut, never for property fees; secrets that nobody sees."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.devices import CommandState, Effect, Ground
from dougong.devices.configuration import drivers_of, simulated_device
from dougong.devices.models import Device, DeviceCommand, DeviceListState, Gateway
from dougong.devices.process import host_of
from dougong.devices.services import (
    approve_command,
    bind_point,
    order_command,
    set_list,
    set_secrets,
    withdraw_command,
)
from dougong.devices.simulated import SimulatedGateway
from dougong.errors import Conflict, Invalid, NotAllowed
from dougong_meters.drivers.dlt645 import driver as dlt645

MAY = (
    "dougong.device.set_list",
    "dougong.device.order",
    "dougong.device_command.approve",
    "dougong.device.bind",
)


@pytest.fixture
def li(place):
    return place.actor(*MAY, user_id=uuid7())


@pytest.fixture
def wang(place):
    return place.actor(*MAY, user_id=uuid7())


@pytest.fixture
def device(installation, community):
    """Return the id of a dormitory's meter with a relay."""
    with installation.scope(Actor.system(), community=community) as scope:
        gateway = Gateway(name="gateway", transport="rtu_tcp", host="127.0.0.1", port=1,
                          timeout_s=1, settle_s=0)  # fmt: skip
        scope.session.add(gateway)
        scope.session.flush()
        device = Device(
            gateway_id=gateway.id, name="meter", driver="dlt645", profile="single_phase_meter",
            settings={"address": "202620000001"}, secrets='{"password": "123456"}',
            serial="202620000001", poll_s=1, simulation={},
        )  # fmt: skip
        scope.session.add(device)
        scope.session.flush()
        return device.id


@pytest.fixture
def at(installation, community):
    """Return a function that opens a scope of an actor."""
    return lambda actor: installation.scope(actor, community=community)


def trip(scope, device, **more):
    given = {"ground": Ground.DORMITORY_RULE, "reason": "fire in the wiring", **more}
    return order_command(scope, scope.get(Device, device), "trip", **given)


def test_a_cut_waits_for_a_second_person_who_is_another_one(at, device, li, wang):
    with at(li) as scope:
        command = trip(scope, device)
        assert command.state is CommandState.PROPOSED
        ordered = command.id
    with at(li) as scope, pytest.raises(NotAllowed):
        approve_command(scope, scope.get(DeviceCommand, ordered))
    with at(wang) as scope:
        command = approve_command(scope, scope.get(DeviceCommand, ordered))
        assert command.state is CommandState.QUEUED
    with at(wang) as scope, pytest.raises(Conflict):
        approve_command(scope, scope.get(DeviceCommand, ordered))


def waiting(store):
    """Return the ids of the commands that the device process would take up now."""
    return {command.id for command in asyncio.run(store.waiting_commands())}


def late(scope, ordered):
    """Let the time for approval be over."""
    row = scope.get(DeviceCommand, ordered)
    row.approve_until_at = scope.now - timedelta(seconds=1)


def test_a_proposal_that_nobody_approves_in_time_expires(installation, at, device, li, wang):
    with at(li) as scope:
        ordered = trip(scope, device).id
    with at(Actor.system()) as scope:
        late(scope, ordered)
    with at(wang) as scope, pytest.raises(Conflict, match="time to approve"):
        approve_command(scope, scope.get(DeviceCommand, ordered))
    store = host_of(installation).store
    try:
        assert ordered not in waiting(store)
    finally:
        store.spool.close()
    with at(li) as scope:
        row = scope.get(DeviceCommand, ordered)
        assert row.state is CommandState.EXPIRED and row.ended_at is not None
        with pytest.raises(Conflict):
            withdraw_command(scope, row)


def test_a_command_can_be_withdrawn_until_it_is_sent(installation, at, device, li, wang):
    with at(li) as scope:
        proposed = trip(scope, device).id
    with at(wang) as scope:
        row = withdraw_command(scope, scope.get(DeviceCommand, proposed), "wrong meter")
        assert row.state is CommandState.WITHDRAWN and "wrong meter" in row.detail
        with pytest.raises(Conflict):
            approve_command(scope, row)
    with at(li) as scope:
        queued = trip(scope, device, policy="board resolution 7").id
    store = host_of(installation).store
    try:
        assert queued in waiting(store)
        with at(li) as scope:
            withdraw_command(scope, scope.get(DeviceCommand, queued))
        assert asyncio.run(store.mark_sent(queued, datetime.now(UTC))) is False
        with at(li) as scope:
            sent = trip(scope, device, policy="board resolution 7").id
        assert sent in waiting(store)
        assert asyncio.run(store.mark_sent(sent, datetime.now(UTC)))
        with at(li) as scope, pytest.raises(Conflict, match="sent"):
            withdraw_command(scope, scope.get(DeviceCommand, sent))
    finally:
        store.spool.close()


@pytest.mark.parametrize("policy", ["", "board resolution 7"])
def test_no_supply_is_cut_for_property_fees_whoever_asks(at, device, li, policy):
    with at(li) as scope, pytest.raises(Conflict, match="property fees"):
        trip(scope, device, ground=Ground.PROPERTY_FEES, policy=policy)


@pytest.mark.parametrize("reason", ["拖欠物业费", "催缴物业服务费三个月", "unpaid property fee"])
def test_no_command_of_any_kind_collects_property_fees(at, device, li, monkeypatch, reason):
    """A pump that is stopped cuts the water as well, whatever its profile calls it."""
    profile = dlt645.profiles["single_phase_meter"]
    commands = tuple(
        spec.model_copy(update={"effect": Effect.NONE}) if spec.name == "trip" else spec
        for spec in profile.commands
    )
    changed = profile.model_copy(update={"commands": commands})
    monkeypatch.setitem(dlt645.profiles, profile.id, changed)
    with at(li) as scope:
        meter = scope.get(Device, device)
        with pytest.raises(Conflict, match="property fees"):
            order_command(scope, meter, "trip", reason)
        assert order_command(scope, meter, "close", f"{reason}已缴清").state == "queued"


def test_a_vital_supply_is_never_cut(at, device, li):
    with at(Actor.system()) as scope:
        scope.get(Device, device).is_vital = True
    with at(li) as scope, pytest.raises(Conflict, match="vital"):
        trip(scope, device, policy="board resolution 7")


def test_an_unknown_command_names_the_known_ones(at, device, li):
    with at(li) as scope, pytest.raises(Invalid) as caught:
        order_command(scope, scope.get(Device, device), "explode")
    assert "allow_close" in caught.value.fields["name"]


def test_whoever_has_no_permission_orders_nothing(at, place, device):
    with at(place.actor("dougong.device.view")) as scope, pytest.raises(NotAllowed):
        trip(scope, device)


def test_a_point_is_bound_and_bound_anew(at, device, li):
    for meter in (uuid4(), uuid4()):
        with at(li) as scope:
            bound = bind_point(
                scope, scope.get(Device, device), "energy_import", "meters.meter", meter
            )
            assert bound.subject_id == meter
    with at(li) as scope, pytest.raises(Invalid):
        bind_point(scope, scope.get(Device, device), "no_such", "meters.meter", uuid4())


def test_a_secret_is_sealed_and_a_wrong_one_is_refused_without_being_repeated(at, device):
    with at(Actor.system()) as scope:
        set_secrets(scope, scope.get(Device, device), "password", "654321")
        raw = scope.session.execute(text("select secrets from dougong.device")).scalar()
        assert b"654321" not in bytes(raw)
        with pytest.raises(Invalid) as caught:
            set_secrets(scope, scope.get(Device, device), "password", "sesame")
        assert "sesame" not in str(caught.value) + str(caught.value.fields)
        with pytest.raises(Invalid):
            set_secrets(scope, scope.get(Device, device), "operator", "1")


def test_an_approved_cut_opens_the_relay_and_is_confirmed_by_reading_back(
    installation, at, device, li, wang
):
    """The whole way: row, two people, host, socket, relay, read-back, row."""
    drivers, _ = drivers_of(installation)
    driver = drivers.working["dlt645"]

    async def carry_out():
        from dougong.devices.configuration import simulated_device

        with at(Actor.system()) as scope:
            played = simulated_device(scope.get(Device, device), drivers)
        served = SimulatedGateway(driver.simulator([played], "rtu_tcp"))
        async with served:
            with at(Actor.system()) as scope:
                scope.session.scalars(select(Gateway)).one().port = served.port
            host = host_of(installation, flush_s=0.1, reload_s=0.2)
            async with host, asyncio.timeout(15):
                with at(li) as scope:
                    ordered = trip(scope, device).id
                await asyncio.sleep(0.4)
                assert not served.responder.lives[0].is_cut
                with at(wang) as scope:
                    approve_command(scope, scope.get(DeviceCommand, ordered))
                while True:
                    with at(wang) as scope:
                        command = scope.get(DeviceCommand, ordered)
                        if command.ended_at:
                            break
                    await asyncio.sleep(0.1)
            host.store.spool.close()
            return command, served.responder.lives[0].is_cut

    command, is_cut = asyncio.run(carry_out())
    assert (command.state, command.readback, is_cut) == (CommandState.CONFIRMED, "True", True)
    assert command.sent_at is not None


HOLIDAYS = {"270101": "02", "270206": "02", "270405": "03"}


def test_a_list_is_set_brought_to_the_device_and_looked_at_again(installation, at, device, li):
    """Through rows, the device process and a simulated meter; a second host writes nothing."""

    async def run():
        drivers = drivers_of(installation)[0]
        with at(Actor.system()) as scope:
            row = scope.get(Device, device)
            responder = drivers.working["dlt645"].simulator([simulated_device(row, drivers)], "tcp")
        async with SimulatedGateway(responder) as served:
            with at(Actor.system()) as scope:
                scope.get(Device, device).gateway.port = served.port
            host = host_of(installation, flush_s=0.05)
            try:
                async with host, asyncio.timeout(60):
                    while not (await asyncio.to_thread(state)):
                        await asyncio.sleep(0.05)
                    wanted = await host.store.wanted_lists()
                    assert [each for each in wanted if each.device_id == device] == []
            finally:
                host.store.spool.close()
        return responder.written[0]["04000205"]

    def state():
        with at(Actor.system()) as scope:
            found = scope.session.scalars(select(DeviceListState)).one_or_none()
            return found is not None and found.is_same and found.held == 3

    with at(li) as scope:
        kept = set_list(scope, scope.get(Device, device), "holidays", HOLIDAYS, "state council")
        assert (kept.version, kept.size) == (1, 3)
        same = set_list(scope, scope.get(Device, device), "holidays", dict(HOLIDAYS))
        assert same.version == 1
    assert asyncio.run(run()) == bytes([3, 0])
    with at(Actor.system()) as scope:
        raw = scope.session.execute(text("select entries from dougong.device_list")).scalar_one()
        assert b"270206" not in bytes(raw)


def test_a_list_that_the_device_does_not_keep_or_that_is_too_long_is_refused(at, device, li):
    with at(li) as scope:
        meter = scope.get(Device, device)
        with pytest.raises(Invalid) as caught:
            set_list(scope, meter, "cards", {})
        assert "holidays" in caught.value.fields["name"]
        with pytest.raises(Invalid):
            set_list(scope, meter, "holidays", {f"27{n:04d}": "01" for n in range(31)})


@pytest.mark.parametrize(
    ("reason", "ground", "words"),
    [
        ("", None, "needs a reason"),
        ("拖欠物业费", None, "property fees"),
        ("moved", Ground.PROPERTY_FEES, "property fees"),
        ("欠费三个月", None, "owes money"),
    ],
    ids=["no reason", "words", "ground", "debt"],
)
def test_no_card_is_taken_out_of_a_door_for_debts(
    at, device, li, monkeypatch, reason, ground, words
):
    """A controller whose list of cards says what taking one out means."""
    profile = dlt645.profiles["single_phase_meter"]
    cards = profile.list("holidays").model_copy(update={"removal": Effect.BLOCK_ACCESS})
    monkeypatch.setitem(dlt645.profiles, profile.id, profile.model_copy(update={"lists": (cards,)}))
    with at(li) as scope:
        set_list(scope, scope.get(Device, device), "holidays", HOLIDAYS)
    fewer, changed = {"270101": "02"}, {**HOLIDAYS, "270101": "00"}
    for entries in (fewer, changed) if reason else (fewer,):
        with at(li) as scope, pytest.raises(Conflict, match=words):
            set_list(scope, scope.get(Device, device), "holidays", entries, reason, ground)
    with at(li) as scope:
        kept = set_list(scope, scope.get(Device, device), "holidays", fewer, "moved out")
        assert kept.size == 1
