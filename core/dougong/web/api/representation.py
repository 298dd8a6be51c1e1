"""How records and results look as JSON: exact, complete, masked by clearance."""

import base64
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Column, LargeBinary
from sqlalchemy import inspect as sa_inspect

from dougong.db import ciphers
from dougong.db.base import Row
from dougong.db.scope import Scope
from dougong.services import permission_of


@lru_cache(maxsize=1024)
def shown_columns(model: Any) -> dict[str, Column[Any]]:
    """Return the columns that the API shows, by attribute; encrypted ones by their plain name."""
    found: dict[str, Column[Any]] = {}
    for attribute in sa_inspect(model).column_attrs:
        column = attribute.columns[0]
        if column.info.get("encrypted"):
            found[column.info["encrypted"]] = column
        elif column.info.get("api") != "hidden" and not isinstance(column.type, LargeBinary):
            found[attribute.key] = column
    return found


def represent(scope: Scope, record: Any, wanted: Collection[str] | None = None) -> dict[str, Any]:
    """Return a record as JSON values. wanted: only these attributes; the id is always there.

    Columns that the actor's roles hide are left out.
    """
    return represent_all(scope, type(record), (record,), wanted)[0]


def represent_all(
    scope: Scope, model: Any, records: Iterable[Any], wanted: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Return records of a model as JSON values; what the actor may see is asked once for all."""
    levels = scope.restrictions(model)
    readers = [
        (name, _masked(scope, model, name) if column.info.get("encrypted") else attrgetter(name))
        for name, column in shown_columns(model).items()
        if levels.get(name) != "hide" and (wanted is None or name in wanted or name == "id")
    ]
    return [{name: plain(read(record)) for name, read in readers} for record in records]


def _masked(scope: Scope, model: Any, name: str) -> Callable[[Any], str | None]:
    """Return what reads an encrypted value in full or masked, by the actor's clearance."""
    mask, read = model.__encrypted__[name].mask, attrgetter(name)
    if scope.clearance(mask) == "full":
        return read

    def masked(record: Any) -> str | None:
        value = read(record)
        return value if value is None else ciphers.mask(mask, value)

    return masked


def result(scope: Scope, value: Any) -> Any:
    """Return what a service returned as JSON; of a record that may not be viewed, only the id."""
    if isinstance(value, Row):
        if scope.may(permission_of(type(value), "view")):
            return represent(scope, value)
        return {"id": str(value.id)}  # type: ignore[attr-defined]
    if isinstance(value, BaseModel):
        return {name: result(scope, getattr(value, name)) for name in type(value).model_fields}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: result(scope, getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(plain(k)): result(scope, v) for k, v in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [result(scope, v) for v in value]
    return plain(value)


def plain(value: Any) -> Any:
    """Return one value as JSON carries it: amounts and ids as text, instants in UTC."""
    convert = BY_TYPE.get(type(value))
    return convert(value) if convert is not None else _unusual(value)


def _as_it_is(value: Any) -> Any:
    return value


def _instant(value: datetime) -> str:
    moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return moment.isoformat().replace("+00:00", "Z")


BY_TYPE: dict[type, Callable[[Any], Any]] = {
    **dict.fromkeys((type(None), bool, int, str, float, dict, list), _as_it_is),
    UUID: str,
    Decimal: "{:f}".format,
    datetime: _instant,
    date: date.isoformat,
    bytes: lambda value: base64.b64encode(value).decode(),
}


def _unusual(value: Any) -> Any:
    """Return a value of a derived type, such as a state, as its nearest relative looks."""
    if isinstance(value, Enum):
        return value.value
    for kind in type(value).__mro__:
        if kind in BY_TYPE:
            return BY_TYPE[kind](value)
    return str(value)


def etag(record: Any) -> str:
    """Return the tag of a record's present version: it changes with any column."""
    digest = hashlib.sha256()
    for attribute in sa_inspect(type(record)).column_attrs:
        value = getattr(record, attribute.key)
        kept = value.hex() if isinstance(value, bytes) else plain(value)
        digest.update(json.dumps([attribute.key, kept], default=str, sort_keys=True).encode())
    return f'"{digest.hexdigest()[:32]}"'


def is_masked_form(scope: Scope, record: Any, name: str, given: Any) -> bool:
    """Tell whether a program sends back the masked form that it was shown."""
    if not isinstance(given, str) or "*" not in given:
        return False
    value = getattr(record, name)
    return value is not None and value != given == ciphers.mask(
        type(record).__encrypted__[name].mask, value
    )


__all__ = [
    "etag",
    "is_masked_form",
    "plain",
    "represent",
    "represent_all",
    "result",
    "shown_columns",
]
