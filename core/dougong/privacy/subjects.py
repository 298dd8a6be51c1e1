"""Where a person's data lies: rows that refer to the person, in every plugin, and what to copy.

Rows are found by foreign keys, so that a plugin needs no code of its own: those that refer to the
person, and those that refer to these. What foreign keys cannot tell, a plugin answers itself
(hooks ``export_subject`` and ``erase_subject``).
"""

import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Table, and_, or_, select
from sqlalchemy.orm import Session

from dougong.audit.timeline import model_of, name_of
from dougong.db import Scope
from dougong.db.base import KERNEL_SCHEMA, METADATA
from dougong.db.columns import Ref
from dougong.i18n import LOCALES, N_, gettext, use_locale
from dougong.services import service
from dougong.tenancy.models import Person

PERSON = "dougong.person"
DEPTH = 2

Rows = dict[str, set[UUID]]

__all__ = [
    "export_archive",
    "export_person",
    "model_of",
    "own_tables",
    "personal_columns",
    "rows_of",
]


def own_tables(installation: Any) -> list[Table]:
    """Return the tables of the kernel and of the plugins that are loaded here, parents first."""
    plugins = installation.plugins
    schemas = {KERNEL_SCHEMA, *(plugins.manifest(p).schema for p in plugins.loaded)}
    return [
        table
        for table in METADATA.sorted_tables
        if table.schema in schemas and model_of(table.fullname) is not None
    ]


def rows_of(session: Session, tables: Sequence[Table], community_id: UUID, person_id: UUID) -> Rows:
    """Return the ids of the rows that are about a person, by ``schema.table``.

    Rows about a room or a building are not the person's, whoever lives there; a row that names
    another person is that one's, whatever it hangs on. A table that says what its rows are about
    in two columns (``schema.table`` and id) names them in its info, ``about``.
    """
    found: Rows = defaultdict(set)
    found[PERSON].add(person_id)
    edge: Rows = {PERSON: {person_id}}
    for _ in range(DEPTH):
        edge = _referring(session, tables, community_id, edge, found)
        for name, ids in edge.items():
            found[name] |= ids
    return dict(found)


def _referring(
    session: Session, tables: Sequence[Table], community_id: UUID, edge: Rows, known: Rows
) -> Rows:
    reached: Rows = {}
    for table in tables:
        if table.info.get("kind") != "community":
            continue
        pairs = references(table)
        conditions: list[ColumnElement[bool]] = [
            column.in_(edge[target]) for column, target in pairs if target in edge
        ]
        if kind_and_id := table.info.get("about"):
            kind, id = (table.c[name] for name in kind_and_id)
            conditions += [and_(kind == name, id.in_(rows)) for name, rows in edge.items()]
        if not conditions:
            continue
        nobody: list[ColumnElement[bool]] = [
            c.is_(None) for c, target in pairs if target == PERSON and PERSON not in edge
        ]
        ids = session.scalars(
            select(table.c.id).where(
                table.c.community_id == community_id, or_(*conditions), and_(True, *nobody)
            )
        )
        fresh = set(ids) - known.get(table.fullname, set())
        if fresh:
            reached[table.fullname] = fresh
    return reached


def references(table: Table) -> list[tuple[Column[Any], str]]:
    """Return the columns of a table that refer to another, with ``schema.table``."""
    return [
        (column, column.info["ref"].target)
        for column in table.columns
        if isinstance(column.info.get("ref"), Ref)
    ]


def personal_columns(table: Table, declared: Iterable[str]) -> list[Column[Any]]:
    """Return the columns of a table that hold what is personal, free text included.

    declared: keys ``schema.table.column`` of all declarations.
    """
    keys = set(declared)
    return [
        column
        for column in table.columns
        if {"encrypted", "personal", "free_text"} & column.info.keys()
        or f"{table.schema}.{table.name}.{column.name}" in keys
    ]


@service("person.export", title=("Export personal data", "导出个人信息"), step_up=True)
def export_person(scope: Scope, person: Person) -> dict[str, Any]:
    """Return everything kept about a person, in clear, for the person: plain JSON values.

    The export is recorded like a look at a personal value.
    """
    from dougong.privacy.reveals import record_look

    record_look(scope, PERSON, person.id, "*", "subject_request", "export")
    community = person.community_id
    found = rows_of(scope.session, own_tables(scope.installation), community, person.id)
    tables = {
        name: [_row(scope, METADATA.tables[name], id) for id in sorted(ids)]
        for name, ids in sorted(found.items())
    }
    return {
        "person": str(person.id),
        "community": str(community),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "records": tables,
        "plugins": _answers(scope, person.id),
    }


def export_archive(scope: Scope, person: Person) -> bytes:
    """Return the export as a ZIP: ``person.json``, and what it is in both languages."""
    told = {
        locale: gettext_in(
            locale,
            N_(
                "This archive holds what %(community)s keeps about you, made on %(day)s. "
                "person.json can be read by people and by programs."
            ),
            community=scope.place.name,
            day=str(scope.today),
        )
        for locale in LOCALES
    }
    content = json.dumps(export_person(scope, person), ensure_ascii=False, indent=2)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("person.json", content)
        archive.writestr("README.txt", "\n\n".join(told.values()) + "\n")
    return buffer.getvalue()


def gettext_in(locale: str, message: str, **parameters: Any) -> str:
    """Return a text in a language other than the one in force."""
    with use_locale(locale):
        return gettext(message, **parameters)


def _row(scope: Scope, table: Table, id: UUID) -> dict[str, Any]:
    row = scope.session.execute(
        select(table).where(table.c.community_id == scope.community_id, table.c.id == id)
    ).one()
    return readable_row(scope, table, dict(row._mapping))


def readable_row(scope: Scope, table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row for its person: label and value of every column, personal ones in clear.

    Other records are named, other people are not; search tags are left out.
    """
    model, shown = model_of(table.fullname), {}
    for column in table.columns:
        value = row[column.name]
        field = model.__encrypted__.get(column.info.get("encrypted", ""))
        ref = column.info.get("ref")
        if field is not None and value is not None:
            value = scope.vault.open(field, _Place(row), bytes(value))
        elif isinstance(value, bytes) or column.name == "community_id":
            continue
        elif isinstance(ref, Ref) and ref.target != PERSON and value is not None:
            value = name_of(scope.session, ref.target, value)
        plain = value if value is None or isinstance(value, bool | int) else str(value)
        title = str(column.info.get("label") or column.name)
        shown[column.name] = {"label": title, "value": plain}
    return shown


class _Place:
    """A row as the vault wants it: attributes for the keys."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.id = row["id"]
        self.community_id = row.get("community_id")
        self.group_id = row.get("group_id")


def _answers(scope: Scope, person_id: UUID) -> dict[str, Any]:
    """Return what plugins add; also of those that were on once and are off now."""
    hooks = scope.installation.plugins.hooks
    answers = {
        plugin: hooks.tell(scope, plugin, "export_subject", person_id=person_id)
        for plugin in scope.installation.plugins.loaded
    }
    return {plugin: answer for plugin, answer in answers.items() if answer is not None}
