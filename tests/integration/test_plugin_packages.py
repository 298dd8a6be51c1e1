"""From the maker's folder to a running installation, and out of use again when it is revoked."""

import pytest
from click.testing import CliRunner

from dougong.access.operations import create_user, grant_role
from dougong.access.roles import ship_roles
from dougong.cli import main
from dougong.db.base import uuid7
from dougong.db.scope import Actor
from dougong.errors import Conflict
from dougong.i18n import use_locale
from dougong.installation import Installation
from dougong.paths import Paths
from dougong.plugins import operations
from dougong.plugins.loader import LoadError
from dougong.plugins.models import PluginState
from dougong.testing.factories import make_place
from dougong.testing.people import sign_in
from dougong.testing.planting import plant, workshop
from dougong.web.app import create_app

SYSTEM = Actor.system("test")


@pytest.fixture
def installation(test_server, kernel_database, tmp_path):
    with workshop(test_server, template=kernel_database) as made:
        own = made.settings.__class__(
            paths=Paths(tmp_path / "home", test_server.home / "keys"),
            database=made.settings.database,
        )
        opened = Installation.open(own)
        yield opened
        for plugin in reversed(list(opened.plugins.loaded)):
            opened.plugins.unload(plugin)
        opened.close()
        for file in (test_server.home / "keys/plugin-makers").glob("*.pub"):
            file.unlink()


@pytest.fixture
def run(installation, monkeypatch):
    paths = installation.settings.paths
    monkeypatch.setenv("DOUGONG_HOME", str(paths.home))
    monkeypatch.setenv("DOUGONG_KEYS", str(paths.keys))

    def call(*arguments, ok=True):
        words = [str(word) for word in arguments]
        with use_locale("en"):
            result = CliRunner().invoke(main, ["plugin", *words], obj=installation)
        assert (result.exit_code == 0) is ok, result.output
        return result.output

    return call


@pytest.fixture
def shelf(run, tmp_path):
    """Return a folder with a signed package, an index, and the keys that made them."""
    run("key", tmp_path / "keys/maker", "--owner", "Acme", "--role", "index")
    run("trust", tmp_path / "keys/maker.pub")
    plant(tmp_path / "src", "lifts")
    run(
        "build",
        tmp_path / "src/lifts",
        "--out",
        tmp_path / "dist",
        "--key",
        tmp_path / "keys/maker",
    )
    run("index", "build", tmp_path / "dist", "--key", tmp_path / "keys/maker")
    return tmp_path / "dist"


def reopened(installation):
    for plugin in reversed(list(installation.plugins.loaded)):
        installation.plugins.unload(plugin)
    return Installation.open(installation.settings)


def enabled(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        return scope.enabled - {"dougong"}


def test_a_plugin_is_installed_from_the_index_by_its_name(installation, run, shelf):
    assert "index update" in run("install", "lifts", "--from", shelf, ok=False)
    run("index", "update", shelf)
    assert "lifts" in run("install", "lifts", "--from", shelf)
    assert installation.plugins.standing("lifts").state == PluginState.INSTALLED
    assert installation.plugins.origin("lifts").maker == "Acme"
    place = make_place(installation)
    assert enabled(installation, place) == {"lifts"}
    again = reopened(installation)
    assert enabled(again, place) == {"lifts"}, "it is there after a start"
    for plugin in list(again.plugins.loaded):
        again.plugins.unload(plugin)
    again.close()


def test_a_wheel_is_installed_when_it_is_signed_and_unsigned_only_by_developers(
    installation, run, shelf
):
    [wheel] = shelf.glob("*.whl")
    described = wheel.with_name(f"{wheel.name}.json")
    kept = described.read_text()
    described.unlink()
    assert "签名" in run("install", wheel, ok=False)
    described.write_text(kept)
    run("install", wheel)
    assert installation.plugins.origin("lifts").kind == "signed"
    object.__setattr__(installation.settings, "production", True)
    run("install", wheel, "--unsigned", ok=False)


def test_an_altered_package_is_not_loaded_and_an_unsigned_one_not_in_production(
    installation, run, shelf
):
    run("install", next(shelf.glob("*.whl")))
    package = installation.plugins.found["lifts"].folder
    (package / "README.txt").write_text("added")
    altered = reopened(installation)
    assert altered.plugins.standing("lifts").state == PluginState.ERROR
    assert "lifts" not in altered.plugins.loaded
    assert [i.point for i in operations.repairs(altered)] == ["import"]
    altered.close()
    (package / "README.txt").unlink()
    (package.parent / "package.json").unlink()
    unsigned = reopened(installation)
    assert unsigned.plugins.loaded == ["lifts"]
    strict = unsigned.settings.__class__(
        paths=unsigned.settings.paths, database=unsigned.settings.database, production=True
    )
    unsigned.plugins.unload("lifts")
    unsigned.close()
    production = Installation.open(strict)
    assert production.plugins.loaded == []
    assert production.plugins.standing("lifts").state == PluginState.ERROR
    production.close()


def test_a_revoked_version_is_off_at_the_next_request_and_at_the_next_start(
    installation, run, shelf, tmp_path
):
    run("install", next(shelf.glob("*.whl")))
    place = make_place(installation)
    other = Installation.open(installation.settings)
    assert enabled(other, place) == {"lifts"}
    (shelf / "revoked.toml").write_text(
        '[[revoked]]\nplugin = "lifts"\nversions = "<0.2"\nreason = "it opens doors"\n'
    )
    run("index", "build", shelf, "--key", tmp_path / "keys/maker")
    assert "lifts" in run("index", "update", shelf)
    # Every process, at its next request, whatever it has loaded.
    assert enabled(installation, place) == enabled(other, place) == set()
    assert other.plugins.standing("lifts").state == PluginState.REVOKED
    [issue] = operations.repairs(installation)
    assert (issue.point, issue.reason) == ("revocation", "it opens doors")
    with pytest.raises(Conflict, match="revoked"):
        operations.enable(installation, SYSTEM, "lifts", place.community_id)
    with pytest.raises(LoadError, match="opens doors"):
        operations.upgrade(installation, SYSTEM, "lifts")
    other.close()
    started = reopened(installation)
    assert (started.plugins.loaded, enabled(started, place)) == ([], set())
    assert started.plugins.standing("lifts").state == PluginState.REVOKED
    started.close()
    # A newer version puts it back.
    manifest = tmp_path / "src/lifts/dougong_lifts/manifest.toml"
    manifest.write_text(manifest.read_text().replace('version = "0.1.0"', 'version = "0.2.0"'))
    run("build", tmp_path / "src/lifts", "--out", shelf, "--key", tmp_path / "keys/maker")
    run("index", "build", shelf, "--key", tmp_path / "keys/maker")
    run("index", "update", shelf)
    run("install", "lifts", "--from", shelf)
    assert installation.plugins.standing("lifts").version == "0.2.0"
    assert enabled(installation, place) == {"lifts"}
    assert operations.repairs(installation) == []
    manifest.write_text(manifest.read_text().replace('version = "0.2.0"', 'version = "0.3.0"'))
    run("build", tmp_path / "src/lifts", "--out", shelf, "--key", tmp_path / "keys/maker")
    told = run("install", shelf / "dougong_lifts-0.3.0-py3-none-any.whl")
    assert "dougong plugin upgrade lifts" in told, "installing is no upgrade"


def test_the_page_tells_whose_package_it_is(installation, run, shelf):
    run("install", next(shelf.glob("*.whl")))
    place = make_place(installation)
    with installation.access() as session:
        ship_roles(session)
        user = create_user(session, f"u{uuid7().hex}", "administrator")
        grant_role(session, SYSTEM, user.id, "system_administrator")
    browser = sign_in(create_app(installation), installation, Actor(user.id, user.name))
    page = browser.get(f"/c/{place.community_id}/plugins/lifts/").text
    assert "Acme" in page and "0.1.0" in page
