"""Changing many records at once: shown first, done in one transaction, taken back as one step."""

import html
import re
from decimal import Decimal

import pytest
from sqlalchemy import select, text

from dougong.access.operations import create_user, grant_role
from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.tenancy.models import Room
from dougong.testing.people import make_login, sign_in


class Desk:
    """A browser that walks through the steps of a bulk change."""

    def __init__(self, browser, base):
        self.browser, self.base = browser, base
        page = browser.get(f"{base}?").text
        self.token = re.search(r'name="csrf_token" value="([^"]+)"', page).group(1)

    def post(self, **form):
        return self.browser.post(f"{self.base}bulk", data={"csrf_token": self.token, **form})

    def do(self, preview, **more):
        """Send the preview's own form."""
        form = preview.text[preview.text.rindex('<form method="post">') :]
        sent = {"step": "do"}
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form):
            sent.setdefault(name, []) if isinstance(sent.get(name, []), list) else None
            sent[name] = [*sent.get(name, []), html.unescape(value)]
        return self.browser.post(f"{self.base}bulk", data={**sent, **more})

    def take_back(self, done):
        run = re.search(r"run=([\w.-]+)", done.location).group(1)
        data = {"csrf_token": self.token, "run": run}
        return self.browser.post(f"{self.base}bulk/undo", data=data)


@pytest.fixture
def actor(installation, place):
    return make_login(installation, place, "community_manager")


@pytest.fixture
def desk(app, installation, place, actor):
    return Desk(sign_in(app, installation, actor), f"/c/{place.community_id}/admin/dougong/room/")


def rooms(installation, place, column=Room.floor, community=None):
    where = community or place.community_id
    with installation.scope(Actor.system(), community=where) as scope:
        return {row[0]: row[1] for row in scope.session.execute(select(Room.id, column))}


def test_every_field_stays_as_it_is_unless_ticked(desk, place):
    page = desk.post(ids=[str(i) for i in place.room_ids]).text
    assert 'name="set" value="floor"' in page and "checked" not in page
    assert 'value="code"' not in page, "no two rooms share a code"
    nothing = desk.post(ids=[str(place.room_ids[0])], step="preview", floor="3")
    assert nothing.status_code == 422


def test_a_preview_shows_what_would_change_and_changes_nothing(desk, place, installation):
    before = rooms(installation, place)
    picked = ",".join(map(str, place.room_ids))
    page = desk.post(picked=picked, step="preview", set="floor", floor="1").text
    assert "2 条记录将被修改" in page and "2 条已是此值" in page
    assert "<del>2</del>" in page and "<ins>1</ins>" in page
    assert rooms(installation, place) == before


def test_it_is_done_and_taken_back_as_one_step(desk, place, installation, actor):
    before = rooms(installation, place)
    picked = ",".join(map(str, place.room_ids))
    preview = desk.post(
        picked=picked, step="preview", set=["floor", "old_code"], floor="9", old_code="X"
    )
    done = desk.do(preview)
    assert done.status_code == 303, done.text
    assert set(rooms(installation, place).values()) == {9}
    assert "已修改 4 条记录" in desk.browser.get(done.location).text
    with installation.platform() as session:
        events = session.execute(
            text(
                "select count(*), count(distinct txid), min(body::jsonb ->> 'reason')"
                " from dougong.audit_event where actor_id = :id and verb = 'dougong.room.change'"
            ),
            {"id": actor.user_id},
        ).one()
    assert tuple(events) == (4, 1, "批量修改")
    assert desk.take_back(done).status_code == 303
    assert rooms(installation, place) == before
    assert set(rooms(installation, place, Room.old_code).values()) == {None}


def test_what_changed_since_the_preview_is_not_overwritten(desk, place, installation):
    picked = ",".join(map(str, place.room_ids))
    preview = desk.post(picked=picked, step="preview", set="floor", floor="9")
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        scope.get(Room, place.room_ids[0]).floor = 5
    answer = desk.do(preview)
    assert answer.status_code == 409
    assert 9 not in rooms(installation, place).values()
    assert desk.do(answer).status_code == 303
    assert set(rooms(installation, place).values()) == {9}


def test_undo_refuses_when_a_record_changed_since_and_leaves_all(desk, place, installation):
    picked = ",".join(map(str, place.room_ids))
    done = desk.do(desk.post(picked=picked, step="preview", set="floor", floor="9"))
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        scope.get(Room, place.room_ids[0]).floor = 5
    assert desk.take_back(done).status_code == 409
    assert sorted(rooms(installation, place).values()) == [5, 9, 9, 9]


def test_what_is_refused_is_named_and_left_out(desk, place, installation):
    """A unit of the other building does not fit: the database says so for each room."""
    picked = ",".join(map(str, place.room_ids))
    wrong = desk.post(picked=picked, step="preview", set="built_area", built_area="x")
    assert wrong.status_code == 422 and "aria-invalid" in wrong.text
    negative = desk.post(picked=picked, step="preview", set="building_id", building_id=str(uuid7()))
    assert negative.status_code == 200
    assert "4 条被拒绝" in negative.text and 'name="step" value="do"' not in negative.text


def test_all_rows_of_the_filters_are_changed(desk, place, installation):
    page = desk.post(all="1", query="q=1-1-").text
    picked = re.search(r'name="picked" value="([^"]*)"', page).group(1)
    done = desk.do(desk.post(picked=picked, step="preview", set="floor", floor="8"))
    assert done.status_code == 303
    assert sorted(rooms(installation, place).values()) == [1, 2, 8, 8]


def test_more_than_can_be_done_at_once_is_said(desk, monkeypatch):
    monkeypatch.setattr("dougong.web.admin.bulk.MOST", 3)
    page = desk.post(all="1", query="").text
    assert "这是列表的前 3 条" in page
    many = ",".join(str(uuid7()) for _ in range(4))
    assert desk.post(picked=many).status_code == 422


def test_a_group_page_changes_community_by_community(app, installation, place):
    with installation.scope(Actor.system(), community=place.other_community_id) as scope:
        from dougong.tenancy.models import Building

        building = Building(code="1", name="1栋", sort_key="1")
        scope.session.add(building)
        scope.session.flush()
        scope.session.add(
            Room(building_id=building.id, code="1-9", sort_key="1-9", built_area=Decimal(9))
        )
    with installation.access() as session:
        user = create_user(session, f"g{uuid7().hex}", "集团")
        grant_role(session, Actor.system(), user.id, "group_manager", group_id=place.group_id)
        manager = Actor(user.id, user.name)
    base = f"/g/{place.group_id}/admin/dougong/room/"
    desk = Desk(sign_in(app, installation, manager), base)
    assert 'name="ids"' in desk.browser.get(base).text
    picked = re.search(r'name="picked" value="([^"]*)"', desk.post(all="1", query="").text).group(1)
    preview = desk.post(picked=picked, step="preview", set="floor", floor="7")
    assert "翠湖花园" in preview.text and "阳光里" in preview.text
    done = desk.do(preview)
    assert done.status_code == 200, done.text
    everywhere = [
        *rooms(installation, place).values(),
        *rooms(installation, place, community=place.other_community_id).values(),
    ]
    assert everywhere == [7] * 5
    pattern = r'action="(/c/[^"]+/bulk/undo)">.*?name="run" value="([^"]+)"'
    for address, run in re.findall(pattern, done.text, re.DOTALL):
        data = {"csrf_token": desk.token, "run": run}
        assert desk.browser.post(address, data=data).status_code == 303
    assert 7 not in rooms(installation, place).values()


def test_nobody_changes_many_who_may_not_change_one(app, installation, place):
    cashier = sign_in(app, installation, make_login(installation, place, "cashier"))
    base = f"/c/{place.community_id}/admin/dougong/room/"
    assert 'formaction="' + base + 'bulk"' not in cashier.get(base).text
    token = re.search(r'"X-CSRF-Token": "([^"]+)"', cashier.get(base).text).group(1)
    data = {"csrf_token": token, "ids": str(place.room_ids[0])}
    assert cashier.post(f"{base}bulk", data=data).status_code == 403


def test_a_column_that_the_role_may_not_set_is_not_offered(app, installation, place):
    from dougong.access import clearances
    from dougong.access.models import Role

    with installation.access() as session:
        role = session.scalars(select(Role.id).where(Role.key == "dispatcher")).one()
    with installation.scope(Actor.system(), group=place.group_id) as scope:
        clearances.say(scope, role, {"dougong.room.floor": "read"})
    browser = sign_in(app, installation, make_login(installation, place, "dispatcher"))
    desk = Desk(browser, f"/c/{place.community_id}/admin/dougong/room/")
    picked = str(place.room_ids[0])
    assert 'value="floor"' not in desk.post(picked=picked).text
    assert desk.post(picked=picked, step="preview", set="floor", floor="9").status_code == 422
