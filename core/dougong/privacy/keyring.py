"""The keys of communities, groups and the platform: made, cached, retired, destroyed.

Keys are rows of ``data_key``, wrapped by the provider. Making one has its own short transaction,
so that a key is never lost with a business transaction that rolls back after sealing with it.
"""

import os
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from dougong.db.ciphers import DataKey, IndexKey, Suite
from dougong.db.scope import Actor
from dougong.errors import Conflict
from dougong.i18n import N_
from dougong.privacy.models import DataKeyRow, KeyPurpose, KeyState
from dougong.privacy.providers import KeyProvider, key_provider

# How long a process may go on sealing with a key that another one has retired.
FRESH_S = 5.0
SECRET_BYTES = {Suite.AES_256_GCM: 32, Suite.SM4_GCM: 16}
PLATFORM = UUID(int=0)


def context_of(row: DataKeyRow) -> bytes:
    """Return what a wrapped key is bound to."""
    return f"dougong|{row.scope_id}|{row.purpose}|{row.number}|{row.suite}".encode()


class StoredKeyring:
    """The keyring of one process; see ``dougong.db.ciphers.Keyring``.

    suite: of keys that are made from now on.
    """

    def __init__(
        self,
        installation: Any,
        provider: KeyProvider | None = None,
        suite: Suite = Suite.AES_256_GCM,
    ) -> None:
        self.installation = installation
        self.provider = provider or key_provider(installation.settings.paths)
        self.suite = suite
        self._current: dict[UUID, tuple[float, DataKey]] = {}
        self._keys: dict[tuple[UUID, int], tuple[float, DataKey]] = {}
        self._index: dict[UUID, IndexKey] = {}
        self._lock = threading.Lock()

    # --- what sealing and opening ask -------------------------------------------------------

    def current(self, scope_id: UUID) -> DataKey:
        """Return the key that seals new values of a scope, made when there is none."""
        known = self._current.get(scope_id)
        if known is None or known[0] < time.monotonic():
            row = self._find(scope_id, KeyPurpose.DATA)
            known = (time.monotonic() + FRESH_S, self._data_key(row))
            self._current[scope_id] = known
        return known[1]

    def key(self, scope_id: UUID, key_id: int) -> DataKey:
        """Return a key by its id; raises LookupError for one that was destroyed."""
        known = self._keys.get((scope_id, key_id))
        if known is not None and known[0] > time.monotonic():
            return known[1]
        with self.installation.access() as session:
            row = session.scalars(
                select(DataKeyRow).where(
                    DataKeyRow.scope_id == scope_id,
                    DataKeyRow.purpose == KeyPurpose.DATA,
                    DataKeyRow.number == key_id,
                )
            ).first()
        if row is None or row.wrapped is None:
            self._keys.pop((scope_id, key_id), None)
            raise LookupError(f"the key {key_id} of {scope_id} is gone")
        return self._data_key(row)

    def index_key(self, scope_id: UUID) -> IndexKey:
        """Return the key of a scope's blind indexes, made when there is none."""
        known = self._index.get(scope_id)
        if known is None:
            row = self._find(scope_id, KeyPurpose.INDEX)
            known = IndexKey(Suite(row.suite), self._unwrap(row))
            self._index[scope_id] = known
        return known

    def forget(self) -> None:
        """Drop everything that is cached, so that the next use reads the rows."""
        with self._lock:
            self._current.clear()
            self._keys.clear()
            self._index.clear()

    def _data_key(self, row: DataKeyRow) -> DataKey:
        known = self._keys.get((row.scope_id, row.number))
        key = known[1] if known else DataKey(row.number, Suite(row.suite), self._unwrap(row))
        # Destroying a key is honoured by every process within a minute.
        self._keys[row.scope_id, row.number] = (time.monotonic() + 60, key)
        return key

    def _unwrap(self, row: DataKeyRow) -> bytes:
        if row.wrapped is None:
            raise LookupError(f"the key {row.number} of {row.scope_id} is gone")
        return self.provider.unwrap(row.wrapped, context_of(row))

    # --- making and ending keys -------------------------------------------------------------

    def _find(self, scope_id: UUID, purpose: KeyPurpose) -> DataKeyRow:
        query = select(DataKeyRow).where(
            DataKeyRow.scope_id == scope_id,
            DataKeyRow.purpose == purpose,
            DataKeyRow.state == KeyState.CURRENT,
        )
        with self.installation.access() as session:
            found = session.scalars(query).first()
            if found is None:
                _exclusively(session, scope_id)
                found = session.scalars(query).first() or self._make(session, scope_id, purpose)
            return found

    def _make(self, session: Session, scope_id: UUID, purpose: KeyPurpose) -> DataKeyRow:
        last = session.scalar(
            text(
                "select max(number) from dougong.data_key where scope_id = :s and purpose = :p"
            ).bindparams(s=scope_id, p=purpose.value)
        )
        row = DataKeyRow(
            scope_id=scope_id,
            purpose=purpose,
            number=(last or 0) + 1,
            suite=int(self.suite),
            state=KeyState.CURRENT,
            provider=self.provider.name,
        )
        size = SECRET_BYTES[self.suite] if purpose is KeyPurpose.DATA else 32
        row.wrapped = self.provider.wrap(os.urandom(size), context_of(row))
        session.add(row)
        session.flush()
        return row

    def ensure(self, scope_ids: Iterable[UUID]) -> None:
        """Make the keys of new communities before the first value is sealed."""
        for scope_id in scope_ids:
            self.current(scope_id)
            self.index_key(scope_id)

    def renew(self, scope_id: UUID) -> DataKeyRow:
        """Put a new data key in use; the one before is retiring. A rotation under way goes on."""
        with self.installation.access(Actor.system("keys")) as session:
            _exclusively(session, scope_id)
            old = session.scalars(
                select(DataKeyRow).where(
                    DataKeyRow.scope_id == scope_id, DataKeyRow.purpose == KeyPurpose.DATA
                )
            ).all()
            current = next((row for row in old if row.state is KeyState.CURRENT), None)
            if any(row.state is KeyState.RETIRING for row in old) and current is not None:
                return current
            if current is not None:
                current.state = KeyState.RETIRING
                session.flush()
            made = self._make(session, scope_id, KeyPurpose.DATA)
        self.forget()
        return made

    def retire(self, scope_id: UUID) -> None:
        """Note that nothing in the tables is sealed with the retiring keys any more."""
        with self.installation.access(Actor.system("keys")) as session:
            session.execute(
                update(DataKeyRow)
                .where(DataKeyRow.scope_id == scope_id, DataKeyRow.state == KeyState.RETIRING)
                .values(state=KeyState.RETIRED, retired_at=func.now())
            )

    def destroy(self, scope_id: UUID, number: int) -> None:
        """Forget a retired key for ever; what only it opens (old images, backups) is shredded.

        Raises Conflict while the key is in use.
        """
        with self.installation.access(Actor.system("keys")) as session:
            row = session.scalars(
                select(DataKeyRow).where(
                    DataKeyRow.scope_id == scope_id,
                    DataKeyRow.purpose == KeyPurpose.DATA,
                    DataKeyRow.number == number,
                )
            ).first()
            if row is None or row.state is not KeyState.RETIRED:
                raise Conflict(N_("Only a retired key can be destroyed; rotate first."))
            row.wrapped, row.state = None, KeyState.DESTROYED
            row.destroyed_at = datetime.now(UTC)
        self.forget()

    def rewrap(self) -> int:
        """Wrap every key under the provider's newest key; return how many. Values stay as is."""
        with self.installation.access(Actor.system("keys")) as session:
            rows = session.scalars(
                select(DataKeyRow).where(DataKeyRow.wrapped.is_not(None)).with_for_update()
            ).all()
            for row in rows:
                row.wrapped = self.provider.wrap(self._unwrap(row), context_of(row))
                row.provider = self.provider.name
            return len(rows)

    def rows(self) -> list[DataKeyRow]:
        """Return every key with its state, for people."""
        with self.installation.access() as session:
            return list(
                session.scalars(
                    select(DataKeyRow).order_by(
                        DataKeyRow.scope_id, DataKeyRow.purpose, DataKeyRow.number
                    )
                )
            )


def _exclusively(session: Session, scope_id: UUID) -> None:
    """Let only one process at a time make keys of a scope."""
    session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:s, 7))"), {"s": f"key {scope_id}"}
    )


def open_keyring(installation: Any) -> StoredKeyring:
    """Return the keyring of an installation; one per process."""
    return StoredKeyring(installation)
