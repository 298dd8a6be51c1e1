"""The privacy gate: canaries at rest, swapped ciphertexts, rotation under load, an erased person.

Usage: python -m dougong.privacy.gate [--people N] [--swaps N]. Starts a server of its own. Every
part first shows, with a control, that it can find something. Prints one JSON line; exits 1 on any
miss.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import select, text

from dougong.db import ciphers, insert_rows
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.privacy.canaries import make_canaries, plant_everywhere, search_at_rest
from dougong.privacy.detector import find_personal
from dougong.privacy.erasure import erase_person
from dougong.tenancy.models import Person
from dougong.testing.factories import Place, make_place
from dougong.testing.throwaway import throwaway_installation

SYSTEM = Actor.system("gate")
SPARE = 200


def crowd(installation: Installation, place: Place, phones: list[str]) -> None:
    """Write one person per phone number, in bulk."""
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        count = len(phones)
        columns = {
            "name": [f"人{n}" for n in range(count)],
            "sort_key": [""] * count,
            "kind": ["person"] * count,
            "phone": phones,
            "id_number": phones,
        }
        insert_rows(scope, Person, columns)


def canaries(installation: Installation, server: EmbeddedPostgres, count: int) -> dict[str, Any]:
    """Plant canaries in every encrypted column and look for them at rest.

    The controls, one in a note and one in a statement that the server logs, must be found.
    """
    place = make_place(installation)
    made = make_canaries(count + SPARE)
    control, logged, spare = made[0], made[1], iter(made[2:SPARE])
    crowd(installation, place, made[SPARE:])
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        planted = plant_everywhere(scope, spare)
        scope.get(Person, place.person_ids[0]).note = f"电话 {control}"
    errors = _make_errors(installation, place, made[SPARE])
    with psycopg.connect(server.dsn(), autocommit=True) as link:
        link.execute("set log_statement = 'all'")
        link.execute(f"select '{logged}'".encode())
    home = installation.settings.paths.home
    hidden = set(made) - {control, logged}
    found = search_at_rest(server, home, hidden)
    if made[SPARE] in errors:
        found["errors"] = {made[SPARE]}
    controls = search_at_rest(server, home, {control, logged})
    return {
        "canaries": count + len(planted),
        "columns": sorted(planted),
        "found": {kind: len(hits) for kind, hits in found.items()},
        "controls_found_in": sorted(controls),
        "passed": not found and {"dump", "base", "pg_wal", "log"} <= set(controls),
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
    for place in places:
        key = installation.keyring.current(place.community_id)
        for row in place.person_ids:
            for table in ("dougong.person", "dougong.staff"):
                for column in ("phone", "id_number"):
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


@dataclass
class Load:
    """What a reader and a writer did while keys rotated. Times in seconds."""

    reads: int = 0
    writes: dict[UUID, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def run(self, installation: Installation, here: UUID, ids: list[UUID], seed: int) -> None:
        """Read a page of people, and for an odd seed change one, until told to stop."""
        chance = Random(seed)
        while not self.stop.is_set():
            started = time.monotonic()
            try:
                with installation.scope(SYSTEM, community=here) as scope:
                    some = chance.sample(ids, 20)
                    people = scope.session.scalars(select(Person).where(Person.id.in_(some))).all()
                    self.reads += sum(bool(p.phone) for p in people)
                    self.times.append(time.monotonic() - started)
                    if seed % 2:
                        person = scope.get(Person, some[0], lock=True)
                        person.phone = phone = f"139{chance.randrange(10**8):08}"
                if seed % 2:
                    self.writes[some[0]] = phone
            except Exception as error:  # noqa: BLE001 - counted
                self.failures.append(repr(error)[:200])
            time.sleep(0.005)

    stop: threading.Event = field(default_factory=threading.Event)


def rotating(installation: Installation, people: int) -> dict[str, Any]:
    """Rotate a community's keys while one reads and one writes; nothing may fail or be lost."""
    place = make_place(installation)
    here = place.community_id
    crowd(installation, place, [f"138{n:08}" for n in range(people)])
    with installation.scope(SYSTEM, community=here) as scope:
        ids = list(scope.session.scalars(select(Person.id)))
    load = Load()
    workers = [threading.Thread(target=load.run, args=(installation, here, ids, n)) for n in (0, 1)]
    for worker in workers:
        worker.start()
    started = time.monotonic()
    code, told = _rotate_elsewhere(installation, here)
    seconds = time.monotonic() - started
    load.stop.set()
    for worker in workers:
        worker.join()
    with installation.scope(SYSTEM, community=here) as scope:
        lost = sum(scope.get(Person, i).phone != phone for i, phone in load.writes.items())
    left = _under_old_keys(installation, here)
    times = sorted(load.times)
    return {
        "values": 2 * people,
        "seconds": round(seconds, 1),
        "told": told,
        "reads": load.reads,
        "read_p99_ms": round(times[int(len(times) * 0.99)] * 1000, 1) if times else None,
        "writes": len(load.writes),
        "lost_writes": lost,
        "failures": load.failures[:3],
        "under_old_keys": left,
        "passed": not (lost or load.failures or left or code) and bool(load.reads),
    }


def _rotate_elsewhere(installation: Installation, here: UUID) -> tuple[int, str]:
    """Rotate as an operator does, in a process of its own; return exit code and last line."""
    settings = installation.settings
    done = subprocess.run(
        [sys.executable, "-m", "dougong.cli", "keys", "rotate", "--community", str(here)],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "DOUGONG_HOME": str(settings.paths.home),
            "DOUGONG_DATABASE": settings.database or "",
        },
    )
    return done.returncode, (done.stdout + done.stderr).strip().rpartition("\n")[2]


def _under_old_keys(installation: Installation, here: UUID) -> int:
    current = installation.keyring.current(here).key_id.to_bytes(4)
    with installation.platform() as session:
        return session.execute(
            text(
                "select count(*) from dougong.person where community_id = :c and"
                " (substring(phone from 3 for 4) <> :k or substring(id_number from 3 for 4) <> :k)"
            ),
            {"c": here, "k": current},
        ).scalar_one()


def erased(installation: Installation, server: EmbeddedPostgres) -> dict[str, Any]:
    """Erase a person whose every value is a canary; afterwards the dump holds none of them."""
    place = make_place(installation)
    made = make_canaries(SPARE, seed=11)
    name, note = made[0], made[1]
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        person = Person(name=name, sort_key=name, phone=made[2], note=note)
        scope.session.add(person)
        scope.session.flush()
        person.note = f"{note} 喜欢安静"
    dump = ["-d", server.dsn()]
    before = _count(server.run_tool("pg_dump", *dump).stdout, (name, note))
    started = time.monotonic()
    entry = erase_person(installation, SYSTEM, place.community_id, person.id, "gate")
    seconds = time.monotonic() - started
    after = _count(server.run_tool("pg_dump", *dump).stdout, (name, note))
    return {
        "hits_before": before,
        "hits_after": after,
        "images_taken_from_the_log": len(entry.audit_events),
        "seconds": round(seconds, 2),
        "passed": before >= 4 and after == 0 and seconds < 60,
    }


def _count(words: str, wanted: tuple[str, ...]) -> int:
    return sum(words.count(each) for each in wanted)


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


def gate(
    installation: Installation, server: EmbeddedPostgres, *, people: int, swap_count: int
) -> dict[str, Any]:
    """Return the counts of every part, and whether all passed."""
    parts = {
        "canaries": canaries(installation, server, min(people, 1000)),
        "swaps": swaps(installation, swap_count),
        "rotation": rotating(installation, people),
        "erasure": erased(installation, server),
        "detector": detector(),
    }
    return {"gate": "privacy", **parts, "passed": all(p["passed"] for p in parts.values())}


def main() -> int:
    """Run the gate on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--swaps", type=int, default=10_000)
    given = parser.parse_args()
    with throwaway_installation() as (installation, server):
        result = gate(installation, server, people=given.people, swap_count=given.swaps)
    print(json.dumps(result, ensure_ascii=False))
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
