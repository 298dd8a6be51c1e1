"""Makes a row for every table of a plugin from its columns alone."""

import datetime as dt
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, text
from sqlalchemy import Enum as SqlEnum
from sqlalchemy import inspect as sa_inspect
from sqlalchemy.exc import DBAPIError, StatementError

from dougong.db.base import METADATA
from dougong.db.scope import Scope
from dougong.plugins.loader import models

VALUES: dict[type, Any] = {
    str: "样例",
    int: 1,
    Decimal: Decimal(1),
    bool: False,
    dt.date: dt.date(2026, 11, 24),
    dt.datetime: dt.datetime(2026, 11, 24, 8, tzinfo=dt.UTC),
    bytes: b"sample",
    dict: {},
    list: [],
}


def fill_tables(scope: Scope, package: str) -> dict[str, int]:
    """Write two rows into each table of ``package`` where that is possible; return how many.

    A table whose rules a guessed row does not meet stays empty; its model's ``__sample__`` says
    what the guess needs.
    """
    order = {table: number for number, table in enumerate(METADATA.sorted_tables)}
    filled = {}
    for model in sorted(models(package), key=lambda m: order[m.__table__]):
        if model.__kind__ == "community":
            filled[model.__tablename__] = sum(_write(scope, model, n) for n in (1, 2))
    return filled


def _write(scope: Scope, model: Any, number: int) -> bool:
    try:
        with scope.session.begin_nested():
            scope.session.add(model(**_values(scope, model, number)))
            scope.session.flush()
    except (DBAPIError, StatementError, ValueError, LookupError):
        return False
    return True


def _values(scope: Scope, model: Any, number: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    said = model.__sample__
    for attribute in sa_inspect(model).column_attrs:
        column = attribute.columns[0]
        if said.get(attribute.key, ...) is not ...:
            values[attribute.key] = said[attribute.key]
            continue
        if column.primary_key or column.default is not None or column.server_default is not None:
            continue
        if column.info.get("encrypted"):
            values[column.info["encrypted"]] = f"1380000{number:04}"
        elif not column.nullable or (attribute.key in said and said[attribute.key] is ...):
            values[attribute.key] = _value(scope, column, number)
    return values


def _value(scope: Scope, column: Column[Any], number: int) -> Any:
    if (reference := column.info.get("ref")) is not None:
        found = scope.session.execute(
            text(f"select id from {reference.target} order by id offset :n limit 1"),
            {"n": number - 1},
        ).scalar()
        if found is None:
            raise LookupError(f"there is no {reference.target} to refer to")
        return found
    if isinstance(column.type, SqlEnum):
        members: Any = column.type.enum_class
        return next(iter(members))
    kind = column.type.python_type
    value = VALUES[kind]
    return (
        f"{value}{number}"[: getattr(column.type, "length", None) or 80] if kind is str else value
    )
