"""Makes a backup while everything runs."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, text

import dougong
from dougong.backups import DUMP, FOLDERS, KEYS, Backup, home_of, sha256_of, stamp
from dougong.errors import Conflict
from dougong.i18n import N_
from dougong.installation import embedded_server

if TYPE_CHECKING:
    from dougong.installation import Installation

TABLES = text(
    "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    " where c.relkind = 'r' and c.oid <> to_regclass(:without)"
    " and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'"
    " order by 1, 2"
)
# The database's half of the key that signs scopes; the other half lies in the folder of keys.
WITHOUT = "dougong.scope_key"


def make(
    installation: "Installation", folder: Path | None = None, *, with_keys: bool = False
) -> Backup:
    """Write a backup and return it; raises Conflict with the reason when it did not work.

    The rows are counted in the very snapshot that is dumped. folder: the folder of backups.
    """
    at = datetime.now(UTC)
    target = (folder or home_of(installation.settings)) / stamp(at)
    target.mkdir(parents=True, mode=0o700)
    try:
        with _snapshot(installation) as (connection, name):
            rows, revisions = counted(connection), _revisions(connection)
            _dump(installation, target / DUMP, name)
        # After the rows that name them: a file is there before its row is.
        for part in FOLDERS:
            _pack(installation.settings.paths.home / part, target / f"{part}.tar")
        if with_keys:
            _pack(installation.settings.paths.keys, target / KEYS)
        hashes = {path.name: sha256_of(path) for path in sorted(target.iterdir())}
        made = Backup(target, at, dougong.__version__, revisions, rows, hashes)
        made.write()
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return made


@contextmanager
def _snapshot(installation: "Installation") -> Iterator[tuple[Connection, str]]:
    engine = installation.databases.engine("backup")
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        yield connection, connection.execute(text("select pg_export_snapshot()")).scalar_one()


def counted(connection: Connection) -> dict[str, int]:
    """Return how many rows each table has."""
    tables = connection.execute(TABLES, {"without": WITHOUT}).all()
    return {
        f"{schema}.{table}": connection.execute(
            text(f'select count(*) from "{schema}"."{table}"')
        ).scalar_one()
        for schema, table in tables
    }


def _revisions(connection: Connection) -> dict[str, str]:
    schemas = connection.execute(
        text("select schemaname from pg_tables where tablename = 'alembic_version'")
    ).scalars()
    return {
        schema: connection.execute(
            text(f'select version_num from "{schema}".alembic_version')
        ).scalar_one()
        for schema in schemas.all()
    }


def tool(installation: "Installation", name: str) -> str:
    """Return the path of one of PostgreSQL's programs, of our own version where there is one."""
    server = embedded_server(installation.settings)
    found = str(server.binaries / name) if server is not None else shutil.which(name)
    if found is None:
        raise Conflict(
            N_("%(program)s is not installed: apt-get install postgresql-client-18"), program=name
        )
    return found


def environment(keywords: str) -> dict[str, str]:
    """Return the environment in which PostgreSQL's programs find a server; no password shows."""
    names = {
        "host": "PGHOST",
        "port": "PGPORT",
        "dbname": "PGDATABASE",
        "user": "PGUSER",
        "password": "PGPASSWORD",
        "sslmode": "PGSSLMODE",
        "sslrootcert": "PGSSLROOTCERT",
    }
    given = conninfo_to_dict(keywords)
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LC_ALL": "C.UTF-8",
        **{names[key]: str(value) for key, value in given.items() if key in names},
    }


def _dump(installation: "Installation", target: Path, snapshot: str) -> None:
    command = [
        tool(installation, "pg_dump"),
        "--format=custom",
        "--compress=gzip:3",
        f"--exclude-table-data={WITHOUT}",
        f"--snapshot={snapshot}",
        f"--file={target}",
    ]
    done = subprocess.run(
        command,
        env=environment(installation.databases.conninfo("backup")),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Conflict(N_("pg_dump failed: %(reason)s"), reason=done.stderr.strip()[-500:])


def _pack(folder: Path, target: Path) -> None:
    """Write a folder into an archive; one that is not there makes an empty one."""
    with tarfile.open(target, "w") as archive:
        os.chmod(target, 0o600)
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            archive.add(path, path.name)
