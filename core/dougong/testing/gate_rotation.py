"""The part of the privacy gate that rotates keys while people read, search and write."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from dougong.db import insert_rows
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.tenancy.models import Person
from dougong.testing.factories import Place, make_place

SYSTEM = Actor.system("gate")
PAGE = 20


def crowd(installation: Installation, place: Place, phones: Sequence[str]) -> None:
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


@dataclass
class Load:
    """What readers, searchers and writers did while keys rotated. Times in seconds.

    known: people whom nobody changes, with their phones; each search for one must find him.
    """

    known: dict[UUID, str]
    reads: int = 0
    searches: int = 0
    not_found: int = 0
    writes: dict[UUID, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, installation: Installation, here: UUID, ids: list[UUID], seed: int) -> None:
        """Read a page of people and search for one, or for an odd seed change one, until told."""
        chance, known = Random(seed), list(self.known)
        while not self.stop.is_set():
            try:
                if seed % 2:
                    self._write(installation, here, chance.choice(ids), chance)
                else:
                    self._read(installation, here, chance.sample(ids, PAGE), chance.choice(known))
            except Exception as error:  # noqa: BLE001 - counted
                self.failures.append(repr(error)[:200])
            time.sleep(0.005)

    def _read(self, installation: Installation, here: UUID, some: list[UUID], one: UUID) -> None:
        started = time.monotonic()
        with installation.scope(SYSTEM, community=here) as scope:
            people = scope.session.scalars(select(Person).where(Person.id.in_(some))).all()
            self.reads += sum(bool(p.phone) for p in people)
        self.times.append(time.monotonic() - started)
        phone = self.known[one]
        with installation.scope(SYSTEM, community=here) as scope:
            found = scope.session.scalars(
                select(Person.id).where(Person.phone.matches(scope, phone))
            ).all()
            tails = scope.session.scalars(
                select(Person.id).where(Person.phone.ends_with(scope, phone[-4:]))
            ).all()
        self.searches += 2
        self.not_found += (list(found) != [one]) + (one not in tails)

    def _write(self, installation: Installation, here: UUID, one: UUID, chance: Random) -> None:
        with installation.scope(SYSTEM, community=here) as scope:
            person = scope.get(Person, one, lock=True)
            person.phone = phone = f"139{chance.randrange(10**8):08}"
        self.writes[one] = phone

    def p99_ms(self, since: int = 0, until: int | None = None) -> float | None:
        """Return the 99th of a hundred read times, in milliseconds."""
        times = sorted(self.times[since:until])
        return round(times[int(len(times) * 0.99)] * 1000, 1) if times else None


def rotating(installation: Installation, people: int, calm_s: float = 5.0) -> dict[str, Any]:
    """Rotate a community's keys under load; nothing may fail, be lost, or not be found.

    calm_s: how long reads are timed before, with the same readers and writers.
    """
    place = make_place(installation)
    here = place.community_id
    phones = [f"138{n:08}" for n in range(people)]
    crowd(installation, place, phones)
    with installation.scope(SYSTEM, community=here) as scope:
        rows = scope.session.execute(
            select(Person.id, Person.name).where(Person.name.startswith("人")).order_by(Person.id)
        ).all()
    numbers = {row.id: phones[int(row.name[1:])] for row in rows}
    ids, still = list(numbers)[::2], list(numbers)[1::2]
    load = Load({id: numbers[id] for id in still})
    workers = [threading.Thread(target=load.run, args=(installation, here, ids, n)) for n in (0, 1)]
    for worker in workers:
        worker.start()
    time.sleep(calm_s)
    calm, started = len(load.times), time.monotonic()
    code, told = _rotate_elsewhere(installation, here)
    seconds = time.monotonic() - started
    load.stop.set()
    for worker in workers:
        worker.join()
    with installation.scope(SYSTEM, community=here) as scope:
        lost = sum(scope.get(Person, i).phone != phone for i, phone in load.writes.items())
    left = _under_old_keys(installation, here)
    faults = lost + len(load.failures) + left + code + load.not_found
    return {
        "values": 2 * people,
        "seconds": round(seconds, 1),
        "told": told,
        "reads": load.reads,
        "read_p99_ms_before": load.p99_ms(0, calm),
        "read_p99_ms": load.p99_ms(calm),
        "searches": load.searches,
        "not_found": load.not_found,
        "writes": len(load.writes),
        "lost_writes": lost,
        "failures": load.failures[:3],
        "under_old_keys": left,
        "passed": not faults and bool(load.reads and load.searches and load.writes),
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
    """Return how many people are sealed, or can be searched, under another key than the newest."""
    ring = installation.keyring
    ring.forget()
    with installation.platform() as session:
        return session.execute(
            text(
                "select count(*) from dougong.person where community_id = :c and"
                " (substring(phone from 3 for 4) <> :k or substring(id_number from 3 for 4) <> :k"
                " or substring(phone_index from 1 for 2) <> :m"
                " or substring(phone_tail from 1 for 2) <> :m"
                " or substring(id_number_index from 1 for 2) <> :m)"
            ),
            {
                "c": here,
                "k": ring.current(here).key_id.to_bytes(4),
                "m": ring.index_keys([here])[here][0].mark,
            },
        ).scalar_one()
