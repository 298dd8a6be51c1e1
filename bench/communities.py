"""What more communities cost: a list in one of ten, and in one of ten thousand.

Usage: python bench/communities.py [--many N] [--requests N]. Two servers, the same rows in each
community, requests in turns: a scope is opened as a page opens it and twenty rows are read through
the ORM, each time in another of a thousand communities. Prints one JSON line per figure; ratio is
many / ten, so 1 is flat. What a process reads of a community once, at its first visit, and a new
community (its row, committed, with fsync on) are timed by themselves.
"""

import argparse
import random
import time
from uuid import UUID

from pairs import tell
from sqlalchemy import select, text

from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.tenancy.models import Building, Community, PropertyGroup
from dougong.testing.throwaway import throwaway_installation

FEW, VISITED, PER_GROUP, BUILDINGS = 10, 1_000, 200, 20
SYSTEM = Actor.system("bench")
ROWS = """
    insert into dougong.building (community_id, id, code, name, sort_key)
    select c, uuidv7(), n, n || '栋', lpad(cast(n as text), 4, '0')
    from unnest(cast(:communities as uuid[])) c, generate_series(1, :buildings) n
"""


def fill(installation: Installation, number: int) -> tuple[UUID, list[UUID]]:
    """Return a group and all communities, in groups of two hundred, each with its buildings."""
    made = [uuid7() for _ in range(number)]
    groups = [uuid7() for _ in range(-(-number // PER_GROUP))]
    with installation.platform() as session:
        session.add_all(PropertyGroup(id=id, name=f"集团{n}") for n, id in enumerate(groups))
        session.flush()
        session.add_all(
            Community(id=id, group_id=groups[n // PER_GROUP], name=f"小区{n}")
            for n, id in enumerate(made)
        )
        session.flush()
        session.execute(text(ROWS), {"communities": made, "buildings": BUILDINGS})
    with installation.databases.engine("migrator").begin() as connection:
        connection.exec_driver_sql("set local role dougong_owner")
        connection.exec_driver_sql("analyze dougong.building, dougong.community")
    return groups[0], made


def request(installation: Installation, community: UUID) -> float:
    """Return the milliseconds of one page's scope with a list of twenty rows."""
    started = time.perf_counter()
    with installation.scope(SYSTEM, community=community) as scope:
        query = select(Building).order_by(Building.sort_key, Building.id).limit(BUILDINGS)
        assert len(scope.session.scalars(query).all()) == BUILDINGS
    return (time.perf_counter() - started) * 1000


def new_community(installation: Installation, group: UUID) -> float:
    """Return the milliseconds until one more community is there."""
    started = time.perf_counter()
    with installation.platform() as session:
        session.add(Community(id=uuid7(), group_id=group, name="新小区"))
    return (time.perf_counter() - started) * 1000


def main() -> None:
    """Fill both servers and take turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=1_500, help="per side")
    given = parser.parse_args()
    chance = random.Random(7)
    with (
        throwaway_installation(fast=False, plugins=False) as (few, _),
        throwaway_installation(fast=False, plugins=False) as (many, _),
    ):
        group, all_of_many = fill(many, given.many)
        _, all_of_few = fill(few, FEW)
        visited = chance.sample(all_of_many, min(VISITED, len(all_of_many)))
        first = [request(many, each) for each in visited]
        for each in all_of_few:
            request(few, each)
        times: list[list[float]] = [[], []]
        sides = ((many, visited), (few, all_of_few))
        for number in range(given.requests):
            for side in (0, 1) if number % 2 else (1, 0):
                installation, communities = sides[side]
                times[side].append(request(installation, chance.choice(communities)))
        tell(f"communities_list_of_{given.many}_ms", "ms", times[0], times[1])
        tell("communities_first_visit_ms", "ms", first)
        tell("communities_new_ms", "ms", [new_community(many, group) for _ in range(100)])


if __name__ == "__main__":
    main()
