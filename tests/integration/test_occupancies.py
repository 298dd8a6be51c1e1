"""Beds of dormitories: students come and go by the hundred, one bed holds one at a time."""

import re
from datetime import date
from zlib import crc32

import pytest
from sqlalchemy import func, select

from dougong.db.scope import Actor
from dougong.errors import Conflict
from dougong.services.living import end_occupancy
from dougong.tenancy.models import Occupancy, OccupancyKind
from dougong.testing.people import make_login, sign_in
from dougong.web.admin.opening_people import load_occupancies
from dougong.web.app import create_app

TERM = date(2026, 9, 1)
SUMMER = date(2027, 7, 1)


def opened(installation, place):
    return installation.scope(Actor.system("test"), community=place.community_id)


def row(place, name, bed, from_on=TERM):
    """Return a line of the sheet as the loader is given it."""
    phone = f"139{crc32(name.encode()) % 10**8:08}"
    return {"room_id": place.room_ids[0], "names": name, "phones": phone, "bed": bed,
            "from_on": from_on}  # fmt: skip


@pytest.fixture
def students(installation, place):
    """Let four students move in by one sheet; return their occupancies by bed."""
    with opened(installation, place) as scope:
        assert load_occupancies(scope, [row(place, f"学生{n}", str(n)) for n in range(1, 5)]) == {}
        query = select(Occupancy).where(Occupancy.bed.is_not(None))
        found = {each.bed: each.id for each in scope.session.scalars(query)}
    assert sorted(found) == ["1", "2", "3", "4"]
    return found


def test_a_bed_holds_one_person_at_a_time(installation, place, students):
    with opened(installation, place) as scope:
        (said,) = load_occupancies(scope, [row(place, "插队", "2")]).values()
        assert said
        ended = end_occupancy(scope, scope.get(Occupancy, students["2"]), SUMMER)
        assert (ended.kind, ended.to_on) == (OccupancyKind.BED, SUMMER)
        assert load_occupancies(scope, [row(place, "下一届", "2", SUMMER)]) == {}
        here = select(func.count()).where(
            Occupancy.room_id == place.room_ids[0], Occupancy.bed == "2"
        )
        assert scope.session.scalar(here) == 2


def test_nobody_moves_out_twice_or_before_he_came(installation, place, students):
    with opened(installation, place) as scope:
        record = scope.get(Occupancy, students["1"])
        with pytest.raises(Conflict):
            end_occupancy(scope, record, TERM)
        end_occupancy(scope, record, SUMMER)
        with pytest.raises(Conflict):
            end_occupancy(scope, record, SUMMER)
        assert end_occupancy(scope, record, date(2027, 6, 20)).to_on == date(2027, 6, 20)


def test_a_whole_dormitory_moves_out_on_one_page(installation, place, students):
    login = make_login(installation, place, "community_manager")
    browser = sign_in(create_app(installation), installation, login)
    base = f"/c/{place.community_id}/admin/dougong/occupancy/"
    page = browser.get(f"{base}?kind=bed").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    chosen = {"csrf_token": token, "ids": [str(each) for each in students.values()]}
    asked = browser.post(f"{base}action/end", data=chosen)
    assert asked.status_code == 200 and 'name="on"' in asked.text
    done = browser.post(f"{base}action/end", data={**chosen, "sure": "1", "on": str(SUMMER)})
    assert done.status_code == 200, done.text
    with opened(installation, place) as scope:
        ends = scope.session.scalars(select(Occupancy.to_on).where(Occupancy.bed.is_not(None)))
        assert set(ends) == {SUMMER}
