"""A log as lines of JSON, for whoever verifies it elsewhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection

from dougong.audit.verification import Entry, entries_of


def dump_lines(connection: Connection, only: UUID | None = None) -> Iterator[str]:
    """Yield one line of JSON per entry, in order of chain and place."""
    for entry in entries_of(connection, only):
        yield json.dumps(
            {
                "chain": str(entry.chain_id),
                "seq": entry.seq,
                "event": str(entry.event_id),
                "body_hash": entry.body_hash.hex(),
                "hash": entry.hash.hex(),
                "body": entry.body,
            },
            ensure_ascii=False,
        )


def read_dump(path: Path) -> Iterator[Entry]:
    """Yield the entries of a dump; raises ValueError naming a damaged line."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                raw = json.loads(line)
                yield Entry(
                    UUID(raw["chain"]),
                    int(raw["seq"]),
                    bytes.fromhex(raw["body_hash"]),
                    bytes.fromhex(raw["hash"]),
                    UUID(raw["event"]),
                    raw["body"],
                )
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}: line {number} is damaged") from error
