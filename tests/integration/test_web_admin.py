"""The admin's pages over HTTP, on a real database."""

import re
from uuid import UUID

import pytest
from sqlalchemy.orm import Mapped, mapped_column

from dougong.access import leaving, resolve_actor
from dougong.access.operations import create_user, grant_role, start_session
from dougong.access.roles import ship_roles
from dougong.db.scope import Actor
from dougong.testing.factories import make_place
from dougong.testing.people import sign_in
from dougong.web.app import SESSION_COOKIE


@pytest.fixture
def manager(app, installation, place):
    """Return a browser of the community's manager."""
    return browser(app, installation, place, "community_manager", place.community_id)


def browser(app, installation, place, role, community_id: UUID | None):
    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"u{place.group_id.hex[-12:]}{role}", "王经理")
        grant_role(
            session,
            Actor.system(),
            user.id,
            role,
            group_id=place.group_id,
            community_id=community_id,
        )
        token = start_session(session, user)
    client = app.test_client()
    client.set_cookie(SESSION_COOKIE, token)
    client.base = f"/c/{place.community_id}/admin"
    return client


def csrf(client, path) -> str:
    page = client.get(path).text
    return re.search(r'name="csrf_token" value="([^"]+)"', page).group(1)


def test_nobody_sees_a_page_before_signing_in(app, place):
    answer = app.test_client().get(f"/c/{place.community_id}/admin/dougong/room/")
    assert answer.status_code == 303
    assert answer.location.startswith("/sign-in?next=")


def test_the_list_shows_rooms_and_their_number(manager):
    page = manager.get(f"{manager.base}/dougong/room/?q=1-1-").text
    assert "1-1-101" in page
    assert "2-1-201" not in page
    assert "房屋" in page


def test_every_view_has_a_list_and_a_form(manager, installation):
    from dougong.web.admin import registry

    for view in registry.views():
        name = view.name()
        plugin, _, model = name.partition(".")
        if view.model.__kind__ != "community":
            continue
        if plugin not in ("dougong", *installation.plugins.loaded):
            continue
        assert manager.get(f"{manager.base}/{plugin}/{model}/").status_code == 200, name
        wanted = 200 if view.can_create else 403
        assert manager.get(f"{manager.base}/{plugin}/{model}/new").status_code == wanted, name


def test_what_an_unloaded_plugin_declared_is_gone_at_once():
    from dougong.db import InCommunity, label, plugin_base
    from dougong.i18n import bilingual
    from dougong.web.admin import RecordView, ViewExtension, extend_view, menu_page, registry

    base = plugin_base("ghost")

    class Sheet(InCommunity, base):
        __tablename__ = "sheet"
        name: Mapped[str] = mapped_column(info=label("Name", "名称"))

    class SheetView(RecordView, model=Sheet):
        columns = ("name",)

    SheetView.plugin = classmethod(lambda cls: "ghost")
    extend_view("ghost", ViewExtension("dougong.room", "x", bilingual("X"), lambda *_: {}))
    menu_page("ghost.page", ("Ghost", "鬼"), "ghost.sheet.view", plugin="ghost")
    assert registry.view_of(Sheet) is SheetView and SheetView in registry.views()
    assert any(page.plugin == "ghost" for page in registry.pages())
    table = Sheet.__table__
    base.registry.dispose(cascade=True)
    base.metadata.remove(table)
    assert registry.view_of(Sheet) is None and SheetView not in registry.views()
    assert registry.view_named(SheetView.name()) is None
    registry.forget("ghost")
    assert SheetView.name() not in registry._views
    assert not [page for page in registry.pages() if page.plugin == "ghost"]
    assert not [each for each in registry._extensions.values() if each.plugin == "ghost"]


def test_a_record_is_created_changed_deleted_and_brought_back(manager, place, installation):
    base = f"{manager.base}/dougong/building/"
    token = csrf(manager, f"{base}new")
    made = manager.post(f"{base}new", data={"csrf_token": token, "code": "9", "name": "9栋"})
    assert made.status_code == 303, made.text
    address = made.location.partition("?")[0]
    page = manager.get(f"{address}edit").text
    mark = re.search(r'name="fingerprint" value="([^"]+)"', page).group(1)
    changed = manager.post(
        f"{address}edit",
        data={"csrf_token": token, "fingerprint": mark, "code": "9", "name": "九栋"},
    )
    assert changed.status_code == 303
    assert "九栋" in manager.get(address).text
    late = manager.post(
        f"{address}edit",
        data={"csrf_token": token, "fingerprint": mark, "code": "9", "name": "IX"},
    )
    assert late.status_code == 409
    assert "九栋" in late.text and "IX" in late.text
    deleted = manager.post(f"{address}delete", data={"csrf_token": token})
    assert deleted.status_code == 303
    assert manager.get(address).status_code == 404
    back = manager.post(f"{address}undo", data={"csrf_token": token})
    assert back.status_code == 303, back.text
    assert "九栋" in manager.get(address).text
    assert "王经理" in manager.get(f"{address}timeline").text


def test_a_wrong_form_says_what_is_wrong_and_keeps_what_was_typed(manager):
    base = f"{manager.base}/dougong/building/"
    answer = manager.post(
        f"{base}new",
        data={"csrf_token": csrf(manager, f"{base}new"), "code": "7" * 30, "name": "长"},
    )
    assert answer.status_code == 422
    assert "7" * 30 in answer.text and "aria-invalid" in answer.text


def test_a_form_without_token_changes_nothing(manager):
    answer = manager.post(f"{manager.base}/dougong/building/new", data={"code": "8", "name": "8"})
    assert answer.status_code == 403


def test_a_foreign_community_is_not_there(manager, place):
    answer = manager.get(f"/c/{place.other_community_id}/admin/dougong/room/")
    assert answer.status_code == 404


def test_phones_are_masked_and_found_by_their_last_four(manager):
    page = manager.get(f"{manager.base}/dougong/person/?q=13800130001").text
    assert "业主1" in page and "业主2" not in page
    assert "13800130001" not in re.sub(r"<input[^>]*>|href=\"[^\"]*\"|value=\"[^\"]*\"", "", page)
    hits = manager.get(f"{manager.base}/search?q=0002").text
    assert "业主2" in hits


def test_group_pages_list_all_communities(app, installation, place):
    client = browser(app, installation, place, "group_manager", None)
    page = client.get(f"/g/{place.group_id}/admin/dougong/room/").text
    assert "翠湖花园" in page and "1-1-101" in page
    assert client.get(f"/g/{place.group_id}/admin/dougong/room/new").status_code == 403
    assert client.get(f"/g/{place.group_id}/admin/").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "after=rubbish",
        "size=-1",
        "sort=nothing",
        "q=%00",
        "building=abc",
        "built_area.from=x",
        "columns=../etc",
        "state=unheard",
    ],
)
def test_rubbish_in_the_address_is_no_server_error(manager, query):
    assert manager.get(f"{manager.base}/dougong/room/?{query}").status_code == 200


def test_a_list_needs_at_most_six_statements(manager, installation):
    from sqlalchemy import event

    manager.get(f"{manager.base}/dougong/room/")
    seen: list[str] = []

    def note(conn, cursor, statement, parameters, context, executemany):
        # What begins and ends (part of) a transaction is counted apart.
        if not statement.startswith(("SAVEPOINT", "RELEASE")):
            seen.append(statement)

    engines = [installation.databases.engine(role) for role in ("app", "access", "platform")]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        manager.get(f"{manager.base}/dougong/room/")
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
    assert len(seen) <= 6, seen


def test_protected_people_are_hidden_and_the_why_page_says_so(app, installation, place):
    from sqlalchemy import update

    from dougong.tenancy.models import Person

    with installation.scope(Actor.system(), community=place.community_id) as scope:
        scope.session.execute(
            update(Person).where(Person.id == place.person_ids[0]).values(is_protected=True)
        )
    cashier = browser(app, installation, place, "cashier", place.community_id)
    desk = browser(app, installation, place, "front_desk", place.community_id)
    address = f"{cashier.base}/dougong/person/{place.person_ids[0]}/"
    assert desk.get(address).status_code == 200
    hidden = cashier.get(address)
    assert hidden.status_code == 404 and "why?path=" in hidden.text
    why = cashier.get(f"{cashier.base}/why?path={address}").text
    assert "重点照护的人员只对负责照护的岗位显示" in why
    assert "业主0" not in cashier.get(f"{cashier.base}/dougong/person/").text


def test_security_administrator_invites_and_locks(app, installation, place):
    client = browser(app, installation, place, "security_administrator", None)
    base = f"/g/{place.group_id}/admin/users"
    token = csrf(client, base)
    login = f"new{place.group_id.hex[-10:]}"
    made = client.post(
        base,
        data={
            "csrf_token": token,
            "login": login,
            "name": "新人",
            "role": "front_desk",
            "place": str(place.community_id),
        },
    )
    assert made.status_code == 200
    link = re.search(r"/sign-in/link/[\w-]+", made.text).group(0)
    fresh = app.test_client()
    page = fresh.get(link)
    used = fresh.post(link, data={"csrf_token": re.search(r'value="([0-9a-f]{40})"', page.text)[1]})
    assert used.status_code == 303
    assert fresh.get(f"/c/{place.community_id}/admin/dougong/room/").status_code == 200
    user_id = re.search(r"users/([0-9a-f-]+)/lock", client.get(f"{base}?q={login}").text)[1]
    assert client.post(f"{base}/{user_id}/lock", data={"csrf_token": token}).status_code == 303
    assert fresh.get(f"/c/{place.community_id}/admin/dougong/room/").status_code == 303
    twice = client.post(
        f"{base}/{user_id}/role", data={"csrf_token": token, "role": "audit_administrator"}
    )
    assert twice.status_code == 303
    third = client.post(
        f"{base}/{user_id}/role", data={"csrf_token": token, "role": "system_administrator"}
    )
    assert third.status_code == 409
    manager = browser(app, installation, place, "group_manager", None)
    assert manager.get(base).status_code == 403


def test_a_login_that_works_elsewhere_too_is_neither_locked_nor_linked(app, installation, place):
    away = make_place(installation)
    client = browser(app, installation, place, "security_administrator", None)
    base = f"/g/{place.group_id}/admin/users"
    with installation.access() as session:
        both = create_user(session, f"b{place.group_id.hex[-12:]}", "两处任职")
        for where in (place, away):
            roles = {"group_id": where.group_id, "community_id": where.community_id}
            grant_role(session, Actor.system(), both.id, "cashier", **roles)
    at_work = sign_in(app, installation, resolve_actor(installation, both.id))
    page = client.get(f"{base}?q={both.login}").text
    assert "该账号还在本集团之外登录" in page and f"{both.id}/leave" in page
    assert f"{both.id}/lock" not in page and f"{both.id}/link" not in page
    token = csrf(client, base)
    for verb in ("lock", "open", "link"):
        refused = client.post(f"{base}/{both.id}/{verb}", data={"csrf_token": token})
        assert refused.status_code == 403 and "可以收回它在本集团的角色" in refused.text, verb
    there = f"/c/{away.community_id}/admin/"
    assert at_work.get(there).status_code == 200
    leave = f"{base}/{both.id}/leave"
    assert "它在那里的权限保留" in client.get(leave).text
    assert client.post(leave, data={"csrf_token": token}).status_code == 303
    assert "终止权限并交接" not in client.get(leave).text
    again = sign_in(app, installation, resolve_actor(installation, both.id))
    assert at_work.get(there).status_code == 303, "sessions end"
    assert again.get(there).status_code == 200
    assert again.get(f"{client.base}/").status_code == 404
    # What is over elsewhere leaves the login to this group.
    with installation.scope(Actor.system(), group=away.group_id) as scope:
        leaving.leave(scope, both.id, None)
    assert f"{both.id}/link" in client.get(f"{base}?q={both.login}").text


def test_a_phone_is_shown_after_a_reason(manager, place):
    address = f"{manager.base}/dougong/person/{place.person_ids[1]}/reveal/phone"
    token = csrf(manager, address)
    assert manager.post(address, data={"csrf_token": token}).status_code == 422
    shown = manager.post(address, data={"csrf_token": token, "reason": reason()})
    assert "13800130001" in shown.text


def reason() -> str:
    from dougong.privacy.models import RevealReason

    return next(iter(RevealReason)).value


def test_the_audit_page_shows_what_was_done(app, installation, place):
    client = browser(app, installation, place, "audit_administrator", None)
    page = client.get(f"/c/{place.community_id}/admin/audit")
    assert page.status_code == 200, page.text
    assert client.get(f"/c/{place.community_id}/admin/audit/check").status_code == 200
    manager = browser(app, installation, place, "community_manager", place.community_id)
    assert manager.get(f"{manager.base}/audit").status_code == 403
