"""Tables whose rows lie in one partition per month: `__monthly_by__` of a model.

No role of the application may create tables, so the months are made ahead by the migrator's role:
after every upgrade and once a day by the worker. What belongs to a month that is not there (history
that somebody imports) is kept in the table's rest, ``<table>_rest``, and moved into a month of its
own in the next round. Nothing is ever refused for its time.

Reached by their own names partitions would show every community; `protection` takes care of that.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, MetaData, Table, text

from dougong.db.base import METADATA

BEFORE, AHEAD = 1, 3
MOST = 120
PART = re.compile(r"(\w+?)_(?:\d{4}_\d{2}|rest)")


def rest_of(table: Table) -> str:
    """Return the name of the partition that holds what has no month yet."""
    return f"{table.schema}.{table.name}_rest"


def whole_of(name: str) -> str:
    """Return the name of the table that one of our partitions is of; of others the empty name."""
    match = PART.fullmatch(name)
    return match[1] if match else ""


def monthly_tables(metadata: MetaData = METADATA) -> list[Table]:
    """Return the tables that are partitioned by month."""
    return [table for table in metadata.sorted_tables if table.info.get("monthly_by")]


def name_of(table: Table, month: date) -> str:
    """Return the name of a month's partition, ``meters.reading_2026_11``."""
    return f"{table.schema}.{table.name}_{month:%Y_%m}"


def next_month(month: date) -> date:
    """Return the first day of the month after that of ``month``."""
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def missing_months(connection: Connection, table: Table, today: date) -> list[date]:
    """Return the months that need a partition: those around today, and those of the rest's rows."""
    month = today.replace(day=1)
    for _ in range(BEFORE):
        month = (month - timedelta(days=1)).replace(day=1)
    wanted = set()
    for _ in range(BEFORE + AHEAD + 1):
        wanted.add(month)
        month = next_month(month)
    column = table.info["monthly_by"]
    waiting = connection.execute(
        text(
            f"select distinct date_trunc('month', {column}, 'UTC') from {rest_of(table)}"
            f" order by 1 limit {MOST}"
        )
    ).scalars()
    wanted |= {instant.astimezone(UTC).date() for instant in waiting}
    known = set(connection.execute(PARTITIONS, {"table": f"{table.schema}.{table.name}"}).scalars())
    return sorted(each for each in wanted if name_of(table, each) not in known)


PARTITIONS = text(
    """
    select n.nspname || '.' || c.relname
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    join pg_namespace n on n.oid = c.relnamespace
    where i.inhparent = cast(:table as regclass)
    """
)


def is_there(connection: Connection, table: Table) -> bool:
    """Tell whether a table is in the database and partitioned."""
    found = connection.execute(
        text("select relkind from pg_class where oid = to_regclass(:name)"),
        {"name": f"{table.schema}.{table.name}"},
    ).scalar()
    return found == "p"


def month_statements(table: Table, month: date) -> Iterator[str]:
    """Yield what gives a month its partition and brings what waits in the rest there.

    The rows do not change: neither triggers nor policies of the table see them move.
    """
    whole, part, rest = f"{table.schema}.{table.name}", name_of(table, month), rest_of(table)
    column = table.info["monthly_by"]
    first, after = _instant(month), _instant(next_month(month))
    yield f"create table {part} (like {whole} including defaults including constraints)"
    yield (
        f"with moved as (delete from {rest} where {column} >= {first} and {column} < {after}"
        f" returning *) insert into {part} select * from moved"
    )
    yield f"alter table {whole} attach partition {part} for values from ({first}) to ({after})"


def _instant(month: date) -> str:
    return f"'{datetime(month.year, month.month, 1, tzinfo=UTC).isoformat()}'"
