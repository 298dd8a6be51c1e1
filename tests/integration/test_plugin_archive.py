"""Uninstalling archives; restoring gives the same rows and content, and lists what it lost."""

import json
import re

import pytest
from sqlalchemy import event, text

from dougong.access import resolve_actor
from dougong.access.operations import create_user, grant_role
from dougong.access.roles import ship_roles
from dougong.db.scope import Actor
from dougong.errors import Conflict, NotAllowed
from dougong.installation import Installation
from dougong.plugins import archive, operations
from dougong.plugins.models import PluginState
from dougong.testing.factories import make_place
from dougong.testing.people import sign_in
from dougong.testing.planting import plant, plant_small, rows, workshop
from dougong.web.app import create_app

SYSTEM = Actor.system("test")


@pytest.fixture
def installation(test_server, kernel_database, tmp_path):
    plant(tmp_path, "lifts")
    with workshop(test_server, tmp_path, template=kernel_database) as made:
        operations.install(made, SYSTEM, "lifts")
        yield made


@pytest.fixture
def place(installation):
    made = make_place(installation)
    from dougong_lifts.models import Item

    with installation.scope(SYSTEM, community=made.community_id) as scope:
        for number in range(200):
            scope.session.add(
                Item(
                    name=f"雨伞{number}\t\\x{number:02}",
                    found_on=scope.today,
                    building_id=made.building_ids[number % 2],
                    finder_phone=f"138{number:08}",
                )
            )
    return made


def content(installation):
    return rows(
        installation,
        "select count(*), md5(string_agg(i::text, '|' order by i.id)) from lifts.item i",
    )[0]


def test_restoring_gives_back_the_same_rows_with_the_same_content(installation, place):
    before = content(installation)
    made = archive.uninstall(installation, SYSTEM, "lifts")
    assert made.tables["item"]["rows"] == 200
    result = archive.restore(installation, SYSTEM, "lifts")
    assert (result.rows - 1, result.changed, result.orphans) == (200, (), ())
    assert content(installation) == before
    assert installation.plugins.standing("lifts").state == PluginState.INSTALLED
    from dougong_lifts.models import Item

    with installation.scope(SYSTEM, community=place.community_id) as scope:
        item = scope.session.query(Item).filter_by(name="雨伞7\t\\x07").one()
        assert item.finder_phone == "13800000007"
        assert "lifts" in scope.enabled
    with installation.databases.engine("migrator").connect() as connection:
        from dougong.db.linter import lint

        assert [str(f) for f in lint(connection, "lifts")] == []


def test_the_pages_of_a_restored_plugin_answer_again(installation, place):
    archive.uninstall(installation, SYSTEM, "lifts")
    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"r{place.group_id.hex[-12:]}", "王经理")
        where = {"group_id": place.group_id, "community_id": place.community_id}
        grant_role(session, SYSTEM, user.id, "community_manager", **where)

    def browser(made):
        return sign_in(create_app(made), made, resolve_actor(made, user.id))

    address = f"/c/{place.community_id}/admin/lifts/item/?q=雨伞7"
    assert browser(installation).get(address).status_code == 404
    archive.restore(installation, SYSTEM, "lifts")
    # As the next generation of the web process does.
    again = Installation.open(installation.settings)
    page = browser(again).get(address)
    assert page.status_code == 200 and "雨伞7" in page.text
    again.close()


def test_a_dry_run_of_restoring_shows_the_very_statements_that_it_runs(installation, place):
    archive.uninstall(installation, SYSTEM, "lifts")
    with pytest.raises(Conflict, match="restore it"):
        operations.dry_run(installation, SYSTEM, "lifts")
    plan = archive.dry_run(installation, SYSTEM, "lifts")
    assert installation.plugins.standing("lifts").state == PluginState.ARCHIVED
    aside = archive.latest_archive(installation, "lifts").archive_schema
    assert rows(installation, f"select count(*) from {aside}.item") == [(200,)]
    assert plan.statements[0] == f"alter schema {aside} rename to lifts"
    assert "create table" not in " ".join(plan.statements).lower()
    ran = []

    @event.listens_for(installation.databases.engine("migrator"), "before_cursor_execute")
    def note(_connection, _cursor, statement, *_rest):
        ran.append(statement)

    archive.restore(installation, SYSTEM, "lifts")
    assert [each for each in ran if each in set(plan.statements)] == plan.statements
    changes = re.compile(r"(?i)\s*(create|alter|drop|grant|revoke|comment)\b")
    assert {each for each in ran if changes.match(each)} <= set(plan.statements)


def test_an_archived_plugin_is_out_of_use_everywhere_and_nothing_else_is(installation, place):
    other = Installation.open(installation.settings)
    archive.uninstall(installation, SYSTEM, "lifts")
    for each in (installation, other):
        with each.scope(SYSTEM, community=place.community_id) as scope:
            assert "lifts" not in scope.enabled
    other.close()
    schema = archive.latest_archive(installation, "lifts").archive_schema
    for role in ("app", "access"):
        with installation.databases.engine(role).connect() as connection:
            assert not connection.execute(
                text("select has_schema_privilege(:s, 'usage')"), {"s": schema}
            ).scalar()
    again = Installation.open(installation.settings)
    assert again.plugins.standing("lifts").state == PluginState.ARCHIVED
    assert again.plugins.loaded == []
    again.close()


def test_what_the_archive_referred_to_can_be_deleted_and_is_listed_when_restored(
    installation, place
):
    archive.uninstall(installation, SYSTEM, "lifts")
    gone = make_gone(installation, place)
    result = archive.restore(installation, SYSTEM, "lifts")
    [orphans] = result.orphans
    assert (orphans.table, orphans.constraint) == ("item", "fk_item_building_id")
    assert orphans.count == 100 and len(orphans.ids) == 50
    assert result.changed == ()
    with (
        installation.scope(SYSTEM, community=place.community_id) as scope,
        pytest.raises(Exception, match="fk_item_building_id"),
    ):
        scope.session.execute(
            text(
                "insert into lifts.item (community_id, name, building_id, found_on, state)"
                " values (:c, 'x', :b, '2026-11-24', 'kept')"
            ),
            {"c": place.community_id, "b": gone},
        )


def make_gone(installation, place):
    building = place.building_ids[0]
    with installation.platform() as session:
        for statement in (
            "delete from dougong.ownership where room_id in"
            " (select id from dougong.room where building_id = :b)",
            "delete from dougong.room where building_id = :b",
            "delete from dougong.unit where building_id = :b",
            "delete from dougong.building where id = :b",
        ):
            session.execute(text(statement), {"b": building})
    return building


def test_a_change_behind_our_back_is_told(installation, place):
    made = archive.uninstall(installation, SYSTEM, "lifts")
    with installation.databases.engine("migrator").begin() as connection:
        connection.execute(
            text(
                f"update {made.archive_schema}.item set name = 'x' where ctid ="
                f" (select ctid from {made.archive_schema}.item limit 1)"
            )
        )
    assert archive.restore(installation, SYSTEM, "lifts").changed == ("item",)


def test_uninstalling_is_refused_while_others_need_it_or_to_whom_it_is_not_allowed(
    test_server, kernel_database, tmp_path
):
    plant_small(tmp_path, "pumps")
    plant_small(tmp_path, "valves", depends="pumps")
    with workshop(test_server, tmp_path, template=kernel_database) as made:
        operations.install(made, SYSTEM, "valves")
        with pytest.raises(Conflict, match="needed by: valves"):
            archive.uninstall(made, SYSTEM, "pumps")
        with pytest.raises(NotAllowed):
            archive.uninstall(made, make_place(made).actor("dougong.plugin.*"), "valves")
        archive.uninstall(made, SYSTEM, "valves")
        archive.uninstall(made, SYSTEM, "pumps")
        with pytest.raises(Conflict, match="archived"):
            operations.install(made, SYSTEM, "pumps")
        archive.restore(made, SYSTEM, "pumps")
        archive.restore(made, SYSTEM, "valves")
        assert made.plugins.installed == ["pumps", "valves"]


def test_a_schema_that_cannot_be_put_aside_leaves_everything_as_it_was(installation, place):
    installation.migrator.attempts, installation.migrator.lock_timeout = 1, "100ms"
    before = content(installation)
    with installation.databases.engine("platform").connect() as reader:
        reader.execute(text("select 1 from lifts.item limit 1"))
        with pytest.raises(Conflict, match="in use"):
            archive.uninstall(installation, SYSTEM, "lifts")
    assert installation.plugins.standing("lifts").state == PluginState.INSTALLED
    assert content(installation) == before
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        assert "lifts" in scope.enabled


def test_the_archive_says_in_json_what_is_in_it(installation, place):
    made = archive.uninstall(installation, SYSTEM, "lifts")
    [(tables,)] = rows(installation, "select tables from dougong.plugin_archive", role="access")
    assert tables == json.loads(json.dumps(made.tables))
    assert [a.plugin for a in archive.archives(installation)] == ["lifts"]
