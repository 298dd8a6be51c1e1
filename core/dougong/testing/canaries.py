"""Plants values that exist nowhere else, and looks for them wherever data lies at rest.

Canaries are eleven digits with a beginning that no telephone has. They are looked for as text and
as PostgreSQL writes bytes (hexadecimal).
"""

import os
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import UUID

from sqlalchemy import Column, select, text
from sqlalchemy import Enum as SqlEnum
from sqlalchemy import inspect as sa_inspect
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.orm import Session

from dougong.db import ciphers, uuid7
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor
from dougong.db.vault import PLATFORM, Vault
from dougong.installation import Installation
from dougong.privacy.purposes import declarations
from dougong.privacy.subjects import PERSON, model_of, own_tables
from dougong.testing.factories import Place

SYSTEM = Actor.system("gate")
BEGINNING = "10055"
# By what they begin with, which is looked for first: as text, and as PostgreSQL writes bytes.
SHAPES = {
    b"10055": re.compile(rb"10055\d{6}"),
    b"3130303535": re.compile(rb"3130303535(?:3\d){6}"),
}
VALUES: dict[type, Any] = {
    str: "样例",
    int: 1,
    Decimal: Decimal(1),
    bool: False,
    bytes: b"sample",
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


@dataclass
class Planted:
    """Which canary stands in which declared column (``schema.table.column``).

    sealed: must lie in clear nowhere. plain: columns that are kept readable on purpose; they may
    lie in the tables, and nowhere else. missed: columns into which no row could be written.
    """

    sealed: dict[str, str] = field(default_factory=dict)
    plain: dict[str, str] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)


def plant_everywhere(
    installation: Installation,
    place: Place,
    canaries: Iterator[str],
    schemas: Collection[str] | None = None,
) -> Planted:
    """Write a row with canaries into every table with declared or sealed columns.

    The columns come from the manifests and the models, so that a vendor's plugin is covered as it
    is. schemas: only tables of these; all by default.
    """
    planted = Planted()
    declared = declarations(installation.plugins)
    for table in own_tables(installation):
        model = model_of(table.fullname)
        named = {c.name for c in table.columns if f"{table.fullname}.{c.name}" in declared}
        if (schemas is None or table.schema in schemas) and (named or model.__encrypted__):
            _plant(installation, place, model, named, canaries, planted)
    return planted


def _plant(
    installation: Installation,
    place: Place,
    model: Any,
    named: set[str],
    canaries: Iterator[str],
    planted: Planted,
) -> None:
    name = model.__table__.fullname
    chosen = {each: next(canaries) for each in sorted({*model.__encrypted__, *named})}
    values: dict[str, Any] = dict(chosen)
    try:
        with _session(installation, place, model.__kind__) as session:
            if model.__kind__ == "platform":
                values = _sealed_values(installation, model, values)
            _make_row(session, model, values, place)
    except (DBAPIError, StatementError, LookupError, ValueError):
        planted.missed += [f"{name}.{each}" for each in chosen]
        return
    for each, canary in chosen.items():
        kind = planted.sealed if each in model.__encrypted__ else planted.plain
        kind[f"{name}.{each}"] = canary


def _sealed_values(installation: Installation, model: Any, values: Mapping[str, str]) -> Any:
    """Return values with the sealed ones as ciphertext: platform rows have no scope to do it."""
    made: dict[str, Any] = {"id": uuid7(), **values}
    for name, field_ in model.__encrypted__.items():
        plain = made.pop(name)
        made[f"{name}_sealed"] = Vault(installation.keyring).seal(
            field_, PLATFORM, made["id"], plain
        )
    return made


@contextmanager
def _session(installation: Installation, place: Place, kind: str) -> Iterator[Session]:
    if kind == "platform":
        with installation.access(SYSTEM) as session:
            yield session
        return
    where: dict[str, Any] = {"community": place.community_id}
    if kind == "group":
        where = {"group": place.group_id, "group_write": True}
    with installation.scope(SYSTEM, **where) as scope:
        yield scope.session


def _make_row(session: Session, model: Any, given: Mapping[str, Any], place: Place) -> Any:
    """Write a row with ``given`` values and guesses for the rest; return it.

    What ``__sample__`` of the model says comes before a guess.
    """
    said = {key: value for key, value in model.__sample__.items() if value is not ...}
    values: dict[str, Any] = {**said, **given}
    met: dict[str, int] = {}
    for attribute in sa_inspect(model).column_attrs:
        column = attribute.columns[0]
        is_given = column.default is not None or column.server_default is not None
        if attribute.key in values or "encrypted" in column.info:
            continue
        if column.info.get("ref") is not None:
            target = column.info["ref"].target
            if column.nullable and target == model.__table__.fullname:
                continue  # The first row of a chain has none before it.
            met[target] = met.get(target, -1) + 1
            values[attribute.key] = _other(session, target, place, met[target])
        elif attribute.key in model.__sample__ or not (
            column.primary_key or is_given or column.nullable
        ):
            values[attribute.key] = _guess(column)
    row = model(**values)
    session.add(row)
    session.flush()
    return row


def _other(session: Session, target: str, place: Place, number: int) -> UUID:
    """Return a row to refer to, made when there is none; the next one for a second reference."""
    model = model_of(target)
    if target == PERSON:
        return place.person_ids[number]
    found = session.scalars(select(model.id).order_by(model.id).limit(1)).first()
    return found or _make_row(session, model, {}, place).id


def _guess(column: Column[Any]) -> Any:
    if isinstance(column.type, SqlEnum) and column.type.enum_class is not None:
        return next(iter(column.type.enum_class))
    if column.type.python_type is str:
        return f"样例{uuid7().hex}"[-(getattr(column.type, "length", None) or 40) :]
    if column.type.python_type is UUID:
        return uuid7()
    return VALUES.get(column.type.python_type, {})


@contextmanager
def encryption_off() -> Iterator[None]:
    """Keep values as they are inside the block: the control that shows what a gate would find."""
    seal, opened = ciphers.seal, ciphers.open_sealed
    ciphers.seal = lambda key, place, plain: plain.encode()  # type: ignore[assignment]
    ciphers.open_sealed = lambda keys, place, raw: bytes(raw).decode()  # type: ignore[assignment]
    try:
        yield
    finally:
        ciphers.seal, ciphers.open_sealed = seal, opened  # type: ignore[assignment]


def found_in(blocks: Iterable[bytes], canaries: set[str]) -> set[str]:
    """Return the canaries that occur in a stream of bytes."""
    seen: set[str] = set()
    before = b""
    for block in blocks:
        seen |= set(_written_in(before + block))
        before = block[-OVERLAP:]
    return seen & canaries


def _written_in(block: bytes) -> Iterator[str]:
    for beginning, shape in SHAPES.items():
        if beginning not in block:
            continue
        for match in shape.finditer(block):
            raw = match.group()
            yield (raw if len(raw) == 11 else bytes.fromhex(raw.decode())).decode()


def found_in_table(session: Session, table: str, canaries: set[str]) -> set[str]:
    """Return the canaries that stand in the rows of a table; the database sorts these out."""
    written = " or ".join(f"line like '%{beginning.decode()}%'" for beginning in SHAPES)
    lines = f"select t::text as line from {table} t offset 0"
    rows = session.scalars(text(f"select line from ({lines}) each where {written}"))
    return found_in((row.encode() + b"\n" for row in rows), canaries)


def dump_blocks(server: EmbeddedPostgres) -> Iterator[bytes]:
    """Yield a dump of the server's database in pieces.

    It grows with everything that a run has written: it lies on the disk, never whole in memory.
    """
    with NamedTemporaryFile(dir=server.data, prefix="dump-") as file:
        if server.account is not None:
            os.chown(file.name, server.account.pw_uid, server.account.pw_gid)
        server.run_tool("pg_dump", "-d", server.dsn(), "-f", file.name)
        yield from file_blocks(Path(file.name))


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
    yield f"dump of {name[0] if name else ''}", dump_blocks(server)
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
