"""Alarms of meters and the balance of losses."""

from datetime import datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy import select

from dougong.devices.models import Device, DeviceHealth, DevicePoint, Gateway
from dougong.errors import Conflict
from dougong.tenancy.models import Room, RoomState
from dougong_meters.models import Alarm, AlarmState, Meter, Reading
from dougong_meters.services import balance, close_alarm, raise_tamper, watch


@pytest.fixture
def hang(scope, place):
    """Return what hangs a meter."""

    def make(**values):
        usual = {
            "commodity": "water",
            "room_id": place.room_ids[0],
            "building_id": place.building_ids[0],
            "installed_on": scope.today - timedelta(days=400),
        }
        meter = Meter(serial=uuid4().hex[:12], **{**usual, **values})
        scope.session.add(meter)
        scope.session.flush()
        return meter

    return make


def show(scope, meter, at, value, state="accepted", source="collector"):
    scope.session.add(
        Reading(meter_id=meter.id, read_at=at, value=Decimal(str(value)), state=state,
                source=source)
    )  # fmt: skip
    if state == "accepted":
        meter.last_value, meter.last_read_at = Decimal(str(value)), at
    scope.session.flush()


def nightly(scope, meter, per_hour, dry_hour=None):
    """Read a meter every hour of the last nights; per_hour in m³."""
    value = Decimal(100)
    for back in (2, 1, 0):
        day = scope.today - timedelta(days=back)
        for hour in (2, 3, 4, 5):
            if (back, hour) != dry_hour:
                value += Decimal(str(per_hour))
            show(scope, meter, datetime.combine(day, time(hour), scope.zone), value)


def open_alarms(scope):
    query = select(Alarm).where(Alarm.state == AlarmState.OPEN)
    return {(a.meter_id, a.kind.value): a for a in scope.session.scalars(query)}


def bind(scope, meter, transport="tcp", **health):
    gateway = Gateway(name=uuid4().hex, transport=transport)
    scope.session.add(gateway)
    scope.session.flush()
    device = Device(gateway_id=gateway.id, name=uuid4().hex, driver="modbus", profile="p")
    scope.session.add(device)
    scope.session.flush()
    scope.session.add_all(
        [
            DevicePoint(device_id=device.id, point="volume", subject_kind="meters.meter",
                        subject_id=meter.id),
            DeviceHealth(subject_id=device.id, **health),
        ]
    )  # fmt: skip
    scope.session.flush()
    return device


def test_water_that_flows_in_every_hour_of_three_nights_is_a_leak(scope, hang):
    leaking, used_at_night, quiet = hang(), hang(), hang()
    nightly(scope, leaking, "0.012")
    nightly(scope, used_at_night, "0.012", dry_hour=(1, 4))
    nightly(scope, quiet, "0.001")
    watch(scope)
    found = open_alarms(scope)
    assert set(found) == {(leaking.id, "leak")}
    assert "12" in found[leaking.id, "leak"].detail


def test_an_alarm_is_raised_once_and_closes_when_it_is_over(scope, hang):
    meter = hang()
    nightly(scope, meter, "0.05")
    assert (watch(scope), watch(scope)) == (1, 0)
    alarm = open_alarms(scope)[meter.id, "leak"]
    for reading in scope.session.scalars(select(Reading)):
        scope.session.delete(reading)
    scope.session.flush()
    watch(scope)
    scope.session.refresh(alarm)
    assert alarm.state is AlarmState.CLOSED and alarm.closed_at is not None


def test_a_room_that_is_lived_in_and_uses_nothing_is_told(scope, hang, place):
    scope.get(Room, place.room_ids[0]).state = RoomState.OCCUPIED
    scope.get(Room, place.room_ids[1]).state = RoomState.VACANT
    still, vacant, used = hang(), hang(room_id=place.room_ids[1]), hang()
    for meter, last in ((still, 100), (vacant, 100), (used, 101)):
        show(scope, meter, scope.now - timedelta(days=40), 100)
        show(scope, meter, scope.now - timedelta(hours=1), last)
    watch(scope)
    assert set(open_alarms(scope)) == {(still.id, "zero_use")}


def test_a_counter_that_runs_backwards_is_told(scope, hang):
    meter = hang()
    show(scope, meter, scope.now - timedelta(days=1), 100)
    show(scope, meter, scope.now - timedelta(hours=1), 97, state="suspect")
    watch(scope)
    assert set(open_alarms(scope)) == {(meter.id, "reverse")}


def test_a_meter_that_does_not_answer_for_a_day_is_told_and_a_sleeping_one_later(scope, hang):
    mute, brief, sleeping, silent = hang(), hang(), hang(), hang()
    long_ago, now = scope.now - timedelta(hours=30), scope.now
    bind(scope, mute, is_ok=False, since_at=long_ago)
    bind(scope, brief, is_ok=False, since_at=now - timedelta(hours=2))
    bind(scope, sleeping, "mqtt_push", is_ok=True, since_at=long_ago, last_ok_at=long_ago)
    bind(scope, silent, "mqtt_push", is_ok=True, since_at=now - timedelta(hours=100),
         last_ok_at=now - timedelta(hours=80))  # fmt: skip
    watch(scope)
    assert set(open_alarms(scope)) == {(mute.id, "offline"), (silent.id, "offline")}


def test_a_verification_is_reminded_of_in_time(scope, hang):
    due = hang(verification_ends_on=scope.today + timedelta(days=59))
    hang(verification_ends_on=scope.today + timedelta(days=90))
    watch(scope)
    assert set(open_alarms(scope)) == {(due.id, "verification")}


def test_a_meddled_meter_stays_an_alarm_until_somebody_has_looked(scope, hang):
    meter = hang()
    device = bind(scope, meter, is_ok=True, since_at=scope.now)
    told = [SimpleNamespace(device_id=device.id, point="is_cover_open", value=True)]
    assert (raise_tamper(scope, told), raise_tamper(scope, told)) == (1, 0)
    watch(scope)
    alarm = open_alarms(scope)[meter.id, "tamper"]
    close_alarm(scope, alarm, "cover closed, sealed anew")
    assert open_alarms(scope) == {}
    with pytest.raises(Conflict):
        close_alarm(scope, alarm, "again")
    calm = [SimpleNamespace(device_id=device.id, point="is_cover_open", value=False)]
    assert raise_tamper(scope, calm) == 0


def test_what_is_lost_is_the_main_meter_less_everything_behind_it(scope, hang, place):
    start = scope.today.replace(day=1) - timedelta(days=31)
    end = scope.today.replace(day=1)
    main = hang(role="main", room_id=None)
    first, second = hang(), hang(room_id=place.room_ids[2])
    shared = hang(role="shared", room_id=None)
    elsewhere = hang(room_id=place.room_ids[1], building_id=place.building_ids[1])
    meters = ((main, 100), (first, 50), (second, 30), (shared, 8), (elsewhere, 999))
    for meter, used in meters:
        show(scope, meter, datetime.combine(start, time(), scope.zone), 1000)
        show(scope, meter, datetime.combine(end, time(), scope.zone), 1000 + used)
    forgotten = hang()
    (found,) = balance(scope, "water", start, end)
    assert (found.main, found.behind, found.loss) == (100, 88, 12)
    assert (found.share, found.count) == (Decimal("0.12"), 4)
    assert [u.serial for u in found.unknown] == [forgotten.serial]


def test_the_whole_community_is_balanced_against_its_buildings(scope, hang, place):
    start, end = scope.today.replace(day=1) - timedelta(days=31), scope.today.replace(day=1)
    whole = hang(role="main", room_id=None, building_id=None)
    building = hang(role="main", room_id=None)
    inside = hang()
    without_main = hang(room_id=place.room_ids[1], building_id=place.building_ids[1])
    for meter, used in ((whole, 100), (building, 60), (inside, 58), (without_main, 30)):
        show(scope, meter, datetime.combine(start, time(), scope.zone), 0)
        show(scope, meter, datetime.combine(end, time(), scope.zone), used)
    found = {b.building_id: b for b in balance(scope, "water", start, end)}
    assert (found[None].behind, found[None].loss) == (90, 10)
    assert found[place.building_ids[0]].loss == 2
