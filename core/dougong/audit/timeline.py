"""The log of one record as people read it, in the locale in force."""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Enum, text

from dougong.audit.images import (
    PLATFORM,
    Image,
    image_before,
    model_of,
    name_of,
    opened,
    python_value,
)
from dougong.audit.undoing import undo
from dougong.db import ciphers
from dougong.db.columns import Ref, member_label
from dougong.db.scope import Scope
from dougong.errors import DougongError
from dougong.i18n import N_, gettext

__all__ = [
    "Change",
    "Image",
    "TimelineEntry",
    "image_before",
    "model_of",
    "name_of",
    "timeline",
    "undo",
]

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
    try:
        return ciphers.mask(field.mask, opened(scope, model, record, column, raw))
    except DougongError:
        return ciphers.mask("all", "-")
