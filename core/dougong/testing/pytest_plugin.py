"""Fixtures for kernel and plugin tests: a real PostgreSQL, a migrated database, a community.

A server is started per process, and the database is migrated once per run (see
`dougong.testing.images`); every test gets its own property group and community, and nothing is
cleaned up.
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask

from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor, Scope
from dougong.db.servers import create_database
from dougong.installation import Installation
from dougong.paths import Paths
from dougong.plugins.operations import install_everything
from dougong.settings import Settings
from dougong.testing import images
from dougong.testing.factories import Place, make_place
from dougong.testing.planting import kernel_template


def pytest_configure(config: pytest.Config) -> None:
    """Give a run with several workers a folder for what each of them would make."""
    if getattr(config.option, "numprocesses", None) and images.VARIABLE not in os.environ:
        folder = tempfile.mkdtemp(prefix="dougong-image-", dir="/tmp")
        os.chmod(folder, 0o755)
        os.environ[images.VARIABLE] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.fixture(scope="session")
def test_server() -> Iterator[EmbeddedPostgres]:
    """Return a throw-away PostgreSQL server of this process."""
    home = Path(tempfile.mkdtemp(prefix="dougong-test-", dir="/tmp"))
    home.chmod(0o755)
    server = EmbeddedPostgres(home, home / "keys", fast=True, connections=200)
    images.furnish(server)
    server.start()
    try:
        yield server
    finally:
        server.destroy()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def settings(test_server: EmbeddedPostgres, pytestconfig: pytest.Config) -> Settings:
    """Return deployment settings that point at the test server.

    A plugin that lies where pytest runs is found there, without being installed.
    """
    here = {path.parent.parent for path in pytestconfig.rootpath.glob("dougong_*/manifest.toml")}
    return Settings(
        paths=Paths(test_server.home),
        database=f"host={test_server.socket} dbname=dougong",
        url="http://127.0.0.1",
        plugin_paths=(
            *here,
            *(Path(p) for p in os.environ.get("DOUGONG_PLUGIN_PATH", "").split(os.pathsep) if p),
        ),
    )


@pytest.fixture(scope="session")
def installation(test_server: EmbeddedPostgres, settings: Settings) -> Iterator[Installation]:
    """Return an installation with every discovered plugin installed and migrated."""
    create_database(test_server.dsn(database="postgres"), test_server.passwords())
    made = Installation.open(settings)
    made.migrate()
    install_everything(made)
    gc.freeze()  # what the plugins have brought is never garbage
    yield made
    made.close()


@pytest.fixture(scope="session")
def app(installation: Installation) -> Flask:
    """Return the web application, the same for every test that makes none of its own."""
    from dougong.web.app import create_app

    return create_app(installation)


@pytest.fixture(scope="session")
def kernel_database(test_server: EmbeddedPostgres) -> str:
    """Return a database with nothing but the kernel, for `dougong.testing.planting.workshop`."""
    return kernel_template(test_server)


@pytest.fixture
def place(installation: Installation) -> Place:
    """Return a fresh property group with two communities, buildings and rooms."""
    return make_place(installation)


@pytest.fixture
def community(place: Place) -> UUID:
    """Return the id of a fresh community in which every installed plugin is enabled."""
    return place.community_id


@pytest.fixture
def scope(installation: Installation, place: Place) -> Iterator[Scope]:
    """Return an open scope of the system in a fresh community."""
    with installation.scope(Actor.system("test"), community=place.community_id) as opened:
        yield opened


def with_settings(settings: Settings, **changes: object) -> Settings:
    """Return a copy of ``settings`` with some of them changed."""
    return replace(settings, **changes)  # type: ignore[arg-type]
