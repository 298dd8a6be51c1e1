"""The store on PostgreSQL: nothing that was acknowledged is lost, nothing is stored twice."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from dougong.db.scope import Actor
from dougong.devices import Health, PointKind, Quality, Reading, Transport
from dougong.devices.configuration import drivers_of, read_gateways
from dougong.devices.models import (
    Device,
    DeviceCommand,
    DeviceHealth,
    DevicePoint,
    DeviceValue,
    Gateway,
)
from dougong.devices.spool import Spool, SpoolFull, SpoolTaken
from dougong.devices.store import DatabaseStore
from dougong_meters.models import Meter
from dougong_meters.models import Reading as MeterReading

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def device_of(installation, community_id, *, driver="dlt645", building_id=None, **more):
    """Return the id of a device with a meter bound to its counter, and the meter's id."""
    with installation.scope(Actor.system("test"), community=community_id) as scope:
        gateway = Gateway(name=f"gateway {scope.now}", transport=Transport.RTU_TCP, host="h",
                          port=1)  # fmt: skip
        scope.session.add(gateway)
        scope.session.flush()
        given = {
            "settings": {"address": "202600000001"},
            "secrets": '{"password": "123456"}',
            "profile": "single_phase_meter",
            **more,
        }
        device = Device(gateway_id=gateway.id, name=str(gateway.id), driver=driver,
                        building_id=building_id, **given)  # fmt: skip
        meter = Meter(serial=str(gateway.id), commodity="electricity",
                      installed_on=date(2026, 1, 1))  # fmt: skip
        scope.session.add_all([device, meter])
        scope.session.flush()
        scope.session.add(
            DevicePoint(device_id=device.id, point="energy_import", subject_kind="meters.meter",
                        subject_id=meter.id)
        )  # fmt: skip
        return device.id, meter.id


def reading(device_id, sequence, value="100.5", point="energy_import", quality=Quality.GOOD):
    at = NOW - timedelta(days=1) + timedelta(seconds=sequence)
    return Reading(
        device_id, point, None if value is None else Decimal(value), quality, None, at, sequence,
        "kW.h", PointKind.COUNTER,
    )  # fmt: skip


@pytest.fixture
def store(installation, tmp_path):
    _, owners = drivers_of(installation)
    return DatabaseStore(installation, owners, Spool(tmp_path))


def values_of(installation, community_id):
    with installation.scope(Actor.system("test"), community=community_id) as scope:
        return {v.point: v for v in scope.session.scalars(select(DeviceValue))}


def meter_readings(installation, community_id):
    with installation.scope(Actor.system("test"), community=community_id) as scope:
        return list(scope.session.scalars(select(MeterReading.value)))


def test_a_device_whose_secrets_cannot_be_read_stops_no_other(installation, community):
    device_of(installation, community, secrets="1")
    sound, _ = device_of(installation, community)
    with installation.scope(Actor.system("test"), community=community) as scope:
        gateways = read_gateways(scope, drivers_of(installation)[1])
    assert [device.id for gateway in gateways for device in gateway.devices] == [sound]


def test_a_reading_reaches_the_latest_value_and_the_meter(installation, community, store):
    device, _ = device_of(installation, community)
    store.keep([reading(device, 1), reading(device, 2, "231.4", "voltage_a")])
    values = values_of(installation, community)
    assert values["energy_import"].value == "100.5"
    assert values["voltage_a"].value == "231.4"
    assert meter_readings(installation, community) == [Decimal("100.5")]


def test_the_same_batch_twice_is_stored_once(installation, community, store):
    device, _ = device_of(installation, community)
    batch = [reading(device, n, str(100 + n)) for n in (1, 2, 3)]
    store.keep(batch)
    with installation.scope(Actor.system("test"), community=community) as scope:
        scope.session.execute(text("delete from meters.reading"))
    store.keep(batch)
    store.keep(batch[:2])
    assert meter_readings(installation, community) == []
    assert values_of(installation, community)["energy_import"].value == "103"


def test_no_answer_keeps_the_last_value_that_can_be_trusted(installation, community, store):
    device, _ = device_of(installation, community)
    store.keep([reading(device, 1)])
    store.keep([reading(device, 2, None, quality=Quality.BAD_COMM)])
    value = values_of(installation, community)["energy_import"]
    assert (value.value, value.quality) == ("100.5", Quality.BAD_COMM)
    assert value.value_at < value.server_at


def test_readings_wait_in_the_spool_while_the_database_is_away(
    installation, community, store, tmp_path
):
    device, _ = device_of(installation, community)
    real, store.installation = store.installation, Away(installation)
    store.keep([reading(device, 1, "101")])
    store.keep([reading(device, 2, "102")])
    assert values_of(installation, community) == {}
    store.spool.close()
    killed = DatabaseStore(real, {}, Spool(tmp_path))  # as after a kill -9: a new process
    killed.keep([reading(device, 3, "103")])
    assert values_of(installation, community)["energy_import"].value == "103"
    assert killed.spool.is_empty
    assert (tmp_path / "readings.spool").stat().st_size == 0


class Away:
    """An installation whose database refuses connections."""

    def __init__(self, installation):
        self.plugins = installation.plugins

    def platform(self):
        raise OperationalError("connect", {}, Exception("connection refused"))

    scope = platform


def test_a_torn_line_is_cut_off_and_what_was_acknowledged_stays(tmp_path):
    spool = Spool(tmp_path)
    spool.append([reading(UUID(int=1), 1)])
    spool.append([reading(UUID(int=1), 2)])
    path = tmp_path / "readings.spool"
    path.write_bytes(path.read_bytes() + b'0000dead [["torn')
    with pytest.raises(SpoolTaken):
        Spool(tmp_path)
    spool.close()
    again = Spool(tmp_path)
    again.append([reading(UUID(int=1), 3)])
    assert [r.sequence for batch in again.batches() for r in batch] == [1, 2, 3]


def test_a_full_spool_says_so_and_keeps_what_it_has(tmp_path):
    spool = Spool(tmp_path, most_bytes=400)
    spool.append([reading(UUID(int=1), 1)])
    with pytest.raises(SpoolFull):
        spool.append([reading(UUID(int=1), n) for n in range(5)])
    assert [r.sequence for batch in spool.batches() for r in batch] == [1]


def test_every_kind_of_value_survives_the_spool(tmp_path):
    spool = Spool(tmp_path)
    kept = [
        replace(reading(UUID(int=1), 1), value=value, device_time=NOW, subject_id=UUID(int=7))
        for value in (Decimal("0.10"), True, "202600000001", None)
    ]
    spool.append(kept)
    assert [r for batch in spool.batches() for r in batch] == kept


def test_readings_of_two_communities_go_where_their_devices_are(installation, place, store):
    ours, _ = device_of(installation, place.community_id)
    theirs, _ = device_of(installation, place.other_community_id)
    store.keep([reading(ours, 1, "1"), reading(theirs, 1, "2"), reading(UUID(int=5), 1, "3")])
    assert values_of(installation, place.community_id)["energy_import"].value == "1"
    assert values_of(installation, place.other_community_id)["energy_import"].value == "2"


def test_secrets_are_ciphertext_in_the_database_and_open_for_the_host(installation, community):
    device, _ = device_of(installation, community)
    with installation.scope(Actor.system("test"), community=community) as scope:
        raw = scope.session.execute(text("select secrets from dougong.device")).scalar()
        (gateway,) = read_gateways(scope, {"dlt645": "meters"})
    assert b"123456" not in bytes(raw)
    assert gateway.devices[0].settings["password"] == "123456"
    assert "123456" not in repr(gateway)


def test_devices_run_only_where_their_plugin_is_on(installation, place, store):
    from dougong.plugins.operations import disable, enable

    system = Actor.system("test")
    device_of(installation, place.community_id, building_id=place.building_ids[0])
    device_of(installation, place.community_id, building_id=place.building_ids[1])

    def running():
        mine = [g for g in asyncio.run(store.load()) if g.community_id == place.community_id]
        return {d.id for g in mine for d in g.devices}

    assert len(running()) == 2
    for plugin in ("prepaid", "meters"):
        disable(installation, system, plugin, place.community_id)
    assert running() == set()
    enable(installation, system, "meters", place.community_id, buildings=place.building_ids[:1])
    assert len(running()) == 1


def test_a_command_is_marked_sent_once(installation, community, store):
    device, _ = device_of(installation, community)
    with installation.scope(Actor.system("test"), community=community) as scope:
        row = DeviceCommand(
            device_id=device, name="trip", state="queued", ordered_by="Li", ordered_at=NOW,
            deadline_at=scope.now + timedelta(seconds=60), reason="smell", ground="safety",
        )  # fmt: skip
        scope.session.add(row)
        scope.session.flush()
        command_id = row.id

    async def run():
        waiting = {c.id: c for c in await store.waiting_commands()}
        assert waiting[command_id].ground == "safety"
        first = await store.mark_sent(command_id, NOW)
        second = await store.mark_sent(command_id, NOW)
        result = await store.result(command_id)
        await store.save_result(replace(result, state="unknown", detail="no answer"))
        await store.save_result(replace(result, state="confirmed", readback=True))
        await store.save_result(replace(result, state="failed"))
        return first, second, (await store.result(command_id))

    first, second, last = asyncio.run(run())
    assert (first, second) == (True, False)
    assert (last.state, last.readback) == ("confirmed", "True")


def test_health_is_one_row_that_moves(installation, community, store):
    device, _ = device_of(installation, community)
    asyncio.run(store.load())
    health = Health(device, True, NOW)
    asyncio.run(store.save_health([health.succeeded(NOW)]))
    asyncio.run(store.save_health([health.failed(NOW, NOW, "No answer in time.")]))
    with installation.scope(Actor.system("test"), community=community) as scope:
        (row,) = scope.session.scalars(select(DeviceHealth))
    assert (row.is_ok, row.failures, row.last_ok_at) == (False, 1, NOW)
