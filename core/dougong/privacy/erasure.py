"""Erasing a person: columns emptied, archives and log images too, and a ledger to do it again.

What a law makes the group keep (basis ``statutory_duty``) stays and is only stored from then on.
The ledger lies in the database and, ids only, in ``witness/erasures.jsonl``: after a backup from
before an erasure was restored, ``dougong privacy replay`` erases again.
"""

import json
import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Table, select, text, update
from sqlalchemy.orm import Session

from dougong.audit.checkpoints import append_line
from dougong.audit.timeline import model_of
from dougong.db import Scope, uuid7
from dougong.db.base import METADATA
from dougong.db.scope import Actor
from dougong.db.vault import Vault
from dougong.errors import NotFound
from dougong.privacy.models import Erasure, Restriction
from dougong.privacy.purposes import Declaration, declarations
from dougong.privacy.subjects import PERSON, Rows, personal_columns, rows_of
from dougong.tenancy.models import Person

PERMISSION = "dougong.person.erase"
ERASED = "—"
TO_PERSON = re.compile(r"FOREIGN KEY \((.+?)\) REFERENCES dougong\.person\(")

Counts = dict[str, int]


def erase_person(
    installation: Any, actor: Actor, community_id: UUID, person_id: UUID, reason: str
) -> Erasure:
    """Erase a person of a community everywhere; return the entry of the ledger.

    Plugins first, each in this community's scope; then all columns, archives and log images in
    one transaction. Raises NotFound, and whatever a plugin raises: nothing is half erased.
    """
    with installation.scope(actor, community=community_id) as scope:
        scope.require(PERMISSION)
        scope.get(Person, person_id)
        _name_verb(scope.session, reason)
        for plugin in installation.plugins.loaded:
            installation.plugins.hooks.tell(scope, plugin, "erase_subject", person_id=person_id)
    with installation.platform(actor) as session:
        _name_verb(session, reason)
        entry = _erase(installation, session, community_id, person_id, reason)
    _note_in_ledger(installation, entry)
    return entry


def _name_verb(session: Session, reason: str) -> None:
    session.execute(
        text("select set_config('dougong.verb', :v, true), set_config('dougong.reason', :r, true)"),
        {"v": PERMISSION, "r": reason},
    )


def _erase(
    installation: Any, session: Session, community_id: UUID, person_id: UUID, reason: str
) -> Erasure:
    declared = declarations(installation.plugins)
    vault = Vault(installation.keyring)
    rows = rows_of(session, community_id, person_id)
    emptied: Counts = defaultdict(int)
    kept: dict[str, str] = {}
    touched: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name, ids in rows.items():
        table = METADATA.tables[name]
        for column in personal_columns(table, declared):
            said = declared.get(f"{name}.{column.name}")
            if said is not None and said.basis == "statutory_duty":
                kept[said.key] = said.retention
                continue
            count = _empty(session, vault, table, column, community_id, ids)
            emptied[f"{name}.{column.name}"] += count
            touched[str(table.schema), table.name] |= {str(i) for i in ids}
    _archives(session, declared, community_id, person_id, emptied, touched)
    entry = Erasure(
        id=uuid7(),
        community_id=community_id,
        person_id=person_id,
        reason=reason,
        emptied=dict(emptied),
        kept=kept,
        audit_event_ids=_events(session, community_id, touched),
        at=datetime.now(UTC),
    )
    session.add(entry)
    if kept:
        restrict(session, community_id, person_id, reason)
    session.flush()
    session.execute(text("select dougong.audit_redact(:e)"), {"e": entry.id})
    session.expunge(entry)
    return entry


def _empty(
    session: Session,
    vault: Vault,
    table: Table,
    column: Column[Any],
    community_id: UUID,
    ids: set[UUID],
) -> int:
    """Empty one column of some rows and its search tags; return how many held something."""
    here = (table.c.community_id == community_id) & table.c.id.in_(ids) & column.is_not(None)
    tags = {
        table.c[f"{column.name}_{suffix}"]: None
        for suffix in ("index", "tail")
        if f"{column.name}_{suffix}" in table.c
    }
    if column.nullable:
        return session.execute(update(table).where(here).values({column: None, **tags})).rowcount  # type: ignore[attr-defined]
    field = model_of(table.fullname).__encrypted__.get(column.info.get("encrypted", ""))
    if field is None:
        return session.execute(update(table).where(here).values({column: ERASED})).rowcount  # type: ignore[attr-defined]
    for id in session.scalars(select(table.c.id).where(here)).all():
        sealed = vault.seal(field, community_id, id, ERASED)
        session.execute(
            update(table)
            .where(table.c.community_id == community_id, table.c.id == id)
            .values({column: sealed, **tags})
        )
    return len(ids)


def restrict(session: Session, community_id: UUID, person_id: UUID, reason: str) -> None:
    """Have a person's data only stored from now on."""
    known = session.scalar(
        select(Restriction.id).where(
            Restriction.community_id == community_id, Restriction.person_id == person_id
        )
    )
    if known is None:
        session.add(
            Restriction(
                community_id=community_id,
                person_id=person_id,
                since_at=datetime.now(UTC),
                reason=reason,
            )
        )


def is_restricted(scope: Scope, person_id: UUID) -> bool:
    """Tell whether a person's data is only stored: not used, not sent, not shown in lists."""
    query = select(Restriction.id).where(Restriction.person_id == person_id)
    return scope.session.scalars(query).first() is not None


# --- archives and the log -----------------------------------------------------------------------


def _archives(
    session: Session,
    declared: dict[str, Declaration],
    community_id: UUID,
    person_id: UUID,
    emptied: Counts,
    touched: dict[tuple[str, str], set[str]],
) -> None:
    """Empty the person's rows in the schemas of uninstalled plugins."""
    rows = session.execute(
        text(
            "select plugin, archive_schema, foreign_keys from dougong.plugin_archive"
            " where restored_at is null"
        )
    ).all()
    for row in rows:
        schema = re.sub(r"^archive_(.+)_\d{14}$", r"\1", row.archive_schema)
        for key in row.foreign_keys:
            found = TO_PERSON.search(key["definition"])
            if found is None:
                continue
            column = found[1].split(",")[-1].strip().strip('"')
            where = f'community_id = :c and "{column}" = :p'
            place = f'{row.archive_schema}."{key["table"]}"'
            ids = session.scalars(
                text(f"select id from {place} where {where}"), {"c": community_id, "p": person_id}
            ).all()
            names = {
                d.column for d in declared.values() if (d.schema, d.table) == (schema, key["table"])
            }
            _empty_archived(session, row.archive_schema, key["table"], names, ids)
            emptied[f"{row.archive_schema}.{key['table']}"] += len(ids)
            touched[schema, key["table"]] |= {str(i) for i in ids}
            touched[row.archive_schema, key["table"]] |= {str(i) for i in ids}


def _empty_archived(
    session: Session, schema: str, table: str, declared: set[str], ids: Any
) -> None:
    """Empty declared columns, and every sealed one with its tags, of rows in an archive."""
    columns = session.execute(
        text(
            "select attname, attnotnull, atttypid = 'bytea'::regtype as is_bytes"
            " from pg_attribute where attrelid = cast(:t as regclass) and attnum > 0"
            " and not attisdropped"
        ),
        {"t": f'{schema}."{table}"'},
    ).all()
    settings = [
        f'"{c.attname}" = ' + ("''" if c.attnotnull else "null")
        for c in columns
        if c.is_bytes or c.attname in declared
    ]
    if settings and ids:
        session.execute(
            text(f'update {schema}."{table}" set {", ".join(settings)} where id = any(:ids)'),
            {"ids": list(ids)},
        )


def _events(
    session: Session, community_id: UUID, touched: dict[tuple[str, str], set[str]]
) -> list[str]:
    """Return the ids of the log's events that hold images of the erased rows."""
    found: list[str] = []
    for (schema, table), rows in touched.items():
        found += session.scalars(
            text(
                "select id::text from dougong.audit_event where chain_id = :c"
                " and schema_name = :s and table_name = :t and row_id = any(:r)"
            ),
            {"c": community_id, "s": schema, "t": table, "r": list(rows)},
        )
    return sorted(found)


# --- the ledger ---------------------------------------------------------------------------------


def ledger_file(installation: Any) -> Path:
    """Return the file that outlives the restore of an older backup."""
    return installation.settings.paths.witness / "erasures.jsonl"


def _note_in_ledger(installation: Any, entry: Erasure) -> None:
    append_line(
        ledger_file(installation),
        {
            "erasure": str(entry.id),
            "community": str(entry.community_id),
            "person": str(entry.person_id),
            "at": entry.at.isoformat(timespec="seconds"),
        },
    )


def replay(installation: Any, actor: Actor) -> list[UUID]:
    """Erase again whom the ledger names and the database has forgotten erasing.

    Run after every restore. Returns the persons that were erased again.
    """
    path = ledger_file(installation)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    with installation.platform(actor) as session:
        known = {str(i) for i in session.scalars(select(Erasure.id))}
    done: list[UUID] = []
    for line in lines:
        person = UUID(line["person"])
        if line["erasure"] in known or person in done:
            continue
        try:
            erase_person(installation, actor, UUID(line["community"]), person, "replayed")
        except NotFound:  # the backup is from before the person came
            continue
        done.append(person)
    return done


__all__ = ["ERASED", "Rows", "erase_person", "is_restricted", "replay", "restrict", "PERSON"]
