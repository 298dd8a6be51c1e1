"""The privacy gate: canaries at rest, swapped ciphertexts, rotation under load, erased people.

Usage: python -m dougong.privacy.gate [--people N] [--swaps N]. Starts servers of its own. Every
part first shows, with a control, that it can find something: the canaries with encryption switched
off. Prints one JSON line; exits 1 on any miss.
"""

import argparse
import json
import sys
import traceback
from itertools import product
from random import Random
from typing import Any
from uuid import UUID

import psycopg

from dougong.db import ciphers
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.privacy.detector import find_personal
from dougong.tenancy.models import Person
from dougong.testing.canaries import (
    Planted,
    encryption_off,
    found_in,
    found_in_table,
    make_canaries,
    plant_everywhere,
    search_at_rest,
)
from dougong.testing.factories import Place, make_place
from dougong.testing.gate_doors import enter
from dougong.testing.gate_erasure import erased, shredded
from dougong.testing.gate_rotation import crowd, rotating
from dougong.testing.throwaway import throwaway_installation

SYSTEM = Actor.system("gate")
SPARE = 300
Places = dict[str, set[str]]
# What is kept readable on purpose lies in its own table and in the log, never in these.
ON_THE_WAY = ("outbox_event", "event_delivery", "job", "procrastinate_jobs", "procrastinate_events")


def canaries(installation: Installation, server: EmbeddedPostgres, count: int) -> dict[str, Any]:
    """Plant canaries in every declared column and through every door; look for them at rest.

    The controls, one in a note and one in a statement that the server logs, must be found.
    """
    place = make_place(installation)
    made = make_canaries(count + SPARE)
    control, logged, spare = made[0], made[1], iter(made[2:SPARE])
    crowd(installation, place, made[SPARE:])
    planted = plant_everywhere(installation, place, spare)
    entered = enter(installation, place, spare)
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        scope.get(Person, place.person_ids[1]).note = f"电话 {control}"
    hidden = {*made[SPARE:], *planted.sealed.values(), *entered.all}
    entered.shown["errors"] = _make_errors(installation, place, made[SPARE]).encode()
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        link.execute("set log_statement = 'all'")
        link.execute(f"select '{logged}'".encode())
    wanted = {*hidden, control, logged, *planted.plain.values()}
    places = search_at_rest(server, installation.settings.paths.home, wanted)
    places |= {name: found_in(iter([raw]), hidden) for name, raw in entered.shown.items()}
    found, controls = _those(places, hidden), _those(places, {control, logged})
    strayed = _strayed(installation, places, planted)
    return {
        "canaries": len(hidden),
        "sealed_columns": sorted(planted.sealed),
        "columns_kept_readable": sorted(planted.plain),
        "columns_missed": planted.missed,
        "doors": {door: len(some) for door, some in entered.canaries.items()},
        "found": {kind: len(hits) for kind, hits in found.items()},
        "readable_ones_strayed": strayed,
        "controls_found_in": sorted(controls),
        "passed": not (found or strayed or planted.missed)
        and {"dump", "base", "pg_wal", "log"} <= set(controls),
    }


def _those(places: Places, canaries: set[str]) -> Places:
    """Return the places where some of ``canaries`` were found, with these."""
    return {name: hits & canaries for name, hits in places.items() if hits & canaries}


def _strayed(installation: Installation, places: Places, planted: Planted) -> dict[str, int]:
    """Return where canaries of readable columns lie that they should not: logs, files, payloads."""
    wanted = set(planted.plain.values())
    found = {name: hits for name, hits in places.items() if name not in ("dump", "base", "pg_wal")}
    with installation.platform() as session:
        for table in ON_THE_WAY:
            found[table] = found_in_table(session, f"dougong.{table}", wanted)
    return {name: len(hits) for name, hits in _those(found, wanted).items()}


def unprotected(installation: Installation, server: EmbeddedPostgres) -> dict[str, Any]:
    """Show what would be found with encryption switched off: every planted column, in the dump."""
    place = make_place(installation)
    with encryption_off():
        planted = plant_everywhere(installation, place, iter(make_canaries(SPARE, seed=5)))
        found = search_at_rest(server, installation.settings.paths.home, planted.sealed.values())
    in_dump = found.get("dump", set())
    return {
        "columns": len(planted.sealed),
        "found": {kind: len(hits) for kind, hits in found.items()},
        "passed": bool(planted.sealed) and in_dump == set(planted.sealed.values()),
    }


def _make_errors(installation: Installation, place: Place, canary: str) -> str:
    """Have writes that carry a canary fail in several ways; return what the errors say."""
    told = []
    for wrong in (
        {"name": None},
        {"id": place.person_ids[0], "name": "x"},
        {"name": "x", "community_id": place.other_community_id},
        {"name": "x", "kind": "ghost"},
    ):
        try:
            with installation.scope(SYSTEM, community=place.community_id) as scope:
                scope.session.add(Person(phone=canary, id_number=canary, **wrong))
                scope.session.flush()
        except Exception as error:  # noqa: BLE001 - the error is what is wanted
            told.append("".join(traceback.format_exception(error)))
    return "".join(told)


def swaps(installation: Installation, count: int) -> dict[str, Any]:
    """Open ``count`` ciphertexts where they do not belong: row, column, table, community."""
    places = [make_place(installation) for _ in range(3)]
    chance, sealed, refused, opened = Random(3), {}, 0, 0
    tables, columns = ("dougong.person", "dougong.staff"), ("phone", "id_number")
    for place in places:
        key = installation.keyring.current(place.community_id)
        for row, table, column in product(place.person_ids, tables, columns):
            where = ciphers.Place(place.community_id, table, column, row)
            sealed[where] = ciphers.seal(key, where, "13800000000")
    spots = list(sealed)
    for _ in range(count):
        here, there = chance.sample(spots, 2)
        try:
            ciphers.open_sealed(_opener(installation, here.scope_id), here, sealed[there])
            opened += 1
        except ciphers.TamperedCiphertext:
            refused += 1
    good = sum(
        ciphers.open_sealed(_opener(installation, w.scope_id), w, s) == "13800000000"
        for w, s in sealed.items()
    )
    passed = refused == count and not opened and good == len(sealed)
    return {"swaps": count, "refused": refused, "opened_in_place": good, "passed": passed}


def _opener(installation: Installation, scope_id: UUID) -> Any:
    return lambda key_id: installation.keyring.key(scope_id, key_id)


def detector(count: int = 2000) -> dict[str, Any]:
    """Hide phone and identity numbers in free text among numbers that are none."""
    chance, missed, wrong = Random(5), 0, 0
    for _ in range(count):
        phone = f"1{chance.choice('3456789')}{chance.randrange(10**9):09}"
        spaced = f"{phone[:3]} {phone[3:7]} {phone[7:]}" if chance.random() < 0.3 else phone
        missed += not find_personal(f"业主说打 {spaced}，下午在家")
        plain = f"房号 {chance.randrange(1, 40)}-{chance.randrange(1, 4)}-{chance.randrange(9999)}"
        wrong += bool(find_personal(f"{plain}，表号 {chance.randrange(10**12, 10**13)}"))
    return {"texts": count, "missed": missed, "wrong": wrong, "passed": not missed and not wrong}


def gate(people: int, swap_count: int) -> dict[str, Any]:
    """Return the counts of every part, and whether all passed."""
    with throwaway_installation() as (installation, server):
        parts = {"unprotected": unprotected(installation, server)}
    with throwaway_installation() as (installation, server):
        parts |= {
            "canaries": canaries(installation, server, min(people, 1000)),
            "swaps": swaps(installation, swap_count),
            "rotation": rotating(installation, people),
            "erasure": erased(installation, server),
            "backups": shredded(installation, server),
            "detector": detector(),
        }
    return {"gate": "privacy", **parts, "passed": all(p["passed"] for p in parts.values())}


def main() -> int:
    """Run the gate on servers of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--swaps", type=int, default=10_000)
    given = parser.parse_args()
    result = gate(given.people, given.swaps)
    print(json.dumps(result, ensure_ascii=False))
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
