"""Pydantic models derived from columns: one validation for admin, API, import and CLI."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from sqlalchemy import Enum as SqlEnum
from sqlalchemy import Numeric, String
from sqlalchemy import inspect as sa_inspect

from dougong.db.columns import Money
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.services.phones import NOT_A_NUMBER, PhoneNumber

# Not with a star: tools for OpenAPI make a repetition of star and maxLength, ``{0,20000}``, and
# take half a second to compile each.
NO_NUL = r"^(|[^\x00]+)$"
LARGEST_FEN = Decimal("92233720368547758.07")
MESSAGES = {
    "missing": N_("This is needed."),
    "extra_forbidden": N_("There is no such field."),
    "string_too_long": N_("This is longer than %(max_length)s characters."),
    "string_too_short": N_("This is needed."),
    "string_pattern_mismatch": N_("This holds a character that cannot be stored."),
    "decimal_parsing": N_("This is not a number."),
    "decimal_max_places": N_("At most %(decimal_places)s decimal places."),
    "decimal_max_digits": N_("This number has too many digits."),
    "decimal_whole_digits": N_("This number is too large."),
    "int_parsing": N_("This is not a whole number."),
    "date_from_datetime_parsing": N_("This is not a date (2026-11-24)."),
    "date_parsing": N_("This is not a date (2026-11-24)."),
    "datetime_from_date_parsing": N_("This is not a date and time."),
    "uuid_parsing": N_("This is not an id."),
    "enum": N_("Choose one of %(expected)s."),
    "bool_parsing": N_("Say yes or no."),
    "greater_than_equal": N_("At least %(ge)s."),
    "less_than_equal": N_("At most %(le)s."),
    "greater_than": N_("More than %(gt)s."),
    "phone_number": NOT_A_NUMBER,
    "finite_number": N_("This is not a number."),
}
CHANGELESS = {"id", "community_id", "group_id"}


@lru_cache(maxsize=1024)
def record_input(model: Any, mode: str) -> type[BaseModel]:
    """Return the pydantic model for creating or changing rows of ``model``.

    mode: ``create`` (defaults of the columns apply) or ``change`` (every field may be absent;
    absent is not the same as null). Columns whose ``info["api"]`` is ``read`` or ``hidden``
    cannot be given.
    """
    fields: dict[str, Any] = {}
    for name, (kind, is_nullable, default) in writable_columns(model).items():
        kind = kind | None if is_nullable else kind
        if mode == "change" or default or is_nullable:
            fields[name] = (kind, None)
        else:
            fields[name] = (kind, ...)
    if mode == "create":
        fields["id"] = (UUID | None, None)
    return create_model(
        f"{model.__name__}{mode.title()}",
        __config__=ConfigDict(extra="forbid", str_strip_whitespace=True),
        **fields,
    )


def writable_columns(model: Any) -> dict[str, tuple[Any, bool, bool]]:
    """Return (type, nullable, has default) by attribute, for the columns that people may set."""
    found: dict[str, tuple[Any, bool, bool]] = {}
    for attribute in sa_inspect(model).column_attrs:
        column = attribute.columns[0]
        encrypted = column.info.get("encrypted")
        if encrypted:
            is_phone = column.info.get("mask") == "phone"
            kind = PhoneNumber if is_phone else _text(500)
            found[encrypted] = (kind, column.nullable, column.nullable)
            continue
        if attribute.key in CHANGELESS or column.computed is not None:
            continue
        if column.info.get("api") in ("hidden", "read"):
            continue
        has_default = column.default is not None or column.server_default is not None
        found[attribute.key] = (_type(column), column.nullable, has_default)
    return found


def _type(column: Any) -> Any:
    kind = column.type
    if isinstance(kind, SqlEnum):
        return kind.enum_class
    if isinstance(kind, Money):
        return Annotated[Decimal, Field(decimal_places=2, le=LARGEST_FEN, ge=-LARGEST_FEN)]
    if isinstance(kind, Numeric):
        scale, precision = kind.scale, kind.precision
        return Annotated[Decimal, Field(decimal_places=scale, max_digits=precision)]
    try:
        python = kind.python_type
    except NotImplementedError:
        return Any
    if python is str:
        length = kind.length if isinstance(kind, String) else None
        return _text(length, 0 if column.nullable else 1)
    if python is int:
        limit = 2**63 - 1 if "BIGINT" in str(kind).upper() else 2**31 - 1
        return Annotated[int, Field(le=limit, ge=-limit)]
    return python if python in (UUID, date, datetime, bool, bytes) else Any


def _text(length: int | None, least: int = 0) -> Any:
    return Annotated[str, Field(pattern=NO_NUL, max_length=length, min_length=least)]


def argument_type(kind: Any) -> Any:
    """Return a service's argument as it is checked: texts without what no database can store."""
    if kind is str:
        return _text(None)
    return _text(None) | None if kind == str | None else kind


def invalid_from(error: ValidationError) -> Invalid:
    """Return the error that people see: one message a field, in the locale in force."""
    fields: dict[str, str] = {}
    for problem in error.errors(include_url=False):
        name = ".".join(str(part) for part in problem["loc"]) or "input"
        message = MESSAGES.get(problem["type"])
        context = {k: _plain(v) for k, v in (problem.get("ctx") or {}).items()}
        try:
            fields[name] = gettext(message, **context) if message else problem["msg"]
        except KeyError:
            fields[name] = problem["msg"]
    return Invalid(N_("Some fields are not right yet."), fields=fields)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
