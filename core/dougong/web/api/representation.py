"""How records and results look as JSON: exact, complete, masked by clearance."""

import base64
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any

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
    shown: dict[str, Any] = {}
    model: Any = type(record)
    levels = scope.restrictions(model)
    for name, column in shown_columns(model).items():
        if levels.get(name) == "hide":
            continue
        if wanted is not None and name not in wanted and name != "id":
            continue
        encrypted = column.info.get("encrypted")
        shown[name] = (
            personal_value(scope, record, name) if encrypted else plain(getattr(record, name))
        )
    return shown


def personal_value(scope: Scope, record: Any, name: str) -> str | None:
    """Return an encrypted value in full or masked, by the actor's clearance."""
    mask = type(record).__encrypted__[name].mask
    value = getattr(record, name)
    return value if scope.clearance(mask) == "full" or value is None else ciphers.mask(mask, value)


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
    if value is None or isinstance(value, bool | int | str) and not isinstance(value, Enum):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float | dict | list):
        return value
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
    "personal_value",
    "plain",
    "represent",
    "result",
    "shown_columns",
]
