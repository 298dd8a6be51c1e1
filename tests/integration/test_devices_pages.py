"""Pages of devices: health, points with their past, commands with a second person."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from dougong.db.scope import Actor
from dougong.devices import PointKind, Quality, Reading, Transport
from dougong.devices.history import forget_hours, hours_of
from dougong.devices.models import Device, DeviceCommand, DeviceHealth, DeviceHour, Gateway
from dougong.devices.recording import record_readings
from dougong.testing.people import make_login, sign_in
from dougong.web.charts import line_chart


@pytest.fixture
def device(installation, community):
    """Return the id of a three-phase meter with a relay that answers."""
    with installation.scope(Actor.system(), community=community) as scope:
        gateway = Gateway(name="basement", transport=Transport.TCP, host="127.0.0.1", port=1)
        scope.session.add(gateway)
        scope.session.flush()
        made = Device(gateway_id=gateway.id, name=f"meter {uuid4().hex[:6]}", driver="modbus",
                      profile="three_phase_meter", settings={"device_id": 1})  # fmt: skip
        scope.session.add(made)
        scope.session.flush()
        scope.session.add(
            DeviceHealth(subject_id=made.id, is_ok=True, since_at=scope.now, last_ok_at=scope.now)
        )
        return made.id


def reading(device, sequence, value, at, quality=Quality.GOOD, point="voltage_a"):
    return Reading(device, point, value, quality, None, at, sequence, "V", PointKind.GAUGE)


def told(installation, community, device, *pairs, **more):
    with installation.scope(Actor.system(), community=community) as scope:
        record_readings(
            scope, [reading(device, n, v, at, **more) for n, (v, at) in enumerate(pairs, 1)]
        )


def form(page, **values):
    token = page.get_data(as_text=True).split('name="csrf_token" value="')[1].split('"')[0]
    return {"csrf_token": token, **values}


@pytest.fixture
def li(installation, place, app):
    return sign_in(app, installation, make_login(installation, place, "community_manager"))


@pytest.fixture
def wang(installation, place, app):
    return sign_in(app, installation, make_login(installation, place, "community_manager"))


def test_the_hours_keep_lowest_highest_and_last_of_what_can_be_trusted(
    installation, community, device
):
    at = datetime.now(UTC).replace(minute=5, second=0, microsecond=0) - timedelta(hours=3)
    told(
        installation,
        community,
        device,
        (Decimal(230), at),
        (Decimal(221), at),
        (Decimal(225), at + timedelta(minutes=20)),
        (Decimal(240), at + timedelta(hours=1)),
    )
    with installation.scope(Actor.system(), community=community) as scope:
        record_readings(scope, [reading(device, 9, None, at, Quality.BAD_COMM)])
        found = hours_of(scope, device, "voltage_a", at - timedelta(hours=1))
        assert [(h.lowest, h.highest, h.last) for h in found] == [(221, 230, 225), (240, 240, 240)]


def test_old_hours_are_forgotten(installation, community, device):
    now = datetime.now(UTC)
    told(
        installation, community, device, (Decimal(1), now - timedelta(days=500)), (Decimal(2), now)
    )
    with installation.scope(Actor.system(), community=community) as scope:
        assert forget_hours(scope) == 1
        assert scope.session.query(DeviceHour).count() == 1


def test_the_overview_says_who_answers_and_what(installation, community, device, li):
    told(installation, community, device, (Decimal("230.4"), datetime.now(UTC)))
    page = li.get(f"/c/{community}/devices/").get_data(as_text=True)
    assert "在线 1 台" in page
    assert "230.4" in page


@pytest.fixture
def statements():
    """Return a function that counts the statements of an action."""

    def count(action):
        seen = []
        event.listen(Engine, "before_cursor_execute", note := lambda *a: seen.append(a[2]))
        try:
            action()
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        return len(seen)

    return count


def test_the_pages_take_at_most_six_statements_however_many_gateways(
    installation, community, device, li, statements
):
    def look(address):
        assert li.get(f"/c/{community}/devices/{address}").status_code == 200

    told(installation, community, device, (Decimal(230), datetime.now(UTC)))
    look("")
    before = statements(lambda: look(""))
    assert before <= 6
    assert statements(lambda: look(device)) <= 6
    with installation.scope(Actor.system(), community=community) as scope:
        for number in range(6):
            gateway = Gateway(name=f"line {number}", transport=Transport.TCP, host="h", port=1)
            scope.session.add(gateway)
            scope.session.flush()
            scope.session.add(
                Device(gateway_id=gateway.id, name=f"d {number}", driver="modbus",
                       profile="water_meter")
            )  # fmt: skip
    assert statements(lambda: look("")) == before


def test_a_mute_device_can_be_shown_alone(installation, community, device, li):
    with installation.scope(Actor.system(), community=community) as scope:
        health = scope.session.query(DeviceHealth).one()
        health.is_ok, health.detail = False, "No answer in time."
    page = li.get(f"/c/{community}/devices/?only=mute").get_data(as_text=True)
    assert "离线 1 台" in page and "meter " in page


def test_a_point_has_a_chart_and_the_same_as_a_table(installation, community, device, li):
    now = datetime.now(UTC)
    pairs = [(Decimal(220 + n), now - timedelta(hours=5 - n)) for n in range(5)]
    told(installation, community, device, *pairs)
    page = li.get(f"/c/{community}/devices/{device}").get_data(as_text=True)
    assert '<path class="chart-line"' in page
    assert ">224<" in page


def test_a_cut_waits_for_another_person_on_the_page(installation, community, device, li, wang):
    address = f"/c/{community}/devices/{device}"
    page = li.get(address)
    assert "需第二人批准" in page.get_data(as_text=True)
    sent = li.post(
        f"{address}/order", data=form(page, name="trip", ground="safety", reason="smoke")
    )
    assert sent.status_code == 303
    with installation.scope(Actor.system(), community=community) as scope:
        command = scope.session.query(DeviceCommand).one()
        assert command.state == "proposed"
    mine = li.get(address).get_data(as_text=True)
    assert f"{command.id}/approve" not in mine
    approve = f"/c/{community}/devices/commands/{command.id}/approve"
    assert li.post(approve, data=form(li.get(address))).status_code == 403
    theirs = wang.get(address)
    assert f"{command.id}/approve" in theirs.get_data(as_text=True)
    assert wang.post(approve, data=form(theirs)).status_code == 303
    with installation.scope(Actor.system(), community=community) as scope:
        assert scope.session.query(DeviceCommand).one().state == "queued"


def test_what_wants_two_persons_says_so_and_asks_why(installation, community, device, li):
    with installation.scope(Actor.system(), community=community) as scope:
        row = scope.get(Device, device)
        row.driver, row.profile = "equipment_modbus", "fire_pump"
    page = li.get(f"/c/{community}/devices/{device}").get_data(as_text=True)
    assert "需第二人批准" in page
    assert ('id="reason-stop"' in page, 'id="reason-start"' in page) == (True, False)


def test_a_cut_is_withdrawn_on_the_page_and_never_sent(installation, community, device, li, wang):
    address = f"/c/{community}/devices/{device}"
    order = form(li.get(address), name="trip", ground="safety", reason="smoke")
    assert li.post(f"{address}/order", data=order).status_code == 303
    page = wang.get(address)
    assert "批准期限" in page.get_data(as_text=True)
    with installation.scope(Actor.system(), community=community) as scope:
        command = scope.session.query(DeviceCommand).one()
    base = f"/c/{community}/devices/commands/{command.id}"
    assert wang.post(f"{base}/withdraw", data=form(page)).status_code == 303
    shown = wang.get(address).get_data(as_text=True)
    assert "已撤回" in shown and f"{base}/approve" not in shown
    assert wang.post(f"{base}/approve", data=form(page)).status_code == 409
    assert wang.post(f"{base}/withdraw", data=form(page)).status_code == 409


@pytest.mark.parametrize(
    ("ground", "reason"),
    [("property_fees", "x"), ("safety", "拖欠物业费三个月"), ("safety", "欠费"), ("safety", "")],
    ids=["ground", "words", "arrears", "no-reason"],
)
def test_what_the_law_forbids_is_refused_with_the_reason(
    installation, community, device, li, ground, reason
):
    address = f"/c/{community}/devices/{device}"
    values = form(li.get(address), name="trip", ground=ground, reason=reason, policy="rule 7")
    refused = li.post(f"{address}/order", data=values)
    assert refused.status_code == 409
    assert 'role="alert"' in refused.get_data(as_text=True)
    with installation.scope(Actor.system(), community=community) as scope:
        assert scope.session.query(DeviceCommand).count() == 0


def test_an_unknown_command_and_an_unknown_device(community, device, li):
    address = f"/c/{community}/devices/{device}"
    refused = li.post(f"{address}/order", data=form(li.get(address), name="explode"))
    assert refused.status_code == 422
    assert li.get(f"/c/{community}/devices/{uuid4()}").status_code == 404


def test_a_guard_sees_no_devices(installation, place, app, device):
    guard = sign_in(app, installation, make_login(installation, place, "guard"))
    assert guard.get(f"/c/{place.community_id}/devices/").status_code == 403


def test_a_chart_is_broken_where_nothing_was_heard():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    hours = [0, 1, 2, 20, 21]
    chart = line_chart([(start + timedelta(hours=h), Decimal(h)) for h in hours], UTC)
    assert len(chart.lines) == 2
    assert line_chart([(start, Decimal(1))], UTC) is None


@pytest.mark.parametrize(
    ("low", "high"), [(2417, 2421), (220.1, 220.4), (0, 90_000), (0.001, 0.002), (5, 5)]
)
def test_the_ticks_of_a_chart_are_told_apart(low, high):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    points = [(start, Decimal(str(low))), (start + timedelta(hours=1), Decimal(str(high)))]
    labels = [tick.label for tick in line_chart(points, UTC).rows]
    assert len(set(labels)) == 5


def test_a_list_is_set_on_the_page(installation, community, device, li, statements):
    with installation.scope(Actor.system(), community=community) as scope:
        meter = scope.get(Device, device)
        meter.driver, meter.profile = "dlt645", "single_phase_meter"
        meter.settings = {"address": "202620000009"}
    address = f"/c/{community}/devices/{device}"
    page = li.get(address)
    assert "公共假日" in page.get_data(as_text=True)
    bad = li.post(f"{address}/list", data=form(page, name="holidays", entries="270101"))
    assert bad.status_code == 422
    lines = "270206 02\n270101 02\n"
    sent = li.post(f"{address}/list", data=form(page, name="holidays", entries=lines))
    assert sent.status_code == 303
    shown = li.get(address).get_data(as_text=True)
    assert "270101 02\n270206 02" in shown and "待下发" in shown
    assert statements(lambda: li.get(address)) <= 6
