"""The part of the privacy gate that erases people: here, in the log, in files and in backups."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from dougong.audit.checkpoints import read_witness, signing_key, witness_files, write_checkpoint
from dougong.audit.sealing import seal_once
from dougong.audit.verification import snapshot, verify
from dougong.db import ciphers
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor
from dougong.errors import DougongError
from dougong.files import attach
from dougong.installation import Installation
from dougong.privacy.erasure import erase_person
from dougong.privacy.rotation import SealedColumn, sealed_columns
from dougong.privacy.shredding import recover, shred_scope
from dougong.privacy.subjects import own_tables, rows_of
from dougong.tenancy.models import Person
from dougong.testing.canaries import dump_blocks, found_in, make_canaries, plant_everywhere
from dougong.testing.factories import Place, make_place

SYSTEM = Actor.system("gate")
SPARE = 200


class Reader:
    """Somebody who holds the database and the keys, and reads whatever of a community opens."""

    def __init__(self, installation: Installation, community_id: UUID) -> None:
        self.installation = installation
        self.community_id = community_id
        self.sealed = [c for c in sealed_columns(installation) if c.key_column == "community_id"]

    def canaries(self, wanted: set[str]) -> set[str]:
        """Return which canaries can be read in rows, archives and images of the log."""
        with self.installation.platform() as session:
            words = [*self._rows(session), *self._log(session)]
        return found_in((word.encode() + b"\n" for word in words), wanted)

    def _rows(self, session: Session) -> Iterator[str]:
        for each in self.sealed:
            query = f'select t.id, t."{each.name}" as raw from {each.relation} t'
            held = f' where {each.owned} octet_length(t."{each.name}") > 33'
            for row in session.execute(text(query + held), {"scope": self.community_id}):
                yield self._opened(each, row.id, bytes(row.raw))
        for table in own_tables(self.installation):
            if table.info["kind"] == "community":
                name = f'{table.schema}."{table.name}"'
                query = f"select t::text from {name} t where t.community_id = :c"
                yield from session.scalars(text(query), {"c": self.community_id})

    def _log(self, session: Session) -> Iterator[str]:
        columns = {(each.table, each.name): each for each in self.sealed}
        events = session.execute(
            text(
                "select schema_name || '.' || table_name as name, row_id, body,"
                " body::jsonb as image from dougong.audit_event where chain_id = :c"
            ),
            {"c": self.community_id},
        )
        for event in events:
            yield event.body
            values = [(event.image.get(side) or {}).items() for side in ("old", "new")]
            for column, raw in chain.from_iterable(values):
                each = columns.get((event.name, column))
                if each is not None and raw:
                    yield self._opened(each, UUID(event.row_id), bytes.fromhex(raw[2:]))

    def _opened(self, each: SealedColumn, id: UUID, raw: bytes) -> str:
        """Return what a ciphertext says, nothing when nobody can tell any more."""
        spot = ciphers.Place(self.community_id, each.table, each.name, id)
        ring = self.installation.keyring
        try:
            return ciphers.open_sealed(lambda key: ring.key(self.community_id, key), spot, raw)
        except DougongError:
            return ""


def _fill(installation: Installation, place: Place) -> tuple[UUID, dict[str, str], str]:
    """Give a person a canary in every personal column about him, and in a file.

    Return his id, the canaries by column, and the one inside the file.
    """
    canaries = iter(make_canaries(SPARE, seed=11))
    person_id = place.person_ids[0]
    own = {name: next(canaries) for name in ("name", "phone", "id_number", "note")}
    inside = next(canaries)
    planted = plant_everywhere(installation, place, canaries)
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        person = scope.get(Person, person_id)
        for name, canary in own.items():
            setattr(person, name, canary)
        scope.session.flush()
        person.note = f"{own['note']} 喜欢安静"
        attach(scope, person, "信.txt", io.BytesIO(f"电话 {inside}\n".encode() * 20))
        tables = own_tables(installation)
        about = rows_of(scope.session, tables, place.community_id, person_id)
    told = {f"dougong.person.{name}": canary for name, canary in own.items()}
    for column, canary in {**planted.sealed, **planted.plain}.items():
        table = column.rpartition(".")[0]
        if table in about and table not in ("dougong.person", "dougong.attachment"):
            told[column] = canary
    return person_id, told, inside


def erased(installation: Installation, server: EmbeddedPostgres) -> dict[str, Any]:
    """Erase a person whose every value is a canary: nobody reads one any more, the log verifies.

    Columns that a law makes the group keep are named and counted apart.
    """
    place = make_place(installation)
    here = place.community_id
    person_id, told, inside = _fill(installation, place)
    reader, wanted = Reader(installation, here), {*told.values(), inside}
    before = reader.canaries(wanted)
    started = time.monotonic()
    entry = erase_person(installation, SYSTEM, here, person_id, "gate")
    seconds = time.monotonic() - started
    gone = {canary for column, canary in told.items() if column not in entry.kept}
    after = reader.canaries(gone | {inside})
    in_dump = found_in(dump_blocks(server), gone | {inside})
    faults = _faults(installation, here)
    return {
        "columns": len(told),
        "readable_before": len(before),
        "readable_after": len(after),
        "in_dump_after": len(in_dump),
        "kept_by_law": sorted(set(told) & set(entry.kept)),
        "files_that_still_open": _open_files(installation, place),
        "images_taken_from_the_log": len(entry.audit_events),
        "faults_in_the_log": faults,
        "seconds": round(seconds, 2),
        "passed": len(before) >= 8
        and not (after or in_dump or faults or _open_files(installation, place))
        and seconds < 60,
    }


def _faults(installation: Installation, chain: UUID) -> int:
    seal_once(installation)
    write_checkpoint(installation)
    paths = installation.settings.paths
    lines, public = read_witness(witness_files(paths)[0]), signing_key(paths).public
    with snapshot(installation) as connection:
        return len(verify(connection, lines, public, only=chain).findings)


def _open_files(installation: Installation, place: Place) -> int:
    """Return how many files of the erased person still have their key."""
    with installation.platform() as session:
        return session.execute(
            text(
                "select count(*) from dougong.attachment where community_id = :c"
                " and subject_id = :p and secret is not null"
            ),
            {"c": place.community_id, "p": place.person_ids[0]},
        ).scalar_one()


def shredded(installation: Installation, server: EmbeddedPostgres) -> dict[str, Any]:
    """Erase a person from backups too: restore an older one with the keys of today.

    Before, the same backup shows the values: so it would be found if it were there.
    """
    mine, others = make_place(installation), make_place(installation)
    own = make_canaries(2, seed=23)
    for place, canary in zip((mine, others), own, strict=True):
        with installation.scope(SYSTEM, community=place.community_id) as scope:
            scope.get(Person, place.person_ids[0]).phone = canary
    with _backup(installation, server) as restored:
        before = Reader(restored, mine.community_id).canaries({own[0]})
        erase_person(installation, SYSTEM, mine.community_id, mine.person_ids[0], "gate")
        broken = shred_scope(installation, mine.community_id).broken
        restored.keyring.forget()
        found = recover(restored)
        after = Reader(restored, mine.community_id).canaries({own[0]})
        spared = Reader(restored, others.community_id).canaries({own[1]})
    with installation.scope(SYSTEM, community=mine.community_id) as scope:
        living = sum(bool(scope.get(Person, id).phone) for id in mine.person_ids[1:])
    return {
        "readable_in_the_backup_before": len(before),
        "readable_in_the_backup_after": len(after),
        "of_another_community_still_readable": len(spared),
        "keys_shredded_in_the_backup": found.shredded,
        "passed": bool(before and spared and living and found.shredded) and not (after or broken),
    }


@contextmanager
def _backup(installation: Installation, server: EmbeddedPostgres) -> Iterator[Installation]:
    """Yield an installation on a copy of the database as it is now, with the keys of ours."""
    name = "restored_backup"
    installation.databases.dispose()
    with psycopg.connect(server.dsn(database="postgres"), autocommit=True) as link:
        ours = psycopg.conninfo.conninfo_to_dict(installation.settings.database or "")["dbname"]
        link.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [ours]
        )
        link.execute(f"drop database if exists {name} with (force)".encode())
        link.execute(f"create database {name} template {ours} owner dougong_owner".encode())
    settings = replace(installation.settings, database=f"host={server.socket} dbname={name}")
    restored = Installation.open(settings, load=False)
    try:
        yield restored
    finally:
        restored.close()
        with psycopg.connect(server.dsn(database="postgres"), autocommit=True) as link:
            link.execute(f"drop database if exists {name} with (force)".encode())
