"""What every page of the admin has: its path, words for codes, guidance where nothing is yet."""

import re
from datetime import UTC, datetime

import pytest
from flask import Flask

from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.messages.models import Message
from dougong.settings import Settings
from dougong.tenancy.models import Room
from dougong.web import timing
from dougong.web.app import SESSION_COOKIE


@pytest.fixture
def manager(app, installation, place):
    from dougong.access.operations import create_user, grant_role, start_session
    from dougong.access.roles import ship_roles

    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"f{place.group_id.hex[-12:]}", "王经理")
        where = {"group_id": place.group_id, "community_id": place.community_id}
        grant_role(session, Actor.system(), user.id, "community_manager", **where)
        token = start_session(session, user)
    client = app.test_client()
    client.set_cookie(SESSION_COOKIE, token)
    client.base = f"/c/{place.community_id}"
    return client


def path(page: str) -> list[str]:
    crumbs = re.search(r'<nav class="crumbs".*?</nav>', page)
    return re.findall(r"<(?:a|span)[^>]*>([^<]+)<", crumbs[0]) if crumbs else []


def test_a_page_without_a_path_of_its_own_gets_it_from_the_menu(manager):
    assert path(manager.get(f"{manager.base}/plugins/").text)[1:] == ["系统管理", "插件"]
    deeper = path(manager.get(f"{manager.base}/plugins/time").text)
    assert deeper[1:] == ["系统管理", "插件", "插件耗时"]
    assert path(manager.get(f"{manager.base}/admin/").text) == []


def test_an_empty_list_says_how_it_fills(manager):
    events = manager.get(f"{manager.base}/admin/dougong/device_event/").text
    assert "无需手工录入" in events
    points = manager.get(f"{manager.base}/admin/dougong/contact_point/").text
    assert "Excel 工作簿一次导入" in points


def test_a_code_stands_in_words(manager, installation, place):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        message = Message(template="dougong:nothing_of_this_name", locale="en", person_id=None)
        message.user_id, message.created_at = uuid7(), datetime.now(UTC)
        message.subject, message.body = "s", "b"
        scope.session.add(message)
    page = manager.get(f"{manager.base}/admin/dougong/message/").text
    assert "dougong:nothing_of_this_name" in page  # no such wording: the code is all there is
    from dougong.messages.wording import template_names, title_of

    with installation.scope(Actor.system(), community=place.community_id) as scope:
        for name in template_names(scope):
            said = title_of(scope, name)
            assert said != name
            assert "{" not in said


def test_statements_are_told_but_not_in_production(manager, installation):
    answer = manager.get(f"{manager.base}/admin/dougong/room/")
    told = re.fullmatch(r'sql;desc="(\d+)"', answer.headers["Server-Timing"])
    assert 1 <= int(told[1]) <= 6
    app = Flask("production")

    class InProduction:
        settings = Settings.from_environment({"DOUGONG_PRODUCTION": "1"})

    timing.install(app, InProduction())
    assert not app.after_request_funcs


def test_every_view_has_a_picture_and_records_with_a_name(app):
    from dougong.web.admin import registry
    from dougong.web.assets import content

    pictures = set(re.findall(r'id="([a-z0-9-]+)"', content("icons.svg")[0].decode()))
    assert {view.icon for view in registry.views()} <= pictures
    assert {page.icon for page in registry.pages()} <= pictures
    nameless = [v.name() for v in registry.views() if v.model.__str__ is object.__str__]
    assert nameless == []


def test_what_hinders_is_said_in_the_words_of_the_menu(manager, place):
    building = f"{manager.base}/admin/dougong/building/{place.building_ids[0]}/"
    token = re.search(r'name="csrf_token" value="([^"]+)"', manager.get(building).text)[1]
    refused = manager.post(f"{building}delete", data={"csrf_token": token})
    assert refused.status_code == 409
    assert re.search(r"使用：(房屋|单元)", refused.text)
    nothing = manager.get(f"{manager.base}/admin/dougong/room/{uuid7()}/")
    assert "房屋" in nothing.text
    assert "(room)" not in nothing.text.replace("（", "(").replace("）", ")")


def test_a_record_leads_to_what_it_belongs_to_and_sorts_itself(manager, place, installation):
    room = manager.get(f"{manager.base}/admin/dougong/room/{place.room_ids[0]}/").text
    assert f'<a href="{manager.base}/admin/dougong/building/' in room
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        made = Room(code="1-2-31", building_id=place.building_ids[0])
        scope.session.add(made)
        scope.session.flush()
        assert made.sort_key == "0001-0002-0031"


def test_a_name_says_the_time_of_the_place(installation, place):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        late = datetime(2026, 11, 27, 18, 30, tzinfo=UTC)
        room = scope.get(Room, place.room_ids[0])
        assert room.local(late) == "2026-11-28 02:30"
    assert Room(code="x").local(late) == "2026-11-27 18:30"


def test_names_are_loaded_with_the_list(manager, installation, place):
    """A list whose rows are called by a relation of a relation sends no statement per row."""
    from dougong_ledger.models import JournalEntry, Wallet, WalletMovement

    with installation.scope(Actor.system(), community=place.community_id) as scope:
        entry = JournalEntry(
            kind="ledger.payments", source_id=uuid7(), memo="x", posted_on=scope.today
        )
        scope.session.add(entry)
        scope.session.flush()
        for person_id in place.person_ids:
            wallet = Wallet(person_id=person_id)
            scope.session.add(wallet)
            scope.session.flush()
            scope.session.add(WalletMovement(wallet_id=wallet.id, entry_id=entry.id, amount=1))
    answer = manager.get(f"{manager.base}/admin/ledger/wallet_movement/")
    assert answer.text.count("record-link") == len(place.person_ids) > 1
    assert int(re.search(r"\d+", answer.headers["Server-Timing"])[0]) <= 6
