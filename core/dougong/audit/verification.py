"""Finds what was changed, removed, put in or rewritten in the log, also by the superuser.

Chains prove that no entry inside them changed; witnessed checkpoints prove that no chain was cut
or written anew. What happened after the newest witnessed checkpoint is proved by the chain alone.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from dougong.audit.balances import Balances, apart
from dougong.audit.checkpoints import canonical, fold, is_signed, merkle_root, payload_of
from dougong.audit.sealing import GENESIS, next_hash

COLUMNS = ("id", "chain", "xid", "verb", "table", "row", "operation", "actor")
ENTRIES = """
select l.chain_id, l.seq, l.body_hash, l.hash, l.id, e.body,
       array[e.id::text, e.chain_id::text, e.txid::text, e.verb,
             e.schema_name || '.' || e.table_name, e.row_id, e.operation, e.actor_id::text],
       e.at
from dougong.audit_link l left join dougong.audit_event e on e.id = l.id
left join unnest(cast(:chains as uuid[]), cast(:seqs as bigint[])) as s(chain, seq)
       on s.chain = l.chain_id
where (cast(:only as uuid) is null or l.chain_id = :only) and l.seq > coalesce(s.seq, 0)
order by l.chain_id, l.seq
"""
LOOSE = """
select e.chain_id, e.id from dougong.audit_event e
where (cast(:only as uuid) is null or e.chain_id = :only)
  and not exists (select from dougong.audit_link l where l.id = e.id)
  and not exists (select from dougong.audit_pending p where p.id = e.id)
"""
LOST = """
select p.id from dougong.audit_pending p
where not exists (select from dougong.audit_event e where e.id = p.id)
"""


class Fault(StrEnum):
    """What is wrong with an entry, a chain, or a witness."""

    CHANGED = "changed"
    DELETED = "deleted"
    INSERTED = "inserted"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten"
    WITNESS = "witness"
    UNLOGGED = "unlogged"


@dataclass(frozen=True)
class Finding:
    """One fault: in which chain and at which place (0 when it has none)."""

    fault: Fault
    chain_id: UUID | None
    seq: int
    detail: str

    def __str__(self) -> str:
        return f"{self.fault.value} chain={self.chain_id} seq={self.seq}: {self.detail}"


@dataclass(frozen=True)
class Entry:
    """One link with its event; ``body`` is None when the event is gone.

    columns: what the event's other columns say, None where there are none (a dump).
    """

    chain_id: UUID
    seq: int
    body_hash: bytes
    hash: bytes
    event_id: UUID
    body: str | None
    columns: tuple[str | None, ...] | None = None
    at: datetime | None = None


@dataclass
class Report:
    """What a verification saw."""

    entries: int = 0
    chains: int = 0
    checkpoints: int = 0
    newest_checkpoint: str = ""
    findings: list[Finding] = field(default_factory=list)

    @property
    def first(self) -> Finding | None:
        return self.findings[0] if self.findings else None


@dataclass
class Witnessed:
    """What witness lines say: how chains stood at each of them."""

    mentions: dict[UUID, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    heads: dict[UUID, tuple[int, bytes]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def read_witnessed(lines: Iterable[Mapping[str, Any]], public: bytes) -> Witnessed:
    """Return what properly signed lines state; a bad signature, gap or root is a finding.

    A number may come twice when the process died between witness and database.
    """
    seen = Witnessed()
    known: dict[int, set[str]] = {0: {""}}
    for line in lines:
        number = int(line["number"])
        if not is_signed(line, public):
            seen.findings.append(_witness(number, "the signature is not of this installation"))
            continue
        if line["previous"] not in known.get(number - 1, set()):
            seen.findings.append(_witness(number, "does not continue the line before"))
        digest = hashlib.sha256(canonical(payload_of(line))).hexdigest()
        known.setdefault(number, set()).add(digest)
        for chain, (seq, hash) in fold([line]).items():
            seen.mentions[chain][seq] = hash
            seen.heads[chain] = (seq, hash)
        if merkle_root(seen.heads).hex() != line["root"]:
            seen.findings.append(_witness(number, "its root does not fit its heads"))
    return seen


def _witness(number: int, detail: str) -> Finding:
    return Finding(Fault.WITNESS, None, number, f"checkpoint {number} {detail}")


class _ChainCheck:
    """Follows entries in order of chain and place, and notes every fault."""

    def __init__(self, witnessed: Witnessed, starts: Mapping[UUID, tuple[int, bytes]]) -> None:
        self.witnessed = witnessed
        self.starts = starts
        self.report = Report()
        self.ends: dict[UUID, int] = {}
        self.redacted: dict[UUID, tuple[Entry, str]] = {}
        self.permitted: dict[tuple[str, str], str] = {}
        self.balances = Balances()
        self._chain: UUID | None = None
        self._seq, self._hash = 0, GENESIS

    def note(self, fault: Fault, entry: Entry, detail: str) -> None:
        self.report.findings.append(Finding(fault, entry.chain_id, entry.seq, detail))

    def feed(self, entry: Entry) -> None:
        """Check one entry against the one before it, its event and the witnesses."""
        if entry.chain_id != self._chain:
            self._chain = entry.chain_id
            self._seq, self._hash = self.starts.get(entry.chain_id, (0, GENESIS))
            self.report.chains += 1
        self.report.entries += 1
        if entry.seq != self._seq + 1:
            self.note(Fault.DELETED, entry, f"the entries from {self._seq + 1} on are gone")
        elif next_hash(self._hash, entry.body_hash) != entry.hash:
            self.note(Fault.CHANGED, entry, "its hash does not follow from the one before")
        witnessed = self.witnessed.mentions.get(entry.chain_id, {}).get(entry.seq)
        if witnessed is not None and witnessed != entry.hash:
            self.note(Fault.REWRITTEN, entry, "a witness saw another hash here")
        self._event(entry)
        self._seq, self._hash = entry.seq, entry.hash
        self.ends[entry.chain_id] = entry.seq

    def _event(self, entry: Entry) -> None:
        if entry.body is None:
            self.note(Fault.DELETED, entry, f"the event {entry.event_id} is gone")
            return
        body = _body_of(entry.body)
        if body is None:
            self.note(Fault.CHANGED, entry, "the body is no JSON object")
            return
        if hashlib.sha256(entry.body.encode()).digest() == entry.body_hash:
            if body.get("table") == "dougong.erasure" and body.get("operation") == "INSERT":
                named = body["new"]["audit_events"]
                self.permitted.update({(body["row"], id): left for id, left in named.items()})
        elif "erasure" in body:
            self.redacted[entry.event_id] = (entry, str(body["erasure"]))
        else:
            self.note(Fault.CHANGED, entry, "the body is not what was sealed")
        if entry.columns is not None and not _agrees(entry, body):
            self.note(Fault.CHANGED, entry, "columns and body differ")
        self.balances.note(entry.chain_id, body)

    def finish(self, only: UUID | None) -> None:
        """Check the ends of the chains and the erasures."""
        for event_id, (entry, erasure) in self.redacted.items():
            left = hashlib.sha256((entry.body or "").encode()).hexdigest()
            if self.permitted.get((erasure, str(event_id))) != left:
                self.note(Fault.CHANGED, entry, "emptied, and no erasure in the chain names it so")
        for chain, (seq, _hash) in self.witnessed.heads.items():
            end = self.ends.get(chain, self.starts.get(chain, (0, b""))[0])
            if end < seq and only in (None, chain):
                detail = f"a witness saw {seq} entries"
                self.report.findings.append(Finding(Fault.TRUNCATED, chain, end + 1, detail))


def _body_of(words: str) -> dict[str, Any] | None:
    try:
        body = json.loads(words)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _agrees(entry: Entry, body: Mapping[str, Any]) -> bool:
    said = tuple(None if body.get(name) is None else str(body[name]) for name in COLUMNS)
    if said != entry.columns or body.get("id") != str(entry.event_id):
        return False
    try:
        return entry.at is None or datetime.fromisoformat(str(body.get("at"))) == entry.at
    except (ValueError, TypeError):
        return False


def verify_entries(
    entries: Iterable[Entry],
    witnessed: Witnessed,
    *,
    only: UUID | None = None,
    starts: Mapping[UUID, tuple[int, bytes]] | None = None,
) -> Report:
    """Return what a stream of entries, in order of chain and place, shows against witnesses."""
    return _followed(entries, witnessed, only, starts or {}).report


def _followed(
    entries: Iterable[Entry],
    witnessed: Witnessed,
    only: UUID | None,
    starts: Mapping[UUID, tuple[int, bytes]],
) -> _ChainCheck:
    check = _ChainCheck(witnessed, starts)
    for entry in entries:
        check.feed(entry)
    check.finish(only)
    check.report.findings[:0] = witnessed.findings
    return check


@contextmanager
def snapshot(installation: Any) -> Iterator[Connection]:
    """Yield a connection that sees one moment: what is written meanwhile is no fault."""
    with installation.databases.engine("platform").connect() as connection:
        connection.execute(text("set transaction isolation level repeatable read, read only"))
        yield connection


def verify(
    connection: Connection,
    lines: list[dict[str, Any]],
    public: bytes,
    *,
    only: UUID | None = None,
    since_checkpoint: bool = False,
) -> Report:
    """Verify the log in a database against the lines of a witness.

    only: one chain (a community's, a group's, or nil for the platform). since_checkpoint: trust
    what the newest line covers, but for its heads, and check what came after; tables are compared
    with the whole log only. connection: of `snapshot`.
    """
    witnessed = read_witnessed(lines, public)
    starts: dict[UUID, tuple[int, bytes]] = {}
    if since_checkpoint:
        starts = {c: h for c, h in witnessed.heads.items() if only in (None, c)}
        witnessed.findings += _heads_in_place(connection, starts)
    check = _followed(entries_of(connection, only, starts), witnessed, only, starts)
    report = check.report
    if not since_checkpoint:
        report.findings += [
            Finding(Fault.UNLOGGED, each.chain_id, 0, str(each))
            for each in apart(connection, check.balances, only)
        ]
    report.findings += _outside_chains(connection, only)
    report.findings += _own_heads(connection, only, report)
    report.checkpoints = len(lines)
    report.newest_checkpoint = str(lines[-1]["at"]) if lines else ""
    return report


def entries_of(
    connection: Connection,
    only: UUID | None = None,
    starts: Mapping[UUID, tuple[int, bytes]] | None = None,
) -> Iterator[Entry]:
    """Yield the entries after ``starts``, streamed, in order of chain and place."""
    given = starts or {}
    rows = connection.execute(
        text(ENTRIES),
        {"only": only, "chains": list(given), "seqs": [seq for seq, _ in given.values()]},
        execution_options={"stream_results": True, "max_row_buffer": 2000},
    )
    for chain, seq, body_hash, hash, event_id, body, columns, at in rows:
        yield Entry(chain, seq, bytes(body_hash), bytes(hash), event_id, body, tuple(columns), at)


def _heads_in_place(
    connection: Connection, starts: Mapping[UUID, tuple[int, bytes]]
) -> list[Finding]:
    rows = connection.execute(
        text(
            "select l.chain_id, l.seq, l.hash from dougong.audit_link l"
            " join unnest(cast(:chains as uuid[]), cast(:seqs as bigint[])) as s(chain, seq)"
            " on s.chain = l.chain_id and s.seq = l.seq"
        ),
        {"chains": list(starts), "seqs": [seq for seq, _ in starts.values()]},
    )
    found = {row.chain_id: bytes(row.hash) for row in rows}
    findings = []
    for chain, (seq, hash) in starts.items():
        if chain not in found:
            findings.append(Finding(Fault.TRUNCATED, chain, seq, "a witnessed entry is gone"))
        elif found[chain] != hash:
            findings.append(Finding(Fault.REWRITTEN, chain, seq, "a witness saw another hash"))
    return findings


def _outside_chains(connection: Connection, only: UUID | None) -> list[Finding]:
    findings = [
        Finding(Fault.INSERTED, chain, 0, f"the event {event} is in no chain")
        for chain, event in connection.execute(text(LOOSE), {"only": only})
    ]
    if only is None:
        findings += [
            Finding(Fault.DELETED, None, 0, f"the event {event} went before it was sealed")
            for (event,) in connection.execute(text(LOST))
        ]
    return findings


def _own_heads(connection: Connection, only: UUID | None, report: Report) -> list[Finding]:
    """Compare with the heads that the sealer keeps: finds a clumsy cut without any witness."""
    rows = connection.execute(
        text(
            "select h.id, h.seq, coalesce(max(l.seq), 0) as reached from dougong.audit_head h"
            " left join lateral (select seq from dougong.audit_link where chain_id = h.id"
            " order by seq desc limit 1) l on true"
            " where (cast(:only as uuid) is null or h.id = :only) group by h.id, h.seq"
        ),
        {"only": only},
    )
    known = {(f.fault, f.chain_id) for f in report.findings}
    return [
        Finding(Fault.TRUNCATED, row.id, row.reached + 1, f"the sealer had reached {row.seq}")
        for row in rows
        if row.reached != row.seq and (Fault.TRUNCATED, row.id) not in known
    ]
