"""Checks of the database: server, clock, protection of tables, signed scopes, migrations."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dougong.db.linter import lint
from dougong.db.migrator import KERNEL
from dougong.db.partitions import is_there, missing_months, monthly_tables, name_of
from dougong.db.scope import Actor
from dougong.hookspecs import HealthFinding
from dougong.i18n import N_, gettext
from dougong.installation import embedded_server

if TYPE_CHECKING:
    from dougong.installation import Installation

OLDEST_SERVER = 18
# PostgreSQL refuses to write at two thousand million.
OLDEST_TRANSACTION = 1_000_000_000
UPKEEP = """
select
  (select array_agg(i.indexrelid::regclass::text order by 1) from pg_index i
   where not i.indisvalid and not exists (
     select from pg_stat_progress_create_index p where p.index_relid = i.indexrelid)) as invalid,
  d.datcollversion is distinct from pg_database_collation_actual_version(d.oid) as is_sorted_anew,
  age(d.datfrozenxid) as age,
  (select array_agg(name order by name) from (
     select slot_name as name from pg_replication_slots
     where not active and wal_status <> 'reserved'
       or not active and inactive_since < now() - interval '1 hour'
     union all
     select gid from pg_prepared_xacts where prepared < now() - interval '1 hour') h) as holding
from pg_database d where d.datname = current_database()
"""
MOST_SKEW_S = 2.0


def server(installation: "Installation") -> Iterator[HealthFinding]:
    """The server answers and is new enough; data is written safely."""
    with installation.databases.engine("platform").connect() as connection:
        version = int(connection.execute(text("show server_version_num")).scalar_one()) // 10_000
        unsafe = [
            name
            for name in ("fsync", "full_page_writes", "synchronous_commit")
            if connection.execute(text(f"show {name}")).scalar() == "off"
        ]
        used, limit = connection.execute(
            text("select count(*), current_setting('max_connections')::int from pg_stat_activity")
        ).one()
    yield HealthFinding(
        gettext(N_("Data is written safely")),
        not unsafe,
        ", ".join(unsafe),
        gettext(N_("Switch these settings of PostgreSQL on: %(names)s"), names=", ".join(unsafe)),
    )
    yield HealthFinding(
        gettext(N_("Connections")),
        used < 0.9 * limit,
        f"{used}/{limit}",
        gettext(N_("Raise max_connections of PostgreSQL, or run fewer processes.")),
    )
    yield HealthFinding(
        gettext(N_("Database")),
        version >= OLDEST_SERVER,
        f"PostgreSQL {version}",
        gettext(N_("Dougong needs PostgreSQL %(version)s or newer."), version=OLDEST_SERVER),
    )


def storage(installation: "Installation") -> Iterator[HealthFinding]:
    """The database keeps every character, notices a flipped bit, and lets nobody in unasked."""
    with installation.databases.engine("platform").connect() as connection:
        encoding, sums, version = connection.execute(
            text(
                "select current_setting('server_encoding'), current_setting('data_checksums'),"
                " current_setting('server_version')"
            )
        ).one()
    yield HealthFinding(
        gettext(N_("Encoding")),
        encoding == "UTF8",
        f"{encoding} · PostgreSQL {version}",
        gettext(N_("Make the database anew with encoding UTF8 and restore a backup into it.")),
    )
    yield HealthFinding(
        gettext(N_("Damaged pages are noticed")),
        sums == "on",
        f"data_checksums = {sums}",
        gettext(N_("Stop the server and run: pg_checksums --enable")),
        is_urgent=False,
    )
    server = embedded_server(installation.settings)
    if server is not None:
        loose = server.loose_logins()
        yield HealthFinding(
            gettext(N_("Logins need a password")),
            not loose,
            "; ".join(loose),
            gettext(
                N_("Write scram-sha-256 in place of trust in %(file)s."),
                file=str(server.data / "pg_hba.conf"),
            ),
        )


def upkeep(installation: "Installation") -> Iterator[HealthFinding]:
    """What creeps up: broken indexes, changed sorting, old transactions, logs held back."""
    with installation.databases.engine("platform").connect() as connection:
        found = connection.execute(text(UPKEEP)).one()
    yield HealthFinding(
        gettext(N_("Indexes are complete")),
        not found.invalid,
        ", ".join((found.invalid or ())[:5]),
        gettext(N_("Build them again: reindex index concurrently …")),
        is_urgent=False,
    )
    yield HealthFinding(
        gettext(N_("Text is sorted as before")),
        not found.is_sorted_anew,
        "",
        gettext(
            N_(
                "The system's libraries were updated, so that indexes may miss rows: reindex the"
                " database, then: alter database … refresh collation version"
            )
        ),
    )
    yield HealthFinding(
        gettext(N_("Old transactions are cleaned up")),
        found.age < OLDEST_TRANSACTION,
        f"{found.age:,}",
        gettext(N_("Switch autovacuum on and run: vacuumdb --all --freeze")),
    )
    yield HealthFinding(
        gettext(N_("Nothing holds back the write-ahead log")),
        not found.holding,
        ", ".join((found.holding or ())[:5]),
        gettext(
            N_(
                "The disk fills up: drop a replication slot that nobody reads any more, roll back"
                " a prepared transaction that nobody ends."
            )
        ),
    )


def zones(installation: "Installation") -> Iterator[HealthFinding]:
    """Python and PostgreSQL know the time zone of every community."""
    with installation.platform() as session:
        rows = session.execute(
            text(
                "select c.zone, bool_or(z.name is not null) from dougong.community c"
                " left join pg_timezone_names z on z.name = c.zone group by c.zone"
            )
        ).all()
    unknown = [zone for zone, is_known in rows if not is_known or not _is_zone(zone)]
    yield HealthFinding(
        gettext(N_("Time zones")),
        not unknown,
        ", ".join(unknown) or ", ".join(sorted(zone for zone, _ in rows)),
        gettext(N_("Install the time zone data: apt-get install tzdata")),
    )


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def clock(installation: "Installation") -> Iterator[HealthFinding]:
    """Our clock and the database's agree, and neither was set back."""
    with installation.databases.engine("platform").connect() as connection:
        before = time.time()
        there, newest = connection.execute(
            text(
                "select extract(epoch from clock_timestamp())::float8,"
                " (select extract(epoch from max(at))::float8 from dougong.audit_event"
                "  where at > now() - interval '1 day')"
            )
        ).one()
        after = time.time()
    skew = 0.0 if before <= there <= after else min(abs(there - before), abs(there - after))
    yield HealthFinding(
        gettext(N_("Clocks agree")),
        skew <= MOST_SKEW_S,
        f"{skew:.1f} s",
        gettext(N_("Run NTP (chrony) on this machine and on the database's.")),
    )
    ahead = max(0.0, (newest or 0.0) - after)
    yield HealthFinding(
        gettext(N_("The clock was not set back")),
        ahead <= MOST_SKEW_S,
        f"{ahead:.0f} s",
        gettext(N_("The newest entry of the audit log lies in the future; set the clock right.")),
    )


def protection(installation: "Installation") -> Iterator[HealthFinding]:
    """Every table is protected as its kind demands; no role has more rights than it got."""
    schemas = ["dougong", *(installation.plugins.manifest(p).schema for p in _loaded(installation))]
    with installation.databases.engine("platform").connect() as connection:
        faults = lint(connection, *schemas)
    yield HealthFinding(
        gettext(N_("Tables and roles are protected")),
        not faults,
        "; ".join(map(str, faults[:5])),
        gettext(N_("Somebody changed the database by hand; `dougong plugin upgrade` restores it.")),
    )


def _loaded(installation: "Installation") -> list[str]:
    return list(installation.plugins.loaded)


def scopes(installation: "Installation") -> Iterator[HealthFinding]:
    """The key that signs scopes is the one that the database checks against."""
    with installation.platform() as session:
        community_id = session.execute(text("select id from dougong.community limit 1")).scalar()
    reason = ""
    if community_id is not None:
        try:
            with installation.scope(Actor.system("doctor"), community=community_id) as scope:
                scope.session.execute(text("select 1 from dougong.building limit 1"))
        except DBAPIError as error:
            reason = str(error.orig).splitlines()[0]
    yield HealthFinding(
        gettext(N_("Scopes are accepted")),
        not reason,
        reason,
        gettext(N_("keys/scope.key is not this database's; restore it, or migrate to set it.")),
    )


def migrations(installation: "Installation") -> Iterator[HealthFinding]:
    """The database has every revision of the code, and none that the code lacks."""
    migrator, plugins = installation.migrator, installation.plugins
    with installation.databases.engine("migrator").connect() as connection:
        known = (KERNEL, *(plugins.distribution(p) for p in _loaded(installation)))
        behind = [each.id for each in known if migrator.pending(each, connection)]
        ahead = [each.id for each in known if migrator.unknown_revision(each, connection)]
    yield HealthFinding(
        gettext(N_("Migrations")),
        not behind,
        ", ".join(behind),
        gettext(N_("Run `dougong plugin upgrade`, or start again with `make up`.")),
    )
    yield HealthFinding(
        gettext(N_("The code is as new as the database")),
        not ahead,
        ", ".join(ahead),
        gettext(N_("Install the newer version of Dougong that this database was made by.")),
    )


def months(installation: "Installation") -> Iterator[HealthFinding]:
    """Tables that lie in months have those to come, and nothing waits in the rest."""
    today = datetime.now(UTC).date()
    with installation.databases.engine("migrator").connect() as connection:
        missing = [
            name_of(table, month)
            for table in monthly_tables()
            if is_there(connection, table)
            for month in missing_months(connection, table, today)
        ]
    yield HealthFinding(
        gettext(N_("Partitions by month")),
        not missing,
        ", ".join(missing[:5]),
        gettext(N_("The worker makes them every hour; if they stay away, see its log.")),
        is_urgent=False,
    )
