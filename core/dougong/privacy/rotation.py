"""Online rotation: every value of a scope under a new data key, while people read and write.

A batch is read, sealed anew, and written back only where nobody changed the value meanwhile; what
was changed is left for the next pass. Which values are still under an old key stands in the values
themselves, so that a rotation that was killed goes on where it stopped.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import text

from dougong.audit.timeline import model_of
from dougong.db import ciphers
from dougong.db.base import METADATA
from dougong.db.columns import EncryptedField
from dougong.privacy.keyring import FRESH_S, PLATFORM

BATCH = 2000
PASSES = 20


@dataclass
class Rotated:
    """What a rotation did: values sealed anew, and those left to a later pass by a writer."""

    values: int = 0
    conflicts: int = 0
    passes: int = 0
    longest_batch_s: float = 0.0
    broken: list[str] = field(default_factory=list)


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
    total = Rotated()
    for scope_id in scope_ids:
        installation.keyring.renew(scope_id)
        started = time.monotonic()
        while total.passes < PASSES * 100:
            changed = _one_pass(installation, scope_id, batch, total)
            # Writers of other processes may seal with the old key for a little while yet.
            settled = time.monotonic() - started > FRESH_S
            if not changed and settled:
                break
            if not changed:
                time.sleep(max(0.0, started + FRESH_S + 0.1 - time.monotonic()))
        if not total.broken:
            installation.keyring.retire(scope_id)
        if report:
            report(scope_id, total)
    return total


def encrypted_fields() -> list[EncryptedField]:
    """Return every encrypted field of kernel and loaded plugins."""
    return [
        found
        for table in METADATA.sorted_tables
        if (model := model_of(table.fullname)) is not None
        for found in model.__encrypted__.values()
    ]


def _one_pass(installation: Any, scope_id: UUID, batch: int, total: Rotated) -> int:
    """Go once over all values that are under an old key; return how many there were."""
    total.passes += 1
    current = installation.keyring.current(scope_id)
    met = 0
    for each in encrypted_fields():
        if (each.key_column is None) != (scope_id == PLATFORM):
            continue
        after = UUID(int=0)
        while True:
            before = time.monotonic()
            last, count = _one_batch(installation, scope_id, each, current, after, batch, total)
            total.longest_batch_s = max(total.longest_batch_s, time.monotonic() - before)
            met += count
            if last is None:
                break
            after = last
    return met


def _one_batch(
    installation: Any,
    scope_id: UUID,
    each: EncryptedField,
    key: ciphers.DataKey,
    after: UUID,
    batch: int,
    total: Rotated,
) -> tuple[UUID | None, int]:
    owner = f"{each.key_column} = :scope and" if each.key_column else ""
    schema, _, name = each.table.partition(".")
    table = f'{schema}."{name}"'
    with installation.platform() as session:
        rows = session.execute(
            text(
                f'select id, "{each.name}" as sealed from {table} where {owner} id > :after'
                f' and "{each.name}" is not null and substring("{each.name}" from 3 for 4) <> :key'
                " order by id limit :batch"
            ),
            {
                "scope": scope_id,
                "after": after,
                "key": key.key_id.to_bytes(4),
                "batch": batch,
            },
        ).all()
        if not rows:
            return None, 0
        ids, old, new = _sealed_anew(installation, scope_id, each, key, rows, total)
        session.execute(text("select set_config('dougong.verb', 'dougong.keys.rotate', true)"))
        done = session.execute(
            text(
                f'update {table} t set "{each.name}" = n.new from unnest(cast(:ids as uuid[]),'
                " cast(:old as bytea[]), cast(:new as bytea[])) as n(id, old, new)"
                f' where {"t." + owner if owner else ""} t.id = n.id and t."{each.name}" = n.old'
            ),
            {"scope": scope_id, "ids": ids, "old": old, "new": new},
        ).rowcount  # type: ignore[attr-defined]
    total.values += done
    total.conflicts += len(ids) - done
    return rows[-1].id, len(ids)


def _sealed_anew(
    installation: Any,
    scope_id: UUID,
    each: EncryptedField,
    key: ciphers.DataKey,
    rows: Any,
    total: Rotated,
) -> tuple[list[UUID], list[bytes], list[bytes]]:
    ids, old, new = [], [], []
    for row in rows:
        place = ciphers.Place(scope_id, each.table, each.name, row.id)
        try:
            plain = ciphers.open_sealed(
                lambda key_id: installation.keyring.key(scope_id, key_id), place, bytes(row.sealed)
            )
        except ciphers.TamperedCiphertext:
            where = f"{each.table}.{each.name} {row.id}"
            if where not in total.broken:
                total.broken.append(where)
            continue
        ids.append(row.id)
        old.append(bytes(row.sealed))
        new.append(ciphers.seal(key, place, plain))
    return ids, old, new
