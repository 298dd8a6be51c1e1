"""The audit gate: a superuser meddles with log and tables, and verification finds it.

Usage: python -m dougong.audit.gate [--mutations N]. Starts a server of its own. Each mutation is
made in a transaction of the superuser, verified, and rolled back. First it shows that an untouched
log has no fault and that, without the witness, cut and rewritten chains would go unseen. Prints one
JSON line; exits 1 when one mutation was not found.
"""

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Connection, create_engine

from dougong.audit.checkpoints import read_witness, signing_key, witness_files, write_checkpoint
from dougong.audit.sealing import chained, seal_once
from dougong.audit.verification import Report, verify
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.services import change
from dougong.tenancy.models import Room
from dougong.testing.factories import make_place
from dougong.testing.throwaway import throwaway_installation

SYSTEM = Actor.system("gate")
COLUMNS = ("verb", "table_name", "row_id", "operation", "at", "actor_id", "txid", "schema_name")
AT = "(select id from dougong.audit_link where chain_id = %(c)s and seq = %(n)s)"
ROOM = "(select id from dougong.room where community_id = %(c)s order by id limit 1)"
NEW_VALUES = {
    "at": "at + interval '1 microsecond'",
    "actor_id": "uuidv7()",
    "txid": "cast('1' as xid8)",
}


class Meddler:
    """A superuser at one chain; every method changes the log and leaves what shows least."""

    def __init__(self, connection: Connection, chain: UUID, length: int, chance: Random) -> None:
        self.connection = connection
        self.chain = chain
        self.length = length
        self.chance = chance

    def execute(self, statement: str, **given: Any) -> int:
        done = self.connection.exec_driver_sql(statement, {"c": self.chain, **given})
        if not done.rowcount:
            raise AssertionError(f"changed nothing: {statement}")
        return done.rowcount

    def any(self, first: int = 1) -> int:
        """Return a place in the chain, at random."""
        return self.chance.randint(first, self.length)

    def flip_a_character(self) -> None:
        n = self.any()
        (body,) = self.connection.exec_driver_sql(
            f"select body from dougong.audit_event where id = {AT}", {"c": self.chain, "n": n}
        ).one()
        at = self.chance.randrange(len(body))
        other = chr((ord(body[at]) % 90) + 33 + (ord(body[at]) % 90 + 33 == ord(body[at])))
        self.execute(
            f"update dougong.audit_event set body = %(b)s where id = {AT}",
            b=body[:at] + other + body[at + 1 :],
            n=n,
        )

    def change_a_column(self) -> None:
        column = self.chance.choice(COLUMNS)
        value = NEW_VALUES.get(column, "'x'")
        self.execute(
            f"update dougong.audit_event set {column} = {value} where id = {AT}", n=self.any()
        )

    def delete_an_event(self) -> None:
        self.execute(f"delete from dougong.audit_event where id = {AT}", n=self.any())

    def delete_a_link(self) -> None:
        self.execute(
            "delete from dougong.audit_link where chain_id = %(c)s and seq = %(n)s", n=self.any()
        )

    def delete_both(self) -> None:
        n = self.any()
        self.execute(f"delete from dougong.audit_event where id = {AT}", n=n)
        self.execute("delete from dougong.audit_link where chain_id = %(c)s and seq = %(n)s", n=n)

    def swap_two(self) -> None:
        n = self.chance.randint(1, self.length - 1)
        self.execute(
            "update dougong.audit_link l set body_hash = o.body_hash, hash = o.hash"
            " from dougong.audit_link o where l.chain_id = %(c)s and o.chain_id = l.chain_id"
            " and l.seq in (%(n)s, %(m)s) and o.seq = %(n)s + %(m)s - l.seq",
            n=n,
            m=n + 1,
        )

    def cut_the_tail(self) -> None:
        self._cut(self.any())

    def _cut(self, n: int) -> None:
        self.execute(
            "with t as (delete from dougong.audit_link where chain_id = %(c)s and seq >= %(n)s"
            " returning id) delete from dougong.audit_event where id in (select id from t)",
            n=n,
        )
        self.connection.exec_driver_sql(
            "delete from dougong.audit_head where id = %(c)s", {"c": self.chain}
        )
        self.connection.exec_driver_sql(
            "insert into dougong.audit_head (id, seq, hash, mentioned_seq) select chain_id, seq,"
            " hash, seq from dougong.audit_link where chain_id = %(c)s and seq = %(n)s - 1",
            {"c": self.chain, "n": n},
        )

    def take_the_last_back(self) -> None:
        """Make the last change undone in log and table alike: as if it had never been."""
        with self._triggers_off():
            self.execute(
                f"with gone as (delete from dougong.room where id = (select row_id::uuid from"
                f" dougong.audit_event where id = {AT}) returning id)"
                " insert into dougong.room select r.* from dougong.audit_event e,"
                " jsonb_populate_record(null::dougong.room, e.body::jsonb -> 'old') r"
                f" where e.id = {AT} and exists (select from gone)",
                n=self.length,
            )
        self._cut(self.length)

    def put_an_event_in(self) -> None:
        self.execute(
            "insert into dougong.audit_event select (jsonb_populate_record(e,"
            f" jsonb_build_object('id', uuidv7()))).* from dougong.audit_event e where id = {AT}",
            n=self.any(),
        )

    def empty_an_image(self) -> None:
        self.execute(
            "update dougong.audit_event set body = ((body::jsonb - 'new' - 'old') ||"
            f" jsonb_build_object('erasure', uuidv7()))::text where id = {AT}",
            n=self.any(),
        )

    def change_past_the_triggers(self) -> None:
        with self._triggers_off():
            self.execute(f"update dougong.room set floor = floor + 1 where id = {ROOM}")

    def delete_past_the_triggers(self) -> None:
        with self._triggers_off():
            self.execute(f"delete from dougong.room where id = {ROOM}")

    def swap_past_the_triggers(self) -> None:
        """Give two rows each other's value: as many rows and the same values as before."""
        with self._triggers_off():
            self.execute(
                "update dougong.room r set floor = o.floor from dougong.room o"
                " where r.community_id = %(c)s and o.community_id = %(c)s and r.id <> o.id"
                " and r.floor <> o.floor and r.id in (select id from dougong.room"
                " where community_id = %(c)s order by id limit 2) and o.id in (select id"
                " from dougong.room where community_id = %(c)s order by id limit 2)"
            )

    @contextmanager
    def _triggers_off(self) -> Iterator[None]:
        self.connection.exec_driver_sql("alter table dougong.room disable trigger all")
        yield
        self.connection.exec_driver_sql("alter table dougong.room enable trigger all")
        for name in ("insert", "update", "delete"):
            self.connection.exec_driver_sql(
                f"alter table dougong.room enable always trigger audit_{name}"
            )

    def rewrite_the_chain(self) -> None:
        """Change one event and compute every hash after it anew, head included."""
        rows = self._rows()
        n = self.chance.randrange(len(rows))
        id, chain, body = rows[n]
        body = re.sub(r'("reason" ?: ")', r"\1because ", body)
        self.execute("update dougong.audit_event set body = %(b)s where id = %(e)s", b=body, e=id)
        rows[n] = (id, chain, body)
        self._link_anew(rows)

    def drop_one_and_rewrite(self) -> None:
        """Take one event out without a gap: the links after it move up, hashes computed anew."""
        rows = self._rows()
        id, _chain, _body = rows.pop(self.chance.randrange(len(rows)))
        self.execute("delete from dougong.audit_event where id = %(e)s", e=id)
        self._link_anew(rows)

    def _rows(self) -> list[Any]:
        return [
            tuple(row)
            for row in self.connection.exec_driver_sql(
                "select l.id, l.chain_id, e.body from dougong.audit_link l"
                " join dougong.audit_event e using (id) where l.chain_id = %(c)s order by seq",
                {"c": self.chain},
            )
        ]

    def _link_anew(self, rows: list[Any]) -> None:
        heads: dict[UUID, tuple[int, bytes]] = {}
        links = chained(heads, rows)
        self.execute("delete from dougong.audit_link where chain_id = %(c)s")
        self.execute(
            "insert into dougong.audit_link (id, chain_id, seq, body_hash, hash) select i, %(c)s,"
            " s, b, h from unnest(cast(%(i)s as uuid[]), cast(%(s)s as bigint[]),"
            " cast(%(b)s as bytea[]), cast(%(h)s as bytea[])) as t(i, s, b, h)",
            i=[link.event_id for link in links],
            s=[link.seq for link in links],
            b=[link.body_hash for link in links],
            h=[link.hash for link in links],
        )
        seq, hash = heads[self.chain]
        self.execute(
            "update dougong.audit_head set seq = %(n)s, hash = %(h)s, mentioned_seq = %(n)s"
            " where id = %(c)s",
            n=seq,
            h=hash,
        )


MUTATIONS: dict[str, Callable[[Meddler], None]] = {
    name: getattr(Meddler, name)
    for name in (
        "flip_a_character",
        "change_a_column",
        "delete_an_event",
        "delete_a_link",
        "delete_both",
        "swap_two",
        "cut_the_tail",
        "put_an_event_in",
        "empty_an_image",
        "change_past_the_triggers",
        "delete_past_the_triggers",
        "swap_past_the_triggers",
        "take_the_last_back",
        "rewrite_the_chain",
        "drop_one_and_rewrite",
    )
}
WITNESS_ONLY = ("rewrite_the_chain", "take_the_last_back")


def busy_chain(installation: Installation, changes: int = 40) -> UUID:
    """Return a fresh community whose log is sealed and witnessed."""
    place = make_place(installation)
    for number in range(changes):
        with installation.scope(SYSTEM, community=place.community_id) as scope:
            room = scope.get(Room, place.room_ids[number % len(place.room_ids)])
            change(scope, room, {"floor": number + 50, "old_code": f"旧{number}"})
    seal_once(installation)
    write_checkpoint(installation)
    return place.community_id


def gate(installation: Installation, server: EmbeddedPostgres, mutations: int) -> dict[str, Any]:
    """Return how many mutations were made and found, by kind."""
    chains = [busy_chain(installation) for _ in range(3)]
    paths, chance = installation.settings.paths, Random(11)
    lines, public = read_witness(witness_files(paths)[0]), signing_key(paths).public
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(server.dsn()), hide_parameters=True
    )
    started, missed, blind = time.monotonic(), Counter[str](), Counter[str]()
    names = sorted(MUTATIONS)
    with engine.connect() as connection:
        clean = sum(len(verify(connection, lines, public, only=c).findings) for c in chains)
        lengths = {c: verify(connection, lines, public, only=c).entries for c in chains}
        connection.rollback()
        for number in range(mutations):
            name, chain = names[number % len(names)], chains[number % len(chains)]
            meddler = Meddler(connection, chain, lengths[chain], chance)
            MUTATIONS[name](meddler)
            missed[name] += not verify(connection, lines, public, only=chain).findings
            if name in WITNESS_ONLY and number < 3 * len(names):
                blind[name] += not _without_witness(connection, chain).findings
            connection.rollback()
    engine.dispose()
    return {
        "gate": "audit",
        "mutations": mutations,
        "kinds": len(names),
        "missed": dict(missed + Counter()),
        "faults_in_an_untouched_log": clean,
        "unseen_without_the_witness": dict(blind),
        "seconds": round(time.monotonic() - started, 1),
        "passed": not sum(missed.values()) and not clean and all(blind[w] for w in WITNESS_ONLY),
    }


def _without_witness(connection: Connection, chain: UUID) -> Report:
    return verify(connection, [], bytes(32), only=chain)


def main() -> int:
    """Run the gate on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=1000)
    given = parser.parse_args()
    with throwaway_installation(plugins=False) as (installation, server):
        result = gate(installation, server, given.mutations)
    print(json.dumps(result, ensure_ascii=False))
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
