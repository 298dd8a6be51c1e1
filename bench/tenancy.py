"""What tenancy costs per read and write: signed scope and row-level security, beside none.

Usage: python bench/tenancy.py [--requests N]. Prints one JSON line per figure: name, value, unit,
against (the same statements by a role that bypasses every policy, without a scope), ratio
(ours / against, so nearer to 1 is better), spread (between parts of the run, in the same unit).
Each request is a transaction of its own; both sides take turns, on one server with fsync on.
"""

import argparse
import time
from uuid import UUID

from pairs import Work, compare
from sqlalchemy import Connection, text

from dougong.db import insert_rows, uuid7
from dougong.db.scope import Actor, Claim
from dougong.installation import Installation
from dougong.tenancy.models import Building
from dougong.testing.factories import Place, make_place
from dougong.testing.throwaway import throwaway_installation

SYSTEM = Actor.system("bench")
BUILDINGS = 2000
# What a page asks: a list, a count, one record, and what belongs to it.
PAGE = (
    "select id, code, name from dougong.building where community_id = :c and id > :after"
    " order by id limit 50",
    "select count(*) from dougong.room where community_id = :c",
    "select * from dougong.building where community_id = :c and id = :i",
    "select id, code from dougong.room where community_id = :c and building_id = :i limit 50",
)


def fill(installation: Installation, place: Place) -> list[UUID]:
    """Return the ids of many buildings in one community, of which another has as many."""
    for community in (place.community_id, place.other_community_id):
        with installation.scope(SYSTEM, community=community) as scope:
            ids = [uuid7() for _ in range(BUILDINGS)]
            codes = [each.hex[-18:] for each in ids]
            columns = {"id": ids, "code": codes, "name": codes, "sort_key": codes}
            insert_rows(scope, Building, columns)
        if community == place.community_id:
            kept = ids
    with installation.databases.engine("migrator").begin() as connection:
        connection.exec_driver_sql("set local role dougong_owner")
        connection.exec_driver_sql("analyze dougong.building, dougong.room")
    return kept


def works(place: Place, ids: list[UUID]) -> dict[str, Work]:
    """Return the kinds of request by name."""
    here = place.community_id

    def read(connection: Connection, number: int) -> None:
        values = {"c": here, "i": ids[number % len(ids)], "after": ids[number % len(ids)]}
        for statement in PAGE:
            needed = {k: v for k, v in values.items() if f":{k}" in statement}
            connection.execute(text(statement), needed).all()

    def insert(connection: Connection, number: int) -> None:
        connection.execute(
            text(
                "insert into dougong.building (community_id, id, code, name, sort_key)"
                " values (:c, :i, :k, '1栋', '0001')"
            ),
            {"c": here, "i": (made := uuid7()), "k": made.hex[-18:]},
        )

    def update(connection: Connection, number: int) -> None:
        connection.execute(
            text("update dougong.building set name = :k where community_id = :c and id = :i"),
            {"c": here, "i": ids[number % len(ids)], "k": str(time.monotonic_ns())},
        )

    return {"page_of_four_reads": read, "insert": insert, "update": update}


def main() -> None:
    """Run every comparison on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1500, help="per side")
    given = parser.parse_args()
    with throwaway_installation(fast=False, plugins=False) as (installation, _server):
        place = make_place(installation)
        ids = fill(installation, place)
        here = place.community_id
        claim = Claim(place.group_id, here, (here,))
        engine = installation.databases.engine
        with engine("app").connect() as plain, engine("platform").connect() as against:
            ours = plain.execution_options(claim=claim)
            for name, work in works(place, ids).items():
                compare(f"tenancy_{name}_ms", (ours, work), (against, work), given.requests)


if __name__ == "__main__":
    main()
