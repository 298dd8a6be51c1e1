"""Ed25519 keys of makers, the keys that an installation trusts, and signed documents.

A signed document is ``{"signed": …, "key": …, "signature": …}``; signed is the canonical JSON of
the first part (sorted keys, no spaces, UTF-8). A public key is one line:
``ed25519 <base64> <role> <name of its owner>``; role ``index`` also signs packages.
"""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from dougong.errors import Invalid
from dougong.i18n import N_
from dougong.paths import Paths

KIND, ROLES = "ed25519", ("vendor", "index")


class NotSigned(Invalid):
    """A document that nobody signed whom this installation trusts."""

    code = "not_signed"


@dataclass(frozen=True)
class PublicKey:
    """A public key and its owner. role: ``vendor`` signs packages, ``index`` also the index."""

    raw: bytes
    role: str
    owner: str

    @property
    def id(self) -> str:
        return sha256(self.raw).hexdigest()[:16]

    @property
    def line(self) -> str:
        return f"{KIND} {base64.b64encode(self.raw).decode()} {self.role} {self.owner}\n"

    @classmethod
    def parse(cls, line: str) -> "PublicKey":
        """Return the key that a line holds; raises Invalid."""
        parts = line.split(maxsplit=3)
        try:
            raw = base64.b64decode(parts[1], validate=True)
            kind, role, owner = parts[0], parts[2], parts[3].strip()
        except (IndexError, ValueError):
            kind, raw, role, owner = "", b"", "", ""
        if kind != KIND or len(raw) != 32 or role not in ROLES or not owner:
            raise Invalid(N_("This is not a public key: %(line)s"), line=line.strip()[:80])
        return cls(raw, role, owner)


Trusted = Mapping[str, PublicKey]


def make_key(path: Path, owner: str, role: str) -> PublicKey:
    """Write a new private key to ``path`` (mode 600) and its public half to ``path.pub``."""
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    public = PublicKey.parse(PublicKey(_raw(private), role, owner).line)
    path.with_name(f"{path.name}.pub").write_text(public.line, "utf-8")
    return public


def _raw(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def read_private(path: Path) -> Ed25519PrivateKey:
    """Return the private key in a file; raises Invalid when there is none."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise Invalid(N_("%(file)s holds no private key."), file=str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Invalid(N_("%(file)s holds no private key."), file=str(path))
    return key


# --- whom an installation trusts ------------------------------------------------------------------


def trust(paths: Paths, line: str) -> PublicKey:
    """Trust a public key from now on; return it."""
    key = PublicKey.parse(line)
    folder = paths.keys / "plugin-makers"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / f"{key.id}.pub").write_text(key.line, "utf-8")
    return key


def trusted(paths: Paths) -> Trusted:
    """Return the keys that this installation trusts, by id."""
    files = sorted((paths.keys / "plugin-makers").glob("*.pub"))
    keys = [PublicKey.parse(file.read_text("utf-8")) for file in files]
    return {key.id: key for key in keys}


# --- signed documents -----------------------------------------------------------------------------


def canonical(data: Any) -> bytes:
    """Return the bytes that are signed."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signed(data: Mapping[str, Any], private: Ed25519PrivateKey) -> dict[str, Any]:
    """Return a signed document."""
    return {
        "signed": dict(data),
        "key": sha256(_raw(private)).hexdigest()[:16],
        "signature": base64.b64encode(private.sign(canonical(data))).decode(),
    }


def opened(document: Any, keys: Trusted, kind: str) -> tuple[dict[str, Any], PublicKey]:
    """Return what a trusted key has signed, and the key; raises NotSigned.

    kind: what the document must be (``package`` or ``index``); its maker may sign nothing else
    in its place.
    """
    try:
        data, name = document["signed"], document["key"]
        signature = base64.b64decode(document["signature"], validate=True)
        found = data["kind"]
    except (KeyError, TypeError, ValueError) as error:
        raise NotSigned(N_("This is not a signed document.")) from error
    key = keys.get(name) if isinstance(name, str) else None
    if key is None or (kind == "index" and key.role != "index"):
        raise NotSigned(N_("Nobody signed it whom this installation trusts."))
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, canonical(data))
    except InvalidSignature as error:
        raise NotSigned(N_("Its signature is wrong: it was changed.")) from error
    if found != kind:
        raise NotSigned(N_("It is signed as something else."))
    return data, key
