"""Brings the database to the code's state: one schema and one version table per distribution.

What a dry run shows is what an upgrade executes: both are the same list of statements, made by
Alembic offline from the pending revisions and followed by the missing protection (row-level
security, grants, audit triggers).
"""

import io
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import OperationalError

from dougong.db.base import KERNEL_SCHEMA, METADATA
from dougong.db.linter import lint
from dougong.db.partitions import (
    is_there,
    missing_months,
    month_statements,
    monthly_tables,
    name_of,
)
from dougong.db.protection import protection
from dougong.db.servers import Databases
from dougong.db.statements import split_statements as split_statements  # revisions ask here
from dougong.errors import Conflict
from dougong.i18n import N_
from dougong.later import Later

if TYPE_CHECKING:
    from alembic import command, migration, script
    from alembic.config import Config
else:
    command, migration = Later("alembic.command"), Later("alembic.migration")
    script = Later("alembic.script")


T = TypeVar("T")
LOCK = 0x446F7567
ALTERED = re.compile(r'(?is)\s*alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?([\w".]+)')
KERNEL_AREAS = (
    "tenancy",
    "access",
    "privacy",
    "audit",
    "events",
    "jobs",
    "plugins",
    "devices",
    "devices.history",
    "documents",
    "messages",
    "files",
    "exchange",
    "webhooks",
    "web",
    "web.api",
)


@dataclass(frozen=True)
class Distribution:
    """What has its own schema and revisions: the kernel or a plugin."""

    id: str
    schema: str
    revisions: Path


KERNEL = Distribution("dougong", KERNEL_SCHEMA, Path(str(files("dougong"))) / "migrations/versions")


def import_kernel_models() -> None:
    """Import the models of every kernel area, so that the metadata is complete."""
    for area in KERNEL_AREAS:
        for module in (f"dougong.{area}.models", f"dougong.{area}"):
            try:
                found = find_spec(module) is not None
            except ModuleNotFoundError:
                found = False
            if found:
                import_module(module)
                break


def measured(statements: list[str], audited: Iterable[str]) -> list[str]:
    """Return ``statements`` with the log's balance taken before and after where rows change shape.

    audited: the tables under audit that are there, as ``schema."table"``.
    """
    named = {
        name.replace('"', "")
        for match in map(ALTERED.match, statements)
        if match
        for name in match.groups()
    }
    altered = [table for table in audited if table.replace('"', "") in named]
    before = [
        each
        for table in altered
        for each in (
            f"lock table {table} in share row exclusive mode",
            f"select dougong.audit_measure('{table}')",
        )
    ]
    after = [f"select dougong.audit_remeasure('{table}')" for table in altered]
    return before + statements + after


def _audited(connection: Connection, schema: str) -> list[str]:
    rows = connection.execute(
        text(
            "select c.relname from pg_trigger t join pg_class c on c.oid = t.tgrelid"
            " join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = :schema and t.tgname = 'audit_insert' order by c.relname"
        ),
        {"schema": schema},
    )
    return [f'{schema}."{row.relname}"' for row in rows]


@dataclass
class Migrator:
    """Upgrades distributions, one at a time across all processes.

    lock_timeout: how long one statement may wait for a table before the attempt is given up and
    repeated, so that a migration never makes the site queue behind it.
    """

    databases: Databases
    lock_timeout: str = "2s"
    attempts: int = 10

    def pending(self, distribution: Distribution, connection: Connection) -> bool:
        """Tell whether the distribution has revisions that the database lacks."""
        return self._current(distribution, connection) != self._head(distribution)

    def unknown_revision(self, distribution: Distribution, connection: Connection) -> str | None:
        """Return the database's revision when the code has never heard of it, None else."""
        current = self._current(distribution, connection)
        revisions = script.ScriptDirectory.from_config(_config(distribution)).walk_revisions()
        known = {each.revision for each in revisions}
        return None if current is None or current in known else current

    def plan(self, distribution: Distribution, connection: Connection) -> list[str]:
        """Return every statement that `upgrade` would execute now, in order."""
        current, head = self._current(distribution, connection), self._head(distribution)
        known = connection.execute(
            text("select 1 from pg_namespace where nspname = :n"), {"n": distribution.schema}
        ).scalar()
        statements = []
        if not known:
            statements.append(f"create schema {distribution.schema} authorization dougong_owner")
        if current != head:
            revisions = self._revisions(distribution, current)
            statements += measured(revisions, _audited(connection, distribution.schema))
        statements += protection(connection, distribution.schema, coming=statements)
        if head is not None and not _is_version_saved(connection, distribution.schema):
            name = f"{distribution.schema}.alembic_version"
            statements.append(f"grant select on {name} to dougong_backup")
        return statements

    def upgrade(
        self, distribution: Distribution, report: Callable[[int, int], None] | None = None
    ) -> list[str]:
        """Execute the plan in one transaction; return the statements that ran.

        Raises Conflict when the tables stay in use for every attempt; nothing is changed then.
        """
        with self.locked():
            done = self.patiently(
                distribution.id, lambda connection: self._execute(connection, distribution, report)
            )
            self._make_partitions(distribution.schema)
            return done

    def make_partitions(self) -> list[str]:
        """Give the months to come their partitions, and those that wait in a rest; return names.

        Raises Conflict when a table stays in use for every attempt.
        """
        with self.locked():
            schemas = sorted({str(table.schema) for table in monthly_tables()})
            return [name for schema in schemas for name in self._make_partitions(schema)]

    def _make_partitions(self, schema: str) -> list[str]:
        return [
            name
            for table in monthly_tables()
            if table.schema == schema
            for name in self.patiently(str(table), partial(_give_months, table=table))
        ]

    def patiently(self, name: str, work: Callable[[Connection], T]) -> T:
        """Do ``work`` in one transaction of the owner, again when its tables are in use.

        Raises Conflict naming ``name`` when they stay in use for every attempt; nothing is changed
        then.
        """
        for attempt in range(1, self.attempts + 1):
            try:
                with self.databases.engine("migrator").begin() as connection:
                    connection.exec_driver_sql(f"set local lock_timeout = '{self.lock_timeout}'")
                    return work(connection)
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) != "55P03":
                    raise
                time.sleep(min(0.2 * 2**attempt, 5))
        raise Conflict(N_("%(name)s could not be upgraded: its tables stay in use."), name=name)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the one lock of all migrations; waits by polling.

        A blocking wait would hold a snapshot that CREATE INDEX CONCURRENTLY waits for.
        """
        engine = self.databases.engine("migrator")
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as holder:
            while not holder.execute(text("select pg_try_advisory_lock(:k)"), {"k": LOCK}).scalar():
                time.sleep(0.2)
            try:
                yield
            finally:
                holder.execute(text("select pg_advisory_unlock(:k)"), {"k": LOCK})

    def _execute(
        self,
        connection: Connection,
        distribution: Distribution,
        report: Callable[[int, int], None] | None,
    ) -> list[str]:
        is_revised = self.pending(distribution, connection)
        statements = self.plan(distribution, connection)
        for number, statement in enumerate(statements, 1):
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
            if report:
                report(number, len(statements))
        if distribution.schema == KERNEL_SCHEMA:
            self._install_scope_key(connection)
        elif is_revised:
            _refuse_holes(connection, distribution)
        return statements

    def _install_scope_key(self, connection: Connection) -> None:
        inner, outer = self.databases.scope_key.pads
        changed = connection.exec_driver_sql(
            "insert into dougong.scope_key (inner_pad, outer_pad) values (%s, %s)"
            " on conflict (id) do update set inner_pad = excluded.inner_pad,"
            " outer_pad = excluded.outer_pad"
            " where scope_key.inner_pad <> excluded.inner_pad",
            (inner, outer),
        )
        if changed.rowcount:
            # It is planned with the key's pads as constants, once per connection (scope.sql).
            connection.exec_driver_sql("alter procedure dougong.enter(text) security definer")

    @staticmethod
    def _current(distribution: Distribution, connection: Connection) -> str | None:
        context = migration.MigrationContext.configure(
            connection,
            opts={"version_table": "alembic_version", "version_table_schema": distribution.schema},
        )
        return context.get_current_revision()

    def _head(self, distribution: Distribution) -> str | None:
        return script.ScriptDirectory.from_config(_config(distribution)).get_current_head()

    @staticmethod
    def _revisions(distribution: Distribution, current: str | None) -> list[str]:
        out = io.StringIO()
        span = f"{current}:head" if current else "head"
        command.upgrade(_config(distribution, out), span, sql=True)
        return split_statements(re.sub(r"(?m)^-- .*$", "", out.getvalue()))


def _give_months(connection: Connection, table: Table) -> list[str]:
    if not is_there(connection, table):
        return []
    months = missing_months(connection, table, datetime.now(UTC).date())
    for month in months:
        for statement in month_statements(table, month):
            connection.exec_driver_sql(statement)
    if months:
        for statement in protection(connection, str(table.schema)):
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        connection.exec_driver_sql(f"analyze {table.schema}.{table.name}")
    return [name_of(table, month) for month in months]


def _refuse_holes(connection: Connection, distribution: Distribution) -> None:
    """Raise Conflict when what a plugin's revisions made does not hold tenancy; see the linter."""
    findings = lint(connection, distribution.schema)
    holes = [str(f) for f in findings if f.where.startswith(f"{distribution.schema}.")]
    if holes:
        raise Conflict(
            N_("The revisions of %(name)s would leave tables unprotected: %(holes)s"),
            name=distribution.id,
            holes=" | ".join(holes[:5]),
        )


def _is_version_saved(connection: Connection, schema: str) -> bool:
    """Tell whether a backup may read the table that names a schema's revision."""
    allowed = connection.execute(
        text("select has_table_privilege('dougong_backup', to_regclass(:name), 'select')"),
        {"name": f"{schema}.alembic_version"},
    ).scalar()
    return bool(allowed)


def _config(distribution: Distribution, out: io.StringIO | None = None) -> "Config":
    from alembic.config import Config

    config = Config(stdout=io.StringIO(), output_buffer=out)
    folder = str(files("dougong.migrations"))
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", str(distribution.revisions).replace("%", "%%"))
    config.attributes.update(metadata=METADATA, schema=distribution.schema)
    return config
