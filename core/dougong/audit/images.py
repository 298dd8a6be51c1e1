"""Row images out of the log: the models they belong to, their values as Python holds them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Date, DateTime, Enum, LargeBinary, Numeric, Uuid, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from dougong.db.base import Row
from dougong.db.columns import Money
from dougong.db.scope import Scope
from dougong.errors import Conflict, NotFound
from dougong.i18n import N_

PLATFORM = UUID(int=0)
EVENT = text(
    """
    select e.id, e.chain_id, e.txid::text as txid, e.verb, e.operation, e.row_id, e.body,
           e.schema_name || '.' || e.table_name as name
    from dougong.audit_event e where e.id = :id
    """
)


def name_of(session: Session, target: str, id: UUID) -> str:
    """Return what people call a row of ``schema.table``, its id when it is gone."""
    model = model_of(target)
    found = session.scalars(select(model).where(model.id == id)).first() if model else None
    return str(found) if found is not None else str(id)


@cache
def _models() -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting = [Row]
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        if "__table__" in model.__dict__:
            found[model.__table__.fullname] = model  # type: ignore[attr-defined]
    return found


def model_of(table: str) -> Any:
    """Return the model of ``schema.table``, None when no loaded plugin has it."""
    if table not in _models():
        _models.cache_clear()
    return _models().get(table)


def python_value(column: Column[Any], raw: Any) -> Any:
    """Return a value of a row image as the model holds it."""
    kind = column.type
    if raw is None:
        return None
    if isinstance(kind, Money):
        return (Decimal(raw) / 100).quantize(Decimal("0.01"))
    if isinstance(kind, Enum) and kind.enum_class is not None:
        return kind.enum_class(raw)
    if isinstance(kind, LargeBinary):
        return bytes.fromhex(raw[2:])
    if isinstance(kind, ARRAY) and isinstance(kind.item_type, Uuid):
        return [UUID(each) for each in raw]
    converted = (
        (Uuid, UUID),
        (DateTime, datetime.fromisoformat),
        (Date, date.fromisoformat),
        (Numeric, lambda n: Decimal(str(n))),
    )
    return next((make(raw) for type_, make in converted if isinstance(kind, type_)), raw)


def opened(scope: Scope, model: Any, record: Any, column: Column[Any], raw: str) -> str:
    """Return the plain value of a sealed one in an image; raises TamperedCiphertext.

    record: the row, or anything with its id and the id of its community or group.
    """
    field = model.__encrypted__[column.info["encrypted"]]
    return scope.vault.open(field, record, bytes.fromhex(raw[2:]))


@dataclass(frozen=True)
class Image:
    """A row as it was before an event: ``model(**values)`` makes it again, ciphertext and all.

    raw: the image by column, as PostgreSQL wrote it. after: what the event made of it, changed
    columns only. values, changed: by attribute.
    """

    model: Any
    row_id: UUID
    chain_id: UUID
    txid: str
    verb: str
    operation: str
    raw: Mapping[str, Any]
    after: Mapping[str, Any]
    values: Mapping[str, Any]
    changed: frozenset[str]


def image_before(scope: Scope, event_id: UUID) -> Image:
    """Return the row that an event changed or deleted, as it was.

    Raises NotFound for an event of elsewhere and Conflict for one without an image (an insert, a
    bulk statement, an erased person).
    """
    with scope.installation.platform() as session:
        row = session.execute(EVENT, {"id": event_id}).first()
    here = {*scope.readable, scope.group_id}
    model = model_of(row.name) if row is not None and row.chain_id in here else None
    if row is None or model is None:
        raise NotFound(N_("There is no such entry in the log here."))
    return image_of(model, row)


def image_of(model: Any, row: Any) -> Image:
    """Return the image in a row of the log; raises Conflict when it holds none."""
    body = json.loads(row.body, parse_float=Decimal)
    if not body.get("old") or row.row_id is None:
        raise Conflict(N_("This cannot be undone: the log holds no image of the row."))
    values, after = {}, body.get("new") or {}
    changed = set()
    for column in model.__table__.c:
        raw = body["old"].get(column.name)
        is_hidden = str(raw).startswith("sha256:") or column.computed is not None
        if column.name not in body["old"] or is_hidden:
            continue
        attribute = model.__mapper__.get_property_by_column(column).key
        values[attribute] = python_value(column, raw)
        if column.name in after:
            changed.add(attribute)
    return Image(
        model,
        UUID(row.row_id),
        row.chain_id,
        row.txid,
        row.verb,
        row.operation,
        body["old"],
        after,
        values,
        frozenset(changed),
    )
