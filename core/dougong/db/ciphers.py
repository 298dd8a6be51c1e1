"""Sealing of personal values: envelopes, blind indexes, masks. Pure; keys come from outside.

Envelope: version (1 byte), suite (1), key id (4), nonce (12), ciphertext, tag (16). The place
(community or group, table, column, row) and the key id are authenticated with it, so a ciphertext
does not open anywhere else.
"""

import hmac
import os
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM

from dougong.errors import DougongError
from dougong.i18n import N_

VERSION = 1
HEAD, NONCE, TAG = 6, 12, 16


class Suite(IntEnum):
    """Which algorithms: the international ones, or the Chinese commercial ones."""

    AES_256_GCM = 1
    SM4_GCM = 2


class TamperedCiphertext(DougongError):
    """A ciphertext was changed, cut, or moved from another place."""

    code = "tampered"


@dataclass(frozen=True)
class DataKey:
    """A key that seals values. secret: 32 bytes for AES-256, 16 for SM4."""

    key_id: int
    suite: Suite
    secret: bytes = field(repr=False)

    @cached_property
    def aead(self) -> Any:
        """Return the cipher object; making it anew for each value costs four times as much."""
        return AESGCM(self.secret) if self.suite is Suite.AES_256_GCM else _Sm4Gcm(self.secret)


@dataclass(frozen=True)
class IndexKey:
    """A key of blind indexes: HMAC with SHA-256, or with SM3 beside SM4.

    number: stands before each tag, so that a tag says which key made it.
    """

    suite: Suite
    secret: bytes = field(repr=False)
    number: int = 1

    @property
    def mark(self) -> bytes:
        """Return the two bytes with which this key's tags begin."""
        return self.number.to_bytes(2)

    def digest(self, message: bytes) -> bytes:
        """Return 32 bytes that nobody without the key can predict."""
        name = "sha256" if self.suite is Suite.AES_256_GCM else "sm3"
        return hmac.digest(self.secret, message, name)


@dataclass(frozen=True)
class Place:
    """Where a value lives: scope (community, group or nil), table, column, row."""

    scope_id: UUID
    table: str
    column: str
    row_id: UUID

    def bound(self, key_id: int) -> bytes:
        """Return the authenticated data, each part with its length before it."""
        parts = (
            bytes([VERSION]),
            self.scope_id.bytes,
            self.table.encode(),
            self.column.encode(),
            self.row_id.bytes,
            key_id.to_bytes(4),
        )
        return b"".join(len(part).to_bytes(2) + part for part in parts)


class Keyring(Protocol):
    """What knows the keys of communities, groups and the platform (nil)."""

    def current(self, scope_id: UUID) -> DataKey:
        """Return the key that seals new values of a scope."""

    def key(self, scope_id: UUID, key_id: int) -> DataKey:
        """Return a key by its id; raises LookupError for one that was destroyed."""

    def index_keys(self, scope_ids: "Collection[UUID]") -> "dict[UUID, list[IndexKey]]":
        """Return the keys of the scopes' blind indexes: first the one that tags new values.

        While keys rotate there are two, and values are searched under both.
        """


class _Sm4Gcm:
    """SM4 in GCM with the interface of AESGCM."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret

    def encrypt(self, nonce: bytes, data: bytes, bound: bytes) -> bytes:
        work = Cipher(SM4(self.secret), GCM(nonce)).encryptor()
        work.authenticate_additional_data(bound)
        return work.update(data) + work.finalize() + work.tag

    def decrypt(self, nonce: bytes, data: bytes, bound: bytes) -> bytes:
        work = Cipher(SM4(self.secret), GCM(nonce, data[-TAG:])).decryptor()
        work.authenticate_additional_data(bound)
        return work.update(data[:-TAG]) + work.finalize()


def seal(key: DataKey, place: Place, plaintext: str) -> bytes:
    """Return the envelope of ``plaintext`` for its place, with a fresh random nonce."""
    nonce = os.urandom(NONCE)
    sealed = key.aead.encrypt(nonce, plaintext.encode(), place.bound(key.key_id))
    return bytes([VERSION, key.suite]) + key.key_id.to_bytes(4) + nonce + sealed


def seal_many(
    key: DataKey, place: Place, row_ids: Sequence[UUID], plaintexts: Sequence[str | None]
) -> list[bytes | None]:
    """Return the envelopes of one column's values, each as ``seal`` makes it; None stays None.

    place: of the column; its row is not read. What is the same for every row is reckoned once.
    """
    before, _, after = place.bound(key.key_id).rpartition(place.row_id.bytes)
    head = bytes([VERSION, key.suite]) + key.key_id.to_bytes(4)
    encrypt, nonces = key.aead.encrypt, os.urandom(NONCE * len(row_ids))
    made: list[bytes | None] = []
    for at, (row_id, plain) in enumerate(zip(row_ids, plaintexts, strict=True)):
        nonce = nonces[at * NONCE : (at + 1) * NONCE]
        bound = before + row_id.bytes + after
        sealed = encrypt(nonce, plain.encode(), bound) if plain else b""
        made.append(head + nonce + sealed if plain else None)
    return made


def key_id_of(envelope: bytes) -> int:
    """Return the id of the key that sealed an envelope."""
    return int.from_bytes(envelope[2:HEAD])


def open_sealed(keys: Callable[[int], DataKey], place: Place, envelope: bytes) -> str:
    """Return the plain value; raises TamperedCiphertext when it was changed or moved."""
    if len(envelope) < HEAD + NONCE + TAG or envelope[0] != VERSION:
        raise TamperedCiphertext(N_("A protected value cannot be read: it was damaged."))
    key_id = key_id_of(envelope)
    try:
        key = keys(key_id)
        nonce, sealed = envelope[HEAD : HEAD + NONCE], envelope[HEAD + NONCE :]
        if key.suite != envelope[1]:
            raise InvalidTag
        return key.aead.decrypt(nonce, bytes(sealed), place.bound(key_id)).decode()
    except (InvalidTag, LookupError) as error:
        raise TamperedCiphertext(
            N_("A protected value cannot be read: it was changed or moved, or its key is gone.")
        ) from error


def normalise(kind: str, value: str) -> str:
    """Return the form under which equal values are equal: ``phone``, ``id_number`` or any."""
    text = unicodedata.normalize("NFKC", value).strip()
    if kind == "phone":
        digits = "".join(c for c in text if c.isdigit() or c == "+")
        return digits.removeprefix("+86").removeprefix("0086") or digits
    if kind == "id_number":
        return "".join(text.split()).upper()
    return text.casefold()


def blind_index(key: IndexKey, table: str, column: str, kind: str, normalised: str) -> bytes:
    """Return the key's mark and 16 bytes, equal for equal values of one column of one scope."""
    return key.mark + key.digest(f"{table}.{column}.{kind}.v1|{normalised}".encode())[:16]


def tail_tag(key: IndexKey, table: str, column: str, last_four: str) -> bytes:
    """Return the mark and 2 bytes for the last four characters, to be compared in clear."""
    return key.mark + key.digest(f"{table}.{column}.tail.v1|{last_four}".encode())[:2]


def mask(kind: str, value: str | None) -> str:
    """Return what is shown by default: 138****0000, 1101**********1234, 张**."""
    if not value:
        return ""
    if kind == "phone" and len(value) >= 7:
        return f"{value[:3]}****{value[-4:]}"
    if kind == "id_number" and len(value) >= 10:
        return value[:4] + "*" * (len(value) - 8) + value[-4:]
    if kind == "name":
        return value[0] + "*" * max(len(value) - 1, 1)
    return "*" * 6
