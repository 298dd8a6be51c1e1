"""What the audit log costs per write, beside the same writes into a table without its triggers.

Usage: python bench/audit.py [--writes N]. Prints one JSON line per figure: name, value, unit,
against (the same without), ratio (ours / against, so nearer to 1 is better), spread (between
parts of the run, in the same unit). Both sides take turns on one server with fsync on; each write
is a transaction of its own, as a request makes it. What tenancy costs is in ``tenancy.py``.
"""

import argparse
import time
from uuid import UUID

import psycopg
from pairs import Work, compare, tell
from sqlalchemy import Connection, text

from dougong.audit.checkpoints import read_witness, signing_key, witness_files, write_checkpoint
from dougong.audit.sealing import seal_once
from dougong.audit.verification import snapshot, verify
from dougong.db import uuid7
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.protection import POLICIES
from dougong.db.scope import Actor, Claim
from dougong.installation import Installation
from dougong.testing.factories import Place, make_place
from dougong.testing.throwaway import throwaway_installation

BULK = 5000
ROUNDS = 15
SYSTEM = Actor.system("bench")
BARE = "dougong.building_bare"
COLUMNS = "(community_id, id, code, name, sort_key)"


def bare_copy(server: EmbeddedPostgres) -> None:
    """Make a table like that of buildings, with its keys, policies and grants, and no triggers."""
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        for statement in (
            f"create table {BARE} (like dougong.building including all)",
            f"alter table {BARE} add foreign key (community_id) references dougong.community (id)",
            f"alter table {BARE} owner to dougong_owner",
            f"alter table {BARE} enable row level security",
            f"alter table {BARE} force row level security",
            f"grant select, insert, update, delete on {BARE} to dougong_app",
            *(f"create policy {n} on {BARE} {d}" for n, d in POLICIES["community"].items()),
        ):
            link.execute(statement.encode())


def insert_into(table: str, here: UUID, ids: list[UUID]) -> Work:
    """Return a request that inserts a row; it notes the ids."""
    statement = text(f"insert into {table} {COLUMNS} values (:c, :i, :k, '1栋', '0001')")

    def work(connection: Connection, _number: int) -> None:
        ids.append(uuid7())
        connection.execute(statement, {"c": here, "i": ids[-1], "k": ids[-1].hex[:18]})

    return work


def update_of(table: str, here: UUID, ids: list[UUID]) -> Work:
    """Return a request that changes one of these rows."""
    statement = text(f"update {table} set name = :k where community_id = :c and id = :i")

    def work(connection: Connection, number: int) -> None:
        values = {"c": here, "i": ids[number % len(ids)], "k": str(time.monotonic_ns())}
        connection.execute(statement, values)

    return work


def bulk_into(table: str, here: UUID) -> Work:
    """Return a request that inserts thousands of rows, of which the log keeps one digest."""
    statement = text(
        f"insert into {table} {COLUMNS} select :c, i, k, k, k"
        " from unnest(cast(:i as uuid[]), cast(:k as text[])) as t(i, k)"
    )

    def work(connection: Connection, _number: int) -> None:
        ids = [uuid7() for _ in range(BULK)]
        codes = [each.hex[-18:] for each in ids]
        connection.execute(statement, {"c": here, "i": ids, "k": codes})

    return work


def writes(installation: Installation, place: Place, n: int) -> None:
    """Compare single and bulk writes with the same ones into a table without triggers."""
    here = place.community_id
    claim = Claim(place.group_id, here, (here,))
    ids: list[list[UUID]] = [[], []]
    tables = ("dougong.building", BARE)
    with installation.databases.engine("app").connect() as plain:
        link = plain.execution_options(claim=claim)
        inserts = [(link, insert_into(t, here, ids[k])) for k, t in enumerate(tables)]
        updates = [(link, update_of(t, here, ids[k])) for k, t in enumerate(tables)]
        bulks = [(link, bulk_into(t, here)) for t in tables]
        compare("audit_insert_ms", *inserts, n)
        compare("audit_update_ms", *updates, n)
        sealing(installation)
        compare(f"audit_bulk_{BULK}_rows_ms", *bulks, ROUNDS, warm_up=2)


def sealing(installation: Installation) -> None:
    """Measure how fast waiting events are sealed, and a sealed log is verified."""
    with installation.platform() as session:
        waiting = session.execute(text("select count(*) from dougong.audit_pending")).scalar_one()
    started = time.perf_counter()
    sealed = seal_once(installation)
    tell("audit_sealed_per_s", "events/s", [sealed / (time.perf_counter() - started)])
    write_checkpoint(installation)
    paths = installation.settings.paths
    lines, rates = read_witness(witness_files(paths)[0]), []
    for _ in range(3):
        started = time.perf_counter()
        with snapshot(installation) as connection:
            report = verify(connection, lines, signing_key(paths).public)
        rates.append(report.entries / (time.perf_counter() - started))
        assert not report.findings and report.entries >= waiting
    tell("audit_verified_per_s", "entries/s", rates)


def main() -> None:
    """Run every comparison on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=1500)
    given = parser.parse_args()
    with throwaway_installation(fast=False, plugins=False) as (installation, server):
        place = make_place(installation)
        bare_copy(server)
        writes(installation, place, given.writes)


if __name__ == "__main__":
    main()
