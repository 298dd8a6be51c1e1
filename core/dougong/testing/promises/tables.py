"""Promises about models, revisions and personal data."""

import ast
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any
from zlib import crc32

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Date, DateTime, Float, inspect, text
from sqlalchemy import Enum as SqlEnum

from dougong.db.base import METADATA
from dougong.db.linter import lint
from dougong.db.migrator import _config
from dougong.db.partitions import monthly_tables, whole_of
from dougong.i18n import use_locale
from dougong.privacy.purposes import undeclared_personal
from dougong.testing.canaries import found_in_table, make_canaries, plant_everywhere
from dougong.testing.promises import Subject, promise
from dougong.testing.promises.subject import has_chinese

UNSEEN = {"id", "community_id", "group_id"}
SECRET = re.compile(r"(^|_)(phone|id_number|bank_card|account_number)$")
# Where what a plugin writes passes through, or is kept.
LEAKY = (
    "dougong.audit_event",
    "dougong.outbox_event",
    "dougong.job",
    "dougong.procrastinate_jobs",
    "dougong.message",
)
NOT_SQL = ("get_bind", "Session", "sessionmaker", "bulk_insert")


def columns(subject: Subject) -> Iterator[tuple[str, Column[Any]]]:
    """Yield ``model.column`` and the column, of all columns that are not the kernel's own."""
    yield from _columns(subject.models)


def _columns(models: list[Any]) -> Iterator[tuple[str, Column[Any]]]:
    for model in models:
        for column in model.__table__.columns:
            if column.name not in UNSEEN and column.info.get("api") != "hidden":
                yield f"{model.__tablename__}.{column.name}", column


def _refused(subject: Subject) -> Iterator[str]:
    """Say that the plugin's tables are not there; the migrator refuses those that leak."""
    with subject.installation.databases.engine("migrator").connect() as connection:
        schema = {"schema": subject.manifest.schema}
        if connection.scalar(text("select to_regnamespace(:schema)"), schema) is None:
            yield "its tables are not there; installing it says why"


@promise
def its_tables_stand_in_its_own_schema(subject: Subject) -> Iterator[str]:
    yield from _refused(subject)
    for model in subject.models:
        if model.__table__.schema != subject.manifest.schema:
            yield f"{model.__name__} stands in {model.__table__.schema}"


@promise
def every_model_says_what_it_is(subject: Subject) -> Iterator[str]:
    for model in subject.models:
        if not model.__dict__.get("__doc__"):
            yield f"{model.__name__} has no docstring"


@promise
def what_a_name_reads_is_loaded_with_the_list(subject: Subject) -> Iterator[str]:
    by_name = {model.__name__: model for model in subject.models}
    for path, node in _classes(subject):
        model = by_name.get(node.name)
        if model is None:
            continue
        read = _read_by_name(node) & set(inspect(model).relationships.keys())
        for key in sorted(read - set(model.__named_by__)):
            yield f"{subject.where(path, node)}: __named_by__ of {node.name} lacks {key!r}"


def _classes(subject: Subject) -> Iterator[tuple[Path, ast.ClassDef]]:
    for path, tree in subject.sources.items():
        yield from ((path, node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def _read_by_name(model: ast.ClassDef) -> set[str]:
    """Return the attributes of itself that a model's ``__str__`` reads."""
    names = [f for f in model.body if isinstance(f, ast.FunctionDef) and f.name == "__str__"]
    return {
        node.attr
        for name in names
        for node in ast.walk(name)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


@promise
def every_record_has_a_name(subject: Subject) -> Iterator[str]:
    for model in subject.shown_models:
        if model.__str__ is object.__str__:
            yield f"{model.__name__} has no __str__: people would read an address in memory"


@promise
def every_column_is_labelled_in_both_languages(subject: Subject) -> Iterator[str]:
    for name, column in _columns(subject.shown_models):
        label = column.info.get("label")
        if label is None:
            yield f"{name} has no label"
            continue
        with use_locale("en"):
            english = str(label)
        with use_locale("zh_Hans_CN"):
            chinese = str(label)
        if has_chinese(english) or (chinese == english and len(english) > 4):
            yield f"{name} is labelled {english!r} / {chinese!r}"


@promise
def every_state_is_named_in_both_languages(subject: Subject) -> Iterator[str]:
    for name, column in columns(subject):
        kind = column.type
        members: type[Enum] | None = kind.enum_class if isinstance(kind, SqlEnum) else None
        for member in members or ():
            labelled = getattr(members, "__labels__", {}).get(member.name)
            if labelled is None:
                yield f"{name}: {member.name} has no label"
            if member.value != member.value.lower():
                yield f"{name}: the value {member.value!r} is not in small letters"


@promise
def no_column_is_a_float(subject: Subject) -> Iterator[str]:
    for name, column in columns(subject):
        if isinstance(column.type, Float):
            yield f"{name} is a float: use money() or Numeric"


@promise
def times_say_by_their_name_what_they_are(subject: Subject) -> Iterator[str]:
    for name, column in columns(subject):
        if isinstance(column.type, DateTime):
            if not name.endswith("_at") or not column.type.timezone:
                yield f"{name} is an instant: name it …_at and keep its zone"
        elif isinstance(column.type, Date) and not name.endswith("_on"):
            yield f"{name} is a day: name it …_on"


@promise
def its_references_lead_only_to_what_it_depends_on(subject: Subject) -> Iterator[str]:
    plugins = subject.installation.plugins
    known = {"dougong", subject.manifest.schema}
    known |= {plugins.manifest(p).schema for p in subject.manifest.depends if p in plugins.found}
    for model in subject.models:
        for key in model.__table__.foreign_key_constraints:
            target = key.elements[0].target_fullname.partition(".")[0]
            if target not in known:
                yield f"{model.__tablename__}.{key.column_keys[-1]} leads to {target}"
            if key.ondelete not in (None, "RESTRICT", "CASCADE"):
                yield f"{model.__tablename__}.{key.column_keys[-1]}: ON DELETE {key.ondelete}"


@promise
def the_database_protects_its_tables(subject: Subject) -> Iterator[str]:
    schema = subject.manifest.schema
    yield from _refused(subject)
    with subject.installation.databases.engine("migrator").connect() as connection:
        for finding in lint(connection, schema):
            if finding.where.startswith(f"{schema}."):
                yield str(finding)


@promise
def its_revisions_make_the_tables_of_its_models(subject: Subject) -> Iterator[str]:
    schema = subject.manifest.schema

    months = {table.name for table in monthly_tables() if table.schema == schema}

    def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "schema" or name == schema

    def is_wanted(thing: Any, name: str | None, kind: str, *_rest: Any) -> bool:
        table = thing if kind == "table" else getattr(thing, "table", None)
        return table is None or (
            table.schema == schema
            and table.name != "alembic_version"
            and whole_of(str(table.name)) not in months
        )

    with subject.installation.databases.engine("migrator").connect() as connection:
        connection.exec_driver_sql("set local search_path to pg_catalog")
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": is_ours,
                "include_object": is_wanted,
                "compare_type": False,
                "version_table_schema": schema,
            },
        )
        for difference in compare_metadata(context, METADATA):
            yield _told(difference)


def _told(difference: Any) -> str:
    first = difference[0] if isinstance(difference, list) else difference
    return " ".join(str(part) for part in first)


@promise
def its_revisions_form_one_line(subject: Subject) -> Iterator[str]:
    if subject.models or (subject.folder / "migrations").is_dir():
        distribution = subject.installation.plugins.distribution(subject.plugin)
        heads = ScriptDirectory.from_config(_config(distribution)).get_heads()
        if len(heads) != 1:
            yield f"there are {len(heads)} heads: {', '.join(heads)}"


@promise
def its_revisions_are_sql_only(subject: Subject) -> Iterator[str]:
    for path in sorted((subject.folder / "migrations").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = getattr(node, "attr", None) or getattr(node, "id", None)
            if name in NOT_SQL:
                yield f"{subject.where(path, node)} uses {name}: a dry run cannot show it"


@promise
def every_personal_column_says_its_purpose(subject: Subject) -> Iterator[str]:
    tables = [model.__table__ for model in subject.models]
    for finding in undeclared_personal(subject.installation.plugins, tables):
        yield str(finding)


@promise
def sealed_values_lie_nowhere_in_clear(subject: Subject) -> Iterator[str]:
    """Plant a canary in every personal column, and look for it in tables, log, jobs and outbox."""
    canaries = iter(make_canaries(200, seed=crc32(subject.plugin.encode())))
    schema = subject.manifest.schema
    planted = plant_everywhere(subject.installation, subject.place, canaries, {schema})
    for column in planted.missed:
        reason = "no row could be written to prove that it is sealed"
        yield f"{column}: {reason}; say with __sample__ how one looks"
    wanted = {canary: column for column, canary in planted.sealed.items()}
    with subject.installation.platform() as session:
        for table in (*(f'{m.__schema__}."{m.__tablename__}"' for m in subject.models), *LEAKY):
            for canary in found_in_table(session, table, set(wanted)):
                yield f"{wanted[canary]} lies in clear in {table}"


@promise
def it_declares_no_personal_column_that_is_not_there(subject: Subject) -> Iterator[str]:
    there = {f"{m.__tablename__}.{c.name}" for m in subject.models for c in m.__table__.columns}
    for name in sorted(set(subject.manifest.personal) - there):
        yield f"the manifest declares {name}, and there is no such column"


@promise
def numbers_of_people_are_encrypted(subject: Subject) -> Iterator[str]:
    for name, column in columns(subject):
        if SECRET.search(column.name) and "encrypted" not in column.info:
            yield f"{name} is plain: declare it with encrypted()"
