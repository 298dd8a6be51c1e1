"""Online rotation: every value of a scope under a new data key, while people read and write.

A batch is read, sealed anew, and written back only where nobody changed the value meanwhile; what
was changed is left for the next pass. Which values are still under an old key stands in the values
themselves, so that a rotation that was killed goes on where it stopped.
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
from dougong.privacy.archived import original_schema
from dougong.privacy.keyring import FRESH_S, PLATFORM
from dougong.privacy.models import KeyState
from dougong.privacy.subjects import model_of, own_tables

BATCH = 500
PASSES = 20
ARCHIVED = text(
    """
    select n.nspname as schema, c.relname as table, a.attname as column
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
    """A column of envelopes: where it lies now, and the table it was sealed for."""

    relation: str
    table: str
    name: str
    key_column: str | None
    is_archived: bool = False

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
    for scope_id in scopes:
        installation.keyring.renew(scope_id)
    renewed = time.monotonic()
    columns = sealed_columns(installation)
    for scope_id in scopes:
        _seal_all(installation, scope_id, columns, batch, total)
    # Writers of other processes may have sealed with the old key for a little while yet.
    time.sleep(max(0.0, renewed + FRESH_S + 0.1 - time.monotonic()))
    for scope_id in scopes:
        _seal_all(installation, scope_id, columns, batch, total)
        if scope_id not in total.damaged:
            installation.keyring.retire(scope_id)
        if report:
            report(scope_id, total)
    return total


def destroy_older(installation: Any, days: int) -> tuple[int, int]:
    """Destroy keys that were retired more than ``days`` ago; return how many, and how many not.

    What only they open is shredded: backups and log images from before the rotation. A key under
    which a value still lies (a transaction took very long) is kept: rotate again.
    """
    since = datetime.now(UTC) - timedelta(days=days)
    due = [
        row
        for row in installation.keyring.rows()
        if row.state is KeyState.RETIRED and row.retired_at and row.retired_at <= since
    ]
    columns = sealed_columns(installation)
    kept = 0
    for row in due:
        if _is_in_use(installation, columns, row.scope_id, row.number):
            kept += 1
        else:
            installation.keyring.destroy(row.scope_id, row.number)
    return len(due) - kept, kept


def _is_in_use(
    installation: Any, columns: Sequence[SealedColumn], scope_id: UUID, number: int
) -> bool:
    with installation.platform() as session:
        return any(
            session.scalar(
                text(
                    f"select exists (select from {each.relation} t where {each.owned}"
                    f' substring(t."{each.name}" from 3 for 4) = :key)'
                ),
                {"scope": scope_id, "key": number.to_bytes(4)},
            )
            for each in columns
            if each.belongs_to(scope_id)
        )


def sealed_columns(installation: Any) -> list[SealedColumn]:
    """Return every column of envelopes: of the kernel, of loaded plugins, and in archives."""
    found = [
        SealedColumn(f'{table.schema}."{table.name}"', table.fullname, each.name, each.key_column)
        for table in own_tables(installation)
        for each in model_of(table.fullname).__encrypted__.values()
    ]
    with installation.platform() as session:
        for row in session.execute(ARCHIVED):
            relation = f'{row.schema}."{row.table}"'
            table = f"{original_schema(row.schema)}.{row.table}"
            found.append(SealedColumn(relation, table, row.column, "community_id", True))
    return found


def _seal_all(
    installation: Any,
    scope_id: UUID,
    columns: Sequence[SealedColumn],
    batch: int,
    total: Rotated,
) -> None:
    """Go over all values that are under an old key until a pass meets none."""
    key = installation.keyring.current(scope_id)
    for _ in range(PASSES):
        total.passes += 1
        met = 0
        for each in columns:
            if each.belongs_to(scope_id):
                met += _one_column(installation, scope_id, each, key, batch, total)
        if not met:
            return


def _one_column(
    installation: Any,
    scope_id: UUID,
    each: SealedColumn,
    key: ciphers.DataKey,
    batch: int,
    total: Rotated,
) -> int:
    after: UUID | None = UUID(int=0)
    met = 0
    while after is not None:
        before = time.monotonic()
        with installation.platform() as session:
            after, count = _one_batch(
                session, installation.keyring, scope_id, each, key, after, batch, total
            )
        total.longest_batch_s = max(total.longest_batch_s, time.monotonic() - before)
        met += count
    return met


def _one_batch(
    session: Session,
    keyring: ciphers.Keyring,
    scope_id: UUID,
    each: SealedColumn,
    key: ciphers.DataKey,
    after: UUID,
    batch: int,
    total: Rotated,
) -> tuple[UUID | None, int]:
    rows = session.execute(
        text(
            f'select t.id, t."{each.name}" as sealed from {each.relation} t where {each.owned}'
            f' t.id > :after and octet_length(t."{each.name}") > 33'
            f' and substring(t."{each.name}" from 3 for 4) <> :key order by t.id limit :batch'
        ),
        {"scope": scope_id, "after": after, "key": key.key_id.to_bytes(4), "batch": batch},
    ).all()
    if not rows:
        return None, 0
    ids, old, new = _sealed_anew(keyring, scope_id, each, key, rows, total)
    session.execute(text("select set_config('dougong.verb', 'dougong.keys.rotate', true)"))
    done = session.execute(
        text(
            f'update {each.relation} t set "{each.name}" = n.new from unnest('
            " cast(:ids as uuid[]), cast(:old as bytea[]), cast(:new as bytea[]))"
            " as n(id, old, new)"
            f' where {each.owned} t.id = n.id and t."{each.name}" = n.old'
        ),
        {"scope": scope_id, "ids": ids, "old": old, "new": new},
    ).rowcount  # type: ignore[attr-defined]
    total.values += done
    total.conflicts += len(ids) - done
    return rows[-1].id, len(ids)


def _sealed_anew(
    keyring: ciphers.Keyring,
    scope_id: UUID,
    each: SealedColumn,
    key: ciphers.DataKey,
    rows: Any,
    total: Rotated,
) -> tuple[list[UUID], list[bytes], list[bytes]]:
    ids, old, new = [], [], []
    for row in rows:
        place = ciphers.Place(scope_id, each.table, each.name, row.id)
        try:
            plain = ciphers.open_sealed(
                lambda key_id: keyring.key(scope_id, key_id), place, bytes(row.sealed)
            )
        except ciphers.TamperedCiphertext:
            # An archive's bytes need not be an envelope at all.
            if not each.is_archived:
                total.note_broken(scope_id, f"{each.table}.{each.name} {row.id}")
            continue
        ids.append(row.id)
        old.append(bytes(row.sealed))
        new.append(ciphers.seal(key, place, plain))
    return ids, old, new
