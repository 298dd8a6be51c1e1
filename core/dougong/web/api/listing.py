"""Lists for programs: filters by column, keyset cursors, chosen fields; nothing is ignored."""

import base64
import json
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, create_model
from sqlalchemy import JSON, ColumnElement, Select, and_, or_, select
from sqlalchemy import Enum as SqlEnum
from werkzeug.datastructures import MultiDict

from dougong.db.columns import Money
from dougong.db.scope import Scope
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.services.inputs import NO_NUL, invalid_from
from dougong.web.api.representation import plain, shown_columns

SIZE, LARGEST = 50, 200
RANGES = (datetime, date, Decimal, int)
Text = Annotated[str, Field(pattern=NO_NUL, max_length=500)]


@lru_cache(maxsize=1024)
def parameters(model: Any) -> type[BaseModel]:
    """Return the pydantic model of a list's query parameters.

    A column filters by equality, a state by any of several (commas), a day, instant or number also
    by ``<column>.from`` and ``<column>.to``, both included; a personal value by exactly itself.
    """
    fields: dict[str, Any] = {
        "limit": (Annotated[int, Field(ge=1, le=LARGEST)], SIZE),
        "cursor": (Annotated[str, Field(max_length=1000)] | None, None),
        "sort": (_choice([s for k in sortable(model) for s in (k, f"-{k}")]) | None, None),
        "fields": (_listed(list(shown_columns(model))) | None, None),
    }
    for name, kind in filters(model).items():
        if isinstance(kind, type) and issubclass(kind, Enum):
            fields[name] = (_listed([member.value for member in kind]) | None, None)
            continue
        accepted = _accepted(kind, shown_columns(model)[name].type)
        fields[name] = (accepted | None, None)
        if kind in RANGES:
            for edge in ("from", "to"):
                fields[f"{name}_{edge}"] = (accepted | None, Field(None, alias=f"{name}.{edge}"))
    return create_model(
        f"{model.__name__}List",
        __config__=ConfigDict(extra="forbid", regex_engine="python-re"),
        **fields,
    )


def filters(model: Any) -> dict[str, Any]:
    """Return the type by which each column can be filtered."""
    found: dict[str, Any] = {}
    for name, column in shown_columns(model).items():
        if column.info.get("encrypted"):
            if model.__encrypted__[name].search:
                found[name] = str
        elif isinstance(column.type, SqlEnum):
            found[name] = column.type.enum_class
        elif not isinstance(column.type, JSON):
            kind = column.type.python_type
            if kind in (UUID, str, bool, *RANGES):
                found[name] = kind
    return found


def sortable(model: Any) -> list[str]:
    """Return the attributes by which a list can be sorted."""
    return [
        name
        for name, column in shown_columns(model).items()
        if not column.info.get("encrypted") and not isinstance(column.type, JSON)
    ]


def _accepted(kind: Any, column_type: Any) -> Any:
    if kind is str:
        return Text
    if kind is bool:
        return _choice(["true", "false"])
    if kind is datetime:
        return AwareDatetime
    if kind is Decimal:
        places = 2 if isinstance(column_type, Money) else 9
        return Annotated[Decimal, Field(max_digits=15 + places, decimal_places=places)]
    if kind is int:
        return Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
    return kind


def _choice(values: list[str]) -> Any:
    return Annotated[str, Field(pattern=f"^({'|'.join(values)})$")]


def _listed(values: list[str]) -> Any:
    one = "|".join(values)
    return Annotated[str, Field(pattern=f"^({one})(,({one}))*$")]


# --- one page -------------------------------------------------------------------------------------


def read(model: Any, arguments: MultiDict[str, str]) -> BaseModel:
    """Return the checked query parameters; raises Invalid naming the wrong ones."""
    twice = {n: gettext(N_("Say this once.")) for n, v in arguments.lists() if len(v) > 1}
    if twice:
        raise Invalid(N_("Some fields are not right yet."), fields=twice)
    try:
        return parameters(model).model_validate_strings(arguments.to_dict())
    except ValidationError as error:
        raise invalid_from(error) from error


def refuse_hidden(scope: Scope, model: Any, wish: Any) -> None:
    """Raise Invalid when a list asks for, sorts by or filters by what the actor may not see."""
    asked = {name.removesuffix("_from").removesuffix("_to") for name in wish.model_fields_set}
    asked |= {*wish.model_fields_set, (wish.sort or "").removeprefix("-")}
    asked |= set((wish.fields or "").split(","))
    levels = scope.restrictions(model)
    wrong = {name for name in asked if levels.get(name) == "hide"}
    if wrong:
        reason = gettext(N_("Your roles may not see this."))
        raise Invalid(N_("Some fields are not right yet."), fields=dict.fromkeys(wrong, reason))


def page(scope: Scope, model: Any, wish: Any) -> tuple[list[Any], str | None]:
    """Return the records of one page, and the cursor of the next, None at the end."""
    sort = wish.sort or "id"
    key, is_descending = sort.removeprefix("-"), sort.startswith("-")
    query = select(model).where(*_conditions(scope, model, wish))
    if wish.cursor:
        query = query.where(_beyond(model, key, is_descending, *_decode(wish.cursor, model, sort)))
    found = list(scope.session.scalars(_sorted(query, model, key, is_descending, wish.limit + 1)))
    has_more = len(found) > wish.limit
    found = found[: wish.limit]
    return found, _encode(found[-1], sort, key) if has_more else None


def _conditions(scope: Scope, model: Any, wish: Any) -> list[ColumnElement[bool]]:
    made: list[ColumnElement[bool]] = []
    for name, kind in filters(model).items():
        attribute, given = getattr(model, name), getattr(wish, name)
        if given is not None:
            if name in model.__encrypted__:
                made.append(attribute.matches(scope, given))
            elif issubclass(kind, Enum):
                made.append(attribute.in_([kind(v) for v in given.split(",")]))
            else:
                made.append(attribute == (given == "true" if kind is bool else given))
        if kind in RANGES:
            low, high = getattr(wish, f"{name}_from"), getattr(wish, f"{name}_to")
            made += [attribute >= low] if low is not None else []
            made += [attribute <= high] if high is not None else []
    return made


def _sorted(query: Select[Any], model: Any, key: str, is_descending: bool, limit: int) -> Any:
    def directed(column: Any) -> Any:
        return column.desc().nulls_last() if is_descending else column.asc().nulls_last()

    order = [] if key == "id" else [directed(getattr(model, key))]
    last = model.id.desc() if is_descending else model.id.asc()
    return query.order_by(*order, last).limit(limit)


def _beyond(
    model: Any, key: str, is_descending: bool, value: Any, identity: UUID
) -> ColumnElement[bool]:
    """Return the condition for what comes after a record in the order; nulls come last."""
    further = model.id < identity if is_descending else model.id > identity
    if key == "id":
        return further
    column = getattr(model, key)
    if value is None:
        return and_(column.is_(None), further)
    after = column < value if is_descending else column > value
    return or_(after, and_(column == value, further), column.is_(None))


def _encode(record: Any, sort: str, key: str) -> str:
    text = json.dumps([sort, plain(getattr(record, key)), str(record.id)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str, model: Any, sort: str) -> tuple[Any, UUID]:
    """Return the value and id where a cursor stands; raises Invalid for one of another list."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        made_for, value, identity = json.loads(base64.urlsafe_b64decode(padded))
        if made_for != sort:
            raise ValueError
        key = sort.removeprefix("-")
        return _typed(shown_columns(model)[key], value), UUID(identity)
    except (ValueError, TypeError, ArithmeticError, AttributeError, RecursionError):
        wrong = {"cursor": gettext(N_("This cursor belongs to another list."))}
        raise Invalid(N_("Some fields are not right yet."), fields=wrong) from None


def _typed(column: Any, value: Any) -> Any:
    if value is None:
        return None
    is_state = isinstance(column.type, SqlEnum)
    kind: Any = column.type.enum_class if is_state else column.type.python_type
    if kind in (date, datetime):
        return kind.fromisoformat(value)
    if kind is str and (not isinstance(value, str) or "\0" in value):
        raise ValueError
    if kind is bool and not isinstance(value, bool):
        raise ValueError
    return kind(value)
