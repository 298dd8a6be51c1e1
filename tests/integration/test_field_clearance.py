"""What a role says of a column holds on every page, in files and in the API."""

import re
from decimal import Decimal

import pytest
from sqlalchemy import select

from dougong.access import clearances
from dougong.access.models import Role
from dougong.access.tokens import issue_token
from dougong.db.scope import Actor
from dougong.errors import Invalid, NotAllowed
from dougong.services import change
from dougong.tenancy.models import Person, Room
from dougong.testing.people import make_login, sign_in
from dougong.testing.programs import Program

AREA, SHOWN = "建筑面积", "89.5"


@pytest.fixture
def say(installation, place):
    """Return a function by which the group says what its roles may do with columns."""

    def said(role, **levels):
        with installation.access() as session:
            identity = session.scalars(
                select(Role.id).where(Role.key == role, Role.group_id.is_(None))
            ).one()
        with installation.scope(Actor.system(), group=place.group_id) as scope:
            clearances.say(scope, identity, {k.replace("__", "."): v for k, v in levels.items()})

    return said


@pytest.fixture
def visit(app, installation, place, say):
    """Return a function: a browser of a role for which the group says something."""

    def made(role="community_manager", **levels):
        actor = make_login(installation, place, role)
        say(role, **levels)
        browser = sign_in(app, installation, actor)
        browser.base = f"/c/{place.community_id}/admin/dougong/room/"
        return browser

    return made


def token_of(browser, path):
    return re.search(r'name="csrf_token" value="([^"]+)"', browser.get(path).text).group(1)


@pytest.mark.parametrize("level", ["write", "hide"])
def test_a_hidden_column_is_on_no_page(visit, place, level):
    manager = visit(dougong__room__built_area=level)
    room = f"{manager.base}{place.room_ids[0]}/"
    pages = {
        "list": f"{manager.base}?columns=code,built_area",
        "details": room,
        "form": f"{room}edit",
        "csv": f"{manager.base}export.csv?columns=code,built_area",
    }
    seen = {name for name, path in pages.items() if SHOWN in manager.get(path).text}
    named = {name for name, path in pages.items() if AREA in manager.get(path).text}
    assert seen == named == (set(pages) if level == "write" else set())


def test_a_hidden_column_neither_filters_nor_sorts(visit):
    manager = visit(dougong__room__built_area="hide")
    page = manager.get(f"{manager.base}?built_area.from=91&sort=-built_area").text
    assert "1-1-101" in page and "2-1-101" in page
    assert page.index("1-1-101") < page.index("2-1-101")


def test_the_history_leaves_a_hidden_column_out(visit, place, installation):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        change(scope, scope.get(Room, place.room_ids[0]), {"built_area": Decimal("77.70")})
    path = f"{visit().base}{place.room_ids[0]}/timeline"
    assert "77.7" in visit().get(path).text
    assert "77.7" not in visit(dougong__room__built_area="hide").get(path).text


def test_a_hidden_personal_value_finds_nobody_and_is_not_revealed(visit, place):
    manager = visit(dougong__person__phone="hide")
    people = manager.base.replace("/room/", "/person/")
    assert "业主1" not in manager.get(f"{people}?q=13800130001").text
    assert "业主1" not in manager.get(people.replace("dougong/person/", "search?q=0001")).text
    assert manager.get(f"{people}{place.person_ids[1]}/reveal/phone").status_code == 404
    assert "业主1" in visit(dougong__person__phone="").get(f"{people}?q=13800130001").text


def test_a_column_to_read_is_shown_and_not_set(visit, place, installation):
    manager = visit(dougong__room__built_area="read")
    room = f"{manager.base}{place.room_ids[0]}/"
    form = manager.get(f"{room}edit").text
    assert SHOWN in form and 'name="built_area"' not in form and 'name="old_code"' in form
    assert f"{place.room_ids[0]}/cell/built_area" not in manager.get(manager.base).text
    token = token_of(manager, f"{room}edit")
    cell = manager.post(f"{room}cell/built_area", data={"csrf_token": token, "built_area": "1"})
    assert cell.status_code == 404
    mark = re.search(r'name="fingerprint" value="([^"]+)"', form).group(1)
    sent = {"csrf_token": token, "fingerprint": mark, "old_code": "A", "built_area": "1"}
    manager.post(f"{room}edit", data=sent)
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        stored = scope.get(Room, place.room_ids[0])
        assert (stored.built_area, stored.old_code) == (Decimal("89.50"), "A")


def test_an_import_offers_only_columns_that_may_be_set(installation, place, say):
    from dougong.access import resolve_actor
    from dougong.web.admin import registry
    from dougong.web.admin.importing import fields_of

    actor = make_login(installation, place, "community_manager")
    say("community_manager", dougong__room__built_area="read", dougong__room__old_code="hide")
    known = resolve_actor(installation, actor.user_id)
    with installation.scope(known, community=place.community_id) as scope:
        keys = {field.key for field in fields_of(scope, registry.view_of(Room))}
    assert "floor" in keys and not keys & {"built_area", "old_code"}


@pytest.fixture
def program(app, installation, place, say):
    """Return a function: a program of a role for which the group says something."""

    def made(**levels):
        actor = make_login(installation, place, "community_manager")
        say("community_manager", **levels)
        token, _ = issue_token(installation, actor, "test", ["*"])
        return Program(app, f"c/{place.community_id}", token)

    return made


def test_the_api_leaves_hidden_columns_out_and_says_so_when_asked(program, place):
    rooms = "/v1/dougong/room"
    shown = program().call("GET", f"{rooms}/{place.room_ids[0]}").json
    hiding = program(dougong__room__built_area="hide")
    hidden = hiding.call("GET", f"{rooms}/{place.room_ids[0]}").json
    assert set(shown) - set(hidden) == {"built_area"}
    assert "built_area" not in hiding.call("GET", rooms).json["items"][0]
    for query in ("built_area.from=1", "sort=built_area", "fields=built_area", "built_area=89.5"):
        refused = hiding.call("GET", f"{rooms}?{query}")
        assert refused.status_code == 422 and "built_area" in refused.json["errors"], query


@pytest.mark.parametrize("level", ["read", "hide"])
def test_the_api_sets_only_what_the_role_may(program, place, level):
    restricted, room = program(dougong__room__built_area=level), place.room_ids[0]
    path = f"/v1/dougong/room/{room}"
    assert restricted.call("PATCH", path, {"built_area": "1.00"}).status_code == 403
    assert restricted.call("PATCH", path, {"floor": 9}).status_code == 200
    assert (
        program(dougong__room__built_area="write")
        .call("PATCH", path, {"built_area": "1.00"})
        .status_code
        == 200
    )


def test_the_widest_of_several_roles_counts(installation, place, say):
    from dougong.access import resolve_actor
    from dougong.access.operations import grant_role

    actor = make_login(installation, place, "dispatcher")
    say("dispatcher", dougong__room__built_area="hide")
    for expected in ("hide", None):
        known = resolve_actor(installation, actor.user_id)
        with installation.scope(known, community=place.community_id) as scope:
            assert scope.restrictions(Room).get("built_area") == expected
        with installation.access() as session:
            grant_role(
                session,
                Actor.system(),
                actor.user_id,
                "auditor",
                group_id=place.group_id,
                community_id=place.community_id,
            )


def test_group_pages_show_what_every_community_there_shows(installation, place, say):
    """A role that hides in one community hides on the page of all."""
    from dougong.access import resolve_actor
    from dougong.access.operations import grant_role

    actor = make_login(installation, place, "dispatcher")
    say("dispatcher", dougong__room__built_area="hide")
    with installation.access() as session:
        grant_role(
            session,
            Actor.system(),
            actor.user_id,
            "auditor",
            group_id=place.group_id,
            community_id=place.other_community_id,
        )
    known = resolve_actor(installation, actor.user_id)
    with installation.scope(known, group=place.group_id) as scope:
        assert scope.restrictions(Room)["built_area"] == "hide"
    with installation.scope(known, community=place.other_community_id) as scope:
        assert scope.restrictions(Room) == {}


def test_what_another_group_says_does_not_count(installation, place, say):
    from dougong.access import resolve_actor
    from dougong.testing.factories import make_place

    other = make_place(installation)
    actor = make_login(installation, other, "dispatcher")
    say("dispatcher", dougong__room__built_area="hide")
    known = resolve_actor(installation, actor.user_id)
    with installation.scope(known, community=other.community_id) as scope:
        assert scope.restrictions(Room) == {}


def test_a_plugin_declares_what_holds_until_the_group_says_otherwise(installation, place, say):
    from dougong.access import resolve_actor
    from dougong_meters.models import Meter

    actor = make_login(installation, place, "front_desk")
    for said, expected in (("", {"multiplier": "read"}), ("write", {})):
        say("front_desk", meters__meter__multiplier=said)
        known = resolve_actor(installation, actor.user_id)
        with installation.scope(known, community=place.community_id) as scope:
            assert scope.restrictions(Meter) == expected


def test_a_service_writes_what_a_form_may_not(installation, place, say):
    """A verb is trusted with its own columns; only the generic ones ask for each."""
    from dougong.access import resolve_actor
    from dougong.services import entered

    actor = make_login(installation, place, "dispatcher")
    say("dispatcher", dougong__room__built_area="hide")
    known = resolve_actor(installation, actor.user_id)
    with installation.scope(known, community=place.community_id) as scope:
        room = scope.get(Room, place.room_ids[0])
        with pytest.raises(NotAllowed):
            change(scope, room, {"built_area": Decimal(5)})
        change(scope, room, {"built_area": room.built_area})
        with entered(scope, "dougong.room.measure", None):
            change(scope, room, {"built_area": Decimal(5)})
        assert room.built_area == 5


def test_a_class_of_personal_values_is_hidden_like_a_column(installation, place, say):
    from dougong.access import resolve_actor

    actor = make_login(installation, place, "dispatcher")
    say("dispatcher", phone="hide")
    known = resolve_actor(installation, actor.user_id)
    with installation.scope(known, community=place.community_id) as scope:
        assert scope.restrictions(Person) == {"phone": "hide"}


def test_the_security_administrator_says_it_on_the_page_of_the_role(app, installation, place):
    from dougong.access.operations import create_user, grant_role
    from dougong.db import uuid7

    with installation.access() as session:
        user = create_user(session, f"s{uuid7().hex}", "安全")
        grant_role(
            session, Actor.system(), user.id, "security_administrator", group_id=place.group_id
        )
        admin = Actor(user.id, user.name)
        role = session.scalars(select(Role.id).where(Role.key == "dispatcher")).one()
    browser = sign_in(app, installation, admin)
    page = f"/g/{place.group_id}/admin/users/roles/{role}"
    assert "调度员" in browser.get(f"/g/{place.group_id}/admin/roles").text
    address = f"{page}?view=dougong.room"
    data = {"csrf_token": token_of(browser, address), "dougong.room.built_area": "hide"}
    assert browser.post(address, data=data).status_code == 303
    assert AREA in browser.get(page).text
    unknown = {**data, "dougong.room.built_area": "sometimes"}
    assert browser.post(address, data=unknown).status_code == 422
    manager = sign_in(app, installation, make_login(installation, place, "community_manager"))
    assert manager.get(address).status_code in (403, 404)


def test_levels_that_do_not_exist_are_refused(say):
    for levels in ({"dougong__room__floor": "mask"}, {"phone": "read"}):
        with pytest.raises(Invalid):
            say("guard", **levels)
