"""Really broken plugins: each is set aside or counted, with its reason, and all else answers."""

import pytest
from sqlalchemy import select, text

from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.plugins import operations
from dougong.plugins.models import PluginState
from dougong.tenancy.models import Building
from dougong.testing.factories import make_place
from dougong.testing.faults import FAULTS
from dougong.testing.planting import plant, plant_small, rows, workshop

SYSTEM = Actor.system("test")
GOOD = """
from dougong.hookspecs import Card, hookimpl

@hookimpl
def dashboard_cards(scope):
    return [Card("good", "1")]
"""
BOOT = {name: fault for name, fault in FAULTS.items() if fault.place == "boot"}
HOOK = {name: fault for name, fault in FAULTS.items() if fault.place == "hook"}


@pytest.fixture
def broken(test_server, kernel_database, tmp_path):
    """Return a function that breaks an installed plugin's next version and opens the system."""
    opened = []
    plant(tmp_path / "old", "lifts")
    plant_small(tmp_path / "old", "pumps", hooks=GOOD)
    plant_small(tmp_path / "old", "alarms", hooks=GOOD)
    plant_small(tmp_path / "old", "hoists", depends="lifts", hooks=GOOD)
    with workshop(test_server, tmp_path / "old", template=kernel_database) as first:
        for plugin in ("alarms", "hoists", "pumps"):
            operations.install(first, SYSTEM, plugin)
        place = make_place(first)
        for plugin in reversed(list(first.plugins.loaded)):
            first.plugins.unload(plugin)

        def reopen(fault):
            fault.plant(tmp_path / "new", "lifts")
            settings = first.settings.__class__(
                paths=first.settings.paths,
                database=first.settings.database,
                plugin_paths=(tmp_path / "old", tmp_path / "new"),
            )
            opened.append(Installation.open(settings))
            opened[-1].place = place
            return opened[-1]

        yield reopen
        for each in opened:
            for plugin in reversed(list(each.plugins.loaded)):
                each.plugins.unload(plugin)
            each.close()


def ask(installation):
    with installation.scope(SYSTEM, community=installation.place.community_id) as scope:
        return scope.enabled - {"dougong"}, len(scope.ask("dashboard_cards"))


@pytest.mark.parametrize("name", BOOT)
def test_a_plugin_that_cannot_be_loaded_is_set_aside_with_its_reason(broken, name):
    installation = broken(BOOT[name])
    standing = installation.plugins.standing("lifts")
    assert standing.state == PluginState.ERROR and standing.reason
    issues = {i.plugin: i for i in operations.repairs(installation)}
    assert issues["lifts"].point == BOOT[name].point
    assert set(issues) == {"lifts", "hoists"}, "who needs it says so"
    assert ask(installation) == ({"pumps", "alarms"}, 2)
    # Nothing of the kernel is spoilt: mappers, tables, services.
    with installation.scope(SYSTEM, community=installation.place.community_id) as scope:
        assert len(scope.session.scalars(select(Building)).all()) == 2
    assert not [m for m in __import__("sys").modules if m.startswith("dougong_lifts")]


def test_a_repaired_plugin_works_again_and_its_entries_are_gone(broken, tmp_path):
    installation = broken(FAULTS["a syntax error"])
    assert operations.repairs(installation)
    services = tmp_path / "new/lifts/dougong_lifts/services.py"
    services.write_text('"""Repaired."""\n')
    again = Installation.open(installation.settings)
    again.migrate()
    again.place = installation.place
    assert operations.repairs(again) == []
    assert ask(again)[0] == {"lifts", "hoists", "pumps", "alarms"}
    for plugin in reversed(list(again.plugins.loaded)):
        again.plugins.unload(plugin)
    again.close()


@pytest.mark.parametrize("name", HOOK)
def test_a_failing_hook_is_undone_and_quarantined_after_repeated_failures(broken, name):
    installation = broken(HOOK[name])
    installation.migrate()
    other = Installation.open(installation.settings)
    other.place = installation.place
    limit = installation.plugins.failures_until_quarantine
    for number in range(limit):
        assert installation.plugins.standing("lifts").state == PluginState.INSTALLED, number
        enabled, answers = ask(installation)
        assert (answers, "lifts" in enabled) == (3, True)
    assert installation.plugins.standing("lifts").state == PluginState.QUARANTINED
    names = rows(installation, "select distinct name from dougong.building where name = 'broken'")
    assert names == []
    [issue] = operations.repairs(installation)
    assert (issue.plugin, issue.point) == ("lifts", HOOK[name].point)
    # Another process learns it at its next request; what needs it is off as well.
    assert ask(other) == ({"pumps", "alarms"}, 2)
    assert other.plugins.standing("lifts").state == PluginState.QUARANTINED
    # The process that quarantined it learns that another released it.
    operations.release(other, SYSTEM, "lifts")
    assert operations.repairs(installation) == []
    assert ask(installation)[0] == {"lifts", "hoists", "pumps", "alarms"}
    assert "lifts" not in installation.plugins.hooks.silenced
    other.close()


def test_failures_far_apart_do_not_add_up(broken):
    installation = broken(FAULTS["a raising hook"])
    installation.migrate()
    for _ in range(installation.plugins.failures_until_quarantine * 2):
        ask(installation)
        with installation.access() as session:
            session.execute(
                text("update dougong.plugin_failure set since_at = since_at - interval '2 min'")
            )
    assert installation.plugins.standing("lifts").state == PluginState.INSTALLED
    [(total,)] = rows(installation, "select total from dougong.plugin_failure", role="access")
    assert total == installation.plugins.failures_until_quarantine * 2


def test_what_the_caller_wrote_before_a_failing_hook_is_kept(broken):
    installation = broken(FAULTS["a hook that spoils the transaction"])
    installation.migrate()
    with installation.scope(SYSTEM, community=installation.place.community_id) as scope:
        building = scope.get(Building, installation.place.building_ids[0])
        building.name = "文昌阁"
        scope.ask("dashboard_cards")
        assert building.name == "文昌阁"
    assert rows(installation, "select count(*) from dougong.building where name = '文昌阁'") == [
        (1,)
    ]


def test_a_driver_that_cannot_be_imported_is_counted_and_the_others_work(broken):
    from dougong.devices.configuration import drivers_of

    installation = broken(FAULTS["a driver that cannot be imported"])
    installation.migrate()
    drivers, _owners = drivers_of(installation)
    assert "lifts_driver" not in drivers.working
    assert [i.point for i in operations.repairs(installation)] == ["driver lifts_driver"]
    assert ask(installation)[0] == {"lifts", "hoists", "pumps", "alarms"}


def test_a_manifest_that_cannot_be_read_is_told_and_the_rest_loads(broken):
    installation = broken(FAULTS["a raising hook"])
    folder = installation.settings.plugin_paths[0] / "garbage/dougong_garbage"
    folder.mkdir(parents=True)
    (folder / "manifest.toml").write_text("[plugin\n")
    again = Installation.open(installation.settings)
    assert "manifest.toml" in again.plugins.standing("garbage").reason
    assert again.plugins.standing("garbage").state == PluginState.ERROR
    assert set(again.plugins.installed) >= {"pumps", "alarms"}
    again.close()


def test_a_plugin_whose_package_is_gone_is_told_and_the_rest_works(broken):
    installation = broken(FAULTS["a raising hook"])
    for plugin in reversed(list(installation.plugins.loaded)):
        installation.plugins.unload(plugin)
    settings = installation.settings.__class__(
        paths=installation.settings.paths, database=installation.settings.database
    )
    bare = Installation.open(settings)
    assert bare.plugins.standing("pumps").state == PluginState.ERROR
    assert "not there" in bare.plugins.standing("pumps").reason
    bare.migrate()
    bare.place = installation.place
    assert ask(bare) == (set(), 0)
    bare.close()
