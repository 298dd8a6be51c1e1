"""Signed checkpoints: each minute, one line says where every chain ends.

A line carries the heads that moved since the line before, a Merkle root over all heads, and the
hash of the line before. It is signed with a key that the database does not hold and appended to
every witness file. What a witness holds, nobody can take back from the database.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import text
from sqlalchemy.orm import Session

from dougong.db.base import uuid7
from dougong.paths import Paths

Heads = Mapping[UUID, tuple[int, bytes]]
LOCK = 0x5EA2


@dataclass(frozen=True)
class SigningKey:
    """The Ed25519 key of checkpoints, in a file of its own; made at the first use."""

    path: Path

    @cached_property
    def private(self) -> Ed25519PrivateKey:
        """Return the key; only the process that writes checkpoints needs it."""
        if not self.path.exists():
            temporary = self.path.with_suffix(f".{os.getpid()}")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(Ed25519PrivateKey.generate().private_bytes_raw())
            try:
                os.link(temporary, self.path)
            except FileExistsError:
                pass
            finally:
                temporary.unlink()
        return Ed25519PrivateKey.from_private_bytes(self.path.read_bytes())

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()


def signing_key(paths: Paths) -> SigningKey:
    """Return the key that signs this installation's checkpoints."""
    return SigningKey(paths.keys / "checkpoint.key")


def witness_files(paths: Paths) -> list[Path]:
    """Return the witness files: ``checkpoints.jsonl``, and each other ``*.jsonl`` beside it.

    An operator adds a witness by linking a file of another disk or machine into the folder.
    """
    own = paths.witness / "checkpoints.jsonl"
    others = [p for p in sorted(paths.witness.glob("*.jsonl")) if p.name.startswith("witness")]
    return [own, *others]


def merkle_root(heads: Heads) -> bytes:
    """Return the root over all heads, by the tree of RFC 9162 with chains in order of their id."""
    leaves = [
        hashlib.sha256(b"\0" + chain.bytes + seq.to_bytes(8) + hash).digest()
        for chain, (seq, hash) in sorted(heads.items())
    ]
    return _root(leaves) if leaves else hashlib.sha256(b"").digest()


def _root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + _root(leaves[:split]) + _root(leaves[split:])).digest()


def canonical(payload: Mapping[str, Any]) -> bytes:
    """Return the bytes of a payload that are signed and hashed."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def signed_line(payload: Mapping[str, Any], key: SigningKey) -> dict[str, Any]:
    """Return the payload with signature and public key."""
    signature = key.private.sign(canonical(payload))
    return {
        **payload,
        "signature": base64.b64encode(signature).decode(),
        "key": base64.b64encode(key.public).decode(),
    }


def payload_of(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a line is signed."""
    return {k: v for k, v in line.items() if k not in ("signature", "key")}


def is_signed(line: Mapping[str, Any], public: bytes) -> bool:
    """Tell whether ``line`` carries a good signature of the key ``public``."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(
            base64.b64decode(str(line["signature"])), canonical(payload_of(line))
        )
    except (InvalidSignature, KeyError, ValueError):
        return False
    return True


def fold(lines: Iterable[Mapping[str, Any]]) -> dict[UUID, tuple[int, bytes]]:
    """Return where every chain ended at the last of ``lines``."""
    heads: dict[UUID, tuple[int, bytes]] = {}
    for line in lines:
        for chain, (seq, hash) in line["heads"].items():
            heads[UUID(chain)] = (seq, bytes.fromhex(hash))
    return heads


def write_checkpoint(installation: Any) -> dict[str, Any] | None:
    """Sign where the chains end now and hand it to every witness; return the line.

    None when another process is just writing one. The row is committed after the witnesses have
    the line, so that a witness never lacks what the database claims.
    """
    paths = installation.settings.paths
    with installation.platform() as session:
        if not session.execute(text("select pg_try_advisory_xact_lock(:k)"), {"k": LOCK}).scalar():
            return None
        line = signed_line(_next_payload(session), signing_key(paths))
        session.execute(
            text(
                "insert into dougong.audit_checkpoint (id, number, at, line)"
                " values (:id, :number, :at, cast(:line as jsonb))"
            ),
            {
                "id": uuid7(),
                "number": line["number"],
                "at": datetime.fromisoformat(line["at"]),
                "line": json.dumps(line),
            },
        )
        for path in witness_files(paths):
            append_line(path, line)
    _publish_key(paths)
    return line


def _next_payload(session: Session) -> dict[str, Any]:
    last = session.execute(
        text("select number, line from dougong.audit_checkpoint order by number desc limit 1")
    ).first()
    rows = session.execute(
        text("select id, seq, hash, mentioned_seq from dougong.audit_head for update")
    ).all()
    session.execute(
        text("update dougong.audit_head set mentioned_seq = seq where mentioned_seq <> seq")
    )
    heads = {row.id: (row.seq, bytes(row.hash)) for row in rows}
    moved = sorted(row.id for row in rows if row.seq != row.mentioned_seq)
    return {
        "number": last.number + 1 if last else 1,
        "at": datetime.now(UTC).isoformat(timespec="microseconds"),
        "previous": hashlib.sha256(canonical(payload_of(last.line))).hexdigest() if last else "",
        "chains": len(heads),
        "root": merkle_root(heads).hex(),
        "heads": {str(c): [heads[c][0], heads[c][1].hex()] for c in moved},
    }


def append_line(path: Path, line: Mapping[str, Any]) -> None:
    """Append a line to a witness file and wait until the disk has it."""
    with path.open("ab") as file:
        file.write(json.dumps(line, separators=(",", ":"), sort_keys=True).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_witness(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a witness file; raises ValueError naming one that is no JSON."""
    lines = []
    for number, raw in enumerate(path.read_bytes().splitlines(), 1):
        try:
            lines.append(json.loads(raw))
        except ValueError as error:
            raise ValueError(f"{path}: line {number} is damaged") from error
    return lines


def _publish_key(paths: Paths) -> None:
    """Leave the public key beside the witness file, for whoever verifies elsewhere."""
    public = paths.witness / "checkpoint.pub"
    if not public.exists():
        public.write_text(base64.b64encode(signing_key(paths).public).decode() + "\n")
