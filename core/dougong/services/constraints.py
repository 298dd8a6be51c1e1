"""Constraint violations in the words of people: by name, never by the database's text."""

import re
from typing import Any

from sqlalchemy.exc import IntegrityError

from dougong.db.base import METADATA
from dougong.db.partitions import whole_of
from dougong.errors import Conflict, DougongError, Invalid
from dougong.i18n import N_, LazyText, gettext


def explain_constraint(error: IntegrityError) -> DougongError:
    """Return the error that a person can act on; the values in it never leave the server."""
    diagnosis = getattr(error.orig, "diag", None)
    state = getattr(error.orig, "sqlstate", "") or ""
    name = (diagnosis.constraint_name if diagnosis else "") or ""
    table = (diagnosis.table_name if diagnosis else "") or ""
    columns = _labels(table, name)
    table = whole_of(table) or table
    if state == "23505":
        return Conflict(N_("There is already one with this %(columns)s."), columns=columns)
    if state == "23503":
        message = (diagnosis.message_primary if diagnosis else "") or ""
        if "update or delete" in message:
            return Conflict(N_("It is still used by: %(table)s."), table=_table_label(table))
        return Invalid(N_("%(columns)s does not exist here."), columns=columns)
    if state == "23502":
        column = (diagnosis.column_name if diagnosis else "") or ""
        return Invalid(
            N_("Some fields are not right yet."), fields={column: gettext("This is needed.")}
        )
    if state == "23P01":
        return Conflict(N_("It overlaps another record of the same kind in time."))
    return Invalid(N_("The values contradict each other (%(rule)s)."), rule=_words(name))


def _labels(table: str, constraint: str) -> str:
    for candidate in METADATA.tables.values():
        if candidate.name not in (table, whole_of(table)):
            continue
        declarations: list[Any] = [*candidate.constraints, *candidate.indexes]
        for declared in declarations:
            if constraint in (declared.name, _name_in_partition(table, declared)):
                names = [c for c in declared.columns if c.name not in ("community_id", "group_id")]
                return ", ".join(str(c.info.get("label") or c.name) for c in names)
    return _words(constraint)


def _name_in_partition(part: str, declared: Any) -> str:
    """Return what PostgreSQL calls the part of a unique constraint that lies in a partition."""
    return "_".join([part, *(column.name for column in declared.columns), "key"])


def _table_label(table: str) -> str:
    for mapper in _mappers():
        if mapper.local_table.name == table:
            label = getattr(mapper.class_, "__label__", None)
            return str(label) if isinstance(label, LazyText) else gettext(_words(table))
    return _words(table)


def _mappers() -> list:
    from sqlalchemy.orm import registry as registries  # noqa: F401
    from sqlalchemy.orm.mapper import _all_registries

    return [m for registry in _all_registries() for m in registry.mappers]


def _words(name: str) -> str:
    return re.sub(r"^(ck|uq|fk|ex|ix)_", "", name).replace("_", " ")
