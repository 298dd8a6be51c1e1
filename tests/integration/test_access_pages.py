"""Sessions, access tokens and passkeys: pages of one's own, and of the security administrator."""

import re

import pytest
from sqlalchemy import select

from dougong.access import actor_for_token, passkeys
from dougong.access.models import ApiToken, Passkey, PasskeyChallenge, SignInSession
from dougong.access.operations import (
    PasskeyNeeded,
    TooManyTries,
    WrongSignIn,
    create_user,
    grant_role,
    sign_in,
)
from dougong.access.passkeys import Site, site_of
from dougong.access.tokens import issue_token
from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.errors import Invalid, NotFound
from dougong.testing.factories import make_place
from dougong.testing.people import make_login
from dougong.testing.people import sign_in as browser_of

PASSWORD = "correct horse battery staple"


@pytest.fixture
def manager(installation, place):
    return make_login(installation, place, "community_manager")


def csrf(browser, path):
    return re.search(r'name="csrf_token" value="([^"]+)"', browser.get(path).text).group(1)


def test_a_token_is_made_shown_once_used_and_revoked(app, installation, place, manager):
    browser = browser_of(app, installation, manager)
    form = {
        "csrf_token": csrf(browser, "/account/tokens"),
        "name": "抄表程序",
        "wide": "meters.*",
        "permissions": "dougong.room.view",
        "days": "30",
    }
    made = browser.post("/account/tokens", data=form)
    token = re.search(r"dougong_[\w-]+", made.text).group(0)
    assert token not in browser.get("/account/tokens").text
    assert "从未使用" in browser.get("/account/tokens").text
    bearer = {"Authorization": f"Bearer {token}"}
    rooms = f"/c/{place.community_id}/api/v1/dougong/room"
    program = app.test_client(use_cookies=False)
    assert program.get(rooms, headers=bearer).status_code == 200
    assert program.get(rooms.replace("room", "person"), headers=bearer).status_code == 403
    page = browser.get("/account/tokens").text
    assert "最近使用" in page and "从未使用" not in page
    identity = re.search(r"/account/tokens/([0-9a-f-]{36})/revoke", page).group(1)
    data = {"csrf_token": form["csrf_token"]}
    assert browser.post(f"/account/tokens/{identity}/revoke", data=data).status_code == 303
    assert program.get(rooms, headers=bearer).status_code == 401


def test_a_wrong_token_says_which_field(app, installation, manager):
    browser = browser_of(app, installation, manager)
    data = {"csrf_token": csrf(browser, "/account/tokens"), "name": "", "permissions": "!"}
    wrong = browser.post("/account/tokens", data={**data, "days": "9999"})
    assert wrong.status_code == 422
    assert wrong.text.count('class="invalid"') == 3


def test_a_token_opens_no_page_of_its_owner(app, installation, manager):
    token, _ = issue_token(installation, manager, "x", ["*"])
    program = app.test_client(use_cookies=False)
    for path in ("/account", "/account/tokens"):
        bearer = {"Authorization": f"Bearer {token}"}
        assert program.get(path, headers=bearer).status_code == 404


@pytest.fixture
def security(app, installation, place):
    with installation.access() as session:
        user = create_user(session, f"s{uuid7().hex}", "安全")
        grant_role(
            session, Actor.system(), user.id, "security_administrator", group_id=place.group_id
        )
        actor = Actor(user.id, user.name)
    browser = browser_of(app, installation, actor)
    browser.page = f"/g/{place.group_id}/admin/sessions"
    return browser


def test_the_security_administrator_ends_sessions_and_tokens(app, installation, manager, security):
    theirs = browser_of(app, installation, manager)
    token, _ = issue_token(installation, manager, "夜间任务", ["*.view"])
    page = security.get(security.page).text
    assert "夜间任务" in page
    data = {"csrf_token": csrf(security, security.page)}
    with installation.access() as session:
        query = select(SignInSession.id).where(SignInSession.user_id == manager.user_id)
        opened = session.scalars(query).one()
        held = session.scalars(select(ApiToken.id).where(ApiToken.user_id == manager.user_id)).one()
    for kind, identity in (("session", opened), ("token", held)):
        address = f"{security.page}/{kind}/{identity}/revoke"
        assert security.post(address, data=data).status_code == 303
    assert theirs.get("/account").status_code == 303
    assert actor_for_token(installation, token) is None


def test_nobody_ends_what_belongs_to_another_group(installation, security):
    other = make_login(installation, make_place(installation), "community_manager")
    token, row = issue_token(installation, other, "fremd", ["*"])
    data = {"csrf_token": csrf(security, security.page)}
    assert "fremd" not in security.get(security.page).text
    answer = security.post(f"{security.page}/token/{row.id}/revoke", data=data)
    assert answer.status_code == 404
    assert actor_for_token(installation, token) is not None


def test_a_manager_does_not_see_who_is_signed_in(app, installation, place, manager):
    browser = browser_of(app, installation, manager)
    assert browser.get(f"/g/{place.group_id}/admin/sessions").status_code in (403, 404)


# --- passkeys: what needs no authenticator ------------------------------------------------------


@pytest.mark.parametrize(
    ("configured", "asked", "name"),
    [
        ("https://wy.example.cn", "https://wy.example.cn/", "wy.example.cn"),
        ("https://wy.example.cn", "https://other.example/", None),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765/", None),
        ("http://127.0.0.1:8765", "http://localhost:8765/", "localhost"),
        ("https://wy.example.cn", "http://localhost:8765/", None),
        ("http://192.168.1.9", "http://192.168.1.9/", None),
    ],
)
def test_passkeys_are_bound_to_the_configured_name(configured, asked, name):
    class Here:
        class settings:
            url = configured

    site = site_of(Here, asked)
    assert (site.name if site else None) == name


def with_passkey(installation, user_id):
    from datetime import UTC, datetime

    with installation.access() as session:
        session.add(
            Passkey(
                user_id=user_id,
                name="手机",
                credential_id=uuid7().bytes,
                public_key=b"x",
                sign_count=0,
                made_at=datetime.now(UTC),
            )
        )


def test_a_password_alone_does_not_do_where_there_is_a_passkey(installation):
    login = f"p{uuid7().hex}"
    with installation.access() as session:
        user_id = create_user(session, login, "甲", PASSWORD).id
    assert sign_in(installation, login, PASSWORD)
    with_passkey(installation, user_id)
    with pytest.raises(PasskeyNeeded):
        sign_in(installation, login, PASSWORD)
    for code in (None, "123456"):
        with pytest.raises(WrongSignIn):
            sign_in(installation, login, "wrong password indeed", code)
    with pytest.raises(WrongSignIn):
        sign_in(installation, login, PASSWORD, "123456")


def test_a_challenge_works_once_and_for_its_purpose(installation, manager):
    import json

    site = Site("localhost", "http://localhost")
    asked = json.loads(passkeys.begin_registration(installation, manager, site))["asked"]
    for _ in range(2):
        with pytest.raises((WrongSignIn, Invalid)):
            passkeys.sign_in_with_passkey(installation, site, asked, "{}", address="1.1.1.1")
    with pytest.raises(Invalid):
        passkeys.register(installation, manager, site, asked, "{}", "x")
    with installation.access() as session:
        left = session.scalars(select(PasskeyChallenge.id)).all()
    assert asked in map(str, left), "a failed try for another purpose leaves it"


def test_guessing_with_passkeys_is_slowed_down_by_address(installation):
    site = Site("localhost", "http://localhost")
    where = f"10.0.0.{uuid7().hex[-2:]}"
    with pytest.raises(TooManyTries):
        for _ in range(25):
            try:
                passkeys.sign_in_with_passkey(installation, site, "x", "{}", address=where)
            except WrongSignIn:
                continue


def test_nobody_removes_the_passkey_of_another(installation, place, manager):
    with_passkey(installation, manager.user_id)
    [key] = passkeys.passkeys_of(installation, manager.user_id)
    other = make_login(installation, place, "community_manager")
    with pytest.raises(NotFound):
        passkeys.remove_passkey(installation, other, key.id)
    passkeys.remove_passkey(installation, manager, key.id)
    assert passkeys.passkeys_of(installation, manager.user_id) == []
