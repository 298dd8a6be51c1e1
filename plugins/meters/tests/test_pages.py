"""The round of reading on the phone and the page of losses."""

import io
import re
from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from uuid import uuid4

import pytest
from sqlalchemy import select

from dougong.db.scope import Actor
from dougong.files import attachments_of
from dougong.testing.people import make_login, sign_in
from dougong_meters import services
from dougong_meters.models import Meter, Reading, ReadingSource

PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDAT"
    b"x\x9cc\xf8\xff\xff?\0\x05\xfe\x02\xfe\xa75\x81\x84\0\0\0\0IEND\xaeB`\x82"
)


@pytest.fixture
def meters(installation, place):
    """Return the ids of two water meters of one building, read monthly before."""
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        made = []
        for number, room in enumerate((place.room_ids[0], place.room_ids[2])):
            meter = Meter(serial=f"W{number}{uuid4().hex[:8]}", commodity="water", room_id=room,
                          building_id=place.building_ids[0],
                          installed_on=scope.today - timedelta(days=300))  # fmt: skip
            scope.session.add(meter)
            scope.session.flush()
            for back, value in ((130, 100), (100, 110), (70, 120), (40, 130)):
                at = scope.now - timedelta(days=back)
                scope.session.add(Reading(meter_id=meter.id, value=Decimal(value), read_at=at))
                meter.last_value, meter.last_read_at = Decimal(value), at
            made.append(meter.id)
    return made


@pytest.fixture
def reader(installation, place, app):
    """Return a browser of somebody who may record readings and nothing else."""
    actor = make_login(installation, place, "technician")
    return sign_in(app, installation, actor)


def token(page):
    return page.get_data(as_text=True).split('name="csrf_token" value="')[1].split('"')[0]


def at(place):
    return f"/c/{place.community_id}/meters/route"


def send(reader, address, page, meter, value, **more):
    form = {"csrf_token": token(page), "meter": str(meter), "value": value, **more}
    return reader.post(address, data=form, content_type="multipart/form-data")


def readings(installation, place, meter):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        query = select(Reading).where(Reading.meter_id == meter).order_by(Reading.read_at.desc())
        return list(scope.session.scalars(query))


def test_a_round_goes_from_room_to_room_until_all_are_read(installation, place, reader, meters):
    address = f"{at(place)}/{place.building_ids[0]}/water"
    assert "0 / 2" in reader.get(f"{at(place)}/").get_data(as_text=True)
    page = reader.get(address)
    assert str(meters[0]) in page.get_data(as_text=True)
    sent = send(reader, address, page, meters[0], "141.5")
    assert sent.status_code == 303
    page = reader.get(sent.location)
    assert str(meters[1]) in page.get_data(as_text=True)
    sent = send(reader, address, page, meters[1], "142")
    assert "全部抄完" in reader.get(sent.location).get_data(as_text=True)
    assert readings(installation, place, meters[0])[0].value == Decimal("141.5")


def test_a_doubtful_value_is_asked_about_and_saved_when_confirmed(
    installation, place, reader, meters
):
    address = f"{at(place)}/{place.building_ids[0]}/water"
    page = reader.get(address)
    for doubtful in ("129", "900"):
        refused = send(reader, address, page, meters[0], doubtful)
        assert refused.status_code == 422
        assert "is_confirmed" in refused.get_data(as_text=True)
    assert len(readings(installation, place, meters[0])) == 4
    assert send(reader, address, page, meters[0], "900", is_confirmed="true").status_code == 303
    assert readings(installation, place, meters[0])[0].reason


@pytest.mark.parametrize("value", ["", "abc", "-3", "NaN", "1e40"])
def test_what_is_no_number_is_refused_in_words(place, reader, meters, value):
    address = f"{at(place)}/{place.building_ids[0]}/water"
    refused = send(reader, address, reader.get(address), meters[0], value)
    assert refused.status_code == 422
    assert "请输入表盘上的数字" in refused.get_data(as_text=True)


def test_a_photo_goes_with_the_reading(installation, place, reader, meters):
    address = f"{at(place)}/{place.building_ids[0]}/water"
    photo = (io.BytesIO(PNG), "meter.png")
    sent = send(reader, address, reader.get(address), meters[0], "141", photo=photo)
    assert sent.status_code == 303
    reading = readings(installation, place, meters[0])[0]
    assert reading.source is ReadingSource.PHOTO
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        assert [a.media_type for a in attachments_of(scope, reading)] == ["image/png"]


def test_who_cannot_be_reached_is_passed_by_and_comes_again(place, reader, meters):
    address = f"{at(place)}/{place.building_ids[0]}/water"
    passed = reader.get(f"{address}?after={meters[0]}").get_data(as_text=True)
    assert str(meters[1]) in passed
    again = reader.get(f"{address}?after={meters[1]}").get_data(as_text=True)
    assert str(meters[0]) in again


@pytest.mark.parametrize("path", ["nowhere/water", "community/gold"])
def test_an_address_that_is_none_is_not_found(place, reader, path):
    assert reader.get(f"{at(place)}/{path}").status_code == 404


def test_whoever_may_not_record_sees_no_round(installation, place, app):
    stranger = sign_in(app, installation, make_login(installation, place, "auditor"))
    assert stranger.get(f"{at(place)}/").status_code == 403


def test_the_page_of_losses_names_what_is_lost(installation, place, app, monkeypatch):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        end = scope.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        start = (end - timedelta(days=1)).replace(day=1)
        for role, room, used in (("main", None, 100), ("own", place.room_ids[0], 88)):
            meter = Meter(serial=uuid4().hex, commodity="water", role=role, room_id=room,
                          building_id=place.building_ids[0],
                          installed_on=scope.today - timedelta(days=300))  # fmt: skip
            scope.session.add(meter)
            scope.session.flush()
            for when, value in ((start - timedelta(days=1), 0), (end - timedelta(days=1), used)):
                scope.session.add(Reading(meter_id=meter.id, value=value, read_at=when))
    boss = sign_in(app, installation, make_login(installation, place, "community_manager"))
    page = boss.get(f"/c/{place.community_id}/meters/balance?commodity=water")
    assert page.status_code == 200
    assert ">12.0<" in page.get_data(as_text=True)
    assert boss.get(f"/c/{place.community_id}/meters/balance?month=nonsense").status_code == 200
    monkeypatch.setattr(import_module("dougong_meters.services.balance"), "FEW", 1)
    many = boss.get(f"/c/{place.community_id}/meters/balance").get_data(as_text=True)
    assert ">12.0<" not in many
    form = dict(re.findall(r'name="(csrf_token|month|commodity)" value="([^"]+)"', many))
    kept = boss.post(
        f"/c/{place.community_id}/meters/balance", data=form, follow_redirects=True
    ).get_data(as_text=True)
    assert ">12.0<" in kept
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        assert services.reckon_balances(scope) == 1


def test_the_map_of_usage_is_there_for_buildings_and_for_rooms(installation, place, app, meters):
    manager = sign_in(app, installation, make_login(installation, place, "community_manager"))
    here = f"/c/{place.community_id}/meters/map"
    for address in (here, f"{here}?commodity=water&building={place.building_ids[0]}"):
        page = manager.get(address)
        assert page.status_code == 200 and "用量热力图" in page.text
