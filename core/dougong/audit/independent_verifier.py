"""Verify a dump of a Dougong audit log without Dougong.

Usage: python independent_verifier.py DUMP.ndjson WITNESS.jsonl PUBLIC_KEY_FILE [--all-chains]

DUMP comes from ``dougong audit dump``; WITNESS and the public key must come from the witness's own
copy, never from the server under test. Needs Python 3.11 and the package cryptography.

A chain per community: hash = SHA-256(hash before, SHA-256(body)), from 32 zero bytes on. Each
minute a checkpoint, signed with Ed25519, says where every chain ends. Exit 0: nothing wrong as far
as the witness reaches. 1: faults, one per line. 2: the files cannot be used.
"""

import base64
import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

GENESIS = bytes(32)


def canonical(line):
    payload = {k: v for k, v in line.items() if k not in ("signature", "key")}
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def root(leaves):
    """Merkle tree of RFC 9162 over the leaves' hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    both = root(leaves[:split]) + root(leaves[split:])
    return hashlib.sha256(b"\x01" + both).digest()


def leaf(chain, seq, value):
    raw = bytes.fromhex(chain.replace("-", "")) + seq.to_bytes(8, "big") + value
    return hashlib.sha256(b"\x00" + raw).digest()


def read_witness(path, public, faults):
    """Return {chain: {seq: hash}} of all good lines, and the last head of every chain."""
    mentions: dict = {}
    heads: dict = {}
    known = {0: {""}}
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file if line.strip()]
    for line in lines:
        number = line["number"]
        try:
            public.verify(base64.b64decode(line["signature"]), canonical(line))
        except (InvalidSignature, KeyError, ValueError):
            faults.append(f"witness checkpoint={number}: bad signature")
            continue
        if line["previous"] not in known.get(number - 1, set()):
            faults.append(f"witness checkpoint={number}: does not continue the one before")
        known.setdefault(number, set()).add(hashlib.sha256(canonical(line)).hexdigest())
        for chain, (seq, value) in line["heads"].items():
            heads[chain] = (seq, bytes.fromhex(value))
            mentions.setdefault(chain, {})[seq] = bytes.fromhex(value)
        leaves = [leaf(chain, *heads[chain]) for chain in sorted(heads)]
        if root(leaves).hex() != line["root"]:
            faults.append(f"witness checkpoint={number}: root does not fit the heads")
    return mentions, heads, len(lines)


class Chains:
    """Walks the dump, entry by entry."""

    def __init__(self, mentions, faults):
        self.mentions = mentions
        self.faults = faults
        self.ends = {}
        self.emptied = []
        self.erased = {}

    def fault(self, kind, entry, detail):
        self.faults.append(f"{kind} chain={entry['chain']} seq={entry['seq']}: {detail}")

    def feed(self, entry):
        chain, seq = entry["chain"], entry["seq"]
        last, before = self.ends.get(chain, (0, GENESIS))
        body_hash, value = bytes.fromhex(entry["body_hash"]), bytes.fromhex(entry["hash"])
        if seq != last + 1:
            self.fault("deleted", entry, f"entries from {last + 1} on are missing")
        elif hashlib.sha256(before + body_hash).digest() != value:
            self.fault("changed", entry, "the hash does not follow from the one before")
        if self.mentions.get(chain, {}).get(seq, value) != value:
            self.fault("rewritten", entry, "the witness saw another hash")
        self.body(entry, body_hash)
        self.ends[chain] = (seq, value)

    def body(self, entry, body_hash):
        if entry["body"] is None:
            self.fault("deleted", entry, "the event is missing")
            return
        try:
            body = json.loads(entry["body"])
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self.fault("changed", entry, "the body is no JSON object")
            return
        if body.get("id") != entry["event"] or body.get("chain") != entry["chain"]:
            self.fault("changed", entry, "the body belongs to another place")
        if hashlib.sha256(entry["body"].encode()).digest() == body_hash:
            if body.get("table") == "dougong.erasure" and body.get("operation") == "INSERT":
                named = body["new"]["audit_events"]
                self.erased.update({(body["row"], event): left for event, left in named.items()})
        elif "erasure" in body:
            self.emptied.append((body["erasure"], entry))
        else:
            self.fault("changed", entry, "the body is not what was sealed")

    def finish(self, heads):
        """Look at the ends, and at bodies that the erasure of a person emptied."""
        for erasure, entry in self.emptied:
            left = hashlib.sha256(entry["body"].encode()).hexdigest()
            if self.erased.get((erasure, entry["event"])) != left:
                self.fault("changed", entry, "emptied, and no erasure in the chain names it")
        for chain, (seq, _value) in heads.items():
            end = self.ends.get(chain, (0, GENESIS))[0]
            if end < seq:
                self.faults.append(
                    f"truncated chain={chain} seq={end + 1}: the witness saw {seq} entries"
                )


def verify(dump, witness, key):
    """Return (faults, entries, checkpoints)."""
    faults: list = []
    with open(key, encoding="ascii") as file:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(file.read()))
    mentions, heads, checkpoints = read_witness(witness, public, faults)
    chains, entries = Chains(mentions, faults), 0
    with open(dump, encoding="utf-8") as file:
        for line in file:
            chains.feed(json.loads(line))
            entries += 1
    # A dump of one community is held to that community only.
    wanted = {c: h for c, h in heads.items() if c in chains.ends} if chains.ends else heads
    if "--all-chains" in sys.argv:
        wanted = heads
    chains.finish(wanted)
    return faults, entries, checkpoints


def main():
    files = [a for a in sys.argv[1:] if not a.startswith("--")]
    if len(files) != 3:
        print(__doc__)
        return 2
    try:
        faults, entries, checkpoints = verify(*files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"cannot verify: {error}", file=sys.stderr)
        return 2
    for fault in faults:
        print(fault)
    print(f"{entries} entries, {checkpoints} checkpoints, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
