"""Rotation of data and index keys while people read and write.

A batch is read, sealed and tagged anew, and written back only where nobody changed the value
meanwhile; what was changed is left for the next pass. Which values are still under an old key
stands in the values themselves, so that a rotation that was killed goes on where it stopped.

A new index key is announced first and used later: every process searches under it before the first
value is tagged with it, and under the old one until the last value is not. So whoever searches
finds everything all the time.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from dougong.db import ciphers
from dougong.db.vault import tags_under
from dougong.privacy.archived import original_schema
from dougong.privacy.keyring import FRESH_S, PLATFORM
from dougong.privacy.models import DataKeyRow, KeyPurpose, KeyState
from dougong.privacy.subjects import model_of, own_tables

BATCH = 200
PASSES = 20
# Between batches a rotation rests as many times as long as the batch took: readers come first.
REST = 1.0
PATIENCE_S = 60.0
KINDS = ("phone", "id_number", "all")
ARCHIVED = text(
    """
    select n.nspname as schema, c.relname as table, a.attname as column,
           array(select s.suffix from unnest(array['index', 'tail']) as s(suffix)
                 join pg_attribute t on t.attrelid = c.oid and not t.attisdropped
                      and t.attname = a.attname || '_' || s.suffix) as suffixes
    from dougong.plugin_archive p
    join pg_namespace n on n.nspname = p.archive_schema
    join pg_class c on c.relnamespace = n.oid and c.relkind = 'r'
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where p.restored_at is null and a.atttypid = 'bytea'::regtype
      and a.attname !~ '_(index|tail)$'
      and exists (select from pg_attribute k where k.attrelid = c.oid
                  and k.attname = 'community_id')
    """
)


@dataclass
class Rotated:
    """What a rotation did: values sealed anew, and those left to a later pass by a writer."""

    values: int = 0
    conflicts: int = 0
    passes: int = 0
    longest_batch_s: float = 0.0
    broken: list[str] = field(default_factory=list)
    damaged: set[UUID] = field(default_factory=set)

    def note_broken(self, scope_id: UUID, where: str) -> None:
        """Name a value that does not open, once."""
        self.damaged.add(scope_id)
        if where not in self.broken:
            self.broken.append(where)


@dataclass(frozen=True)
class SealedColumn:
    """A column of envelopes: where it lies now, and the table it was sealed for.

    suffixes: of its search columns. kind: how values are normalised for them, None when only an
    archive knows.
    """

    relation: str
    table: str
    name: str
    key_column: str | None
    suffixes: tuple[str, ...] = ()
    kind: str | None = None

    @property
    def is_archived(self) -> bool:
        return self.kind is None

    @property
    def is_stale(self) -> str:
        """Return the condition that a value is under another key than ``:key`` and ``:mark``."""
        name = self.name
        stale = f'substring(t."{name}" from 3 for 4) <> :key'
        if "index" in self.suffixes:
            stale = f'({stale} or substring(t."{name}_index" from 1 for 2) <> :mark)'
        return f'octet_length(t."{name}") > 33 and {stale}'

    @property
    def owned(self) -> str:
        """Return the condition that a row is of the scope ``:scope``, ready for more."""
        return f't."{self.key_column}" = :scope and' if self.key_column else ""

    def belongs_to(self, scope_id: UUID) -> bool:
        """Tell whether rows of a scope can be in it: the platform has tables of its own."""
        return (self.key_column is None) == (scope_id == PLATFORM)


def rotate(
    installation: Any,
    scope_ids: Iterable[UUID],
    *,
    batch: int = BATCH,
    report: Callable[[UUID, Rotated], None] | None = None,
) -> Rotated:
    """Seal every value of the scopes under a new key each; return what was done.

    A value that does not open is left as it is and reported; its key is not retired then.
    """
    total, scopes = Rotated(), list(scope_ids)
    installation.keyring.announce(scopes)
    time.sleep(FRESH_S + 0.1)  # until every process searches under the new index keys, too
    for scope_id in scopes:
        installation.keyring.renew(scope_id)
    renewed = time.monotonic()
    columns = sealed_columns(installation)
    for scope_id in scopes:
        _seal_all(installation, scope_id, columns, batch, total)
    # Writers of other processes may have sealed with the old key for a little while yet.
    time.sleep(max(0.0, renewed + FRESH_S + 0.1 - time.monotonic()))
    _wait_for_writers(installation)
    for scope_id in scopes:
        _seal_all(installation, scope_id, columns, batch, total)
        if scope_id not in total.damaged:
            installation.keyring.retire(scope_id)
        if report:
            report(scope_id, total)
    return total


def _wait_for_writers(installation: Any) -> None:
    """Wait until transactions that are writing now have ended, a minute at most."""
    with installation.platform() as session:
        now = session.execute(text("select pg_current_xact_id()::text")).scalar_one()
    ended = text("select pg_snapshot_xmin(pg_current_snapshot()) > cast(:now as xid8)")
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with installation.platform() as session:
            if session.execute(ended, {"now": now}).scalar_one():
                return
        time.sleep(0.1)


def destroy_older(installation: Any, days: int, only: UUID | None = None) -> tuple[int, int]:
    """Destroy keys that were retired more than ``days`` ago; return how many, and how many not.

    only: one scope. What only they open is shredded in this database; see
    `dougong.privacy.shredding` for backups. A key under which a value still lies (a transaction
    took very long) is kept: rotate again.
    """
    since = datetime.now(UTC) - timedelta(days=days)
    due = [
        row
        for row in installation.keyring.rows()
        if row.state is KeyState.RETIRED
        and row.retired_at
        and row.retired_at <= since
        and only in (None, row.scope_id)
    ]
    columns = sealed_columns(installation)
    kept = 0
    for row in due:
        if _is_in_use(installation, columns, row):
            kept += 1
        else:
            installation.keyring.destroy(row.scope_id, row.number, row.purpose)
    return len(due) - kept, kept


def _is_in_use(installation: Any, columns: Sequence[SealedColumn], row: DataKeyRow) -> bool:
    """Tell whether a value is sealed, or tagged, under a key."""
    if row.purpose is KeyPurpose.DATA:
        begin, size, mark, suffix = 3, 4, row.number.to_bytes(4), ""
    else:
        begin, size, mark, suffix = 1, 2, row.number.to_bytes(2), "_index"
    with installation.platform() as session:
        return any(
            session.scalar(
                text(
                    f"select exists (select from {each.relation} t where {each.owned}"
                    f' substring(t."{each.name}{suffix}" from {begin} for {size}) = :mark)'
                ),
                {"scope": row.scope_id, "mark": mark},
            )
            for each in columns
            if each.belongs_to(row.scope_id) and (not suffix or "index" in each.suffixes)
        )


def sealed_columns(installation: Any) -> list[SealedColumn]:
    """Return every column of envelopes: of the kernel, of loaded plugins, and in archives."""
    found = [
        SealedColumn(
            f'{table.schema}."{table.name}"',
            table.fullname,
            each.name,
            each.key_column,
            each.suffixes(),
            each.mask,
        )
        for table in own_tables(installation)
        for each in model_of(table.fullname).__encrypted__.values()
    ]
    with installation.platform() as session:
        for row in session.execute(ARCHIVED):
            relation = f'{row.schema}."{row.table}"'
            table = f"{original_schema(row.schema)}.{row.table}"
            suffixes = tuple(row.suffixes)
            found.append(SealedColumn(relation, table, row.column, "community_id", suffixes))
    return found


@dataclass(frozen=True)
class NewKeys:
    """What values of a scope are sealed with now, and the index keys they may be tagged with.

    index: the first tags from now on.
    """

    scope_id: UUID
    keyring: ciphers.Keyring
    data: ciphers.DataKey
    index: list[ciphers.IndexKey]

    @classmethod
    def of(cls, keyring: ciphers.Keyring, scope_id: UUID) -> "NewKeys":
        """Return the keys of a scope."""
        index = keyring.index_keys([scope_id])[scope_id]
        return cls(scope_id, keyring, keyring.current(scope_id), index)


def _seal_all(
    installation: Any,
    scope_id: UUID,
    columns: Sequence[SealedColumn],
    batch: int,
    total: Rotated,
) -> None:
    """Go over all values that are under an old key until a pass meets none."""
    keys = NewKeys.of(installation.keyring, scope_id)
    for _ in range(PASSES):
        total.passes += 1
        met = 0
        for each in columns:
            if each.belongs_to(scope_id):
                met += _one_column(installation, keys, each, batch, total)
        if not met:
            return


def _one_column(
    installation: Any, keys: NewKeys, each: SealedColumn, batch: int, total: Rotated
) -> int:
    after: UUID | None = UUID(int=0)
    met = 0
    while after is not None:
        before = time.monotonic()
        with installation.platform() as session:
            after, count = _one_batch(session, keys, each, after, batch, total)
        took = time.monotonic() - before
        total.longest_batch_s = max(total.longest_batch_s, took)
        met += count
        if count:
            time.sleep(took * REST)
    return met


def _one_batch(
    session: Session,
    keys: NewKeys,
    each: SealedColumn,
    after: UUID,
    batch: int,
    total: Rotated,
) -> tuple[UUID | None, int]:
    tags = "".join(f', t."{each.name}_{suffix}"' for suffix in each.suffixes)
    rows = session.execute(
        text(
            f'select t.id, t."{each.name}" as sealed{tags} from {each.relation} t'
            f" where {each.owned} t.id > :after and {each.is_stale} order by t.id limit :batch"
        ),
        {
            "scope": keys.scope_id,
            "after": after,
            "key": keys.data.key_id.to_bytes(4),
            "mark": keys.index[0].mark,
            "batch": batch,
        },
    ).all()
    if not rows:
        return None, 0
    new = [found for row in rows if (found := _anew(keys, each, row, total)) is not None]
    done = _write_back(session, keys, each, new)
    total.values += done
    total.conflicts += len(new) - done
    return rows[-1].id, len(new)


def _write_back(
    session: Session, keys: NewKeys, each: SealedColumn, new: list[dict[str, Any]]
) -> int:
    """Put values back where nobody changed them meanwhile; return how many."""
    names = ["new", *each.suffixes]
    targets = [each.name, *(f"{each.name}_{suffix}" for suffix in each.suffixes)]
    settings = ", ".join(f'"{t}" = n."{name}"' for t, name in zip(targets, names, strict=True))
    arrays = "".join(f", cast(:{name} as bytea[])" for name in names)
    columns = "".join(f', "{name}"' for name in names)
    session.execute(text("select set_config('dougong.verb', 'dougong.keys.rotate', true)"))
    done: Any = session.execute(
        text(
            f"update {each.relation} t set {settings} from unnest("
            f" cast(:id as uuid[]), cast(:old as bytea[]){arrays}) as n(id, old{columns})"
            f' where {each.owned} t.id = n.id and t."{each.name}" = n.old'
        ),
        {"scope": keys.scope_id}
        | {name: [row[name] for row in new] for name in ("id", "old", *names)},
    )
    return done.rowcount


def _anew(keys: NewKeys, each: SealedColumn, row: Any, total: Rotated) -> dict[str, Any] | None:
    """Return a value under the new keys, None (and a note) for one that does not open."""
    place = ciphers.Place(keys.scope_id, each.table, each.name, row.id)
    old = bytes(row.sealed)
    try:
        plain = ciphers.open_sealed(
            lambda key_id: keys.keyring.key(keys.scope_id, key_id), place, old
        )
    except ciphers.TamperedCiphertext:
        # An archive's bytes need not be an envelope at all.
        if not each.is_archived:
            total.note_broken(keys.scope_id, f"{each.table}.{each.name} {row.id}")
        return None
    tags: dict[str, bytes | None] = dict.fromkeys(each.suffixes)
    kind = each.kind if plain else None
    if plain and each.is_archived and "index" in each.suffixes:
        kind = _kind_of(keys, each, plain, getattr(row, f"{each.name}_index"))
    if kind is not None:
        tags |= tags_under(keys.index[0], each.table, each.name, kind, plain, each.suffixes)
    return {"id": row.id, "old": old, "new": ciphers.seal(keys.data, place, plain), **tags}


def _kind_of(keys: NewKeys, each: SealedColumn, plain: str, tag: bytes | None) -> str | None:
    """Return how an archived value was normalised: as its old tag shows."""
    for key in keys.index:
        for kind in KINDS:
            normal = ciphers.normalise(kind, plain)
            if tag == ciphers.blind_index(key, each.table, each.name, "exact", normal):
                return kind
    return None
