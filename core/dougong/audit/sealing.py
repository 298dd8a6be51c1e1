"""Links events into chains, one per community, within a second of their commit.

Events wait in a queue that their own transaction fills, so that one which commits late is linked
late and never lost; a cursor on ids would pass it over.
"""

import hashlib
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

log = structlog.get_logger(__name__)

LOCK = 0x5EA1
BATCH = 2000
PAUSE_S = 0.5
CHECKPOINT_S = 60
# The channel of what open pages should read again, and how a changed table is called on it.
LIVE, CHANGED = "dougong_live", "changed:"
GENESIS = bytes(32)

# A transaction id at or above the snapshot's end is of a server whose dump was restored here.
WAITING = text(
    """
    select e.id, e.chain_id, e.body, e.schema_name || '.' || e.table_name as "table"
    from dougong.audit_pending p join dougong.audit_event e on e.id = p.id
    where e.txid < pg_snapshot_xmin(pg_current_snapshot())
       or e.txid >= pg_snapshot_xmax(pg_current_snapshot())
    order by e.txid, e.id limit :batch
    """
)
LINK = text(
    """
    insert into dougong.audit_link (id, chain_id, seq, body_hash, hash)
    select * from unnest(cast(:ids as uuid[]), cast(:chains as uuid[]), cast(:seqs as bigint[]),
                         cast(:bodies as bytea[]), cast(:hashes as bytea[]))
    """
)
TELL = text("select pg_notify(:channel, told) from unnest(cast(:told as text[])) as t (told)")
HEAD = text(
    """
    insert into dougong.audit_head (id, seq, hash)
    select * from unnest(cast(:ids as uuid[]), cast(:seqs as bigint[]), cast(:hashes as bytea[]))
    on conflict (id) do update set seq = excluded.seq, hash = excluded.hash
    """
)


@dataclass(frozen=True)
class Link:
    """One event's place in its chain."""

    event_id: UUID
    chain_id: UUID
    seq: int
    body_hash: bytes
    hash: bytes


def next_hash(before: bytes, body_hash: bytes) -> bytes:
    """Return the hash of a link from the hash before it and the event's."""
    return hashlib.sha256(before + body_hash).digest()


def chained(
    heads: dict[UUID, tuple[int, bytes]], events: Iterable[tuple[UUID, UUID, str]]
) -> list[Link]:
    """Return the links of ``events`` (id, chain, body) in order; moves ``heads`` forward."""
    links = []
    for event_id, chain_id, body in events:
        seq, before = heads.get(chain_id, (0, GENESIS))
        body_hash = hashlib.sha256(body.encode()).digest()
        link = Link(event_id, chain_id, seq + 1, body_hash, next_hash(before, body_hash))
        heads[chain_id] = (link.seq, link.hash)
        links.append(link)
    return links


def seal_pending(session: Session, batch: int = BATCH) -> int:
    """Link up to ``batch`` waiting events; return how many. The caller commits.

    Only one process seals at a time; in another one this returns 0.
    """
    if not session.execute(text("select pg_try_advisory_xact_lock(:k)"), {"k": LOCK}).scalar():
        return 0
    waiting = session.execute(WAITING, {"batch": batch}).all()
    if not waiting:
        return 0
    rows = session.execute(
        text("select id, seq, hash from dougong.audit_head where id = any(:chains)"),
        {"chains": list({row.chain_id for row in waiting})},
    )
    heads = {row.id: (row.seq, bytes(row.hash)) for row in rows}
    links = chained(heads, [(row.id, row.chain_id, row.body) for row in waiting])
    _write(session, links, heads)
    _tell(session, waiting)
    return len(links)


def _tell(session: Session, events: Sequence[Any]) -> None:
    """Tell open pages which tables have changed where, for all writers at once.

    Business transactions need not do it: a commit that notifies waits for every other such one.
    """
    told = sorted({f"{event.chain_id} {CHANGED}{event.table} -" for event in events})
    session.execute(TELL, {"channel": LIVE, "told": told})


def _write(session: Session, links: list[Link], heads: dict[UUID, tuple[int, bytes]]) -> None:
    ids = [link.event_id for link in links]
    session.execute(
        LINK,
        {
            "ids": ids,
            "chains": [link.chain_id for link in links],
            "seqs": [link.seq for link in links],
            "bodies": [link.body_hash for link in links],
            "hashes": [link.hash for link in links],
        },
    )
    session.execute(
        HEAD,
        {
            "ids": list(heads),
            "seqs": [seq for seq, _ in heads.values()],
            "hashes": [hash for _, hash in heads.values()],
        },
    )
    session.execute(text("delete from dougong.audit_pending where id = any(:ids)"), {"ids": ids})


def seal_once(installation: Any) -> int:
    """Link all events that wait, in batches; return how many."""
    total = 0
    while True:
        with installation.platform() as session:
            sealed = seal_pending(session)
        total += sealed
        if sealed < BATCH:
            return total


def run(installation: Any, stop: threading.Event) -> None:
    """Seal until ``stop`` is set: links twice a second, a signed checkpoint each minute.

    A database or a witness that is away is waited for; every other error ends the loop, for the
    supervisor to see.
    """
    from dougong.audit.checkpoints import write_checkpoint

    checkpoint_at = time.monotonic()
    while not stop.is_set():
        try:
            seal_once(installation)
            if time.monotonic() >= checkpoint_at:
                write_checkpoint(installation)
                checkpoint_at = time.monotonic() + CHECKPOINT_S
        except DBAPIError as error:
            if not (isinstance(error, OperationalError) or error.connection_invalidated):
                raise
            log.warning("the audit sealer waits for the database", error=type(error.orig).__name__)
        except OSError as error:
            log.error("a witness cannot be written", file=error.filename, reason=error.strerror)
        stop.wait(PAUSE_S)
