"""Encrypts and decrypts personal values of one scope, with the keys of their community."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from dougong.db import ciphers
from dougong.db.columns import EncryptedField

if TYPE_CHECKING:
    from dougong.db.scope import Scope

PLATFORM = UUID(int=0)


def tags_under(
    key: ciphers.IndexKey, table: str, column: str, kind: str, plain: str, suffixes: Iterable[str]
) -> dict[str, bytes]:
    """Return the tags of ``plain`` under one key by column suffix (``index``, ``tail``)."""
    normal = ciphers.normalise(kind, plain)
    made = {
        "index": lambda: ciphers.blind_index(key, table, column, "exact", normal),
        "tail": lambda: ciphers.tail_tag(key, table, column, normal[-4:]),
    }
    return {suffix: made[suffix]() for suffix in suffixes}


class Vault:
    """Personal values on the way to and from the database.

    A value is sealed for its place (community or group, table, column, row): moved anywhere else,
    it does not open.
    """

    def __init__(self, keyring: "ciphers.Keyring", scope: "Scope | None" = None) -> None:
        self.keyring = keyring
        self.scope = scope

    def open(self, field: EncryptedField, record: Any, sealed: bytes) -> str:
        """Return the plain value; raises TamperedCiphertext when it was moved or changed."""
        owner = self._owner(field, record)
        return ciphers.open_sealed(
            lambda key_id: self.keyring.key(owner, key_id),
            ciphers.Place(owner, field.table, field.name, record.id),
            sealed,
        )

    def seal(self, field: EncryptedField, owner: UUID, row_id: UUID, plain: str) -> bytes:
        """Return the ciphertext of ``plain`` for one row; for bulk writes that bypass the ORM."""
        key = self.keyring.current(owner)
        return ciphers.seal(key, ciphers.Place(owner, field.table, field.name, row_id), plain)

    def tags(self, field: EncryptedField, owner: UUID, plain: str) -> dict[str, bytes]:
        """Return the search tags by column suffix (``index``, ``tail``); for bulk writes too."""
        if field.search is None:
            return {}
        key = self.keyring.index_keys([owner])[owner][0]
        return tags_under(key, field.table, field.name, field.mask, plain, field.suffixes())

    def seal_many(
        self,
        field: EncryptedField,
        owner: UUID,
        row_ids: Sequence[UUID],
        plain: Sequence[str | None],
    ) -> list[bytes | None]:
        """Return the ciphertexts of a column's values, row by row; None stays None."""
        # A row that no value has: it is found in the bound bytes and replaced for each row.
        place = ciphers.Place(owner, field.table, field.name, uuid4())
        return ciphers.seal_many(self.keyring.current(owner), place, row_ids, plain)

    def tags_many(
        self, field: EncryptedField, owner: UUID, plain: Sequence[str | None]
    ) -> dict[str, list[bytes | None]]:
        """Return the search tags of a column's values by column suffix; None stays None."""
        if field.search is None:
            return {}
        key = self.keyring.index_keys([owner])[owner][0]
        normal = [ciphers.normalise(field.mask, value) if value else "" for value in plain]
        table, name = field.table, field.name
        makers = {
            "index": lambda text: ciphers.blind_index(key, table, name, "exact", text),
            "tail": lambda text: ciphers.tail_tag(key, table, name, text[-4:]),
        }
        return {
            suffix: [makers[suffix](n) if p else None for n, p in zip(normal, plain, strict=True)]
            for suffix in field.suffixes()
        }

    def known_tags(self, field: EncryptedField, owner: UUID, plain: str) -> tuple[bytes, ...]:
        """Return every exact tag that ``plain`` may have in one community; keys may be rotating."""
        normal = ciphers.normalise(field.mask, plain)
        return tuple(
            ciphers.blind_index(key, field.table, field.name, "exact", normal)
            for key in self.keyring.index_keys([owner])[owner]
        )

    def store(self, field: EncryptedField, record: Any, plain: str | None) -> None:
        """Put ciphertext and search tags of ``plain`` on the record."""
        if plain is None:
            setattr(record, f"{field.name}_sealed", None)
            for suffix in field.suffixes():
                setattr(record, f"{field.name}_{suffix}", None)
            return
        owner = self._owner(field, record)
        setattr(record, f"{field.name}_sealed", self.seal(field, owner, record.id, plain))
        for suffix, tag in self.tags(field, owner, plain).items():
            setattr(record, f"{field.name}_{suffix}", tag)

    def index_tags(self, field: EncryptedField, model: Any, value: str) -> list[bytes]:
        """Return the exact tags of ``value`` under every community that is read."""
        normal = ciphers.normalise(field.mask, value)
        return [
            ciphers.blind_index(key, field.table, field.name, "exact", normal)
            for keys in self.keyring.index_keys(self._owners(field)).values()
            for key in keys
        ]

    def tail_tags(self, field: EncryptedField, model: Any, last_four: str) -> list[bytes]:
        """Return the last-four tags under every community that is read."""
        normal = ciphers.normalise(field.mask, last_four)
        return [
            ciphers.tail_tag(key, field.table, field.name, normal)
            for keys in self.keyring.index_keys(self._owners(field)).values()
            for key in keys
        ]

    def _owners(self, field: EncryptedField) -> list[UUID]:
        if self.scope is None or field.key_column is None:
            return [PLATFORM]
        if field.key_column == "group_id":
            return [self.scope.group_id]
        return list(self.scope.readable)

    @staticmethod
    def _owner(field: EncryptedField, record: Any) -> UUID:
        return PLATFORM if field.key_column is None else getattr(record, field.key_column)
