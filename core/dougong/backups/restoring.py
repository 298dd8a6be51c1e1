"""Puts a backup into a home that is empty, and proves that everything is there."""

import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import text

from dougong.audit.checkpoints import read_witness, signing_key, witness_files
from dougong.audit.verification import Report, snapshot, verify
from dougong.backups import DUMP, FOLDERS, KEYS, Backup, damaged
from dougong.backups.making import counted, environment
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.migrator import KERNEL
from dougong.db.servers import create_database
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_
from dougong.installation import Installation, embedded_server
from dougong.settings import Settings


@dataclass(frozen=True)
class Restored:
    """What a restoration proved. differing: tables with another number of rows than before."""

    rows: int
    differing: tuple[str, ...]
    log: Report

    @property
    def is_well(self) -> bool:
        return not self.differing and not self.log.findings


def restore(settings: Settings, backup: Backup, keys: Path | None = None) -> Restored:
    """Restore a backup into the empty home of ``settings``; return what was proved.

    keys: the folder of keys that was kept apart; None takes those in the backup. The server runs
    afterwards. Raises Conflict for a home that is in use, Invalid for a backup that is damaged or
    whose keys are missing.
    """
    server = embedded_server(settings)
    if server is None:
        raise Conflict(
            N_("This installation uses a server of its own; restore it with pg_restore.")
        )
    if server.data.exists():
        raise Conflict(
            N_("%(home)s holds data already; restore into an empty DOUGONG_HOME."),
            home=str(settings.paths.home),
        )
    if broken := damaged(backup):
        raise Invalid(N_("The backup is damaged: %(parts)s"), parts=", ".join(broken))
    _restore_keys(settings, backup, keys)
    for part in FOLDERS:
        _unpack(backup.folder / f"{part}.tar", settings.paths.home / part)
    server.start()
    _load(settings, server, backup)
    installation = Installation.open(settings, load=False)
    try:
        installation.migrator.upgrade(KERNEL)  # also writes the key that signs scopes
        return _prove(installation, backup)
    finally:
        installation.close()


def _restore_keys(settings: Settings, backup: Backup, keys: Path | None) -> None:
    target, archive = settings.paths.keys, backup.folder / KEYS
    if keys is not None and keys.resolve() != target.resolve():
        shutil.copytree(keys, target, dirs_exist_ok=True)
    elif keys is None and archive.exists():
        _unpack(archive, target)
    if not (target / "scope.key").exists():
        raise Invalid(N_("The keys are not in this backup; name their folder with --keys."))


def _unpack(archive: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Python 3.11.2 of Debian 12 has no filters yet, so what they refuse is refused here.
    filters: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(archive) as opened:
        strange = next((m.name for m in opened if not _is_plain(m)), None)
        if strange is not None:
            raise Invalid(
                N_("“%(name)s” does not belong into a backup; do not use it."), name=strange
            )
        opened.extractall(target, **filters)


def _is_plain(member: tarfile.TarInfo) -> bool:
    """Tell whether a member is a file or folder below the one that it is unpacked into."""
    path = PurePosixPath(member.name)
    is_below = not path.is_absolute() and ".." not in path.parts
    return is_below and (member.isreg() or member.isdir())


def _load(settings: Settings, server: EmbeddedPostgres, backup: Backup) -> None:
    """Make roles and an empty database, fill it, then give the logins their rights again."""
    superuser = server.dsn(database="postgres")
    create_database(superuser, server.passwords())
    with psycopg.connect(superuser, autocommit=True) as link:
        name = sql.Identifier("dougong")
        link.execute(sql.SQL("drop database {} with (force)").format(name))
        link.execute(sql.SQL("create database {} owner dougong_owner").format(name))
    done = subprocess.run(
        [
            str(server.binaries / "pg_restore"),
            "--exit-on-error",
            "--dbname=dougong",
            str(backup.folder / DUMP),
        ],
        env=environment(server.dsn()),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Conflict(N_("pg_restore failed: %(reason)s"), reason=done.stderr.strip()[-500:])
    create_database(superuser, server.passwords())
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        link.execute("analyze")


def _prove(installation: Installation, backup: Backup) -> Restored:
    with installation.databases.engine("backup").connect() as connection:
        connection.execute(text("set transaction isolation level repeatable read"))
        rows = counted(connection)
    tables = sorted({*rows, *backup.rows})
    paths = installation.settings.paths
    with snapshot(installation) as connection:
        report = verify(
            connection, read_witness(witness_files(paths)[0]), signing_key(paths).public
        )
    return Restored(
        sum(rows.values()),
        tuple(t for t in tables if rows.get(t) != backup.rows.get(t)),
        report,
    )
