"""Plants values that exist nowhere else, and looks for them wherever data lies at rest.

Canaries are eleven digits with a beginning that no telephone has. They are looked for as text and
as PostgreSQL writes bytes (hexadecimal).
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import inspect as sa_inspect
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, StatementError

from dougong.db import Scope
from dougong.db.embedded import EmbeddedPostgres
from dougong.privacy.subjects import model_of, own_tables

BEGINNING = "10055"
SHAPE = re.compile(rb"10055\d{6}|3130303535(?:3\d){6}")
VALUES: dict[type, Any] = {
    str: "样例",
    int: 1,
    Decimal: Decimal(1),
    bool: False,
    date: date(2026, 11, 24),
    datetime: datetime(2026, 11, 24, 8, tzinfo=UTC),
    dict: {},
    list: [],
}
BLOCK = 8 << 20
OVERLAP = 32


def make_canaries(count: int, seed: int = 7) -> list[str]:
    """Return distinct canaries, the same every time."""
    return [f"{BEGINNING}{n:06}" for n in Random(seed).sample(range(10**6), count)]


def plant_everywhere(scope: Scope, canaries: Iterator[str]) -> dict[str, str]:
    """Write rows into every table with encrypted columns; return the canaries by column.

    Columns whose rules a guessed row does not meet are left out.
    """
    planted: dict[str, str] = {}
    for table in own_tables(scope.installation):
        model = model_of(table.fullname)
        if model.__kind__ != "community" or not model.__encrypted__:
            continue
        values = {name: next(canaries) for name in model.__encrypted__}
        if _write(scope, model, values):
            planted |= {f"{table.fullname}.{name}": value for name, value in values.items()}
    return planted


def _write(scope: Scope, model: Any, values: dict[str, str]) -> bool:
    given: dict[str, Any] = dict(values)
    try:
        with scope.session.begin_nested():
            for attribute in sa_inspect(model).column_attrs:
                column = attribute.columns[0]
                is_given = column.default is not None or column.server_default is not None
                if column.primary_key or is_given or "encrypted" in column.info:
                    continue
                if column.info.get("ref") is not None:
                    target = column.info["ref"].target
                    query = f"select id from {target} order by id limit 1"
                    given[attribute.key] = scope.session.scalar(text(query))
                elif not column.nullable:
                    enum = getattr(column.type, "enum_class", None)
                    kind = column.type.python_type
                    given[attribute.key] = next(iter(enum)) if enum else VALUES[kind]
            scope.session.add(model(**given))
            scope.session.flush()
    except (DBAPIError, StatementError, ValueError, LookupError):
        return False
    return True


def found_in(blocks: Iterable[bytes], canaries: set[str]) -> set[str]:
    """Return the canaries that occur in a stream of bytes."""
    seen: set[str] = set()
    before = b""
    for block in blocks:
        for match in SHAPE.finditer(before + block):
            raw = match.group()
            seen.add((raw if len(raw) == 11 else bytes.fromhex(raw.decode())).decode())
        before = block[-OVERLAP:]
    return seen & canaries


def file_blocks(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces; one that goes away meanwhile yields nothing."""
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                yield block
    except FileNotFoundError:
        return


def places_at_rest(server: EmbeddedPostgres, home: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield name and bytes of every place: dump, tables, WAL, server log, the installation's files.

    Tables are checkpointed first. Keys are left out: they are no data.
    """
    import psycopg

    with psycopg.connect(server.dsn(), autocommit=True) as link:
        link.execute("checkpoint")
        name = link.execute("select current_database()").fetchone()
    done = server.run_tool("pg_dump", "-d", server.dsn())
    yield f"dump of {name[0] if name else ''}", iter([done.stdout.encode()])
    for folder in ("base", "pg_wal", "log"):
        for path in sorted((server.data / folder).rglob("*")):
            if path.is_file():
                yield f"{folder}/{path.name}", file_blocks(path)
    for folder in ("files", "log", "cache", "run", "witness"):
        for path in sorted((home / folder).rglob("*")):
            if path.is_file():
                yield f"{folder}/{path.name}", _unpacked(path)


def _unpacked(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, and those inside when it is compressed."""
    raw = b"".join(file_blocks(path))
    yield raw
    try:
        yield zlib.decompress(raw, 47)
    except zlib.error:
        return


def search_at_rest(
    server: EmbeddedPostgres, home: Path, canaries: Iterable[str]
) -> dict[str, set[str]]:
    """Return which canaries lie in clear where, by kind of place; empty means nowhere."""
    wanted = set(canaries)
    found: dict[str, set[str]] = {}
    for name, blocks in places_at_rest(server, home):
        hits = found_in(blocks, wanted)
        if hits:
            kind = name.partition("/")[0].partition(" ")[0]
            found[kind] = found.get(kind, set()) | hits
    return found
