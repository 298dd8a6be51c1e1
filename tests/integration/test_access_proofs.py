"""Fresh proof before what is dangerous, the second factor that is forced, recovery codes."""

import re
from urllib.parse import unquote

import pyotp
import pytest
from sqlalchemy import text

from dougong.access import factors
from dougong.access.operations import (
    WrongSignIn,
    create_user,
    grant_role,
    one_time_link,
    sign_in,
)
from dougong.access.roles import ship_roles
from dougong.access.tokens import issue_token
from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.errors import StepUpRequired
from dougong.services import SERVICES
from dougong.tenancy.models import Person
from dougong.testing.people import make_login
from dougong.testing.people import sign_in as browser_of
from dougong.web.app import create_app

PASSWORD = "correct horse battery staple"
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


@pytest.fixture
def manager(installation, place):
    return make_login(installation, place, "community_manager")


@pytest.fixture
def security(installation, place):
    """A security administrator of the group, who has a password."""
    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"s{uuid7().hex}", "安全", PASSWORD)
        system = Actor.system()
        grant_role(session, system, user.id, "security_administrator", group_id=place.group_id)
        return Actor(user.id, user.login)


def make_person(installation, place):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        person = Person(name="王五", phone="13800138000")
        scope.session.add(person)
        scope.session.flush()
        return person.id


def let_time_pass(installation, actor):
    with installation.access() as session:
        session.execute(
            text(
                "update dougong.sign_in_session set stepped_up_at = now() - interval '6 minutes'"
                " where user_id = :user"
            ),
            {"user": actor.user_id},
        )


def csrf(browser, path):
    return re.search(r'name="csrf_token" value="([^"]+)"', browser.get(path).text).group(1)


def duties(installation, user_id):
    with installation.access() as session:
        query = text("select duty from dougong.role_grant where user_id = :user order by duty")
        return list(session.scalars(query, {"user": user_id}))


def test_an_administration_is_given_only_with_a_fresh_proof(app, installation, place, security):
    with installation.access() as session:
        other = create_user(session, f"o{uuid7().hex}", "同事")
        grant_role(session, Actor.system(), other.id, "guard", group_id=place.group_id)
        other_id = other.id
    browser = browser_of(app, installation, security)
    users = f"/g/{place.group_id}/admin/users"
    form = {"csrf_token": csrf(browser, users), "role": "audit_administrator", "place": ""}
    let_time_pass(installation, security)
    asked = browser.post(f"{users}/{other_id}/role", data=form)
    assert asked.status_code == 403 and 'name="proof_password"' in asked.text
    assert duties(installation, other_id) == ["business"]
    carried = dict(HIDDEN.findall(asked.text))
    assert carried["role"] == "audit_administrator"
    wrong = browser.post(f"{users}/{other_id}/role", data={**carried, "proof_password": "x" * 12})
    assert wrong.status_code == 401 and 'name="proof_password"' in wrong.text
    assert duties(installation, other_id) == ["business"]
    right = browser.post(f"{users}/{other_id}/role", data={**carried, "proof_password": PASSWORD})
    assert right.status_code == 303
    assert duties(installation, other_id) == ["audit", "business"]


def test_a_program_is_told_in_its_own_way(app, installation, place, manager):
    person = make_person(installation, place)
    path = f"/c/{place.community_id}/api/v1/dougong/person.export"
    body = {"person": str(person)}
    browser = browser_of(app, installation, manager)
    head = {"X-CSRF-Token": csrf(browser, "/account")}
    assert browser.post(path, json=body, headers=head).status_code == 200
    let_time_pass(installation, manager)
    refused = browser.post(path, json=body, headers=head)
    assert refused.content_type == "application/problem+json"
    assert (refused.status_code, refused.json["title"]) == (403, "step_up_required")
    wide, _ = issue_token(installation, manager, "all", ["*"])
    named, _ = issue_token(installation, manager, "one", ["dougong.person.export"])
    program = app.test_client(use_cookies=False)
    answers = [
        program.post(path, json=body, headers={"Authorization": f"Bearer {token}"})
        for token in (wide, named)
    ]
    assert [a.status_code for a in answers] == [403, 200]
    assert answers[0].json["title"] == "step_up_required"


def test_a_job_is_no_way_round_the_proof(installation, place, manager):
    person = make_person(installation, place)
    browser_of(create_app(installation), installation, manager)
    let_time_pass(installation, manager)
    with installation.access() as session:
        query = text("select id, stepped_up_at from dougong.sign_in_session where user_id = :u")
        session_id, proved = session.execute(query, {"u": manager.user_id}).one()
    from dataclasses import replace

    from dougong.access import resolve_actor

    known = resolve_actor(installation, manager.user_id)
    stale = replace(known, session_id=session_id, stepped_up_at=proved)
    with installation.scope(stale, community=place.community_id) as scope:
        for ask in (scope.enqueue, scope.call):
            with pytest.raises(StepUpRequired):
                ask("dougong.person.export", person=person)


def test_looking_at_values_in_bulk_needs_a_proof(app, installation, place, manager):
    person = make_person(installation, place)
    browser = browser_of(app, installation, manager)
    page = f"/c/{place.community_id}/admin/dougong/person/{person}/reveal/phone"
    data = {"csrf_token": csrf(browser, page), "reason": "call"}
    let_time_pass(installation, manager)
    statuses = [browser.post(page, data=data).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [403]


def test_who_reaches_far_signs_in_once_without_a_second_factor(app, installation, place, security):
    browser = app.test_client()
    form = {"login": security.name, "password": PASSWORD, "next": "/"}

    def submit(**more):
        token = csrf(browser, "/sign-in")
        return browser.post("/sign-in", data={**form, "csrf_token": token, **more})

    first = submit()
    assert unquote(first.headers["Location"]) == "/account?next=/"
    users = f"/g/{place.group_id}/admin/users"
    assert browser.get(users).status_code == 200, "the grace lets him work"
    assert "下次登录" in browser.get("/account").text
    browser.post("/sign-out", data={"csrf_token": csrf(browser, "/account")})
    submit()
    kept_out = browser.get(users)
    assert kept_out.status_code == 303 and kept_out.headers["Location"].startswith("/account?")
    told = browser.get(f"/g/{place.group_id}/api/v1/dougong/region")
    assert (told.status_code, told.json["title"]) == (403, "second_factor_needed")

    token = csrf(browser, "/account")
    page = browser.post("/account/second-factor", data={"csrf_token": token}).text
    secret = re.search(r"secret=([A-Z0-9]+)", page).group(1)
    wrong = browser.post("/account/second-factor", data={"csrf_token": token, "code": "000000"})
    assert wrong.status_code == 422
    code = pyotp.TOTP(secret).now()
    made = browser.post("/account/second-factor", data={"csrf_token": token, "code": code})
    codes = re.findall(r"<code>([a-z0-9]{5}-[a-z0-9]{5})</code>", made.text)
    assert len(set(codes)) == 10
    assert browser.get(users).status_code == 200

    browser.post("/sign-out", data={"csrf_token": token})
    assert submit().status_code == 401, "a password alone no longer does"
    assert submit(code=codes[0].upper()).headers["Location"] == "/"
    browser.post("/sign-out", data={"csrf_token": csrf(browser, "/account")})
    with pytest.raises(WrongSignIn):
        sign_in(installation, security.name, PASSWORD, codes[0])


def open_link(app, installation, user_id, **how):
    browser = app.test_client()
    path = one_time_link(installation, user_id, **how).removeprefix(installation.settings.url)
    answer = browser.post(path, data={"csrf_token": csrf(browser, path)})
    return browser, answer


def test_a_link_does_not_go_round_the_second_factor(app, installation, place, security):
    browser, _ = open_link(app, installation, security.user_id, is_console=True)
    users = f"/g/{place.group_id}/admin/users"
    assert browser.get(users).status_code == 200
    token = csrf(browser, "/account")
    page = browser.post("/account/second-factor", data={"csrf_token": token}).text
    secret = re.search(r"secret=([A-Z0-9]+)", page).group(1)
    code = pyotp.TOTP(secret).now()
    browser.post("/account/second-factor", data={"csrf_token": token, "code": code})
    for is_console in (False, True):
        other, _ = open_link(app, installation, security.user_id, is_console=is_console)
        assert other.get(users).headers["Location"].startswith("/account/proof?next=")
    form = {"csrf_token": csrf(other, "/account/proof"), "proof": "code", "next": users}
    assert other.post("/account/proof", data={**form, "proof_code": "999999"}).status_code == 401
    right = other.post("/account/proof", data={**form, "proof_code": code})
    assert right.headers["Location"] == users
    assert other.get(users).status_code == 200


def test_the_operator_takes_lost_factors_from_a_login(app, installation, place, security):
    browser, _ = open_link(app, installation, security.user_id, is_console=True)
    token = csrf(browser, "/account")
    page = browser.post("/account/second-factor", data={"csrf_token": token}).text
    code = pyotp.TOTP(re.search(r"secret=([A-Z0-9]+)", page).group(1)).now()
    browser.post("/account/second-factor", data={"csrf_token": token, "code": code})
    with pytest.raises(WrongSignIn):
        sign_in(installation, security.name, PASSWORD)
    factors.forget_factors(installation, security.name)
    assert browser.get("/account").headers["Location"].startswith("/sign-in")
    assert sign_in(installation, security.name, PASSWORD)


def test_the_link_of_the_console_works_with_one_click(app, installation, place):
    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"c{uuid7().hex}", "经理")
        grant_role(session, Actor.system(), user.id, "group_manager", group_id=place.group_id)
        actor = Actor(user.id, user.name)
    for _ in range(2):
        browser, answer = open_link(app, installation, actor.user_id, is_console=True)
        assert answer.headers["Location"] == "/"
        assert browser.get(f"/g/{place.group_id}/admin/").status_code == 200
    let_time_pass(installation, actor)
    form = {"csrf_token": csrf(browser, "/account"), "password": PASSWORD}
    asked = browser.post("/account/password", data=form)
    assert asked.status_code == 403 and 'value="console"' in asked.text
    done = browser.post("/account/password", data=dict(HIDDEN.findall(asked.text)))
    assert done.status_code == 303
    let_time_pass(installation, actor)
    asked = browser.post("/account/password", data=form)
    assert 'name="proof_password"' in asked.text, "whoever has a password is asked for it"
    # A link that somebody sent is no proof of the machine's operator: it grants one sign-in.
    for expected in ("/account?next=/", "/account?next=/"):
        browser, answer = open_link(app, installation, actor.user_id)
        assert unquote(answer.headers["Location"]) in (expected, "/")
    assert browser.get(f"/g/{place.group_id}/admin/").status_code == 303


DANGEROUS = {
    "dougong.device_command.approve",
    "dougong.person.erase",
    "dougong.person.export",
    "dougong.privacy_request.erase",
    "ledger.deposit.give_back",
    "ledger.payment.refund",
    "ledger.wallet.pay_out",
}


def test_dangerous_services_say_so_themselves():
    declared = {name for name, service in SERVICES.items() if service.step_up}
    missing = {n for n in DANGEROUS - declared if n.startswith("dougong.") or n in SERVICES}
    assert not missing
