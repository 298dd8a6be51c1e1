"""What a plugin adds to another's view: a column, a filter, a field of the form."""

import re

import pytest
from sqlalchemy import text

from dougong.errors import Invalid
from dougong.i18n import bilingual
from dougong.services import change
from dougong.testing.people import make_login, sign_in
from dougong.web.admin import ViewExtension, extend_view, registry

LABEL = bilingual("Old number", "旧编号")


@pytest.fixture
def manager(app, installation, place):
    browser = sign_in(app, installation, make_login(installation, place, "community_manager"))
    browser.base = f"/c/{place.community_id}/admin/dougong/room/"
    return browser


@pytest.fixture
def extended():
    """Return a function that extends the room list for one test, in the name of `meters`."""
    kept = dict(registry._extensions)

    def extend(**more):
        given = {"values": lambda scope, rooms: {r.id: r.old_code or "" for r in rooms}, **more}
        extend_view("meters", ViewExtension("dougong.room", "old", LABEL, **given))

    yield extend
    registry._extensions.clear()
    registry._extensions.update(kept)


def store(scope, room, value):
    if value == "bad":
        raise Invalid("Some fields are not right yet.", fields={"old": "旧编号不对"})
    change(scope, room, {"old_code": value or None})


def test_a_filter_of_another_plugin_narrows_the_list(manager, extended):
    extended(condition=lambda scope, room, asked: room.code == asked)
    page = manager.get(f"{manager.base}?meters-old=1-1-101").text
    assert "1-1-101" in page and "1-1-201" not in page
    assert 'name="meters-old" value="1-1-101"' in page


def test_a_field_of_another_plugin_is_saved_with_the_form(manager, extended, place):
    extended(save=store)
    address = f"{manager.base}{place.room_ids[0]}/"
    page = manager.get(f"{address}edit").text
    form = dict(re.findall(r'name="([\w-]+)" value="([^"]*)"', page))
    form |= {"state": "occupied", "room_kind": "flat"}
    relations = re.findall(
        r'<select[^>]*name="(\w+_id)"[^>]*>.*?<option value="([^"]+)" selected', page, re.DOTALL
    )
    form |= dict(relations)
    assert "meters-old" in form
    wrong = manager.post(f"{address}edit", data={**form, "meters-old": "bad"})
    assert wrong.status_code == 422 and "旧编号不对" in wrong.text
    good = manager.post(f"{address}edit", data={**form, "meters-old": "A-7"})
    assert good.status_code == 303, good.text
    assert "A-7" in manager.get(manager.base).text
    assert 'name="meters-old" value="A-7"' in manager.get(f"{address}edit").text


def test_an_extension_that_fails_is_left_out_and_the_list_stays(manager, extended):
    def broken(scope, rooms):
        scope.session.execute(text("select no_such_column"))

    extended(values=broken)
    page = manager.get(manager.base)
    assert page.status_code == 200 and "1-1-101" in page.text and "旧编号" not in page.text
    extended(condition=lambda *_: 1 / 0)
    assert manager.get(f"{manager.base}?meters-old=x").status_code == 200


def test_an_extension_is_seen_by_whom_it_is_for(app, installation, place, manager, extended):
    extended(permission="meters.meter.take_apart")
    assert "旧编号" in manager.get(manager.base).text
    cashier = sign_in(app, installation, make_login(installation, place, "cashier"))
    assert "旧编号" not in cashier.get(manager.base).text


def test_rooms_are_found_by_their_arrears(manager):
    page = manager.get(f"{manager.base}?fees-overdue=no").text
    assert "逾期欠费" in page and "1-1-101" in page
    assert "1-1-101" not in manager.get(f"{manager.base}?fees-overdue=yes").text
