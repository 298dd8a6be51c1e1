"""An installation of its own for gates and benches: made in seconds, gone afterwards."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dougong.db.embedded import EmbeddedPostgres
from dougong.db.servers import create_database
from dougong.installation import Installation
from dougong.paths import Paths
from dougong.plugins.operations import install_everything
from dougong.settings import Settings
from dougong.testing import images


@contextmanager
def throwaway_installation(
    *, fast: bool = True, plugins: bool = True
) -> Iterator[tuple[Installation, EmbeddedPostgres]]:
    """Yield a migrated installation with its server, and remove both at the end.

    fast: without fsync. plugins: install every plugin that is there.
    """
    home = Path(tempfile.mkdtemp(prefix="dougong-gate-", dir="/tmp"))
    home.chmod(0o755)
    server = EmbeddedPostgres(home, home / "keys", fast=fast)
    if plugins:
        images.furnish(server)
    server.start()
    try:
        create_database(server.dsn(database="postgres"), server.passwords())
        settings = Settings(paths=Paths(home), database=f"host={server.socket} dbname=dougong")
        installation = Installation.open(settings)
        installation.migrate()
        if plugins:
            install_everything(installation)
        try:
            yield installation, server
        finally:
            installation.close()
    finally:
        server.destroy()
        shutil.rmtree(home, ignore_errors=True)
