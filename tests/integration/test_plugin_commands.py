"""`dougong plugin …`, on a real database, with what it prints."""

import json

import pytest
from click.testing import CliRunner

from dougong.db.scope import Actor
from dougong.i18n import use_locale
from dougong.plugins import operations
from dougong.plugins.commands import plugin_commands
from dougong.testing.factories import make_place
from dougong.testing.faults import FAULTS
from dougong.testing.planting import plant, plant_small, rows, workshop


@pytest.fixture(scope="module")
def installation(test_server, kernel_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    plant(folder, "lifts")
    plant_small(folder, "pumps")
    plant_small(folder, "valves", depends="pumps")
    FAULTS["a failing migration"].plant(folder, "faulty")
    with workshop(test_server, folder, template=kernel_database) as made:
        yield made


@pytest.fixture
def run(installation):
    def run(*arguments, exit_code=0):
        with use_locale("en"):
            result = CliRunner().invoke(plugin_commands, list(arguments), obj=installation)
        assert result.exit_code == exit_code, result.output
        return result.output

    return run


def enabled(installation, community_id):
    with installation.scope(Actor.system("test"), community=community_id) as scope:
        return dict(scope.enablement)


def test_a_plugin_goes_through_its_life_on_the_command_line(installation, run):
    states = {p["plugin"]: p["state"] for p in map(json.loads, run("list", "--json").splitlines())}
    assert states["lifts"] == "available"
    assert "lifts" in run("list")
    plan = run("upgrade", "lifts", "--dry-run")
    assert "CREATE TABLE lifts.item" in plan
    assert rows(installation, "select 1 from pg_namespace where nspname = 'lifts'") == []
    assert "lifts is installed." in run("install", "lifts")
    place = make_place(installation)
    [(name,)] = rows(
        installation, "select name from dougong.community where id = :c", c=place.community_id
    )
    run("disable", "lifts", "--community", name)
    assert "lifts" not in enabled(installation, place.community_id)
    run("enable", "lifts", "--community", name, "--building", "2")
    assert enabled(installation, place.community_id)["lifts"] == frozenset({place.building_ids[1]})
    shown = run("show", "lifts")
    assert '"id": "lifts"' in shown and f"{name}: 1" in shown
    assert "0 statements ran." in run("upgrade", "lifts")
    assert "rows are kept in archive_lifts_" in run("uninstall", "lifts")
    assert "archived" in run("list")
    assert "is archived; restore it" in run("upgrade", "lifts", "--dry-run", exit_code=1)
    assert "rename to lifts" in run("restore", "lifts", "--dry-run")
    assert "rows are back." in run("restore", "lifts")
    assert enabled(installation, place.community_id)["lifts"] == frozenset({place.building_ids[1]})


def test_what_goes_wrong_is_told_in_words_and_by_the_exit_code(installation, run):
    assert "There is no plugin nothing." in run("install", "nothing", exit_code=1)
    assert "division by zero" in run("install", "faulty", exit_code=1)
    assert installation.plugins.standing("faulty").state == "available"
    run("install", "valves")
    place = str(make_place(installation).community_id)
    assert "needed there by: valves" in run("disable", "pumps", "--community", place, exit_code=1)
    assert "no building 99" in run(
        "enable", "pumps", "--community", place, "--building", "99", exit_code=1
    )
    assert "no single community" in run("enable", "pumps", "--community", "Nowhere", exit_code=1)
    assert "needed by: valves" in run("uninstall", "pumps", exit_code=1)


def test_repairs_quarantine_and_release_are_commands_too(installation, run):
    run("install", "pumps")
    run("quarantine", "pumps", "--reason", "it floods the cellar")
    assert installation.plugins.standing("pumps").state == "quarantined"
    run("release", "pumps")
    assert installation.plugins.standing("pumps").state == "installed"
    installation.plugins.failed("pumps", "job pumps.x", RuntimeError("dry"))
    assert "job pumps.x: RuntimeError: dry" in run("repairs", exit_code=1)
    [issue] = operations.repairs(installation)
    operations.resolve(installation, Actor.system("test"), issue.id)
    assert run("repairs") == ""


def test_a_new_plugin_is_written_once(run, tmp_path):
    assert "manifest.toml" in run("new", "doors", "--folder", str(tmp_path))
    assert "there already" in run("new", "doors", "--folder", str(tmp_path), exit_code=1)
    assert "not an id" in run("new", "Big Doors", "--folder", str(tmp_path), exit_code=1)
    lines = (tmp_path / "doors/dougong_doors/admin.py").read_text().splitlines()
    assert len(lines) <= 15
