"""The tenancy gate: random reads and writes across communities with the application's filter off.

Usage: python -m dougong.testing.gate_tenancy [--probes N]. Starts a server of its own, makes
communities, and counts rows that leak or change. It first shows, as a role that bypasses
row-level security, that the same probes find something: a probe that cannot fail proves nothing.
Prints one JSON line; exits 1 on any leak.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Claim
from dougong.db.servers import create_database
from dougong.installation import Installation
from dougong.paths import Paths
from dougong.plugins.operations import install_everything
from dougong.settings import Settings
from dougong.tenancy.models import Person, Room
from dougong.testing.factories import Place, make_place

TABLES = (
    "dougong.room",
    "dougong.person",
    "dougong.building",
    "dougong.unit",
    "dougong.ownership",
)
ROOM: Any = Room.__table__
PERSON: Any = Person.__table__


@dataclass
class Count:
    """What the probes saw. unasked: kinds of probes that chance has not asked for yet."""

    probes: int = 0
    leaks: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    asked: set[str] = field(default_factory=set)
    unasked: set[str] = field(default_factory=set)


def read_probes(foreign: UUID, chance: Random) -> dict[str, Callable[[Session], int]]:
    """Return reads of another community's rows; each returns how many it got to see."""
    table = chance.choice(TABLES)
    name = chance.choice(("业主0", "业主1", "业主3"))
    return forgeries(foreign, table) | {
        "orm": lambda s: len(s.scalars(select(Room).where(Room.community_id == foreign)).all()),
        "orm_forgotten": lambda s: sum(
            p.community_id == foreign
            for p in s.scalars(select(Person).where(Person.name == name)).all()
        ),
        "core": lambda s: len(
            s.execute(select(ROOM.c.id).where(ROOM.c.community_id == foreign)).all()
        ),
        "core_join": lambda s: len(
            s.execute(
                text(
                    "select 1 from dougong.ownership o join dougong.person p"
                    " on p.id = o.person_id where p.community_id = :f"
                ),
                {"f": foreign},
            ).all()
        ),
        "raw": lambda s: s.execute(
            text(f"select count(*) from {table} where community_id = :f"), {"f": foreign}
        ).scalar_one(),
        "cte": lambda s: s.execute(
            text(
                f"with x as (select * from {table}) select count(*) from x, lateral"
                " (select x.community_id as c) y where y.c = :f"
            ),
            {"f": foreign},
        ).scalar_one(),
    }


def forgeries(foreign: UUID, table: str) -> dict[str, Callable[[Session], int]]:
    """Return injected statements that try to widen the scope before they read ``table``."""
    wanted = Claim(foreign, foreign, (foreign,)).value

    def injected(statement: str, value: str = wanted) -> Callable[[Session], int]:
        def probe(session: Session) -> int:
            session.execute(text(statement), {"v": value} if ":v" in statement else {})
            return session.execute(
                text(f"select count(*) from {table} where community_id = :f"), {"f": foreign}
            ).scalar_one()

        return probe

    return {
        "set_config": injected("select set_config('backtrace_functions', :v, true)"),
        "set": injected(f"set local backtrace_functions = '{wanted}'"),
        "reset": injected("reset all"),
        "own_setting": injected("select set_config('dougong.scope', :v, true)"),
        "forged": injected(
            f"call dougong.enter(:v || pg_backend_pid() || ';99999999999;' || '{wanted}')",
            "0" * 64 + ";",
        ),
    }


def write_probes(place: Place, chance: Random) -> dict[str, Callable[[Any], int]]:
    """Return writes to another community's rows; each returns how many rows it changed."""
    foreign, room = place.community_id, chance.choice(place.room_ids)

    def moved(session: Any) -> int:
        return session.execute(
            text("update dougong.building set community_id = :f"), {"f": foreign}
        ).rowcount

    return {
        "update": lambda s: (
            s.execute(
                text("update dougong.room set floor = 77 where id = :r"), {"r": room}
            ).rowcount
        ),
        "delete": lambda s: (
            s.execute(
                text("delete from dougong.ownership where room_id = :r"), {"r": room}
            ).rowcount
        ),
        "insert": lambda s: (
            s.execute(
                text(
                    "insert into dougong.building (community_id, id, code, name, sort_key)"
                    " values (:f, uuidv7(), :c, 'x', '')"
                ),
                {"f": foreign, "c": str(chance.random())[:18]},
            ).rowcount
        ),
        "core_update": lambda s: (
            s.execute(
                PERSON.update().where(PERSON.c.community_id == foreign).values(note="x")
            ).rowcount
        ),
        "moved": moved,
    }


def run(installation: Installation, places: list[Place], probes: int, *, role: str) -> Count:
    """Run ``probes`` reads and a tenth as many writes; ``role`` is app, or one that bypasses."""
    count, chance = Count(), Random(7)
    for number in range(probes + probes // 10):
        mine, other = chance.sample(places, 2)
        is_write = number >= probes
        made = write_probes(other, chance) if is_write else read_probes(other.community_id, chance)
        name = chance.choice(sorted(made))
        count.probes += 1
        count.asked.add(name)
        count.unasked = (count.unasked | set(made)) - count.asked
        try:
            seen = _one(installation, role, mine, made[name])
        except DBAPIError:
            count.refused += 1
            continue
        if seen:
            count.leaks[("write " if is_write else "read ") + name] += 1
    return count


def _one(
    installation: Installation, role: str, mine: Place, probe: Callable[[Session], int]
) -> int:
    claim = Claim(mine.group_id, mine.community_id, (mine.community_id,))
    engine = installation.databases.engine(role)
    with engine.connect() as plain:
        connection: Connection = plain.execution_options(claim=claim)
        # A bare session: no ORM criteria, no scope; only the database protects here.
        with Session(bind=connection) as session:
            try:
                return probe(session)
            finally:
                session.rollback()


def churn(installation: Installation, places: list[Place], probes: int, threads: int = 4) -> Count:
    """Share the pool among threads that commit, roll back and break connections at random."""
    count, lock = Count(), threading.Lock()

    def work(seed: int) -> None:
        chance = Random(seed)
        for _ in range(probes // threads):
            place = chance.choice(places)
            claim = Claim(place.group_id, place.community_id, (place.community_id,))
            with installation.databases.engine("app").connect() as plain:
                connection = plain.execution_options(claim=claim)
                seen = connection.execute(text("select community_id from dougong.room limit 3"))
                wrong = sum(row[0] != place.community_id for row in seen)
                draw = chance.random()
                if draw < 0.4:
                    connection.commit()
                elif draw < 0.45:
                    connection.invalidate()
                else:
                    connection.rollback()
            with lock:
                count.probes += 1
                count.leaks["churn"] += wrong

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    count.leaks += Counter()
    return count


def gate(installation: Installation, probes: int) -> dict[str, Any]:
    """Return the counts of the whole gate; ``leaks`` must be empty and ``unprotected`` not."""
    places = [make_place(installation) for _ in range(6)]
    started = time.monotonic()
    unprotected = run(installation, places, max(200, probes // 50), role="platform")
    protected = run(installation, places, probes, role="app")
    churned = churn(installation, places, max(400, probes // 5))
    leaks = dict(protected.leaks + churned.leaks)
    return {
        "gate": "tenancy",
        "probes": protected.probes + churned.probes,
        "refused": protected.refused,
        "leaks": leaks,
        "unprotected_leaks": sum(unprotected.leaks.values()),
        "unprotected_probes": unprotected.probes,
        "unasked": sorted(protected.unasked),
        "seconds": round(time.monotonic() - started, 1),
        "passed": not leaks and sum(unprotected.leaks.values()) > 0 and not protected.unasked,
    }


def main() -> int:
    """Run the gate on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", type=int, default=10_000)
    arguments = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="dougong-gate-"))
    home.chmod(0o755)
    server = EmbeddedPostgres(home, home / "keys", fast=True)
    server.start()
    try:
        create_database(server.dsn(database="postgres"), server.passwords())
        settings = Settings(paths=Paths(home), database=f"host={server.socket} dbname=dougong")
        installation = Installation.open(settings)
        installation.migrate()
        install_everything(installation)
        result = gate(installation, arguments.probes)
        installation.close()
    finally:
        server.destroy()
    print(json.dumps(result, ensure_ascii=False))
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
