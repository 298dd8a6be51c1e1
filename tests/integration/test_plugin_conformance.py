"""Each promise of the conformance suite is shown to fail on a planted fault, and only there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dougong.db.scope import Actor
from dougong.errors import Conflict
from dougong.plugins import operations
from dougong.plugins.scaffold import scaffold
from dougong.testing.planting import plant, workshop
from dougong.testing.promises import Subject, every_promise
from dougong.testing.promises.broken import BROKEN, BROKEN_LIVES

ROOT = Path(__file__).parents[2]
SHELF = sorted(path.parent for path in ROOT.glob("plugin_repo/*/setup.cfg"))
# One of the shelf in every run, all of them in ``make gate-shelf``.
if os.environ.get("DOUGONG_WHOLE_SHELF") != "1":
    SHELF = SHELF[:1]
SYSTEM = Actor.system("test")
PROMISES = {promise.__name__: promise for promise in every_promise()}
NAMES = {name: f"zz{number:02}" for number, name in enumerate(BROKEN)}
# These cannot be installed, which is what breaks the promise, or comes of it.
UNINSTALLABLE = {
    "it_is_loaded_and_works",
    "its_package_is_named_after_it",
    "its_revisions_form_one_line",
    "its_tables_stand_in_its_own_schema",
    "the_database_protects_its_tables",
}


@pytest.fixture(scope="module")
def planted(test_server, kernel_database, tmp_path_factory):
    """Return an installation in which one plugin per promise breaks it, and one is sound."""
    folder = tmp_path_factory.mktemp("faulty")
    plant(folder, "aa_sound")
    for name, fault in BROKEN.items():
        fault.plant(folder, NAMES[name], version="0.1.0")
    with workshop(test_server, folder, template=kernel_database) as installation:
        operations.install(installation, SYSTEM, "aa_sound")
        for name, plugin in NAMES.items():
            try:
                operations.install(installation, SYSTEM, plugin)
            except Conflict as error:
                assert name in UNINSTALLABLE, f"{name}: {error}"
        yield installation


def test_every_promise_has_its_planted_fault():
    assert set(PROMISES) == {*BROKEN, *BROKEN_LIVES}
    assert len(PROMISES) >= 40


@pytest.mark.parametrize("name", BROKEN)
def test_a_planted_fault_breaks_its_promise(planted, name):
    assert list(PROMISES[name](Subject(planted, NAMES[name])))


@pytest.mark.parametrize("name", BROKEN_LIVES)
def test_a_broken_life_breaks_its_promise(planted, name):
    subject = Subject(planted, "aa_sound")
    subject.__dict__["life"] = BROKEN_LIVES[name]
    assert list(PROMISES[name](subject))


def test_a_sound_plugin_keeps_every_promise(planted):
    subject = Subject(planted, "aa_sound")
    subject.__dict__["life"] = {}
    broken = {name: list(promise(subject)) for name, promise in PROMISES.items()}
    assert {name: said for name, said in broken.items() if said} == {}


def own_tests(folder):
    """Run a plugin's own tests where it lies; return how many passed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    return int(done.stdout.rstrip().splitlines()[-1].split()[0])


def test_a_scaffolded_plugin_passes_its_own_tests_where_it_lies(tmp_path):
    scaffold("keepsakes", tmp_path)
    assert own_tests(tmp_path / "keepsakes") >= 40


@pytest.mark.parametrize("folder", SHELF, ids=lambda folder: folder.name)
def test_a_plugin_on_the_shelf_passes_its_own_tests(folder):
    assert own_tests(folder) >= 40
