"""The log of one record as people read it, and row images for undoing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Date, DateTime, Enum, LargeBinary, Numeric, Uuid, select, text
from sqlalchemy.orm import Session

from dougong.db import ciphers
from dougong.db.base import Row
from dougong.db.columns import Money, Ref, member_label
from dougong.db.scope import Scope
from dougong.errors import Conflict, DougongError, NotFound
from dougong.i18n import N_, gettext

PLATFORM = UUID(int=0)
HIDDEN = {"community_id", "group_id", "id", "sort_key"}
LISTED = text(
    """
    select e.id, e.at, e.actor_id, e.verb, e.operation, e.body, u.name as actor
    from dougong.audit_event e left join dougong."user" u on u.id = e.actor_id
    where e.chain_id = :chain and e.schema_name = :schema and e.table_name = :table
      and e.row_id = :row and (cast(:before as uuid) is null or e.id < :before)
    order by e.id desc limit :limit
    """
)


@dataclass(frozen=True)
class Change:
    """One column's value before and after, formatted for people; personal values masked."""

    column: str
    label: str
    old: str
    new: str


@dataclass(frozen=True)
class TimelineEntry:
    """One event: who did what, when, why, and what it changed. who: empty for the system."""

    event_id: UUID
    at: datetime
    who: str
    verb: str
    reason: str
    operation: str
    changes: tuple[Change, ...]
    is_erased: bool = False


def chain_of(record: Any) -> UUID:
    """Return the chain that holds a record's events: its community's, group's or platform's."""
    return getattr(record, "community_id", None) or getattr(record, "group_id", None) or PLATFORM


def timeline(
    scope: Scope, record: Any, *, limit: int = 50, before: UUID | None = None
) -> list[TimelineEntry]:
    """Return the newest events of a record that the scope could load, newest first.

    before: an event's id, to read on. Bulk statements of more than fifty rows are not in it.
    """
    table = type(record).__table__
    with scope.installation.platform() as session:
        rows = session.execute(
            LISTED,
            {
                "chain": chain_of(record),
                "schema": table.schema,
                "table": table.name,
                "row": str(record.id),
                "before": before,
                "limit": limit,
            },
        ).all()
    return [_entry(scope, type(record), record, row) for row in rows]


def _entry(scope: Scope, model: type, record: Any, row: Any) -> TimelineEntry:
    body = json.loads(row.body, parse_float=Decimal)
    old, new = body.get("old") or {}, body.get("new") or {}
    shown = [c for c in model.__table__.c if c.name in new or (not new and c.name in old)]  # type: ignore[attr-defined]
    changes = tuple(
        Change(
            column.name,
            str(column.info.get("label") or column.name),
            _shown(scope, model, record, column, old.get(column.name)),
            _shown(scope, model, record, column, new.get(column.name)),
        )
        for column in shown
        if column.name not in HIDDEN and column.info.get("api") != "hidden"
    )
    return TimelineEntry(
        row.id,
        row.at,
        row.actor or "",
        row.verb,
        body.get("reason", ""),
        row.operation,
        changes,
        "erasure" in body,
    )


def _shown(scope: Scope, model: Any, record: Any, column: Column[Any], raw: Any) -> str:
    """Return a logged value as people read it; personal values are always masked here."""
    if raw is None:
        return ""
    if "encrypted" in column.info:
        return _masked(scope, model, record, column, raw)
    if "personal" in column.info:
        return ciphers.mask("name", str(raw))
    value = python_value(column, raw)
    ref = column.info.get("ref")
    if isinstance(ref, Ref):
        return name_of(scope.session, ref.target, value)
    if isinstance(value, bool):
        return gettext(N_("yes")) if value else gettext(N_("no"))
    if isinstance(column.type, Enum) and column.type.enum_class is not None:
        return member_label(value)
    if isinstance(value, datetime):
        return value.astimezone(scope.zone).strftime("%Y-%m-%d %H:%M")
    return str(value)


def _masked(scope: Scope, model: Any, record: Any, column: Column[Any], raw: str) -> str:
    field = model.__encrypted__[column.info["encrypted"]]
    owner = PLATFORM if field.key_column is None else getattr(record, field.key_column)
    keyring = scope.installation.keyring
    place = ciphers.Place(owner, field.table, field.name, record.id)
    try:
        plain = ciphers.open_sealed(
            lambda key_id: keyring.key(owner, key_id), place, bytes.fromhex(raw[2:])
        )
    except DougongError:
        return ciphers.mask("all", "-")
    return ciphers.mask(field.mask, plain)


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
    converted = (
        (Uuid, UUID),
        (DateTime, datetime.fromisoformat),
        (Date, date.fromisoformat),
        (Numeric, lambda n: Decimal(str(n))),
    )
    return next((make(raw) for type_, make in converted if isinstance(kind, type_)), raw)


@dataclass(frozen=True)
class Image:
    """A row as it was before an event: ``model(**values)`` makes it again, ciphertext and all."""

    model: Any
    operation: str
    values: Mapping[str, Any]
    changed: frozenset[str]


def image_before(scope: Scope, event_id: UUID) -> Image:
    """Return the row that an event changed or deleted, as it was.

    changed: the attributes that the event changed. Raises NotFound for an event of elsewhere and
    Conflict for one without an image (an insert, a bulk statement, an erased person).
    """
    with scope.installation.platform() as session:
        row = session.execute(
            text(
                "select chain_id, operation, body, schema_name || '.' || table_name as name"
                " from dougong.audit_event where id = :id"
            ),
            {"id": event_id},
        ).first()
    here = {*scope.readable, scope.group_id}
    model = model_of(row.name) if row is not None and row.chain_id in here else None
    if row is None or model is None:
        raise NotFound(N_("There is no such entry in the log here."))
    body = json.loads(row.body, parse_float=Decimal)
    if not body.get("old"):
        raise Conflict(N_("This cannot be undone: the log holds no image of the row."))
    values, changed = {}, set()
    for column in model.__table__.c:
        raw = body["old"].get(column.name)
        if column.name not in body["old"] or str(raw).startswith("sha256:"):
            continue
        attribute = model.__mapper__.get_property_by_column(column).key
        values[attribute] = python_value(column, raw)
        if column.name in (body.get("new") or {}):
            changed.add(attribute)
    return Image(model, row.operation, values, frozenset(changed))
