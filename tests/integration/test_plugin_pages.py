"""The admin's pages about plugins, and broken pages of plugins, over the real application."""

import re

import pytest

from dougong.access.operations import create_user, grant_role
from dougong.access.roles import ship_roles
from dougong.db.base import uuid7
from dougong.db.scope import Actor
from dougong.plugins import operations
from dougong.plugins.models import PluginState
from dougong.testing.factories import make_place
from dougong.testing.faults import FAULTS
from dougong.testing.people import make_login, sign_in
from dougong.testing.planting import plant, plant_small, rows, workshop
from dougong.web.app import create_app

SYSTEM = Actor.system("test")
TOKEN = re.compile(r'name="csrf_token" value="(\w+)"')
WEB = {n: f for n, f in FAULTS.items() if f.place in ("admin", "pages", "view", "job")}


@pytest.fixture(scope="module")
def installation(test_server, kernel_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    plant(folder, "lifts")
    plant(folder, "hoists")
    plant_small(folder, "pumps")
    plant_small(folder, "valves", depends="pumps")
    FAULTS["a raising hook"].plant(folder, "faulty")
    with workshop(test_server, folder, template=kernel_database) as made:
        for plugin in ("lifts", "valves", "faulty"):
            operations.install(made, SYSTEM, plugin)
        yield made


@pytest.fixture(scope="module")
def app(installation):
    return create_app(installation)


@pytest.fixture
def place(installation):
    return make_place(installation)


@pytest.fixture
def manager(app, installation, place):
    return sign_in(app, installation, make_login(installation, place, "community_manager"))


@pytest.fixture
def administrator(app, installation):
    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"u{uuid7().hex}", "administrator")
        grant_role(session, SYSTEM, user.id, "system_administrator")
        actor = Actor(user.id, user.name)
    return sign_in(app, installation, actor)


def url(place, rest=""):
    return f"/c/{place.community_id}/plugins/{rest}"


def post(browser, address, **form):
    page = browser.get("/account")
    form["csrf_token"] = TOKEN.search(page.text)[1]
    return browser.post(address, data=form)


def enabled(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        return dict(scope.enablement)


def test_the_overview_names_every_plugin_its_state_and_where_it_is_on(manager, place):
    for language, words in (("zh_Hans_CN", ("已安装", "可安装")), ("en", ("Installed", "off"))):
        manager.set_cookie("dougong_locale", language)
        page = manager.get(url(place)).text
        assert all(word in page for word in words)
        assert "lifts/" in page and "valves/" in page


def test_an_administrator_switches_a_plugin_off_and_on_and_for_some_buildings(
    installation, administrator, place
):
    assert "lifts" in enabled(installation, place)
    assert post(administrator, url(place, "lifts/disable")).status_code == 303
    assert "lifts" not in enabled(installation, place)
    one = place.building_ids[0]
    answer = post(administrator, url(place, "lifts/enable"), only="1", building=str(one))
    assert answer.status_code == 303
    assert enabled(installation, place)["lifts"] == frozenset({one})
    assert "checked" in administrator.get(url(place, "lifts/")).text
    post(administrator, url(place, "lifts/enable"))
    assert enabled(installation, place)["lifts"] is None


def test_what_cannot_be_is_told_on_the_page(administrator, place):
    administrator.set_cookie("dougong_locale", "en")
    answer = post(administrator, url(place, "pumps/disable"))
    assert answer.status_code == 409
    assert "valves" in answer.text


def test_the_whole_installation_is_not_a_managers_business(installation, manager, place):
    assert "/do/uninstall" not in manager.get(url(place, "lifts/")).text
    for act in ("do/uninstall", "disable", "enable"):
        assert post(manager, url(place, f"lifts/{act}")).status_code == 403
    assert installation.plugins.standing("lifts").state == PluginState.INSTALLED


def test_who_may_not_see_plugins_sees_none(app, installation, place):
    cleaner = sign_in(app, installation, make_login(installation, place, "cleaner"))
    assert cleaner.get(url(place)).status_code == 403
    assert cleaner.get(url(place, "repairs")).status_code == 403
    assert manager_of_another(app, installation).get(url(place)).status_code == 404


def manager_of_another(app, installation):
    elsewhere = make_place(installation)
    return sign_in(app, installation, make_login(installation, elsewhere, "community_manager"))


def test_an_administrator_reads_the_plan_installs_and_uninstalls(
    installation, administrator, place
):
    page = administrator.get(url(place, "hoists/plan")).text
    assert "create schema hoists" in page and "CREATE TABLE hoists.item" in page
    assert post(administrator, url(place, "hoists/do/install")).status_code == 303
    assert installation.plugins.standing("hoists").state == PluginState.INSTALLED
    assert post(administrator, url(place, "hoists/do/uninstall")).status_code == 303
    assert installation.plugins.standing("hoists").state == PluginState.ARCHIVED
    assert post(administrator, url(place, "hoists/do/restore")).status_code == 303
    assert installation.plugins.standing("hoists").state == PluginState.INSTALLED


def test_a_quarantined_plugin_is_on_the_repairs_page_and_is_released_there(
    installation, administrator, manager, place
):
    address = f"/c/{place.community_id}/admin/"
    for _ in range(installation.plugins.failures_until_quarantine):
        assert manager.get(address).status_code == 200, "the dashboard answers all the same"
    assert installation.plugins.standing("faulty").state == PluginState.QUARANTINED
    page = administrator.get(url(place, "repairs")).text
    assert "hook dashboard_cards" in page and "planted in a hook" in page
    assert post(manager, url(place, "faulty/do/release")).status_code == 403
    assert post(administrator, url(place, "faulty/do/release")).status_code == 303
    assert installation.plugins.standing("faulty").state == PluginState.INSTALLED
    assert "planted in a hook" not in administrator.get(url(place, "repairs")).text


def test_pages_of_the_group_say_in_how_many_communities(app, installation, place):
    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"u{uuid7().hex}", "group manager")
        grant_role(session, SYSTEM, user.id, "group_manager", group_id=place.group_id)
    browser = sign_in(app, installation, Actor(user.id, user.name))
    browser.set_cookie("dougong_locale", "en")
    page = browser.get(f"/g/{place.group_id}/plugins/")
    assert page.status_code == 200 and "in 2 communities" in page.text
    assert browser.get(f"/g/{place.group_id}/plugins/lifts/").status_code == 200


@pytest.mark.parametrize("name", WEB)
def test_a_broken_page_view_template_or_job_is_its_own(
    test_server, kernel_database, tmp_path, name
):
    fault = WEB[name]
    fault.plant(tmp_path, "broken")
    plant(tmp_path, "sound")
    with workshop(test_server, tmp_path, template=kernel_database) as made:
        operations.install(made, SYSTEM, "broken")
        operations.install(made, SYSTEM, "sound")
        place = make_place(made)
        browser = sign_in(create_app(made), made, make_login(made, place, "community_manager"))
        limit = made.plugins.failures_until_quarantine
        if fault.place == "job":
            for _ in range(limit):
                run_job(made, place)
        for _ in range(limit if fault.place == "view" else 0):
            answer = browser.get(f"/c/{place.community_id}/broken/page")
            assert answer.status_code == 500 and "planted" not in answer.text
        state = made.plugins.standing("broken").state
        is_boot = fault.place in ("admin", "pages")
        assert state == (PluginState.ERROR if is_boot else PluginState.QUARANTINED)
        [issue] = operations.repairs(made)
        assert issue.plugin == "broken" and issue.point == fault.point.replace("{plugin}", "broken")
        assert browser.get(f"/c/{place.community_id}/broken/page").status_code == 404
        assert browser.get(f"/c/{place.community_id}/admin/broken/item/").status_code == 404
        for address in ("admin/", "admin/sound/item/", "admin/dougong/room/", "plugins/repairs"):
            assert browser.get(f"/c/{place.community_id}/{address}").status_code == 200, address


def run_job(installation, place):
    """Run the job like the worker does, inside the plugin boundary."""
    name = "broken.item.remind"
    with (
        pytest.raises(RuntimeError),
        installation.plugins.boundary("broken", f"job {name}"),
        installation.scope(SYSTEM, community=place.community_id) as scope,
    ):
        scope.call(name)
    assert rows(installation, "select 1") == [(1,)]


def test_the_time_of_plugins_is_shown_by_point(installation, place, administrator, manager):
    from dougong.plugins.watching import write_usage

    manager.get(f"/c/{place.community_id}/admin/")
    write_usage(installation)
    page = administrator.get(url(place, "time")).text
    assert "hook dashboard_cards" in page and "plugins/faulty/" in page
    cleaner = sign_in(
        create_app(installation), installation, make_login(installation, place, "technician")
    )
    assert cleaner.get(url(place, "time")).status_code == 403
