"""What the audit log and tenancy cost per write, beside the same writes without them.

Usage: python bench/audit.py [--writes N]. Prints one JSON line per figure: name, value, unit,
against (the same without), ratio (ours / against, so nearer to 1 is better; for rates the other way
round), spread (largest less smallest of the rounds, in the same unit). Both sides run in turn on
one server with fsync on; each write is a transaction of its own, as a request makes it.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import text

from dougong.audit.checkpoints import read_witness, signing_key, witness_files, write_checkpoint
from dougong.audit.sealing import seal_once
from dougong.audit.verification import Fault, snapshot, verify
from dougong.db import insert_rows, uuid7
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor, Claim
from dougong.installation import Installation
from dougong.tenancy.models import Building
from dougong.testing.factories import Place, make_place
from dougong.testing.throwaway import throwaway_installation

ROUNDS = 7
SYSTEM = Actor.system("bench")
INSERT = text(
    "insert into dougong.building (community_id, id, code, name, sort_key)"
    " values (:c, :i, :k, '1栋', '0001')"
)
UPDATE = text("update dougong.building set name = :k where community_id = :c and id = :i")


def tell(name: str, unit: str, ours: list[float], against: list[float] | None = None) -> None:
    """Print one figure."""
    value = statistics.median(ours)
    peer = statistics.median(against) if against else None
    print(
        json.dumps(
            {
                "name": name,
                "value": round(value, 3),
                "unit": unit,
                "against": round(peer, 3) if peer else None,
                "ratio": round(value / peer, 2) if peer else None,
                "spread": round(max(ours) - min(ours), 3),
            }
        ),
        flush=True,
    )


@contextmanager
def without_triggers(server: EmbeddedPostgres) -> Iterator[None]:
    """Switch the audit triggers of the table off inside the block."""
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        link.execute("alter table dougong.building disable trigger user")
        try:
            yield
        finally:
            for each in ("insert", "update", "delete"):
                link.execute(f"alter table dougong.building enable always trigger audit_{each}")


def ms_per_write(
    installation: Installation,
    role: str,
    claim: Claim | None,
    work: Callable[[Any, int], None],
    n: int,
) -> float:
    """Return milliseconds per transaction of one write."""
    started = time.perf_counter()
    with installation.databases.engine(role).connect() as plain:
        connection = plain.execution_options(claim=claim) if claim else plain
        for number in range(n):
            work(connection, number)
            connection.commit()
    return (time.perf_counter() - started) * 1000 / n


def writes(installation: Installation, server: EmbeddedPostgres, place: Place, n: int) -> None:
    """Compare single writes with and without the log, and with and without tenancy."""
    here = place.community_id
    claim = Claim(place.group_id, here, (here,))
    ids: list[UUID] = []

    def insert(connection: Any, number: int) -> None:
        ids.append(uuid7())
        connection.execute(INSERT, {"c": here, "i": ids[-1], "k": ids[-1].hex[:18]})

    def update(connection: Any, number: int) -> None:
        connection.execute(UPDATE, {"c": here, "i": ids[number], "k": str(time.monotonic_ns())})

    figures: dict[str, list[float]] = {k: [] for k in ("ia", "ib", "ua", "ub", "ta", "tb")}
    for _ in range(ROUNDS):
        figures["ia"].append(ms_per_write(installation, "app", claim, insert, n))
        figures["ua"].append(ms_per_write(installation, "app", claim, update, n))
        with without_triggers(server):
            figures["ib"].append(ms_per_write(installation, "app", claim, insert, n))
            figures["ub"].append(ms_per_write(installation, "app", claim, update, n))
            figures["ta"].append(ms_per_write(installation, "app", claim, insert, n))
            figures["tb"].append(ms_per_write(installation, "platform", None, insert, n))
    tell("audit_insert_ms", "ms", figures["ia"], figures["ib"])
    tell("audit_update_ms", "ms", figures["ua"], figures["ub"])
    tell("tenancy_insert_ms", "ms", figures["ta"], figures["tb"])


def bulk(installation: Installation, server: EmbeddedPostgres, place: Place, rows: int) -> None:
    """Compare a bulk insert, of which the log keeps one digest."""

    def once() -> float:
        codes = [uuid7().hex[-18:] for _ in range(rows)]
        started = time.perf_counter()
        with installation.scope(SYSTEM, community=place.community_id) as scope:
            insert_rows(scope, Building, {"code": codes, "name": codes, "sort_key": codes})
        return (time.perf_counter() - started) * 1000

    ours, against = [], []
    for _ in range(ROUNDS):
        ours.append(once())
        with without_triggers(server):
            against.append(once())
    tell(f"audit_bulk_{rows}_rows_ms", "ms", ours, against)


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
        # What was written without triggers is found, and nothing else.
        assert {f.fault for f in report.findings} == {Fault.UNLOGGED} and report.entries >= waiting
    tell("audit_verified_per_s", "entries/s", rates)


def main() -> None:
    """Run every comparison on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=400)
    given = parser.parse_args()
    with throwaway_installation(fast=False, plugins=False) as (installation, server):
        place = make_place(installation)
        writes(installation, server, place, given.writes)
        bulk(installation, server, place, 5000)
        sealing(installation)


if __name__ == "__main__":
    main()
