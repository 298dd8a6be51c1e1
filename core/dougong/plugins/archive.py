"""Uninstalling puts a plugin's schema aside, unchanged; restoring brings it back and proves it.

While it is archived nothing points out of the schema and nobody but the owner, backups and the
erasure of personal data reaches it, so the rows it referred to can be deleted.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dougong.db.protection import protection
from dougong.db.scope import Actor
from dougong.errors import Conflict
from dougong.i18n import N_
from dougong.plugins import records
from dougong.plugins.locks import examine
from dougong.plugins.models import PluginArchive, PluginState
from dougong.plugins.operations import require
from dougong.plugins.records import Standing
from dougong.plugins.solver import dependants
from dougong.plugins.upgrades import Plan, upgrade_one
from dougong.tenancy.operations import PLATFORM, bump_version

if TYPE_CHECKING:
    from dougong.installation import Installation

SHUT_OUT = "dougong_app, dougong_access"
LISTED_ORPHANS = 50
TABLES = """
select c.relname, array_agg(a.attname order by array_position(i.indkey::int2[], a.attnum))
from pg_class c join pg_namespace n on n.oid = c.relnamespace
left join pg_index i on i.indrelid = c.oid and i.indisprimary
left join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey::int2[])
where n.nspname = :schema and c.relkind in ('r', 'p') and not c.relispartition
group by c.relname order by c.relname
"""
FOREIGN_KEYS = """
select c.relname, k.conname, pg_get_constraintdef(k.oid), kn.nspname
from pg_constraint k
join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
join pg_class kc on kc.oid = k.confrelid join pg_namespace kn on kn.oid = kc.relnamespace
where k.contype = 'f' and k.conparentid = 0
  and {side} = :schema and n.nspname <> kn.nspname
order by c.relname, k.conname
"""
RESTORED = text(
    "with done as (update dougong.plugin_archive set restored_at = now() where id = :archive)"
    " update dougong.plugin set state = 'needs_upgrade' where plugin = :plugin"
)
COLUMNS = re.compile(r"FOREIGN KEY \((.+?)\) REFERENCES ([\w.\"]+)\((.+?)\)")


@dataclass(frozen=True)
class Orphans:
    """Rows whose other end was deleted while they were archived; they stay, and are listed."""

    table: str
    constraint: str
    count: int
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Restored:
    """What restoring found: tables whose content changed meanwhile (by erasure), and orphans."""

    rows: int
    changed: tuple[str, ...]
    orphans: tuple[Orphans, ...]


def uninstall(installation: "Installation", actor: Actor, plugin: str) -> PluginArchive:
    """Put a plugin's schema aside and return what was recorded of it.

    Raises Conflict while other installed plugins need it. It is out of use everywhere at once;
    where it was on is kept for a restore.
    """
    require(actor, "uninstall")
    plugins = installation.plugins
    before = _check_uninstall(installation, plugin)
    _record(installation, actor, plugin, Standing(PluginState.ARCHIVED, "", before.version))
    try:
        with installation.migrator.locked():
            archive = installation.migrator.patiently(
                plugin, lambda connection: _put_aside(connection, installation, plugin)
            )
    except BaseException:
        _record(installation, actor, plugin, before)
        raise
    if plugin in plugins.loaded:
        plugins.unload(plugin)
    return archive


def restore(installation: "Installation", actor: Actor, plugin: str) -> Restored:
    """Bring an archived plugin back, prove that nothing was lost, and bring it up to its code.

    Raises Conflict when there is no archive, and LoadError when its code cannot be used.
    """
    require(actor, "uninstall")
    plugins = installation.plugins
    archive = latest_archive(installation, plugin)
    plugins.import_code(plugin)
    with installation.migrator.locked():
        result = installation.migrator.patiently(
            plugin, lambda connection: _bring_back(connection, installation, archive)
        )
    plugins.standings[plugin] = Standing(PluginState.NEEDS_UPGRADE, "", archive.version)
    upgrade_one(plugins, installation, plugin, actor=actor, verb="restore")
    with installation.access(actor) as session:
        bump_version(session, PLATFORM)
    return result


def dry_run(installation: "Installation", actor: Actor, plugin: str) -> Plan:
    """Return what `restore` would execute now, with locks and warnings; nothing stays of it.

    The schema is brought back in a transaction that is taken back, so that the upgrade that
    follows is planned on what is there then. Raises Conflict when there is no archive, and
    LoadError when its code cannot be used.
    """
    require(actor, "view")
    archive = latest_archive(installation, plugin)
    installation.plugins.import_code(plugin)
    schema = installation.plugins.manifest(plugin).schema
    distribution = installation.plugins.distribution(plugin)

    def planned(connection: Connection) -> list[str]:
        with connection.begin_nested() as attempt:
            _fix_output(connection)
            statements = [_renaming(archive.archive_schema, schema)]
            _run(connection, statements)
            guards = protection(connection, schema)
            _run(connection, guards)
            keys = (key for each in archive.foreign_keys for key in _connecting(schema, each))
            coming = installation.migrator.plan(distribution, connection)
            attempt.rollback()
            return [*statements, *keys, *guards, *coming]

    with installation.migrator.locked():
        return Plan(plugin, examine(installation.migrator.patiently(plugin, planned)))


def latest_archive(installation: "Installation", plugin: str) -> PluginArchive:
    """Return the newest archive of a plugin that is not restored; raises Conflict without one."""
    with installation.access() as session:
        found = _archives(session, plugin)
    if not found:
        raise Conflict(N_("There is no archive of %(plugin)s."), plugin=plugin)
    return found[0]


def _has_archive(installation: "Installation", plugin: str) -> bool:
    """Tell whether an uninstalled plugin's schema is put aside; not so after a crash before it."""
    with installation.access() as session:
        return bool(_archives(session, plugin))


def archives(installation: "Installation") -> list[PluginArchive]:
    """Return every archive that is not restored, newest first."""
    with installation.access() as session:
        return _archives(session)


def _archives(session: Session, plugin: str | None = None) -> list[PluginArchive]:
    query = select(PluginArchive).where(PluginArchive.restored_at.is_(None))
    if plugin:
        query = query.where(PluginArchive.plugin == plugin)
    return list(session.scalars(query.order_by(PluginArchive.archived_at.desc())))


def _check_uninstall(installation: "Installation", plugin: str) -> Standing:
    plugins = installation.plugins
    standing = plugins.standings.get(plugin)
    is_aside = standing is not None and standing.state == PluginState.ARCHIVED
    if standing is None or (is_aside and _has_archive(installation, plugin)):
        raise Conflict(N_("%(plugin)s is not installed."), plugin=plugin)
    manifests = {p: f.manifest for p, f in plugins.found.items()}
    needing = [
        p
        for p in sorted(dependants(manifests, plugin))
        if p in plugins.standings and plugins.standings[p].state != PluginState.ARCHIVED
    ]
    if needing:
        raise Conflict(
            N_("%(plugin)s is needed by: %(others)s."), plugin=plugin, others=", ".join(needing)
        )
    return standing


def _record(installation: "Installation", actor: Actor, plugin: str, standing: Standing) -> None:
    with installation.access(actor) as session:
        records.name_verb(session, "uninstall")
        records.write_standing(session, plugin, standing)
        bump_version(session, PLATFORM)
    installation.plugins.standings[plugin] = standing


def _put_aside(connection: Connection, installation: "Installation", plugin: str) -> PluginArchive:
    schema = installation.plugins.manifest(plugin).schema
    _fix_output(connection)
    inward = connection.execute(
        text(FOREIGN_KEYS.format(side="kn.nspname")), {"schema": schema}
    ).all()
    if inward:
        raise Conflict(
            N_("%(plugin)s is needed by: %(others)s."),
            plugin=plugin,
            others=", ".join(sorted({f"{row[0]}.{row[1]}" for row in inward})),
        )
    outward = connection.execute(
        text(FOREIGN_KEYS.format(side="n.nspname")), {"schema": schema}
    ).all()
    tables = _contents(connection, schema)
    for table, name, _definition, _target in outward:
        connection.exec_driver_sql(f'alter table {schema}."{table}" drop constraint "{name}"')
    aside = f"archive_{schema}_{datetime.now(UTC):%Y%m%d%H%M%S}"
    _run(connection, [_renaming(schema, aside)])
    connection.exec_driver_sql(f"revoke all on all tables in schema {aside} from {SHUT_OUT}")
    connection.exec_driver_sql(f"revoke all on schema {aside} from {SHUT_OUT}")
    archive = PluginArchive(
        plugin=plugin,
        version=installation.plugins.standing(plugin).version,
        archive_schema=aside,
        tables=tables,
        foreign_keys=[{"table": t, "name": n, "definition": d} for t, n, d, _ in outward],
    )
    with Session(bind=connection, expire_on_commit=False) as session:
        session.add(archive)
        session.flush()
        session.expunge(archive)
    return archive


def _bring_back(
    connection: Connection, installation: "Installation", archive: PluginArchive
) -> Restored:
    schema = installation.plugins.manifest(archive.plugin).schema
    _fix_output(connection)
    _run(connection, [_renaming(archive.archive_schema, schema)])
    now = _contents(connection, schema)
    changed = sorted(t for t in {*now, *archive.tables} if now.get(t) != archive.tables.get(t))
    orphans = [_reconnect(connection, schema, key) for key in archive.foreign_keys]
    _run(connection, protection(connection, schema))
    connection.execute(RESTORED, {"plugin": archive.plugin, "archive": archive.id})
    rows = sum(table["rows"] for table in now.values())
    return Restored(rows, tuple(changed), tuple(o for o in orphans if o is not None))


def _reconnect(connection: Connection, schema: str, key: dict[str, str]) -> Orphans | None:
    """Put a foreign key back; one with orphans stays unvalidated, and holds for new rows."""
    adding, validating = _connecting(schema, key)
    _run(connection, [adding])
    try:
        with connection.begin_nested():
            _run(connection, [validating])
    except IntegrityError:
        return _orphans(connection, f'{schema}."{key["table"]}"', key)
    return None


def _connecting(schema: str, key: dict[str, str]) -> tuple[str, str]:
    """Return the statements that put a foreign key back and hold old rows to it."""
    table, name = f'{schema}."{key["table"]}"', key["name"]
    return (
        f'alter table {table} add constraint "{name}" {key["definition"]} not valid',
        f'alter table {table} validate constraint "{name}"',
    )


def _renaming(schema: str, name: str) -> str:
    return f"alter schema {schema} rename to {name}"


def _run(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _orphans(connection: Connection, table: str, key: dict[str, str]) -> Orphans:
    found = COLUMNS.search(key["definition"])
    if found is None:
        raise ValueError(f"not a foreign key: {key['definition']}")
    here = [c.strip() for c in found[1].split(",")]
    there = [c.strip() for c in found[3].split(",")]
    join = " and ".join(f"p.{b} = c.{a}" for a, b in zip(here, there, strict=True))
    filled = " and ".join(f"c.{a} is not null" for a in here)
    where = f"{filled} and not exists (select from {found[2]} p where {join})"
    count = connection.exec_driver_sql(f"select count(*) from {table} c where {where}")
    ids = connection.exec_driver_sql(
        f"select c.id::text from {table} c where {where} order by 1 limit {LISTED_ORPHANS}"
    )
    return Orphans(key["table"], key["name"], count.scalar_one(), tuple(ids.scalars()))


def _contents(connection: Connection, schema: str) -> dict[str, dict[str, Any]]:
    """Return rows and SHA-256 of every table's content, read in the order of its key."""
    found: dict[str, dict[str, Any]] = {}
    raw: Any = connection.connection.driver_connection
    for table, key in connection.execute(text(TABLES), {"schema": schema}).all():
        order = ", ".join(f't."{c}"' for c in key) if key and key[0] else "t::text"
        digest, rows = hashlib.sha256(), 0
        with raw.cursor().copy(
            f'copy (select t::text from {schema}."{table}" t order by {order}) to stdout'
        ) as lines:
            for line in lines:
                digest.update(line)
                rows += 1
        found[table] = {"rows": rows, "sha256": digest.hexdigest()}
    return found


def _fix_output(connection: Connection) -> None:
    """Make texts of values and constraints the same whoever asks."""
    for setting, value in (
        ("search_path", "pg_catalog"),
        ("timezone", "UTC"),
        ("datestyle", "ISO, YMD"),
        ("bytea_output", "hex"),
        ("extra_float_digits", "1"),
    ):
        connection.execute(text("select set_config(:s, :v, true)"), {"s": setting, "v": value})
