"""The keys of communities, groups and the platform: made, cached, retired, destroyed.

Keys are rows of ``data_key``, wrapped by the provider. Making one has its own short transaction,
so that a key is never lost with a business transaction that rolls back after sealing with it.
"""

import os
import threading
import time
from collections.abc import Collection, Iterable
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
from dougong.privacy.providers import KeyProvider, KeyProviderError, chosen_suite, key_provider

# How long a process may go on sealing with a key that another one has retired.
FRESH_S = 5.0
SECRET_BYTES = {Suite.AES_256_GCM: 32, Suite.SM4_GCM: 16}
PLATFORM = UUID(int=0)
# Under which index keys a value may be tagged while keys rotate.
SEARCHED = (KeyState.COMING, KeyState.CURRENT, KeyState.RETIRING)


def context_of(row: DataKeyRow) -> bytes:
    """Return what a wrapped key is bound to."""
    return f"dougong|{row.scope_id}|{row.purpose}|{row.number}|{row.suite}".encode()


class StoredKeyring:
    """The keyring of one process; see ``dougong.db.ciphers.Keyring``.

    suite: of keys that are made from now on; by default what ``keys/provider.toml`` says.
    """

    def __init__(
        self,
        installation: Any,
        provider: KeyProvider | None = None,
        suite: Suite | None = None,
    ) -> None:
        self.installation = installation
        self.provider = provider or key_provider(installation.settings.paths)
        self.suite = suite or chosen_suite(installation.settings.paths)
        self._current: dict[UUID, tuple[float, DataKey]] = {}
        self._keys: dict[tuple[UUID, int], tuple[float, DataKey]] = {}
        self._index: dict[UUID, tuple[float, list[IndexKey]]] = {}
        self._index_secrets: dict[tuple[UUID, int], IndexKey] = {}
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

    def index_keys(self, scope_ids: Collection[UUID]) -> dict[UUID, list[IndexKey]]:
        """Return the live index keys of scopes, the one that tags first; made when there is none.

        What is cached is as old as ``FRESH_S`` at most, so that a rotation knows how long to wait.
        """
        now = time.monotonic()
        stale = [s for s in scope_ids if s not in self._index or self._index[s][0] < now]
        if stale:
            self._load_index(stale, now + FRESH_S)
        return {scope_id: self._index[scope_id][1] for scope_id in scope_ids}

    def _load_index(self, scope_ids: list[UUID], until: float) -> None:
        found: dict[UUID, list[DataKeyRow]] = {scope_id: [] for scope_id in scope_ids}
        with self.installation.access() as session:
            for row in session.scalars(
                select(DataKeyRow)
                .where(
                    DataKeyRow.scope_id.in_(scope_ids),
                    DataKeyRow.purpose == KeyPurpose.INDEX,
                    DataKeyRow.state.in_(SEARCHED),
                )
                .order_by(DataKeyRow.number)
            ):
                found[row.scope_id].append(row)
        for scope_id, rows in found.items():
            if not any(row.state is KeyState.CURRENT for row in rows):
                rows = [self._find(scope_id, KeyPurpose.INDEX), *rows]
            rows.sort(key=lambda row: row.state is not KeyState.CURRENT)
            self._index[scope_id] = (until, [self._index_key(row) for row in rows])

    def _index_key(self, row: DataKeyRow) -> IndexKey:
        at = (row.scope_id, row.number)
        if at not in self._index_secrets:
            self._index_secrets[at] = IndexKey(Suite(row.suite), self._unwrap(row), row.number)
        return self._index_secrets[at]

    def forget(self) -> None:
        """Drop everything that is cached, so that the next use reads the rows."""
        with self._lock:
            self._current.clear()
            self._keys.clear()
            self._index.clear()
            self._index_secrets.clear()

    def _data_key(self, row: DataKeyRow) -> DataKey:
        known = self._keys.get((row.scope_id, row.number))
        key = known[1] if known else DataKey(row.number, Suite(row.suite), self._unwrap(row))
        # Destroying a key is honoured by every process within a minute.
        self._keys[row.scope_id, row.number] = (time.monotonic() + 60, key)
        return key

    def _unwrap(self, row: DataKeyRow) -> bytes:
        if row.wrapped is None:
            raise LookupError(f"the key {row.number} of {row.scope_id} is gone")
        try:
            return self.provider.unwrap(row.wrapped, context_of(row))
        except KeyProviderError:
            # It may have been wrapped anew, and the old wrapping key forgotten, since it was read.
            with self.installation.access() as session:
                fresh = session.get(DataKeyRow, row.id)
            if fresh is None or fresh.wrapped is None or fresh.wrapped == row.wrapped:
                raise
            return self.provider.unwrap(fresh.wrapped, context_of(fresh))

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

    def _make(
        self,
        session: Session,
        scope_id: UUID,
        purpose: KeyPurpose,
        state: KeyState = KeyState.CURRENT,
    ) -> DataKeyRow:
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
            state=state,
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
            self.index_keys([scope_id])

    def announce(self, scope_ids: Collection[UUID]) -> None:
        """Make the index keys that come next; from now on values are searched under them too."""
        for scope_id in scope_ids:
            with self.installation.access(Actor.system("keys")) as session:
                _exclusively(session, scope_id)
                states = {row.state for row in _rows(session, scope_id, KeyPurpose.INDEX)}
                if not states & {KeyState.COMING, KeyState.RETIRING}:
                    self._make(session, scope_id, KeyPurpose.INDEX, KeyState.COMING)
        self.forget()

    def renew(self, scope_id: UUID) -> None:
        """Put a new data key and the announced index key in use; those before are retiring.

        A rotation under way goes on.
        """
        with self.installation.access(Actor.system("keys")) as session:
            _exclusively(session, scope_id)
            rows = _rows(session, scope_id, KeyPurpose.DATA)
            if not any(row.state is KeyState.RETIRING for row in rows):
                _retire_current(session, rows)
                self._make(session, scope_id, KeyPurpose.DATA)
            rows = _rows(session, scope_id, KeyPurpose.INDEX)
            coming = next((row for row in rows if row.state is KeyState.COMING), None)
            if coming is not None:
                _retire_current(session, rows)
                coming.state = KeyState.CURRENT
        self.forget()

    def retire(self, scope_id: UUID) -> None:
        """Note that nothing in the tables is under the retiring keys any more."""
        with self.installation.access(Actor.system("keys")) as session:
            session.execute(
                update(DataKeyRow)
                .where(DataKeyRow.scope_id == scope_id, DataKeyRow.state == KeyState.RETIRING)
                .values(state=KeyState.RETIRED, retired_at=func.now())
            )
        self.forget()

    def destroy(self, scope_id: UUID, number: int, purpose: KeyPurpose = KeyPurpose.DATA) -> None:
        """Forget a retired key for ever; what only it opens is shredded here.

        Backups hold it still, wrapped; `dougong.privacy.shredding` ends that. Raises Conflict while
        the key is in use.
        """
        with self.installation.access(Actor.system("keys")) as session:
            rows = _rows(session, scope_id, purpose)
            row = next((row for row in rows if row.number == number), None)
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


def _rows(session: Session, scope_id: UUID, purpose: KeyPurpose) -> list[DataKeyRow]:
    query = select(DataKeyRow).where(DataKeyRow.scope_id == scope_id, DataKeyRow.purpose == purpose)
    return list(session.scalars(query))


def _retire_current(session: Session, rows: Iterable[DataKeyRow]) -> None:
    """Take the current key out of use before another takes its place."""
    for row in rows:
        if row.state is KeyState.CURRENT:
            row.state = KeyState.RETIRING
    session.flush()


def _exclusively(session: Session, scope_id: UUID) -> None:
    """Let only one process at a time make keys of a scope."""
    session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:s, 7))"), {"s": f"key {scope_id}"}
    )


def open_keyring(installation: Any) -> StoredKeyring:
    """Return the keyring of an installation; one per process."""
    return StoredKeyring(installation)
