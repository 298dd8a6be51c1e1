"""What programs send: JSON read strictly, so that the document says exactly what is accepted.

People's forms are forgiving; here a number is not a text, an instant has its zone, and an amount is
a text such as ``"12.30"``, because a JSON number is a float in most languages.
"""

import collections.abc
import re
import types
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Union, get_args, get_origin
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError

from dougong.errors import DougongError
from dougong.i18n import N_, gettext
from dougong.services import Service
from dougong.services.inputs import NO_NUL, invalid_from, record_input

FIRST_YEAR, LAST_YEAR = 1900, 2199
LONGEST_TEXT = 20_000
PLACES = 9
AMOUNT = r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,%s})?$"
WHOLE = r"^-?(0|[1-9][0-9]{0,14})$"


class Malformed(DougongError):
    """The body is not JSON at all."""

    status = 400
    code = "malformed"


class WrongMediaType(DougongError):
    """The body is something else than JSON."""

    status = 415
    code = "media_type"


def read_body(model: type[BaseModel], content_type: str | None, body: bytes) -> dict[str, Any]:
    """Return the checked values that a request's body names.

    Raises WrongMediaType, Malformed, and Invalid naming the wrong fields.
    """
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "application/merge-patch+json"):
        raise WrongMediaType(N_("Send JSON, with Content-Type: application/json."))
    try:
        made = model.model_validate_json(body)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] == "json_invalid":
            raise Malformed(N_("The body is not JSON.")) from error
        raise invalid_from(error) from error
    return {name: getattr(made, name) for name in made.model_fields_set}


# --- models ---------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def strict_record_input(model: Any, mode: str) -> type[BaseModel]:
    """Return the strict model for creating or changing rows of a model."""
    return _strict(record_input(model, mode), {"id": (UUID, None)} if mode == "create" else {})


@lru_cache(maxsize=1024)
def strict_service_input(service: Service) -> type[BaseModel]:
    """Return the strict model of a service's arguments."""
    return _strict(service.input)


def is_expressible(service: Service) -> bool:
    """Tell whether a service's arguments can be written as JSON."""
    return _is_expressible(service)


@lru_cache(maxsize=1024)
def _is_expressible(service: Service) -> bool:
    try:
        strict_service_input(service).model_json_schema()
    except Exception:  # noqa: BLE001 - whatever pydantic says: there is no schema for it
        return False
    return True


def _strict(model: type[BaseModel], instead: dict[str, Any] | None = None) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        default = ... if field.is_required() else field.default
        fields[name] = (strict_type(kind), default)
    fields |= instead or {}
    config = ConfigDict(extra="forbid", strict=True, regex_engine="python-re")
    if model.model_config.get("str_strip_whitespace"):
        config["str_strip_whitespace"] = True
    return create_model(model.__name__, __config__=config, **fields)


def strict_type(kind: Any) -> Any:
    """Return the strict form of a type. Raises TypeError for one that JSON cannot carry."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        inner, *metadata = arguments
        if inner is Decimal:
            return _amount(metadata)
        if inner is str:
            return Annotated[str, *metadata]
        return Annotated[strict_type(inner), *metadata]
    if origin in (Union, types.UnionType):
        return Union[tuple(strict_type(a) for a in arguments)]  # noqa: UP007 - built at run time
    if origin in (list, tuple, set, frozenset, dict):
        return origin[tuple(a if a is ... else strict_type(a) for a in arguments)]
    if origin in (collections.abc.Sequence, collections.abc.Collection, collections.abc.Iterable):
        return list[strict_type(arguments[0])]  # type: ignore[misc]
    if origin is collections.abc.Mapping:
        return dict[strict_type(arguments[0]), strict_type(arguments[1])]  # type: ignore[misc]
    return _plain_type(kind)


def _plain_type(kind: Any) -> Any:
    if kind in (bytes, bytearray):
        raise TypeError("JSON carries no bytes")
    if kind is Decimal:
        return _amount([])
    if kind is datetime:
        return Annotated[AwareDatetime, AfterValidator(_in_years)]
    if kind is date:
        return Annotated[date, AfterValidator(_in_years)]
    if kind is str:
        return Annotated[str, Field(pattern=NO_NUL, max_length=LONGEST_TEXT)]
    if kind is int:
        return Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
    return kind


def _amount(metadata: list[Any]) -> Any:
    """Return the type of a decimal number as text, with as many places as its column keeps."""
    places = next(
        (p for m in _flat(metadata) if (p := getattr(m, "decimal_places", None)) is not None),
        PLACES,
    )
    pattern = AMOUNT % places if places else WHOLE
    compiled = re.compile(pattern)

    def read(value: Any) -> Any:
        if isinstance(value, Decimal):
            return value
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise _custom("amount", gettext(N_('Write it as a text such as "12.30".')))
        return Decimal(value)

    schema = WithJsonSchema({"type": "string", "pattern": pattern, "examples": ["12.30"]})
    return Annotated[Decimal, BeforeValidator(read), *metadata, schema]


def _flat(metadata: list[Any]) -> list[Any]:
    return [m for entry in metadata for m in (entry, *getattr(entry, "metadata", ()))]


def _custom(kind: str, message: str) -> PydanticCustomError:
    return PydanticCustomError(kind, message.replace("{", "{{").replace("}", "}}"))  # type: ignore[arg-type]


def _in_years(value: date) -> date:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise _custom("years", gettext(N_("This is not a date (2026-11-24).")))
    return value


__all__ = [
    "Malformed",
    "WrongMediaType",
    "is_expressible",
    "read_body",
    "strict_record_input",
    "strict_service_input",
    "strict_type",
]
