"""Compares what lies in the audited tables with what the log says went in and out of them.

Every event carries its net: by how much it moved the number of rows of a table, and two sums over
SHA-256 of the rows' texts. A change made past the triggers (switched off, dropped, or in a session
that calls itself a replica) leaves table and log apart for good, whoever made it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

LANE = 1 << 64
ARCHIVE = re.compile(r"^archive_(.+)_\d{14}$")
NAMED = 5
PLATFORM = UUID(int=0)
WAITING = text(
    """
    select e.chain_id, e.schema_name, e.table_name,
           case when e.body is json object then e.body::jsonb -> 'net' end as net
    from dougong.audit_pending p join dougong.audit_event e on e.id = p.id
    where cast(:only as uuid) is null or e.chain_id = :only
    """
)
TABLES = text(
    """
    select n.nspname as schema, c.relname as table, format('%I.%I', n.nspname, c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition
      and (exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = 'audit_insert')
           or (n.nspname || '.' || c.relname) = any(cast(:logged as text[])))
    """
)
# The newest image of each row, where no bulk statement came after it.
STRAYED = """
with newest as (
    select distinct on (e.row_id) e.row_id, e.operation,
           case when e.body is json object then e.body::jsonb end as body
    from dougong.audit_event e
    where e.chain_id = :chain and e.schema_name = :schema and e.table_name = :table
      and e.row_id is not null and e.at > coalesce((
          select max(b.at) from dougong.audit_event b
          where b.chain_id = :chain and b.schema_name = :schema and b.table_name = :table
            and b.row_id is null), '-infinity')
    order by e.row_id, e.txid desc, e.id desc)
select n.row_id from newest n left join {name} t on t.id::text = n.row_id
where case when n.operation = 'DELETE' then t.id is not null
           when t.id is null then true
           when n.body ? 'erasure' then false
           else dougong.audit_image(to_jsonb(t)) <>
                coalesce(n.body -> 'old', '{{}}') || coalesce(n.body -> 'new', '{{}}') end
limit {limit}
"""


@dataclass
class Balance:
    """Rows and sums of one table in one chain."""

    rows: int = 0
    first: int = 0
    second: int = 0

    def add(self, net: Any, way: int = 1) -> None:
        """Add a net, or take it away; anything else counts as nothing."""
        if not (isinstance(net, list) and len(net) == 3 and all(map(_is_number, net))):
            return
        self.rows += way * int(net[0])
        self.first = (self.first + way * int(net[1])) % LANE
        self.second = (self.second + way * int(net[2])) % LANE

    @property
    def is_even(self) -> bool:
        return not (self.rows or self.first or self.second)


def _is_number(part: Any) -> bool:
    return isinstance(part, int | Decimal) and not isinstance(part, bool)


def original_name(schema: str, table: str) -> str:
    """Return ``schema.table``, of an archived plugin what it was before."""
    return ".".join((ARCHIVE.sub(r"\1", schema), table))


@dataclass
class Balances:
    """What a log says must lie in the tables, by chain and table."""

    of: dict[tuple[UUID, str], Balance] = field(default_factory=lambda: defaultdict(Balance))

    def note(self, chain: UUID, body: Mapping[str, Any]) -> None:
        """Count one event."""
        schema, _, table = str(body.get("table")).partition(".")
        self.of[chain, original_name(schema, table)].add(body.get("net"))


@dataclass(frozen=True)
class Apart:
    """A table that holds something else than the log says. rows: how many more (or fewer)."""

    chain_id: UUID
    table: str
    rows: int
    row_ids: tuple[str, ...]

    def __str__(self) -> str:
        many = f"{self.rows:+} rows" if self.rows else "as many rows, others than"
        told = f"{self.table} holds {many} {'against' if self.rows else ''} the log says"
        where = f", such as {', '.join(self.row_ids)}" if self.row_ids else ""
        return " ".join(told.split()) + where


def apart(connection: Connection, logged: Balances, only: UUID | None) -> Iterator[Apart]:
    """Yield every table that does not hold what the log says, within one snapshot.

    logged: of the sealed events; those that wait are added here.
    """
    rest: dict[tuple[UUID, str], Balance] = defaultdict(Balance)
    for key, balance in logged.of.items():
        rest[key].add([balance.rows, balance.first, balance.second])
    for event in connection.execute(WAITING, {"only": only}):
        rest[event.chain_id, original_name(event.schema_name, event.table_name)].add(event.net)
    names = sorted({table for _chain, table in rest})
    places: dict[str, list[Any]] = defaultdict(list)
    for place in connection.execute(TABLES, {"logged": names}).all():
        known = original_name(place.schema, place.table)
        places[known].append(place)
        for chain, *lies in _lying(connection, place.name, only):
            rest[chain, known].add(lies, -1)
    for (chain, table), balance in sorted(rest.items(), key=str):
        if not balance.is_even:
            ids = _strayed(connection, chain, places.get(table, []))
            yield Apart(chain, table, -balance.rows, ids)


def _lying(connection: Connection, name: str, only: UUID | None) -> list[Any]:
    rows = connection.execute(
        text(
            "select coalesce(chain, cast(:nil as uuid)), rows, first, second"
            " from dougong.audit_balance(cast(:name as regclass), :only)"
        ),
        {"name": name, "only": only, "nil": PLATFORM},
    )
    return [tuple(row) for row in rows]


def _strayed(connection: Connection, chain: UUID, places: list[Any]) -> tuple[str, ...]:
    """Return some rows that are not as their newest image says, where there is one."""
    found: list[str] = []
    for place in places:
        rows = connection.execute(
            text(STRAYED.format(name=place.name, limit=NAMED)),
            {"chain": chain, "schema": place.schema, "table": place.table},
        )
        found += [row.row_id for row in rows]
    return tuple(found[:NAMED])
