"""The inbox over HTTP."""

import re

import pytest

from dougong.access.operations import create_user, link_person, start_session
from dougong.db.scope import Actor
from dougong.messages import write_message
from dougong.tenancy.models import Person
from dougong.web.app import SESSION_COOKIE


@pytest.fixture
def browser(app, installation, place):
    """Return a function that gives the browser of the n-th person."""

    def made(number):
        with installation.access() as session:
            user = create_user(session, f"i{place.group_id.hex[-12:]}{number}", f"业主{number}")
            link_person(session, user.id, place.community_id, place.person_ids[number])
            token = start_session(session, user)
        client = app.test_client()
        client.set_cookie(SESSION_COOKIE, token)
        return client

    return made


def test_an_owner_reads_his_messages_and_nobody_else_s(installation, place, browser):
    with installation.scope(Actor.system("前台"), community=place.community_id) as scope:
        person = scope.get(Person, place.person_ids[0])
        first = write_message(scope, person, "停水<b>", "明天停水\n请储水")
        write_message(scope, person, "来电", "已来电")
    inbox = f"/c/{place.community_id}/inbox/"
    mine, other = browser(0), browser(1)
    assert "消息" in mine.get(f"/c/{place.community_id}/home").text
    page = mine.get(inbox).text
    assert "停水&lt;b&gt;" in page
    assert page.count("新</span>") == 2
    assert "<p>请储水</p>" in mine.get(f"{inbox}{first.id}").text
    assert mine.get(inbox).text.count("新</span>") == 1
    token = re.search(r'name="csrf_token" value="([^"]+)"', page).group(1)
    assert mine.post(f"{inbox}read", data={"csrf_token": token}).status_code == 303
    assert "新</span>" not in mine.get(inbox).text
    assert "暂无消息" in other.get(inbox).text
    assert other.get(f"{inbox}{first.id}").status_code == 404
