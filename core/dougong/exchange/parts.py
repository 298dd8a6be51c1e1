"""Sealed pieces of what is on its way: written and read one at a time, so memory stays flat."""

import io
import json
import zlib
from collections.abc import Iterator
from os import urandom
from typing import IO, Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from sqlalchemy import delete, select

from dougong.db import uuid7
from dougong.db.ciphers import NONCE, Place, TamperedCiphertext
from dougong.db.scope import Scope
from dougong.errors import Conflict
from dougong.exchange.models import ExchangePart
from dougong.i18n import N_

PIECE_BYTES = 1024 * 1024


def write_parts(scope: Scope, owner_id: UUID, kind: str, content: IO[bytes]) -> int:
    """Keep a content for its owner, sealed with the community's key; return its size in bytes."""
    drop_parts(scope, owner_id, kind)
    size = number = 0
    while piece := content.read(PIECE_BYTES):
        part = ExchangePart(id=uuid7(), owner_id=owner_id, kind=kind, number=number)
        part.sealed = _sealed(scope, part, piece)
        scope.session.add(part)
        scope.session.flush()
        scope.session.expunge(part)
        size, number = size + len(piece), number + 1
    return size


def read_parts(scope: Scope, owner_id: UUID, kind: str) -> Iterator[bytes]:
    """Return a content piece by piece; raises TamperedCiphertext for one that was changed."""
    number = 0
    while True:
        part = scope.session.scalars(
            select(ExchangePart).where(
                ExchangePart.owner_id == owner_id,
                ExchangePart.kind == kind,
                ExchangePart.number == number,
            )
        ).first()
        if part is None:
            return
        scope.session.expunge(part)
        yield _opened(scope, part)
        number += 1


def drop_parts(scope: Scope, owner_id: UUID, *kinds: str) -> None:
    """Forget contents of an owner; all of them when no kind is named."""
    query = delete(ExchangePart).where(ExchangePart.owner_id == owner_id)
    if kinds:
        query = query.where(ExchangePart.kind.in_(kinds))
    scope.session.execute(query, execution_options={"synchronize_session": False})


def write_json(scope: Scope, owner_id: UUID, kind: str, value: Any) -> None:
    """Keep plain JSON for its owner, packed and sealed."""
    packed = zlib.compress(json.dumps(value, ensure_ascii=False).encode(), 6)
    write_parts(scope, owner_id, kind, io.BytesIO(packed))


def read_json(scope: Scope, owner_id: UUID, kind: str) -> Any:
    """Return what ``write_json`` was given, None when it is gone."""
    packed = b"".join(read_parts(scope, owner_id, kind))
    return json.loads(zlib.decompress(packed)) if packed else None


def _sealed(scope: Scope, part: ExchangePart, plain: bytes) -> bytes:
    key = scope.vault.keyring.current(_owner(scope))
    nonce = urandom(NONCE)
    sealed = key.aead.encrypt(nonce, plain, _place(scope, part).bound(key.key_id))
    return key.key_id.to_bytes(4) + nonce + sealed


def _opened(scope: Scope, part: ExchangePart) -> bytes:
    raw = bytes(part.sealed)
    try:
        key = scope.vault.keyring.key(_owner(scope), int.from_bytes(raw[:4]))
        bound = _place(scope, part).bound(key.key_id)
        return key.aead.decrypt(raw[4 : 4 + NONCE], raw[4 + NONCE :], bound)
    except (InvalidTag, LookupError) as error:
        raise TamperedCiphertext(N_("The file in the store was changed or damaged.")) from error


def _owner(scope: Scope) -> UUID:
    if scope.community_id is None:
        raise Conflict(N_("Choose a community first; a group page writes no rows."))
    return scope.community_id


def _place(scope: Scope, part: ExchangePart) -> Place:
    return Place(_owner(scope), "exchange_part", f"{part.kind}|{part.number}", part.owner_id)
