"""The inputs of an action, from the signature of its service."""

import inspect
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin
from uuid import uuid4

from dougong.db.columns import member_label
from dougong.i18n import gettext
from dougong.web.admin.forms import FormField
from dougong.web.admin.views import RecordAction

KINDS = {bool: "flag", date: "day", datetime: "instant", Decimal: "number", int: "number"}


def input_fields(
    action: RecordAction, given: Mapping[str, str], errors: Mapping[str, str]
) -> list[FormField]:
    """Return the fields that someone fills in before the action runs.

    A field is labelled by the argument's name in words, translated by the plugin's catalogue.
    """
    signature = inspect.signature(action.service.function)
    fields = []
    for name in action.inputs:
        kind, is_optional = _plain(action.service.parameters[name])
        default = signature.parameters[name].default
        has_default = default is not inspect.Parameter.empty
        field = FormField(
            name,
            gettext(name.replace("_", " ").capitalize()),
            KINDS.get(kind, "text"),
            value=given.get(name, "" if not has_default or default is None else _text(default)),
            is_required=not (has_default or is_optional),
            error=errors.get(name, ""),
        )
        if name == "idempotency_key":
            # Not asked: one key a form, so that a form sent twice does it once.
            field.kind, field.value = "hidden", given.get(name) or uuid4().hex
        elif isinstance(kind, type) and issubclass(kind, Enum):
            field.kind = "choice"
            field.choices = [(m.value, member_label(m)) for m in kind]
        fields.append(field)
    return fields


def _plain(kind: Any) -> tuple[Any, bool]:
    """Return a type without its ``| None``, and whether it had one."""
    if get_origin(kind) in (Union, UnionType):
        inner = [a for a in get_args(kind) if a is not type(None)]
        return (inner[0] if inner else str), True
    return get_origin(kind) or kind, False


def _text(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return "true" if value else ""
    return str(value)
