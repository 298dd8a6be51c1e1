"""What meters show on other pages."""

import io
import re
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import select

from dougong.access.operations import create_user, link_person, start_session
from dougong.db.scope import Actor
from dougong.devices.models import Device, DeviceHealth, DevicePoint, Gateway
from dougong.files import attachments_of
from dougong.tenancy.models import Person, Room
from dougong.web.app import SESSION_COOKIE, create_app
from dougong_meters import cards, demo, services
from dougong_meters.models import Commodity, Meter, Reading
from dougong_meters.services import record_reading

from .test_pages import PNG


@pytest.fixture
def metered(scope, place):
    """Return the scope of a community whose first room has a water meter with two readings."""
    start, end = cards.last_month(scope.today)
    room = scope.get(Room, place.room_ids[0])
    meter = Meter(serial="W0001", commodity="water", room_id=room.id, building_id=room.building_id,
                  installed_on=start - timedelta(days=90))  # fmt: skip
    scope.session.add(meter)
    scope.session.flush()
    for days, value in ((start - end).days, 100), (0, Decimal("112.5")):
        at = scope.now.replace(year=end.year, month=end.month, day=1, hour=0) - timedelta(days=1)
        record_reading(scope, meter, Decimal(value), at + timedelta(days=days))
    return scope


def by_title(found):
    return {str(card.title): card for card in found}


def test_the_dashboard_counts_what_waits(metered):
    found = by_title(metered.answer(cards.dashboard(metered)))
    assert found["待核读数"].value == "0"
    assert found["长期未抄表"].note == "共 1 只"
    assert found["离线表计"].note == "远程采集 0 只"


def test_a_mute_device_is_counted(metered):
    meter = metered.session.scalars(select(Meter)).one()
    gateway = Gateway(name="g", transport="tcp")
    metered.session.add(gateway)
    metered.session.flush()
    device = Device(gateway_id=gateway.id, name="d", driver="modbus", profile="p")
    metered.session.add(device)
    metered.session.flush()
    metered.session.add_all(
        [
            DevicePoint(device_id=device.id, point="energy_import", subject_kind="meters.meter",
                        subject_id=meter.id),
            DeviceHealth(subject_id=device.id, is_ok=False, since_at=metered.now),
        ]
    )  # fmt: skip
    metered.session.flush()
    card = by_title(metered.answer(cards.dashboard(metered)))["离线表计"]
    assert (card.value, card.tone) == ("1", "warning")
    (panel,) = metered.answer(cards.panels(metered, device))
    assert panel.rows[0][0].endswith("W0001")


def test_nobody_sees_figures_of_records_that_he_may_not_view(installation, place):
    actor = place.actor("dougong.room.view")
    with installation.scope(actor, community=place.community_id) as scope:
        assert scope.answer(cards.dashboard(scope)) == []
        assert cards.search(scope, "W0", 5) is None
        assert (
            scope.answer(cards.panels(scope, scope.session.scalars(select(Room)).first())) is None
        )


def test_a_meter_is_found_by_the_beginning_of_its_serial(metered):
    (hit,) = cards.search(metered, "W00", 5)
    assert hit.title == "W0001"
    assert hit.note.startswith("水 112.5 m³")
    assert cards.search(metered, "X", 5) == []


def test_a_rooms_page_shows_its_meters(metered, place):
    (panel,) = metered.answer(cards.panels(metered, metered.get(Room, place.room_ids[0])))
    assert panel.rows[0][0] == "水 W0001"
    assert metered.answer(cards.panels(metered, metered.get(Room, place.room_ids[1]))) is None
    assert metered.answer(cards.panels(metered, metered.get(Person, place.person_ids[0]))) is None


def test_the_portal_shows_what_the_room_used_and_only_to_its_people(metered, place):
    (card,) = metered.answer(cards.portal(metered, place.person_ids[0]))
    assert (str(card.title), card.value, card.note) == ("上月用水", "12.5 m³", "100 → 112.5")
    assert metered.answer(cards.portal(metered, place.person_ids[1])) == []


def test_an_owner_reads_his_months_on_his_page(installation, place):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        demo.load(scope, Random(1))
    with installation.access() as session:
        user = create_user(session, f"m{place.group_id.hex[-12:]}", "业主0")
        link_person(session, user.id, place.community_id, place.person_ids[0])
        token = start_session(session, user)
    client = create_app(installation).test_client()
    client.set_cookie(SESSION_COOKIE, token)
    page = client.get(f"/c/{place.community_id}/meters/my/")
    assert page.status_code == 200
    assert page.text.count('class="amount"') == page.text.count("<svg") == 2
    assert "kWh" in page.text and "→" in page.text
    assert len(page.data) < 15 * 1024
    home = client.get(f"/c/{place.community_id}/home").text
    assert "上月用水" in home


def test_a_resident_sends_a_reading_with_a_photo_that_counts_once_it_was_checked(
    installation, place
):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        demo.load(scope, Random(1))
        rooms = place.room_ids
        water = select(Meter).where(Meter.room_id == rooms[0], Meter.commodity == Commodity.WATER)
        meter = scope.session.scalars(water).one()
        other = scope.session.scalars(select(Meter.id).where(Meter.room_id == rooms[1])).first()
        meter_id, last = meter.id, meter.last_value
    with installation.access() as session:
        user = create_user(session, f"s{place.group_id.hex[-12:]}", "业主0")
        link_person(session, user.id, place.community_id, place.person_ids[0])
        token = start_session(session, user)
    client = create_app(installation).test_client()
    client.set_cookie(SESSION_COOKIE, token)
    mine = f"/c/{place.community_id}/meters/my/{meter_id}"
    page = client.get(mine).text
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]

    def send(value, photo=PNG):
        data = {"csrf_token": csrf, "value": str(value)}
        if photo:
            data["photo"] = (io.BytesIO(photo), "meter.png")
        return client.post(mine, data=data, content_type="multipart/form-data")

    assert client.get(f"/c/{place.community_id}/meters/my/{other}").status_code == 404
    assert send(last + 1, photo=None).status_code == 422
    assert send(last - 1).status_code == 422
    assert send(last + 1).status_code == 303
    assert send(last + 2).status_code == 409
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        found = scope.session.scalars(
            select(Reading).where(Reading.meter_id == meter_id, Reading.state == "suspect")
        ).one()
        assert scope.get(Meter, meter_id).last_value == last
        assert len(attachments_of(scope, found)) == 1
        services.accept_reading(scope, found)
        assert scope.get(Meter, meter_id).last_value == last + 1
