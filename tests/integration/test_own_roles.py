"""A group's own roles: rights from what is declared, a preview, exclusions, a way back."""

import re

import pytest
from sqlalchemy import select, text

from dougong.access import own_roles, resolve_actor
from dougong.access.models import Duty, Role
from dougong.access.operations import create_user, grant_role
from dougong.access.own_roles import Wanted, difference
from dougong.access.roles import ship_roles
from dougong.db import record_rule, uuid7
from dougong.db.rules import RULES
from dougong.db.scope import Actor
from dougong.errors import Conflict, Invalid, NotAllowed, NotFound
from dougong.tenancy.models import Building
from dougong.testing.factories import make_place
from dougong.testing.people import sign_in


def make_security(installation, place):
    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"s{uuid7().hex}", "安全")
        system = Actor.system()
        grant_role(session, system, user.id, "security_administrator", group_id=place.group_id)
        user_id = user.id
    return resolve_actor(installation, user_id)


@pytest.fixture
def security(installation, place):
    return make_security(installation, place)


@pytest.fixture
def browser(app, installation, place, security):
    opened = sign_in(app, installation, security)
    opened.base = f"/g/{place.group_id}/admin/roles"
    return opened


def role_named(installation, key, group=None):
    with installation.access() as session:
        query = select(Role.id).where(Role.key == key, Role.group_id.is_(None))
        return session.scalars(query).one()


def permissions_of(installation, role_id):
    with installation.access() as session:
        return list(session.get_one(Role, role_id).permissions)


def token_of(page):
    return re.search(r'name="csrf_token" value="([^"]+)"', page.text).group(1)


def form_of(page):
    chosen = re.findall(r'name="permission" value="([^"]+)" checked', page.text)
    return {"csrf_token": token_of(page), "name_zh": "夜班", "name": "", "permission": chosen}


def test_a_shipped_role_is_copied_changed_given_and_put_back(app, installation, place, browser):
    guard = role_named(installation, "guard")
    page = browser.get(f"{browser.base}/new?copy={guard}")
    form = {**form_of(page), "copy": str(guard), "duty": "business"}
    shipped = form["permission"]  # a plugin may add to a shipped role
    assert "dougong.room.view" in shipped and "dougong.building.view" not in shipped
    form["permission"] = [*shipped, "dougong.building.view"]
    preview = browser.post(f"{browser.base}/new", data=form)
    assert preview.status_code == 200 and 'id="preview"' in preview.text
    made = browser.post(f"{browser.base}/new", data={**form, "sure": "1"})
    assert made.status_code == 303
    role_id = re.search(r"roles/([0-9a-f-]{36})", made.headers["Location"]).group(1)
    assert permissions_of(installation, role_id) == sorted(form["permission"])

    with installation.access() as session:
        user_id = create_user(session, f"n{uuid7().hex}", "夜班老王").id
        key = session.get_one(Role, role_id).key
        grant_role(session, Actor.system(), user_id, key, group_id=place.group_id)
    theirs = sign_in(app, installation, Actor(user_id, "夜班老王"))
    buildings = f"/c/{place.community_id}/admin/dougong/building/"
    assert theirs.get(buildings).status_code == 200
    details = browser.get(f"/g/{place.group_id}/admin/users/roles/{role_id}").text
    assert "夜班老王" in details

    edit = f"{browser.base}/{role_id}/edit"
    form = {**form_of(browser.get(edit)), "duty": "business", "permission": ["dougong.room.view"]}
    preview = browser.post(edit, data=form).text
    assert "夜班老王" in preview and 'class="pill danger"' in preview
    assert theirs.get(buildings).status_code == 200, "a preview changes nothing"
    assert browser.post(edit, data={**form, "sure": "1"}).status_code == 303
    assert theirs.get(buildings).status_code == 403
    back = {"csrf_token": form["csrf_token"]}
    assert browser.post(f"{browser.base}/{role_id}/back", data=back).status_code == 303
    assert theirs.get(buildings).status_code == 200
    with pytest.raises(Conflict), installation.scope(Actor.system(), group=place.group_id) as scope:
        own_roles.remove_role(scope, role_id)


@pytest.fixture
def only_north():
    """A rule that roles may choose, as a plugin would declare it."""

    @record_rule(
        Building,
        reason=("Only the north is shown.", "仅显示北区。"),
        title=("Only the north", "仅北区楼栋"),
    )
    def only_north_buildings(scope):
        return Building.code.startswith("N")

    rule = RULES[Building][-1]
    yield rule.full_name
    RULES[Building].remove(rule)


def test_a_record_rule_is_chosen_for_a_role_previewed_and_taken_back(
    app, installation, place, browser, only_north
):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        for code in ("N1", "S1"):
            scope.session.add(Building(code=code, name=f"{code}栋", sort_key=code))
    new = f"{browser.base}/new"
    form = {**form_of(browser.get(new)), "permission": ["dougong.building.view"]}
    form |= {"duty": "business", "sure": "1"}
    made = browser.post(new, data=form).headers["Location"]
    role_id = re.search(r"roles/([0-9a-f-]{36})", made).group(1)
    with installation.access() as session:
        user_id = create_user(session, f"n{uuid7().hex}", "北区老王").id
        key = session.get_one(Role, role_id).key
        grant_role(session, Actor.system(), user_id, key, group_id=place.group_id)
    theirs = sign_in(app, installation, Actor(user_id, "北区老王"))
    list_page = f"/c/{place.community_id}/admin/dougong/building/"

    def seen():
        page = theirs.get(list_page).text
        return ["N1栋" in page, "S1栋" in page]

    edit = f"{browser.base}/{role_id}/edit"
    assert "仅北区楼栋" in browser.get(edit).text and seen() == [True, True]
    change = {**form_of(browser.get(edit)), "duty": "business", "rule": [only_north]}
    preview = browser.post(edit, data=change).text
    assert "可见范围将缩小" in preview and seen() == [True, True], "a preview changes nothing"
    assert browser.post(edit, data={**change, "sure": "1"}).status_code == 303
    assert seen() == [True, False]
    assert f'value="{only_north}" checked' in browser.get(edit).text
    assert "仅显示北区" in browser.get(f"/g/{place.group_id}/admin/users/roles/{role_id}").text
    with installation.scope(resolve_actor(installation, user_id), group=place.group_id) as scope:
        assert "S1" not in scope.session.scalars(select(Building.code)).all()
    back = {"csrf_token": change["csrf_token"]}
    assert browser.post(f"{browser.base}/{role_id}/back", data=back).status_code == 303
    assert seen() == [True, True]
    assert browser.post(edit, data={**change, "sure": "1"}).status_code == 303
    with installation.access() as session:
        grant_role(session, Actor.system(), user_id, "guard", group_id=place.group_id)
    actor = resolve_actor(installation, user_id)
    assert not actor.grants[-1].allows("dougong.building.view") and seen() == [True, False]
    with installation.access() as session:
        grant_role(session, Actor.system(), user_id, "front_desk", group_id=place.group_id)
    assert seen() == [True, True], "a role that shows all of them goes on showing all"


def test_a_rule_that_always_holds_is_not_offered_and_a_strange_one_is_refused(browser):
    page = browser.get(f"{browser.base}/new").text
    assert "repairs.work_order.own_work_orders_only" in page
    assert "protected_people_are_for_their_carers" not in page
    with pytest.raises(Invalid) as refused:
        own_roles.check(Wanted("x", "x", Duty.BUSINESS, ("*.view",), ("1=1",)))
    assert "rules" in refused.value.fields


def test_what_happens_to_a_role_is_in_the_log(installation, place, security):
    with installation.scope(security, group=place.group_id) as scope:
        id = own_roles.create_role(scope, Wanted("A", "甲", Duty.BUSINESS, ("*.view",)), {})
        own_roles.change_role(scope, id, Wanted("A", "甲", Duty.BUSINESS, ("*.export",)))
        own_roles.take_back(scope, id)
        own_roles.remove_role(scope, id)
    with installation.platform() as session:
        query = text(
            "select verb from dougong.audit_event where table_name = 'role' and row_id = :id"
            " and actor_id = :actor order by id"
        )
        verbs = session.scalars(query, {"id": str(id), "actor": security.user_id}).all()
    assert [v.rpartition(".")[2] for v in verbs] == ["create", "change", "take_back", "delete"]


@pytest.mark.parametrize(
    ("duty", "permission"),
    [
        (Duty.BUSINESS, "dougong.user.create"),
        (Duty.BUSINESS, "dougong.audit.view"),
        (Duty.BUSINESS, "dougong.role.*"),
        (Duty.SYSTEM, "dougong.role.grant"),
        (Duty.SECURITY, "dougong.audit.view"),
        (Duty.AUDIT, "dougong.keys.rotate"),
        (Duty.SYSTEM, "*"),
        (Duty.AUDIT, "*.change"),
    ],
    ids=lambda value: str(value),
)
def test_no_role_joins_what_must_be_apart(duty, permission):
    with pytest.raises(Invalid) as refused:
        own_roles.check(Wanted("x", "x", duty, (permission,)))
    assert permission in refused.value.fields["permissions"]


@pytest.mark.parametrize("pattern", ["dougong.*", "*", "*.view"])
def test_wide_patterns_hold_nothing_of_the_administrations(pattern):
    own_roles.check(Wanted("x", "x", Duty.BUSINESS, ("dougong.*",)))
    found = difference((), (pattern,), ("dougong.user.view", "dougong.room.view"))
    assert found.gained == ("dougong.room.view",)


def test_nobody_changes_a_role_that_he_holds(installation, place, security):
    wanted = Wanted("S", "安全二", Duty.SECURITY, ("dougong.role.*",))
    with installation.scope(Actor.system(), group=place.group_id) as scope:
        id = own_roles.create_role(scope, wanted, {})
    with installation.access() as session:
        key = session.get_one(Role, id).key
        grant_role(session, Actor.system(), security.user_id, key, group_id=place.group_id)
    with installation.scope(security, group=place.group_id) as scope:
        for act in (own_roles.take_back, own_roles.remove_role):
            with pytest.raises(NotAllowed):
                act(scope, id)
        with pytest.raises(NotAllowed):
            own_roles.change_role(scope, id, wanted)


def test_shipped_roles_and_those_of_another_group_are_not_changed(installation, place, security):
    other = make_place(installation)
    wanted = Wanted("X", "乙", Duty.BUSINESS, ("*.view",))
    with installation.scope(Actor.system(), group=other.group_id) as scope:
        foreign = own_roles.create_role(scope, wanted, {})
    with installation.scope(security, group=place.group_id) as scope:
        for id in (foreign, role_named(installation, "guard")):
            with pytest.raises(NotFound):
                own_roles.change_role(scope, id, wanted)


def test_the_form_offers_what_kernel_and_plugins_declare(browser):
    page = browser.get(f"{browser.base}/new").text
    offered = set(re.findall(r'name="permission" value="([^"]+)"', page))
    assert {"dougong.user.view", "dougong.room.view", "*.view", "dougong.*"} <= offered
    assert browser.post(f"{browser.base}/new", data={"csrf_token": "x"}).status_code == 403


def test_a_copy_keeps_what_plugins_narrow_for_the_original(installation, browser):
    desk = role_named(installation, "front_desk")
    form = form_of(browser.get(f"{browser.base}/new?copy={desk}"))
    data = {**form, "copy": str(desk), "duty": "business", "sure": "1"}
    made = browser.post(f"{browser.base}/new", data=data)
    role_id = re.search(r"roles/([0-9a-f-]{36})", made.headers["Location"]).group(1)
    with installation.access() as session:
        clearance = session.get_one(Role, role_id).clearance
    assert clearance["meters.meter.multiplier"] == "read" and clearance["*"] == "mask"
