"""Upgrades: the dry run is what runs, nobody queues behind it, two at once migrate once."""

import os
import subprocess
import sys
import threading
import time
from hashlib import sha256

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dougong.db.scope import Actor
from dougong.db.servers import create_database
from dougong.errors import Conflict
from dougong.installation import Installation
from dougong.plugins import operations
from dougong.plugins.models import PluginState
from dougong.testing.factories import make_place
from dougong.testing.planting import plant, plant_small, rows, workshop

SYSTEM = Actor.system("test")
REVISION = """
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    {statement}
"""
ADD_NOTE = (
    'op.execute("alter table lifts.item add column note text")\n'
    '    op.execute("create index ix_item_note on lifts.item (community_id, note)")'
)


def plant_next(folder, statement=ADD_NOTE):
    """The second version of lifts: one more column and an index."""
    package = plant(
        folder,
        "lifts",
        {"migrations/versions/0002_note.py": REVISION.format(statement=statement)},
        {
            "manifest.toml": ('version = "0.1.0"', 'version = "0.2.0"'),
            "models.py": (
                "    def __str__",
                '    note: Mapped[str | None] = mapped_column(info=label("Note", "备注"))\n\n'
                "    def __str__",
            ),
        },
    )
    return package.parent.parent


@pytest.fixture
def upgraded(test_server, kernel_database, tmp_path):
    """Return a function that opens the system again with the plugin's next version."""
    old, new, opened = tmp_path / "old", tmp_path / "new", []
    plant(old, "lifts")
    plant_small(old, "hoists", depends="lifts")
    plant_small(old, "pumps")
    with workshop(test_server, old, template=kernel_database) as first:
        for plugin in ("hoists", "pumps"):
            operations.install(first, SYSTEM, plugin)
        place = make_place(first)
        for plugin in list(reversed(first.plugins.loaded)):
            first.plugins.unload(plugin)

        def reopen(statement=ADD_NOTE):
            plant_next(new, statement)
            settings = first.settings.__class__(
                paths=first.settings.paths,
                database=first.settings.database,
                plugin_paths=(old, new),
            )
            opened.append(Installation.open(settings))
            opened[-1].place = place
            return opened[-1]

        yield reopen
        for each in opened:
            for plugin in reversed(list(each.plugins.loaded)):
                each.plugins.unload(plugin)
            each.close()


def test_new_code_waits_for_its_upgrade_and_the_rest_answers(upgraded):
    installation = upgraded()
    plugins = installation.plugins
    assert plugins.manifest("lifts").version == "0.2.0"
    assert plugins.standing("lifts").state == PluginState.NEEDS_UPGRADE
    assert [i.plugin for i in operations.repairs(installation)] == ["lifts"]
    with installation.scope(SYSTEM, community=installation.place.community_id) as scope:
        assert scope.enabled == {"dougong", "pumps"}
    installation.migrate()
    assert plugins.standing("lifts").state == PluginState.INSTALLED
    assert operations.repairs(installation) == []
    with installation.scope(SYSTEM, community=installation.place.community_id) as scope:
        assert scope.enabled == {"dougong", "pumps", "lifts", "hoists"}


def test_a_dry_run_shows_the_very_statements_that_the_upgrade_runs(upgraded):
    installation = upgraded()
    plan = operations.dry_run(installation, SYSTEM, "lifts")
    ran = operations.upgrade(installation, SYSTEM, "lifts")
    assert sha256("\n".join(plan.statements).encode()).hexdigest() == (
        sha256("\n".join(ran).encode()).hexdigest()
    )
    by_start = {f.statement[:19].lower(): f for f in plan.findings}
    assert by_start["alter table lifts.i"].lock == "ACCESS EXCLUSIVE"
    assert by_start["create index ix_ite"].warning is not None
    assert operations.dry_run(installation, SYSTEM, "lifts").statements == []


def test_revisions_that_would_open_a_table_are_refused_and_leave_nothing(upgraded):
    leak = "create policy seen on lifts.item for select to dougong_app using (true)"
    installation = upgraded(
        f'{ADD_NOTE}\n    op.execute("create view lifts.v as table lifts.item")'
    )
    with pytest.raises(Conflict, match="lifts.v: is a view that is not security_invoker"):
        operations.upgrade(installation, SYSTEM, "lifts")
    assert rows(installation, "select to_regclass('lifts.v')") == [(None,)]
    assert installation.plugins.standing("lifts").state == PluginState.NEEDS_UPGRADE
    with installation.databases.engine("migrator").begin() as connection:
        connection.execute(text(leak))
    plan = operations.dry_run(installation, SYSTEM, "lifts")
    assert 'drop policy "seen" on lifts."item"' in plan.statements


def test_a_dry_run_of_an_installation_shows_tables_policies_grants_and_triggers(
    test_server, kernel_database, tmp_path
):
    plant(tmp_path, "lifts")
    with workshop(test_server, tmp_path, template=kernel_database) as installation:
        plan = operations.dry_run(installation, SYSTEM, "lifts")
        text_of = "\n".join(plan.statements).lower()
        for part in ("create schema", "create table", "create policy", "grant ", "create trigger"):
            assert part in text_of
        # A dry run leaves no trace.
        assert rows(installation, "select 1 from pg_namespace where nspname = 'lifts'") == []
        assert installation.plugins.standing("lifts").state == PluginState.AVAILABLE
        operations.install(installation, SYSTEM, "lifts")


def test_an_upgrade_gives_up_waiting_in_time_and_reads_never_queue_behind_it(upgraded):
    installation = upgraded()
    installation.migrator.lock_timeout = "300ms"
    released, waits = threading.Event(), []

    def read_all_the_time():
        with installation.databases.engine("platform").connect() as connection:
            while not released.is_set():
                started = time.monotonic()
                connection.execute(text("select 1 from lifts.item limit 1"))
                connection.commit()
                waits.append(time.monotonic() - started)
                time.sleep(0.01)

    holder = installation.databases.engine("platform").connect()
    holder.execute(text("select 1 from lifts.item limit 1"))
    reader = threading.Thread(target=read_all_the_time)
    reader.start()
    threading.Timer(1.2, lambda: (holder.rollback(), holder.close())).start()
    started = time.monotonic()
    statements = operations.upgrade(installation, SYSTEM, "lifts")
    took = time.monotonic() - started
    released.set()
    reader.join()
    assert took >= 1 and statements
    assert max(waits) < 1, "a read queued behind the migration"
    assert len(waits) > 20


def test_tables_that_stay_in_use_are_left_as_they_are(upgraded):
    installation = upgraded()
    installation.migrator.lock_timeout, installation.migrator.attempts = "100ms", 2
    with installation.databases.engine("platform").connect() as holder:
        holder.execute(text("select 1 from lifts.item limit 1"))
        with pytest.raises(Conflict, match="in use"):
            operations.upgrade(installation, SYSTEM, "lifts")
    assert installation.plugins.standing("lifts").state == PluginState.NEEDS_UPGRADE
    operations.upgrade(installation, SYSTEM, "lifts")
    assert installation.plugins.standing("lifts").state == PluginState.INSTALLED


def test_a_failing_migration_changes_nothing_and_stops_only_who_needs_it(upgraded):
    installation = upgraded(ADD_NOTE + '\n    op.execute("select 1/0")')
    with pytest.raises(DBAPIError, match="division by zero"):
        operations.upgrade(installation, SYSTEM, "lifts")
    installation.migrate()
    states = {p: installation.plugins.standing(p).state for p in ("lifts", "hoists", "pumps")}
    assert states == {
        "lifts": PluginState.NEEDS_UPGRADE,
        "hoists": PluginState.NEEDS_UPGRADE,
        "pumps": PluginState.INSTALLED,
    }
    issues = {i.plugin: i.reason for i in operations.repairs(installation)}
    assert "division by zero" in issues["lifts"] and "lifts" in issues["hoists"]
    assert (
        rows(
            installation,
            "select column_name from information_schema.columns where table_schema = 'lifts'"
            " and table_name = 'item' and column_name = 'note'",
        )
        == []
    )
    with installation.scope(SYSTEM, community=installation.place.community_id) as scope:
        assert scope.enabled == {"dougong", "pumps"}


STARTING = """
import sys
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.plugins import operations, upgrades

ran = []
installation = Installation.open()
upgrade = installation.migrator.upgrade
installation.migrator.upgrade = lambda d, r=None: ran.extend(upgrade(d, r)) or []
print("ready", flush=True)
sys.stdin.readline()
installation.migrate()
print(len(ran))
installation.close()
"""


def test_two_processes_that_start_at_once_migrate_once(test_server, tmp_path):
    name = "two_at_once"
    create_database(test_server.dsn(database="postgres"), test_server.passwords(), name)
    environment = {
        **os.environ,
        "DOUGONG_HOME": str(test_server.home),
        "DOUGONG_DATABASE": f"host={test_server.socket} dbname={name}",
    }
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", STARTING],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert [process.stdout.readline() for process in starting] == ["ready\n", "ready\n"]
    for process in starting:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=120) for process in starting]
    assert [p.returncode for p in starting] == [0, 0], answers
    counts = sorted(int(out.split()[-1]) for out, _ in answers)
    assert counts[0] == 0 and counts[1] > 100
