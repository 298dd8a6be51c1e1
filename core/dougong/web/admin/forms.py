"""Forms from columns: fields to show, values to hand to the services, and who changed it first."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import inspect as sa_inspect

from dougong.db import ciphers
from dougong.db.columns import member_label
from dougong.db.scope import Scope
from dougong.i18n import N_, gettext
from dougong.services.inputs import writable_columns
from dougong.web.admin.views import Column, RecordView, plain_number, show

LONG = 200


@dataclass
class FormField:
    """One field as the template draws it; ``value`` is what the input holds."""

    name: str
    label: str
    kind: str
    value: str = ""
    shown: str = ""
    choices: Sequence[tuple[str, str]] = ()
    is_required: bool = False
    error: str = ""
    hint: str = ""
    length: int | None = None
    lookup: str = ""
    is_fixed: bool = False


def form_fields(
    scope: Scope,
    view: type[RecordView],
    record: Any | None,
    given: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> list[FormField]:
    """Return the fields of the form: as the record has them, or as they were just sent."""
    known = writable_columns(view.model)
    columns = {column.attribute: column for column in view.seen_columns(scope).values()}
    levels = scope.restrictions(view.model)
    made = []
    for name in view.form_keys():
        column = columns.get(name)
        is_fixed = name in levels
        if name not in known or column is None or (is_fixed and record is None):
            continue
        _, is_nullable, has_default = known[name]
        field = FormField(
            name,
            str(column.label),
            _input_kind(view, column),
            is_required=not (is_nullable or has_default),
            error=(errors or {}).get(name, ""),
            length=_length(view, column),
            is_fixed=is_fixed,
        )
        if is_fixed:
            field.shown = str(show(scope, column, record))
            made.append(field)
            continue
        _choices(field, column, is_nullable)
        if given is not None and (name in given or column.kind == "flag"):
            field.value = given.get(name, "")
        elif record is not None or column.kind != "relation":
            _fill(scope, view, field, column, record)
        if column.kind == "relation":
            field.shown = _shown(scope, column, record, field.value)
        made.append(field)
    return made


def values_from(
    scope: Scope, view: type[RecordView], given: Mapping[str, str], record: Any | None
) -> dict[str, Any]:
    """Return what a sent form says, ready for ``create`` or ``change``.

    An empty field is None. A personal value left empty stays as it is. Days and instants are in
    the community's zone.
    """
    values: dict[str, Any] = {}
    for field in form_fields(scope, view, record, given):
        if field.is_fixed:
            continue
        if field.kind == "flag":
            values[field.name] = given.get(field.name) == "true"
            continue
        if field.name not in given:
            continue
        text = given[field.name].strip()
        if field.kind == "personal" and not text and record is not None:
            continue
        if not text and record is None and not field.is_required:
            continue
        values[field.name] = typed(scope, field, text)
        if not text and field.is_required:
            values.pop(field.name)
            if record is not None:
                values[field.name] = None
    return values


def typed(scope: Scope, field: FormField, text: str) -> Any:
    """Return what was typed into a field, ready to be checked; None for nothing."""
    text = text.replace("\r\n", "\n").strip()
    if field.kind == "flag":
        return text == "true"
    return _instant(scope, text) if field.kind == "instant" else text or None


def fingerprint(record: Any) -> str:
    """Return a digest of the row's values, so that a form knows whether somebody was faster."""
    digest = hashlib.sha256()
    for attribute in sa_inspect(type(record)).column_attrs:
        digest.update(repr(getattr(record, attribute.key)).encode())
    return digest.hexdigest()[:24]


def _input_kind(view: type[RecordView], column: Column) -> str:
    if column.encrypted is not None:
        return "personal"
    if column.members is not None:
        return "choice"
    if column.kind == "text" and (_length(view, column) or LONG) >= LONG:
        return "long_text"
    return column.kind


def _length(view: type[RecordView], column: Column) -> int | None:
    if column.kind != "text":
        return None
    kind = getattr(view.model, column.key).type
    return getattr(kind, "length", None)


def _choices(field: FormField, column: Column, is_nullable: bool) -> None:
    if column.members is not None:
        empty = [("", "—")] if is_nullable else []
        field.choices = empty + [(m.value, member_label(m)) for m in column.members]


def _fill(
    scope: Scope, view: type[RecordView], field: FormField, column: Column, record: Any | None
) -> None:
    if record is None:
        default = getattr(view.model, field.name).default if column.encrypted is None else None
        value = default.arg if default is not None and default.is_scalar else None
    elif column.encrypted is not None:
        masked = ciphers.mask(column.encrypted.mask, getattr(record, column.key))
        field.hint = gettext(N_("Now %(value)s. Leave it empty to keep it."), value=masked or "—")
        return
    else:
        value = getattr(record, field.name)
    field.value = _text(scope, value)


def _text(scope: Scope, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return "true" if value else ""
    if isinstance(value, datetime):
        return value.astimezone(scope.zone).strftime("%Y-%m-%dT%H:%M")
    return plain_number(value) if isinstance(value, int) else str(value)


def _instant(scope: Scope, text: str) -> Any:
    try:
        naive = datetime.fromisoformat(text)
    except ValueError:
        return text or None
    return naive if naive.tzinfo else naive.replace(tzinfo=scope.zone)


def _shown(scope: Scope, column: Column, record: Any | None, value: str) -> str:
    if not value:
        return ""
    if record is not None and str(getattr(record, f"{column.key}_id")) == value:
        return str(getattr(record, column.key))
    from dougong.errors import NotFound

    try:
        return str(scope.get(column.target, value))
    except NotFound:
        return ""
