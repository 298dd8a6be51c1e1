"""A JSON list of eighty people against Tryton 8.2's RPC of eighty parties, on the same server.

Usage: python bench/json_list.py [--rows N] [--rounds N]. Prints one JSON line per figure; exits 1
when ours is not eight times as cheap. ratio: Tryton's / ours, of the CPU of web process and server
together. Both are asked in turn through their WSGI callables, each in a warm process of its own
with a client that is signed in: no network, no client. Ours is the API of a community of N people
with tenancy, row-level security, roles, masks and the limit of requests; every person has two
encrypted fields, which are decrypted and masked. Needs `tools/peers.py bench`.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from _measure import tell
from list_page import ServerClock

from dougong.db import insert_rows
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.tenancy.models import Person
from dougong.tenancy.operations import set_setting
from dougong.testing.factories import Place, make_place
from dougong.testing.people import make_login, sign_in
from dougong.testing.throwaway import throwaway_installation
from dougong.web.app import create_app

ROOT = Path(__file__).parents[1]
PEER = ROOT / ".peers/tryton/bin/python"
DATABASE, SIZE, CHUNK = "tryton", 80, 5_000
REACH, TIMES = 8.0, 10
SYSTEM = Actor.system("bench")
# Milliseconds of CPU of the web process for one page at this place in the list.
Ask = Callable[[int], float]


@contextmanager
def tryton(server: EmbeddedPostgres, rows: int) -> Iterator[Ask]:
    """Yield how eighty parties are asked for."""
    with psycopg.connect(server.dsn(database="postgres"), autocommit=True) as link:
        link.execute(f"create database {DATABASE}")
    password, socket = server.passwords()["postgres"], quote(str(server.socket), safe="")
    uri = f"postgresql://postgres:{password}@{socket}"
    script = ROOT / "bench/peers/tryton_parties.py"
    with subprocess.Popen(
        [str(PEER), str(script), uri, DATABASE, str(rows)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        given, said = process.stdin, process.stdout
        assert said.readline() == "ready\n", "Tryton could not be set up; see above"

        def ask(offset: int) -> float:
            given.write(f"{offset}\n")
            given.flush()
            count, _, cpu_ms, _ = json.loads(said.readline())
            assert count == SIZE
            return cpu_ms

        yield ask
        given.close()


def fill(installation: Installation, server: EmbeddedPostgres, place: Place, rows: int) -> None:
    """Write people with a phone number and an identity number each."""
    for first in range(0, rows, CHUNK):
        with installation.scope(SYSTEM, community=place.community_id) as scope:
            numbers = range(first, min(first + CHUNK, rows))
            people = {
                "kind": ["person" for _ in numbers],
                "name": [f"业主{n}" for n in numbers],
                "sort_key": ["" for _ in numbers],
                "phone": [f"138{n:08}" for n in numbers],
                "id_number": [f"11010119900101{n % 10_000:04}" for n in numbers],
            }
            insert_rows(scope, Person, people)
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        link.execute("vacuum (analyze)")
        link.execute("checkpoint")


def ours(installation: Installation, place: Place, rows: int) -> Ask:
    """Return how eighty people are asked for, at the beginning or deep in the list."""
    with installation.access() as session:
        set_setting(session, place.community_id, "dougong.api_requests_per_minute", 1_000_000)
    app = create_app(installation)
    browser = sign_in(app, installation, make_login(installation, place, "community_manager"))
    address = f"/c/{place.community_id}/api/v1/dougong/person?limit={SIZE}"

    def get(query: str = "") -> Any:
        answer = browser.get(address + query)
        assert answer.status_code == 200, answer.text
        return answer

    cursors = {0: ""}

    def cursor(offset: int) -> str:
        """Return the query of a page: following cursors to it would take too long to be told."""
        if offset not in cursors:
            from sqlalchemy import select

            from dougong.web.api import listing

            with installation.scope(SYSTEM, community=place.community_id) as scope:
                last = scope.session.scalars(
                    select(Person).order_by(Person.id).offset(offset - 1).limit(1)
                ).one()
                cursors[offset] = f"&cursor={listing._encode(last, 'id', 'id')}"
        return cursors[offset]

    def ask(offset: int) -> float:
        query = cursor(offset)
        cpu = time.process_time()
        answer = get(query)
        spent = (time.process_time() - cpu) * 1000
        assert len(answer.json["items"]) == SIZE
        return spent

    return ask


def measure(clock: ServerClock, sides: tuple[Ask, Ask], offset: int, rounds: int) -> list[Any]:
    """Ask both sides in turn; return the milliseconds of CPU of each round."""
    found: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        for ask, kept in zip(sides, found, strict=True):
            before = clock.read_ms()
            web = sum(ask(offset) for _ in range(TIMES))
            if number:
                kept.append((web + clock.read_ms() - before) / TIMES)
    return found


def main() -> int:
    """Measure and print; 1 when a ratio is not reached."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    if not PEER.exists():
        print("Tryton is not there: run tools/peers.py bench", file=sys.stderr)
        return 1
    ratios = []
    with throwaway_installation() as (installation, server), tryton(server, given.rows) as theirs:
        place = make_place(installation)
        fill(installation, server, place, given.rows)
        sides = (theirs, ours(installation, place, given.rows))
        clock = ServerClock(server)
        for page, offset in (("page_1", 0), ("deep_page", given.rows // 2)):
            peer, own = measure(clock, sides, offset, given.rounds)
            name = f"tryton_rpc_of_80_to_ours_{page}"
            ratios.append(tell(name, "ms", peer, own, reach=f">= {REACH:g}", rows=given.rows))
    return int(any(ratio is None or ratio < REACH for ratio in ratios))


if __name__ == "__main__":
    sys.exit(main())
