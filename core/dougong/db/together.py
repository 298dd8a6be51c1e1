"""Several selects in one statement: what a page asks costs one round trip, however many ask.

Each select becomes a scalar subselect that gathers its rows as JSON; what comes back is read with
the types of its columns, so that money is Decimal yuan and days are dates as from a select alone.
The scope narrows the whole statement, and every select in it, like any other.
"""

import json
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Result, Select, Text, cast, func, inspect, select, types
from sqlalchemy.dialects.postgresql import ARRAY, INTERVAL
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.orm import Mapper, Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

TOGETHER = "dougong_together"
FLOAT8, NUMERIC = 701, 1700

Read = Callable[[Any], Any]


def fetch_together(session: Session, selects: Sequence[Any]) -> list[Result[Any]]:
    """Return the rows of each select, all of them asked in one statement.

    selects: of columns and of mapped classes; at most some hundred rows each, since all are in
    memory. Records become part of the session as if they had been loaded alone; what the session
    knows already is not refreshed. Intervals are refused with a TypeError.
    """
    if not selects:
        return []
    asked = [_Asked(each, session) for each in selects]
    statement = select(*[each.gathered() for each in asked])
    row = session.execute(statement, execution_options={TOGETHER: True}).one()
    return [each.result(text) for each, text in zip(asked, row, strict=True)]


def answer_alone(session: Session, asking: Generator[Any, Any, Any]) -> Any:
    """Return what a generator that yields selects comes to, given their rows.

    It yields one select and is given a result, or several and is given a list of results.
    """
    given: Any = None
    while True:
        try:
            wants = asking.send(given)
        except StopIteration as end:
            return end.value
        is_one = not isinstance(wants, list | tuple)
        results = fetch_together(session, [wants] if is_one else wants)
        given = results[0] if is_one else results


class _Asked:
    """One select: the columns that are sent for it, and how its rows are put together again."""

    def __init__(self, statement: Any, session: Session) -> None:
        self.session = session
        self.names: list[str] = []
        self.makers: list[Callable[[list[Any]], Any]] = []
        columns: list[Any] = []
        for described in _described(statement):
            self.names.append(str(described["name"]))
            mapper = _mapper_of(described["expr"])
            first = len(columns)
            if mapper is None:
                columns.append(described["expr"])
                self.makers.append(lambda values, at=first: values[at])  # type: ignore[misc]
            else:
                keys = [attribute.key for attribute in mapper.column_attrs]
                columns += [getattr(described["expr"], key) for key in keys]
                self.makers.append(_record_maker(session, mapper, keys, first))
        has_records = len(columns) != len(self.names) or any(
            _mapper_of(described["expr"]) is not None for described in _described(statement)
        )
        if has_records:
            statement = statement.with_only_columns(*columns, maintain_column_froms=True)
        self.rows = statement.subquery()
        dialect = session.get_bind().dialect
        self.reads = [_reader(column.type, dialect) for column in self.rows.c]

    def gathered(self) -> Any:
        """Return the scalar subselect that gathers the rows."""
        array = func.json_agg(func.json_build_array(*self.rows.c))
        return select(cast(array, Text)).select_from(self.rows).scalar_subquery()

    def result(self, text: str | None) -> Result[Any]:
        """Return the rows that the database has gathered."""
        found = []
        for raw in json.loads(text, parse_float=Decimal) if text else ():
            values = [
                None if value is None else read(value)
                for read, value in zip(self.reads, raw, strict=True)
            ]
            found.append(tuple(make(values) for make in self.makers))
        return IteratorResult(SimpleResultMetaData(self.names), iter(found))


def _described(statement: Any) -> list[Any]:
    if isinstance(statement, Select):
        return statement.column_descriptions
    return [{"name": column.key, "expr": column} for column in statement.subquery().c]


def _mapper_of(entity: Any) -> Mapper[Any] | None:
    found = inspect(entity, raiseerr=False)
    is_record = getattr(found, "is_mapper", False) or getattr(found, "is_aliased_class", False)
    return found.mapper if is_record else None


def _record_maker(
    session: Session, mapper: Mapper[Any], keys: list[str], first: int
) -> Callable[[list[Any]], Any]:
    """Return what makes the session's record of the values from position ``first`` on."""

    def make(values: list[Any]) -> Any:
        given = dict(zip(keys, values[first : first + len(keys)], strict=True))
        identity = [given[mapper.get_property_by_column(c).key] for c in mapper.primary_key]
        if None in identity:
            return None
        known = session.identity_map.get(mapper.identity_key_from_primary_key(tuple(identity)))
        if known is not None:
            return known
        record = mapper.class_manager.new_instance()
        for key, value in given.items():
            set_committed_value(record, key, value)
        make_transient_to_detached(record)
        session.add(record)
        return record

    return make


# --- values ---------------------------------------------------------------------------------------


def _reader(kind: types.TypeEngine[Any], dialect: Any) -> Read:
    """Return what makes a column's value of what JSON says."""
    plain = _plain_reader(kind, dialect)
    is_decorated = isinstance(kind, types.TypeDecorator)
    sent = kind if is_decorated else kind.dialect_impl(dialect)
    process = sent.result_processor(dialect, _code_of(kind, dialect))
    if process is None:
        return plain
    return lambda value: process(plain(value))


def _code_of(kind: types.TypeEngine[Any], dialect: Any) -> int | None:
    """Return PostgreSQL's number of a type where the driver's processor asks for it."""
    if isinstance(kind, types.TypeDecorator):
        kind = kind.load_dialect_impl(dialect)
    if isinstance(kind, types.Float):
        return FLOAT8
    return NUMERIC if isinstance(kind, types.Numeric) else None


def _plain_reader(kind: types.TypeEngine[Any], dialect: Any) -> Read:
    """Return what makes of a JSON value what the database's driver would have given."""
    if isinstance(kind, types.Interval | INTERVAL):
        return _refuse
    if isinstance(kind, types.TypeDecorator):
        kind = kind.load_dialect_impl(dialect)
    if isinstance(kind, ARRAY | types.ARRAY):
        read = _plain_reader(kind.item_type, dialect)
        return lambda value: [None if each is None else read(each) for each in value]
    for known, read in READERS:
        if isinstance(kind, known):
            return read
    return lambda value: value


def _read_instant(value: str) -> datetime:
    read = datetime.fromisoformat(value)
    return read if read.tzinfo is None else read.astimezone(UTC)


def _read_json(value: Any) -> Any:
    """Return a JSON value with floats, as the driver reads it."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_read_json(each) for each in value]
    if isinstance(value, dict):
        return {key: _read_json(each) for key, each in value.items()}
    return value


def _refuse(value: Any) -> Any:
    raise TypeError("an interval cannot be asked together with others; ask for its seconds")


READERS: tuple[tuple[type, Read], ...] = (
    (types.Uuid, UUID),
    (types.DateTime, _read_instant),
    (types.Date, date.fromisoformat),
    (types.Time, time.fromisoformat),
    (types.LargeBinary, lambda value: bytes.fromhex(value[2:])),
    (types.Float, float),
    (types.Numeric, lambda value: Decimal(str(value))),
    (types.JSON, _read_json),
)
