"""A server with everything installed, made once per test run and copied by whoever needs one.

Making a cluster, migrating it and installing every plugin is the same work in each worker of a run
and in each run that a test starts. The first that needs it does it in the run's folder, named by
``DOUGONG_TEST_IMAGE``; the others wait for it. Without that folder each makes its own.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import psycopg

from dougong.db.embedded import EmbeddedPostgres
from dougong.db.servers import create_database
from dougong.installation import Installation
from dougong.paths import Paths
from dougong.plugins.operations import install_everything
from dougong.settings import Settings

VARIABLE = "DOUGONG_TEST_IMAGE"
KERNEL_TEMPLATE = "kernel_template"
MADE, LOCK = "made", "lock"


def furnish(server: EmbeddedPostgres) -> None:
    """Copy the run's image, if there is one, to the home of a server that is not there yet.

    It holds the database ``dougong`` with every plugin of the environment, `KERNEL_TEMPLATE` with
    nothing but the kernel, and their keys.
    """
    folder = os.environ.get(VARIABLE)
    if folder is None or server.data.parent != server.home:
        return
    subprocess.run(["cp", "-a", f"{_image(Path(folder))}/.", str(server.home)], check=True)


def _image(folder: Path) -> Path:
    made = folder / MADE
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            making = folder / "making"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(mode=0o755)
            _make(EmbeddedPostgres(making, making / "keys", fast=True))
            making.rename(made)
    return made


def _make(server: EmbeddedPostgres) -> None:
    server.start()
    try:
        superuser = server.dsn(database="postgres")
        create_database(superuser, server.passwords())
        settings = Settings(
            paths=Paths(server.home), database=f"host={server.socket} dbname=dougong"
        )
        installation = Installation.open(settings)
        installation.migrate()
        installation.databases.dispose()
        with psycopg.connect(superuser, autocommit=True) as link:
            link.execute(f"create database {KERNEL_TEMPLATE} template dougong owner dougong_owner")
        install_everything(installation)
        installation.close()
    finally:
        server.stop()
