"""A person's rows in the schemas of uninstalled plugins, where no model is loaded any more."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from dougong.privacy.emptying import ERASED, Emptier
from dougong.privacy.purposes import Declaration

TO_PERSON = re.compile(r"FOREIGN KEY \((.+?)\) REFERENCES dougong\.person\(")
SUFFIX = re.compile(r"^archive_(.+)_\d{14}$")
COLUMNS = text(
    """
    select attname as name, attnotnull as is_needed, atttypid = 'bytea'::regtype as is_sealed,
           atttypid in ('text'::regtype, 'varchar'::regtype) as is_text
    from pg_attribute where attrelid = cast(:t as regclass) and attnum > 0 and not attisdropped
    """
)
CHILDREN = text(
    """
    select c.relname as table, a.attname as column
    from pg_constraint k
    join pg_class c on c.oid = k.conrelid
    join pg_attribute a on a.attrelid = c.oid and a.attnum = k.conkey[cardinality(k.conkey)]
    where k.contype = 'f' and k.confrelid = cast(:t as regclass) and k.conrelid <> k.confrelid
    """
)


def empty_archives(
    emptier: Emptier, declared: Mapping[str, Declaration], person_id: UUID
) -> dict[str, str]:
    """Empty a person's rows in every archive; return what a law keeps, with its period.

    Rows that refer to the person, and those of the same plugin that refer to these.
    """
    kept: dict[str, str] = {}
    for archive in _archives(emptier.session):
        schema = original_schema(archive.archive_schema)
        said = {d.key: d for d in declared.values() if d.schema == schema}
        kept |= {k: d.retention for k, d in said.items() if d.basis == "statutory_duty"}
        for table, ids in _rows(emptier, archive, person_id).items():
            _empty(emptier, archive.archive_schema, schema, table, ids, said)
    return kept


def original_schema(archive: str) -> str:
    """Return the schema that an archive was before its plugin was uninstalled."""
    return SUFFIX.sub(r"\1", archive)


def _archives(session: Session) -> Iterable[Any]:
    return session.execute(
        text(
            "select archive_schema, foreign_keys from dougong.plugin_archive"
            " where restored_at is null"
        )
    ).all()


def _rows(emptier: Emptier, archive: Any, person_id: UUID) -> dict[str, set[UUID]]:
    found: dict[str, set[UUID]] = {}
    for key in archive.foreign_keys:
        match = TO_PERSON.search(key["definition"])
        if match is not None:
            column = match[1].split(",")[-1].strip().strip('"')
            ids = _ids(emptier, archive.archive_schema, key["table"], column, [person_id])
            found[key["table"]] = found.get(key["table"], set()) | ids
    for table, ids in list(found.items()):
        name = f'{archive.archive_schema}."{table}"'
        for child in emptier.session.execute(CHILDREN, {"t": name}):
            more = _ids(emptier, archive.archive_schema, child.table, child.column, list(ids))
            found[child.table] = found.get(child.table, set()) | more
    return {table: ids for table, ids in found.items() if ids}


def _ids(emptier: Emptier, schema: str, table: str, column: str, targets: list[UUID]) -> set[UUID]:
    return set(
        emptier.session.scalars(
            text(
                f'select id from {schema}."{table}"'
                f' where community_id = :c and "{column}" = any(:targets)'
            ),
            {"c": emptier.community_id, "targets": targets},
        )
    )


def _empty(
    emptier: Emptier,
    archive: str,
    schema: str,
    table: str,
    ids: set[UUID],
    said: Mapping[str, Declaration],
) -> None:
    """Empty every sealed column with its tags, and the declared plain ones."""
    settings = []
    for column in emptier.session.execute(COLUMNS, {"t": f'{archive}."{table}"'}):
        declared = said.get(f"{schema}.{table}.{column.name}")
        if declared is not None and declared.basis == "statutory_duty":
            continue
        if column.is_sealed:
            settings.append(f'"{column.name}" = ' + ("''" if column.is_needed else "null"))
        elif declared is not None and (column.is_text or not column.is_needed):
            value = f"'{ERASED}'" if column.is_needed else "null"
            settings.append(f'"{column.name}" = {value}')
    if not settings:
        return
    emptier.session.execute(
        text(
            f'update {archive}."{table}" set {", ".join(settings)}'
            " where community_id = :c and id = any(:ids)"
        ),
        {"c": emptier.community_id, "ids": list(ids)},
    )
    emptier.counts[f"{archive}.{table}"] += len(ids)
    emptier.touched(schema, table, ids)
    emptier.touched(archive, table, ids)
