"""The columns of a model as people see them, and how a value of each is shown."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON
from sqlalchemy import Enum as SqlEnum
from sqlalchemy import inspect as sa_inspect
from sqlalchemy.orm import RelationshipProperty

from dougong.db import ciphers
from dougong.db.columns import EncryptedField, Money, member_label
from dougong.db.scope import Scope
from dougong.i18n import bilingual

CODES = frozenset({"code", "driver", "point", "profile", "provider"})


@dataclass(frozen=True)
class Column:
    """One attribute of a model as people see it.

    said: returns the words for a record's value that is a code, called with scope and record.
    """

    key: str
    label: Any
    kind: str
    is_sortable: bool
    is_nullable: bool
    members: type[Enum] | None = None
    target: Any = None
    encrypted: EncryptedField | None = None
    said: Callable[[Scope, Any], Any] | None = None

    @property
    def is_technical(self) -> bool:
        """Tell whether its values say nothing to people: ids without a name, keys to sort by."""
        return (self.kind == "id" and self.said is None) or self.key == "sort_key"

    @property
    def is_code(self) -> bool:
        """Tell whether machines read its values: browsers and readers leave them as they are."""
        return self.key in CODES and self.said is None

    @property
    def attribute(self) -> str:
        """Return the attribute that a form sets: a relation's id."""
        return f"{self.key}_id" if self.kind == "relation" else self.key


def columns_of(model: Any) -> dict[str, Column]:
    mapper = sa_inspect(model)
    relations = {
        f"{r.key}_id": r for r in mapper.relationships if isinstance(r, RelationshipProperty)
    }
    found: dict[str, Column] = {}
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        if attribute.key in ("community_id", "group_id") or column.info.get("api") == "hidden":
            continue
        encrypted = column.info.get("encrypted")
        if encrypted:
            field = model.__encrypted__[encrypted]
            found[encrypted] = Column(
                encrypted,
                _label(column, encrypted),
                "encrypted",
                False,
                column.nullable,
                encrypted=field,
            )
        elif attribute.key in relations:
            relation = relations[attribute.key]
            found[relation.key] = Column(
                relation.key,
                _label(column, relation.key),
                "relation",
                False,
                column.nullable,
                target=relation.mapper.class_,
            )
        elif attribute.key != "id":
            members = column.type.enum_class if isinstance(column.type, SqlEnum) else None
            found[attribute.key] = Column(
                attribute.key,
                _label(column, attribute.key),
                _kind(column.type),
                True,
                column.nullable,
                members,
            )
    return found


def _label(column: Any, key: str) -> Any:
    return column.info.get("label") or bilingual(key.replace("_", " ").capitalize())


def _kind(kind: Any) -> str:
    if isinstance(kind, SqlEnum):
        return "state"
    if isinstance(kind, Money):
        return "money"
    if isinstance(kind, JSON):
        return "data"
    try:
        python = kind.python_type
    except NotImplementedError:
        return "text"
    names = {
        bool: "flag",
        date: "day",
        datetime: "instant",
        int: "number",
        Decimal: "number",
        dict: "data",
        list: "data",
        UUID: "id",
        bytes: "data",
    }
    return names.get(python, "text")


def show(scope: Scope, column: Column, record: Any) -> Any:
    """Return a cell's value as people read it; personal values masked unless cleared."""
    if column.encrypted is not None:
        clearance = scope.clearance(column.encrypted.mask)
        plain = getattr(record, column.key) if clearance != "hide" else None
        return ciphers.mask(column.encrypted.mask, plain)
    value = getattr(record, column.key)
    if value is None:
        return ""
    if column.said is not None:
        return column.said(scope, record)
    if isinstance(value, Enum):
        return member_label(value)
    if column.kind == "money":
        return f"{value:,.2f}"
    if column.kind == "number":
        return plain_number(value)
    return value


GOOD = "paid settled accepted active installed published done occupied enabled completed resolved"
GOOD += " closed delivered finished online succeeded answered"
WARNING = (
    "suspect draft open unpaid partly_paid waiting pending vacant preview submitted paused late"
)
DANGER = (
    "rejected failed overdue error cancelled voided quarantined removed offline refused unknown"
)
TONES = {
    word: tone
    for words, tone in ((GOOD, "good"), (WARNING, "warning"), (DANGER, "danger"))
    for word in words.split()
}


def tone(value: Any) -> str:
    """Return the colour of a state's pill, from the word; ``info`` for what is neither."""
    return TONES.get(str(getattr(value, "value", value)), "info")


def plain_number(value: Any) -> str:
    """Return a number without trailing zeros, never in exponent form."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)
