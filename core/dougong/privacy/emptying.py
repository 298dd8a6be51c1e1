"""Empties personal columns of rows, and remembers which rows, for the images in the log."""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Table, func, select, text, update
from sqlalchemy.orm import Session

from dougong.audit.timeline import model_of
from dougong.db import ciphers, uuid7
from dougong.db.vault import Vault
from dougong.privacy.models import Erasure

ERASED = "—"
EMPTY_ENVELOPE = ciphers.HEAD + ciphers.NONCE + ciphers.TAG
LONG_AGO = {str: ERASED, date: date(1900, 1, 1), datetime: datetime(1900, 1, 1)}
NOBODY = UUID(int=0)


def name_verb(session: Session, verb: str, reason: str) -> None:
    """Name what is being done, for the audit log."""
    session.execute(
        text("select set_config('dougong.verb', :v, true), set_config('dougong.reason', :r, true)"),
        {"v": verb, "r": reason},
    )


def is_filled(column: Column[Any]) -> ColumnElement[bool]:
    """Return the condition that a column still holds something of a person."""
    if column.nullable:
        return column.is_not(None)
    if "encrypted" in column.info:
        return func.octet_length(column) > EMPTY_ENVELOPE
    return column != _filler(column)


def _filler(column: Column[Any]) -> Any:
    return LONG_AGO.get(column.type.python_type, 0)


class Emptier:
    """Empties columns of one community in the caller's transaction of the platform role.

    counts: emptied values by ``schema.table.column``. rows: touched rows by schema and table.
    """

    def __init__(self, session: Session, keyring: ciphers.Keyring, community_id: UUID) -> None:
        self.session = session
        self.vault = Vault(keyring)
        self.community_id = community_id
        self.counts: dict[str, int] = defaultdict(int)
        self.rows: dict[tuple[str, str], set[str]] = defaultdict(set)

    def touched(self, schema: str, table: str, ids: Iterable[Any]) -> None:
        """Remember rows whose images in the log hold personal values."""
        self.rows[schema, table] |= {str(i) for i in ids}

    def empty(self, table: Table, column: Column[Any], ids: Iterable[UUID]) -> int:
        """Empty one column of some rows, search tags too; return how many held something."""
        here = (table.c.community_id == self.community_id) & table.c.id.in_(list(ids))
        filled = self.session.scalars(select(table.c.id).where(here, is_filled(column))).all()
        self.touched(str(table.schema), table.name, ids)
        if not filled:
            return 0
        self.counts[f"{table.fullname}.{column.name}"] += len(filled)
        tags = {
            table.c[f"{column.name}_{suffix}"]: None
            for suffix in ("index", "tail")
            if f"{column.name}_{suffix}" in table.c
        }
        if "encrypted" in column.info and not column.nullable:
            self._seal_nothing(table, column, filled, tags)
        else:
            value = None if column.nullable else _filler(column)
            self.session.execute(
                update(table)
                .where(table.c.community_id == self.community_id, table.c.id.in_(filled))
                .values({column: value, **tags})
            )
        return len(filled)

    def _seal_nothing(
        self, table: Table, column: Column[Any], ids: Iterable[UUID], tags: dict[Any, None]
    ) -> None:
        field = model_of(table.fullname).__encrypted__[column.info["encrypted"]]
        for id in ids:
            sealed = self.vault.seal(field, self.community_id, id, "")
            self.session.execute(
                update(table)
                .where(table.c.community_id == self.community_id, table.c.id == id)
                .values({column: sealed, **tags})
            )

    def record(self, person_id: UUID, reason: str, kept: dict[str, str]) -> Erasure:
        """Write the ledger's entry and take the rows' images out of the log."""
        id = uuid7()
        entry = Erasure(
            id=id,
            community_id=self.community_id,
            person_id=person_id,
            reason=reason,
            emptied=dict(self.counts),
            kept=kept,
            audit_events=self._events(id),
            at=func.now(),
        )
        self.session.add(entry)
        self.session.flush()
        self.session.execute(text("select dougong.audit_redact(:e)"), {"e": entry.id})
        self.session.refresh(entry)
        self.session.expunge(entry)
        return entry

    def _events(self, erasure: UUID) -> dict[str, str]:
        """Return the log's events that hold images of the touched rows.

        By id: the hash of what will be left of each.
        """
        found = self.session.execute(
            text(
                "select e.id::text, encode(sha256(convert_to("
                "dougong.audit_emptied(e.body, :erasure), 'UTF8')), 'hex')"
                " from dougong.audit_event e"
                " join jsonb_to_recordset(cast(:rows as jsonb)) as r(s text, t text, id text)"
                " on e.schema_name = r.s and e.table_name = r.t and e.row_id = r.id"
                " where e.chain_id = :c and not e.body::jsonb ? 'erasure'"
            ),
            {
                "c": self.community_id,
                "erasure": erasure,
                "rows": json.dumps(
                    [
                        {"s": schema, "t": table, "id": id}
                        for (schema, table), ids in self.rows.items()
                        for id in ids
                    ]
                ),
            },
        )
        return dict(tuple(row) for row in found)
