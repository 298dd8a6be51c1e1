"""Installing, switching on and off, seen by a second process' installation on a real database."""

import psycopg
import pytest
from sqlalchemy import text

from dougong.db.scope import Actor
from dougong.errors import Conflict, NotAllowed, NotFound
from dougong.installation import Installation
from dougong.plugins import operations
from dougong.plugins.models import PluginState
from dougong.testing.factories import make_place
from dougong.testing.planting import plant, plant_small, rows, workshop

SYSTEM = Actor.system("test")
HOOKS = """
from dougong.hookspecs import Card, hookimpl

@hookimpl
def dashboard_cards(scope):
    return [Card("{plugin}", "1")]
"""


@pytest.fixture(scope="module")
def first(test_server, kernel_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    plant(folder, "lifts")
    plant_small(folder, "pumps", hooks=HOOKS.format(plugin="pumps"))
    plant_small(folder, "valves", depends="pumps", hooks=HOOKS.format(plugin="valves"))
    with workshop(test_server, folder, template=kernel_database) as installation:
        operations.install(installation, SYSTEM, "lifts")
        operations.install(installation, SYSTEM, "valves")
        yield installation


@pytest.fixture(scope="module")
def second(first):
    """Another process' view of the same system: own caches, own hooks, own connections."""
    other = Installation.open(first.settings)
    yield other
    other.close()


@pytest.fixture
def place(first):
    made = make_place(first)
    for plugin in ("lifts", "valves", "pumps"):
        operations.disable(first, SYSTEM, plugin, made.community_id)
    return made


def enabled(installation, place, **where):
    where = where or {"community": place.community_id}
    with installation.scope(SYSTEM, **where) as scope:
        return set(scope.enabled) - {"dougong"}


def cards(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        return [card.title for found in scope.ask("dashboard_cards") for card in found]


def test_what_a_plugin_needs_is_installed_with_it(first):
    assert [p for p in first.plugins.installed if p != "lifts"] == ["pumps", "valves"]
    assert rows(first, "select state from dougong.plugin where plugin = 'pumps'") == [
        ("installed",)
    ]


def test_each_plugin_has_its_own_registry_schema_and_version_table(first):
    from dougong.plugins.loader import registries

    assert rows(first, "select version_num from lifts.alembic_version", role="migrator") == [
        ("0001",)
    ]
    assert not registries("dougong_lifts") & registries("dougong")


def test_switching_on_and_off_is_honoured_by_another_process_at_its_next_request(
    first, second, place
):
    assert enabled(second, place) == set()
    operations.enable(first, SYSTEM, "pumps", place.community_id)
    assert enabled(second, place) == {"pumps"}
    assert cards(second, place) == ["pumps"]
    assert enabled(second, place, group=place.group_id) >= {"pumps"}
    assert enabled(second, place, community=place.other_community_id) >= {"pumps", "lifts"}
    operations.disable(first, SYSTEM, "pumps", place.community_id)
    assert enabled(second, place) == set()
    assert cards(second, place) == []


def test_a_request_that_runs_keeps_what_it_began_with(first, second, place):
    operations.enable(first, SYSTEM, "pumps", place.community_id)
    with second.scope(SYSTEM, community=place.community_id) as scope:
        operations.disable(first, SYSTEM, "pumps", place.community_id)
        assert scope.ask("dashboard_cards")
    assert enabled(second, place) == set()


def test_enabling_is_one_transaction_without_ddl(first, place, test_server):
    name = first.settings.database.rpartition("=")[2]
    with psycopg.connect(test_server.dsn(database=name), autocommit=True) as superuser:
        superuser.execute(
            "create function public.no_ddl() returns event_trigger language plpgsql as"
            " $$ begin raise exception 'DDL: %', tg_tag; end $$"
        )
        superuser.execute(
            "create event trigger no_ddl on ddl_command_start execute function public.no_ddl()"
        )
        try:
            operations.enable(first, SYSTEM, "pumps", place.community_id)
            written = rows(
                first,
                "select e.xmin::text, v.xmin::text from dougong.plugin_enablement e,"
                " dougong.scope_version v where e.community_id = :c and v.id = :c",
                c=place.community_id,
            )
            operations.disable(first, SYSTEM, "pumps", place.community_id)
        finally:
            superuser.execute("drop event trigger no_ddl")
            superuser.execute("drop function public.no_ddl()")
    assert len({xmin for row in written for xmin in row}) == 1


def test_only_some_buildings_show_rows_and_jobs_of_a_plugin(first, second, place):
    from dougong.plugins.gating import is_open

    mine, other = place.building_ids
    operations.enable(first, SYSTEM, "lifts", place.community_id)
    with first.scope(SYSTEM, community=place.community_id) as scope:
        for building in place.building_ids:
            scope.session.execute(
                text(
                    "insert into lifts.item (community_id, name, building_id, found_on, state)"
                    " values (:c, :b, :b, '2026-11-24', 'kept')"
                ),
                {"c": place.community_id, "b": building},
            )
    operations.enable(first, SYSTEM, "lifts", place.community_id, [mine])
    from dougong_lifts.models import Item
    from sqlalchemy import select

    with second.scope(SYSTEM, community=place.community_id) as scope:
        assert scope.enablement["lifts"] == frozenset({mine})
        assert [i.building_id for i in scope.session.scalars(select(Item))] == [mine]
        assert is_open("lifts", scope, mine)
        assert not is_open("lifts", scope, other)


def test_a_building_of_another_community_is_refused(first, place):
    elsewhere = make_place(first)
    with pytest.raises(NotFound):
        operations.enable(first, SYSTEM, "lifts", place.community_id, [elsewhere.building_ids[0]])


def test_a_plugin_needs_what_it_depends_on_and_is_needed_by_its_dependants(first, place):
    with pytest.raises(Conflict, match="valves needs pumps"):
        operations.enable(first, SYSTEM, "valves", place.community_id)
    operations.enable(first, SYSTEM, "pumps", place.community_id)
    operations.enable(first, SYSTEM, "valves", place.community_id)
    with pytest.raises(Conflict, match="needed there by: valves"):
        operations.disable(first, SYSTEM, "pumps", place.community_id)


def test_somebody_who_may_not_is_refused(first, place):
    actor = place.actor("dougong.plugin.view")
    for act in (operations.enable, operations.disable):
        with pytest.raises(NotAllowed):
            act(first, actor, "pumps", place.community_id)
    with pytest.raises(NotAllowed):
        operations.install(first, actor, "pumps")
    allowed = place.actor("dougong.plugin.enable")
    operations.enable(first, allowed, "pumps", place.community_id)
    with pytest.raises(NotAllowed):
        operations.enable(first, allowed, "pumps", place.other_community_id)


def test_a_plugin_hears_that_it_was_switched_on_and_its_failure_there_is_its_own(
    test_server, kernel_database, tmp_path
):
    heard = (
        "from dougong.hookspecs import hookimpl\n"
        "from dougong_heard.seen import SEEN\n\n\n"
        "@hookimpl\ndef plugin_enabled(scope):\n    SEEN.append(scope.community_id)\n"
        "    if len(SEEN) > 1:\n        raise RuntimeError('planted')\n"
    )
    plant_small(tmp_path, "heard", hooks=heard, seen="SEEN = []\n")
    with workshop(test_server, tmp_path, template=kernel_database) as installation:
        operations.install(installation, SYSTEM, "heard")
        place = make_place(installation)
        operations.enable(installation, SYSTEM, "heard", place.community_id)
        from dougong_heard.seen import SEEN

        assert [place.community_id] == SEEN
        assert operations.repairs(installation) == []
        operations.enable(installation, SYSTEM, "heard", place.other_community_id)
        assert enabled(installation, place, community=place.other_community_id) == {"heard"}
        [issue] = operations.repairs(installation)
        assert (issue.plugin, issue.point) == ("heard", "hook plugin_enabled")
        assert installation.plugins.standing("heard").state == PluginState.INSTALLED


def test_a_setting_that_nobody_set_is_what_the_manifest_says(first, place):
    with first.scope(SYSTEM, community=place.community_id) as scope:
        assert scope.setting("lifts.keep_days") == 90
        assert scope.setting("lifts.keep_days", 7) == 7
        assert scope.setting("lifts.nothing") is None
        assert scope.setting("nobody.nothing") is None
