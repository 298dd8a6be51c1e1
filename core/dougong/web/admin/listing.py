"""The list: filters, search, sort and keyset paging over any number of rows.

There is no OFFSET and no count of a whole table: a page costs the same wherever it is.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from time import monotonic
from typing import Any
from uuid import UUID

from flask import url_for
from psycopg.errors import QueryCanceled
from sqlalchemy import (
    ARRAY,
    Select,
    UniqueConstraint,
    Uuid,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy import Column as Column_
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import joinedload

from dougong.db.columns import member_label
from dougong.db.scope import Scope
from dougong.errors import NotFound
from dougong.i18n import N_, gettext
from dougong.web.admin import extensions, searching
from dougong.web.admin.views import Column, RecordView

SIZES = (20, 50, 100)
COUNT_LIMIT, FILTERED_LIMIT = 10_000, 1_000
FRESH_S = 60
PATIENCE_MS = 4_000
_lengths: dict[tuple[str, str], tuple[int, float]] = {}


@dataclass
class Page:
    """One page of a list and how to go on. sortable: the only columns to sort by, None for any."""

    records: Sequence[Any]
    columns: list[Column]
    total: int
    is_capped: bool
    next: str | None
    previous: str | None
    active: dict[str, Any] = field(default_factory=dict)
    sortable: frozenset[str] | None = None
    order: str = ""
    is_slow: bool = False
    quick_filters: Sequence[str] = ()


@dataclass(frozen=True)
class Wish:
    """What the address asks for; anything that makes no sense is left out."""

    words: str = ""
    sort: str = ""
    after: str = ""
    before: str = ""
    size: int = SIZES[0]
    columns: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, arguments: Mapping[str, str]) -> "Wish":
        """Return the wish in an address's arguments, by column key."""
        given = {k: v.replace("\0", "").strip() for k, v in arguments.items()}
        size = given.get("size", "")
        return cls(
            words=given.get("q", "")[:100],
            sort=given.get("sort", ""),
            after=given.get("after", ""),
            before=given.get("before", ""),
            size=int(size) if size.isdecimal() and int(size) in SIZES else SIZES[0],
            columns=_listed(arguments, "columns"),
            filters={k: v for k, v in given.items() if v and k not in RESERVED},
        )


def _listed(arguments: Mapping[str, str], key: str) -> tuple[str, ...]:
    """Return what is given as ``a,b`` or, by a form of checkboxes, as several arguments."""
    several = getattr(arguments, "getlist", lambda key: [arguments.get(key, "")])(key)
    return tuple(part for value in several for part in value.split(",") if part)


RESERVED = {
    *("q", "sort", "after", "before", "size", "columns"),
    *("done", "record", "number", "run", "made"),
}


@dataclass(frozen=True)
class FilterField:
    """One filter above the list, as the template draws it."""

    key: str
    label: str
    kind: str
    value: str = ""
    until: str = ""
    choices: Sequence[tuple[str, str]] = ()
    lookup: str = ""
    shown: str = ""


def filter_fields(scope: Scope, view: type[RecordView], wish: Wish) -> list[FilterField]:
    """Return the view's filters with what is chosen."""
    fields = []
    for key in view.filters:
        column = view.seen_columns(scope).get(key)
        if column is None:
            continue
        chosen = wish.filters.get(key, "")
        choices: list[tuple[str, str]] = []
        shown = lookup = ""
        if column.members is not None:
            choices = [(m.value, member_label(m)) for m in column.members]
        elif column.kind == "flag":
            choices = [("true", gettext(N_("yes"))), ("false", gettext(N_("no")))]
        elif column.kind == "relation":
            plugin, _, model = view.name().partition(".")
            lookup = url_for("admin.lookup", plugin=plugin, model=model, key=f"{key}_id")
            shown = _chosen(scope, column, chosen)
        fields.append(
            FilterField(
                key,
                str(column.label),
                column.kind,
                wish.filters.get(f"{key}.from", chosen),
                wish.filters.get(f"{key}.to", ""),
                choices,
                lookup,
                shown,
            )
        )
    for extension in extensions.filters(scope, view):
        choices = [(value, str(text)) for value, text in extension.choices]
        kind, value = "state" if choices else "text", wish.filters.get(extension.name, "")
        fields.append(FilterField(extension.name, str(extension.label), kind, value, "", choices))
    return fields


def _chosen(scope: Scope, column: Column, value: str) -> str:
    if not value:
        return ""
    try:
        return str(scope.get(column.target, value))
    except NotFound:
        return ""


def load(scope: Scope, view: type[RecordView], wish: Wish) -> Page:
    """Return a page of the view: one statement for rows, one for their number.

    Of a long list only what an index keeps in order can be sorted by; another wish is left out.
    A filter that no index serves may read all of it: it gets some seconds, then the page says so.
    """
    columns = view.shown(scope, wish.columns)
    conditions, active = _conditions(scope, view, wish)
    indexed = sortable(view) if _is_long(scope, view) else None
    key, is_descending = _order(scope, view, wish.sort, indexed)
    page = Page(
        records=(),
        columns=columns,
        total=0,
        is_capped=False,
        next=None,
        previous=None,
        active=active,
        sortable=indexed,
        order=f"-{key}" if is_descending else key,
    )
    is_guarded = indexed is not None and not {_attribute(view, a) for a in active} <= indexed
    try:
        with _patience(scope, is_guarded):
            _fill(scope, view, wish, page, conditions)
    except TooSlow:
        page.is_slow, page.total = True, 0
        page.quick_filters = _quick(scope, view)
    return page


def with_names(view: type[RecordView], columns: Sequence[Column]) -> list[Any]:
    """Return the options that load what rows are called by, in the statement that reads them."""
    keys = [column.key for column in columns if column.kind == "relation"]
    keys += [key for key in view.model.__named_by__ if key not in keys]
    options = []
    for key in keys:
        own = getattr(view.model, key)
        options.append(joinedload(own))
        target = own.property.mapper.class_
        options += [joinedload(own).joinedload(getattr(target, n)) for n in target.__named_by__]
    return options


def _fill(
    scope: Scope, view: type[RecordView], wish: Wish, page: Page, conditions: list[Any]
) -> None:
    """Read a page's rows and their number."""
    wanted = list(conditions)
    key, is_descending = page.order.removeprefix("-"), page.order.startswith("-")
    backwards = bool(wish.before)
    cursor = _decode(wish.before or wish.after)
    direction = is_descending != backwards
    if cursor is not None:
        conditions = [*conditions, *_beyond(view.model, key, direction, cursor)]
    query = _page_query(scope, view, conditions, key, direction, wish.size + 1)
    query = query.options(*with_names(view, page.columns))
    found = list(scope.session.scalars(query).unique())
    has_more = len(found) > wish.size
    found = found[: wish.size]
    if backwards:
        found.reverse()
    page.total = len(found)
    if has_more or cursor is not None or not wanted:
        page.total, page.is_capped = _count(scope, view, wanted)
    page.records = found
    if found and (has_more or backwards):
        page.next = _encode(found[-1], key)
    if found and cursor and (has_more or not backwards):
        page.previous = _encode(found[0], key)


# --- what would take too long ---------------------------------------------------------------------


class TooSlow(Exception):
    """A list's statement was cancelled: it would have read too many rows."""


@contextmanager
def _patience(scope: Scope, is_guarded: bool) -> Iterator[None]:
    """Cancel statements that take longer than ``PATIENCE_MS``; the transaction lives on.

    Raises TooSlow.
    """
    if not is_guarded:
        yield
        return
    connection = scope.session.connection()
    limit = f"savepoint list_page; set local statement_timeout = {PATIENCE_MS}"
    connection.exec_driver_sql(limit)
    try:
        yield
    except DBAPIError as error:
        if not isinstance(error.orig, QueryCanceled):
            raise
        connection.exec_driver_sql("rollback to savepoint list_page")
        raise TooSlow from error
    connection.exec_driver_sql(
        "release savepoint list_page; set local statement_timeout to default"
    )


def _attribute(view: type[RecordView], argument: str) -> str:
    """Return the attribute that a filter's argument is about."""
    column = view.all_columns().get(argument.partition(".")[0])
    return column.attribute if column is not None else argument


def _quick(scope: Scope, view: type[RecordView]) -> list[str]:
    """Return the labels of the filters that an index serves."""
    known, quick = view.seen_columns(scope), sortable(view)
    return [
        str(known[key].label)
        for key in view.filters
        if key in known and known[key].attribute in quick
    ]


def _page_query(
    scope: Scope, view: type[RecordView], conditions: list[Any], key: str, down: bool, size: int
) -> Select[Any]:
    """Return the query of one page. Over many communities each is asked for as many rows: the
    order of an index holds within one community only."""
    model = view.model
    if scope.community_id is not None or model.__kind__ != "community" or len(scope.readable) < 2:
        return _sorted(select(model).where(*conditions), model, key, down).limit(size)
    places = (
        func.unnest(cast(list(scope.readable), ARRAY(Uuid)))
        .table_valued("id")
        .render_derived("place")
    )
    inner = _sorted(
        select(model.id).where(model.community_id == places.c.id, *conditions), model, key, down
    )
    some = inner.limit(size).correlate(places).lateral("some")
    both = places.join(some, true())
    chosen = select(places.c.id, some.c.id.label("row_id")).select_from(both).subquery("chosen")
    query = select(model).join(
        chosen, and_(model.community_id == chosen.c.id, model.id == chosen.c.row_id)
    )
    return _sorted(query, model, key, down).limit(size)


def matching(scope: Scope, view: type[RecordView], wish: Wish) -> Select[Any]:
    """Return the query of everything that the wish's filters let through, for exports."""
    conditions, _ = _conditions(scope, view, wish)
    key, is_descending = _order(scope, view, wish.sort)
    return _sorted(select(view.model).where(*conditions), view.model, key, is_descending)


def _count(scope: Scope, view: type[RecordView], conditions: list[Any]) -> tuple[int, bool]:
    """Return how many rows there are and whether there are more: nobody waits for all of them."""
    limit = FILTERED_LIMIT if conditions else COUNT_LIMIT
    place = (view.name(), scope.url_part)
    if not conditions and _is_long(scope, view) and _lengths[place][1] > monotonic() - FRESH_S:
        return limit, True
    some = select(view.model.id).where(*conditions).limit(limit + 1).subquery()
    number = scope.session.execute(select(func.count()).select_from(some)).scalar_one()
    if not conditions:
        _lengths[place] = (number, monotonic())
    return min(number, limit), number > limit


def count_all(scope: Scope, view: type[RecordView], wish: Wish) -> int:
    """Return how many rows the wish's filters pass, however long it takes."""
    conditions, _ = _conditions(scope, view, wish)
    query = select(func.count()).select_from(view.model).where(*conditions)
    return scope.session.execute(query).scalar_one()


def _is_long(scope: Scope, view: type[RecordView]) -> bool:
    """Tell whether a list had more rows than are counted when somebody last saw it unfiltered."""
    return _lengths.get((view.name(), scope.url_part), (0, 0.0))[0] > COUNT_LIMIT


# --- order and cursors ----------------------------------------------------------------------------


def sortable(view: type[RecordView]) -> frozenset[str]:
    """Return the attributes that an index keeps in order within a community or group."""
    found = {"id"}
    table = view.model.__table__
    names = {c.name: a.key for a in view.model.__mapper__.column_attrs for c in a.columns}
    kept = [list(each.columns) for each in table.constraints if isinstance(each, UniqueConstraint)]
    kept += [
        list(each.columns)
        for each in table.indexes
        if each.dialect_options["postgresql"]["where"] is None
        and each.dialect_options["postgresql"]["using"] in (False, "btree")
    ]
    for columns in kept:
        rest = [c.name for c in columns if isinstance(c, Column_)]
        if len(rest) > 1 and rest[0] in ("community_id", "group_id"):
            found.add(names[rest[1]])
    return frozenset(found)


def _order(
    scope: Scope, view: type[RecordView], wanted: str, indexed: frozenset[str] | None = None
) -> tuple[str, bool]:
    name = wanted.removeprefix("-")
    column = view.seen_columns(scope).get(name)
    if column is None or not column.is_sortable or (indexed is not None and name not in indexed):
        wanted = view.order
        name = wanted.removeprefix("-")
    is_kept = indexed is None or name in indexed
    if scope.restrictions(view.model).get(name) == "hide" or not is_kept:
        name = "id"
    return name, wanted.startswith("-")


def _sorted(query: Select[Any], model: Any, key: str, is_descending: bool) -> Select[Any]:
    """Return the query in order; empty values come last going up and first going down, like in
    an index, which then serves both ways."""
    columns = [getattr(model, key)] if key != "id" else []
    ordered = [c.desc() if is_descending else c.asc() for c in columns]
    return query.order_by(*ordered, model.id.desc() if is_descending else model.id.asc())


def _beyond(model: Any, key: str, is_descending: bool, cursor: tuple[Any, UUID]) -> list[Any]:
    """Return the conditions for what comes after a record in the order."""
    value, identity = cursor
    further = model.id < identity if is_descending else model.id > identity
    if key == "id":
        return [further]
    column = getattr(model, key)
    if value is None:
        rest = and_(column.is_(None), further)
        return [or_(rest, column.is_not(None)) if is_descending else rest]
    value = _typed(column, value)
    pair, here = tuple_(column, model.id), tuple_(*_literals(column, value, identity))
    beyond = pair < here if is_descending else pair > here
    is_open = column.nullable and not is_descending
    return [or_(beyond, column.is_(None)) if is_open else beyond]


def _literals(column: Any, value: Any, identity: UUID) -> tuple[Any, Any]:
    return literal(value, column.type), literal(identity, Uuid())


def _typed(column: Any, value: Any) -> Any:
    python = column.type.python_type
    if python in (datetime, date):
        return python.fromisoformat(value)
    if python is bool:
        return value == "True"
    return python(value) if python in (Decimal, int, str) or issubclass(python, Enum) else value


def _encode(record: Any, key: str) -> str:
    value = getattr(record, key)
    plain = value.isoformat() if isinstance(value, date | datetime) else value
    text = json.dumps([None if value is None else str(plain), str(record.id)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[Any, UUID] | None:
    if not cursor:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        value, identity = json.loads(base64.urlsafe_b64decode(padded))
        return value, UUID(identity)
    except (ValueError, TypeError):
        return None


# --- filters and search ---------------------------------------------------------------------------


def _conditions(
    scope: Scope, view: type[RecordView], wish: Wish
) -> tuple[list[Any], dict[str, Any]]:
    conditions: list[Any] = []
    active: dict[str, Any] = {}
    known = view.seen_columns(scope)
    for argument, text in wish.filters.items():
        key, _, edge = argument.partition(".")
        column = known.get(key)
        if column is None or key not in view.filters:
            continue
        condition = _filter(scope, view.model, column, edge, text)
        if condition is not None:
            conditions.append(condition)
            active[argument] = text
    for name, (text, condition) in extensions.conditions(scope, view, wish.filters).items():
        conditions.append(condition)
        active[name] = text
    if wish.words and view.search:
        conditions.append(searching.condition(scope, view, wish.words))
    return conditions, active


def _filter(scope: Scope, model: Any, column: Column, edge: str, text: str) -> Any:
    """Return a condition, None when the value makes no sense for the column."""
    try:
        if column.kind == "relation":
            return getattr(model, f"{column.key}_id") == UUID(text)
        attribute = getattr(model, column.key)
        if column.members is not None:
            return attribute.in_([column.members(v) for v in text.split(",")])
        if column.kind == "flag":
            return attribute.is_(text == "true")
        if column.kind in ("money", "number"):
            number = Decimal(text)
            return attribute >= number if edge == "from" else attribute <= number
        if column.kind == "day":
            day = date.fromisoformat(text)
            return attribute >= day if edge == "from" else attribute <= day
        if column.kind == "instant":
            start = datetime.combine(date.fromisoformat(text), time(), scope.zone)
            return attribute >= start if edge == "from" else attribute < start + timedelta(days=1)
        return attribute == text
    except (ValueError, InvalidOperation, OverflowError):
        return None
