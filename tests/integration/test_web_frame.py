"""What every page of the admin has: its path, words for codes, guidance where nothing is yet."""

import re
from datetime import UTC, datetime

import pytest
from flask import Flask

from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.messages.models import Message
from dougong.settings import Settings
from dougong.web import timing
from dougong.web.app import SESSION_COOKIE, create_app


@pytest.fixture(scope="module")
def app(installation):
    return create_app(installation)


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
