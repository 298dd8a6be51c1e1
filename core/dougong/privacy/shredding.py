"""Destroys keys in backups as well: what only they open is gone, wherever a copy of it lies.

A backup of the database brings its wrapped keys back, so emptying a row destroys nothing. Keys die
when the wrapping key of their time dies: the keys that live are wrapped under a new one, a copy of
them is left beside it (``keys/data-keys.json``), and the older wrapping keys are destroyed. After a
backup was restored, `recover` puts the keys that live in the place of those it brought.
"""

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.privacy import rotation
from dougong.privacy.keyring import SEARCHED, context_of
from dougong.privacy.models import DataKeyRow, KeyPurpose, KeyState
from dougong.privacy.providers import KeyProviderError

ACTOR = Actor.system("keys")


@dataclass(frozen=True)
class Recovered:
    """What became of the keys of a restored backup."""

    kept: int = 0
    put_back: int = 0
    shredded: int = 0


def copy_file(installation: Any) -> Path:
    """Return the file with the wrapped keys that live; it needs the wrapping key to be of use."""
    return installation.settings.paths.keys / "data-keys.json"


def destroy_older(installation: Any, days: int, only: UUID | None = None) -> tuple[int, int]:
    """Destroy keys that were retired more than ``days`` ago, in backups too.

    only: one scope. Return how many, and how many were kept because a value still needs them. A
    copy of the ``keys`` folder from before can still open old backups: it must not be kept longer.
    """
    done, kept = rotation.destroy_older(installation, days, only)
    if done:
        forget_wrapping(installation)
    return done, kept


def forget_wrapping(installation: Any) -> None:
    """Wrap the keys that live under a new wrapping key and destroy the older ones.

    In this order, so that being killed in between loses no key and destroys none too few for long:
    the next call goes on.
    """
    keyring = installation.keyring
    keyring.provider.add_version()
    keyring.rewrap()
    _write_copy(installation)
    keyring.provider.forget_older()


def shred_scope(installation: Any, scope_id: UUID) -> rotation.Rotated:
    """Make everything unreadable that backups hold sealed of one community or group.

    Its values are sealed under new keys and the older keys destroyed. So what was erased before is
    gone from backups at once, and so is the rest of this community that they hold: take a new
    backup after. Nothing is destroyed while a value does not open.
    """
    done = rotation.rotate(installation, [scope_id])
    if not done.broken:
        destroy_older(installation, 0, scope_id)
    return done


def _write_copy(installation: Any) -> None:
    rows = [
        {
            "scope": str(row.scope_id),
            "purpose": row.purpose.value,
            "number": row.number,
            "suite": row.suite,
            "state": row.state.value,
            "provider": row.provider,
            "wrapped": base64.b64encode(row.wrapped).decode(),
        }
        for row in installation.keyring.rows()
        if row.wrapped is not None
    ]
    path = copy_file(installation)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(rows, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def recover(installation: Any) -> Recovered:
    """Put the keys that live in the place of those that a restored backup brought back.

    A key of the backup that no wrapping key opens is taken from the copy, and is shredded when the
    copy lacks it too. Safe to run at any time.
    """
    path = copy_file(installation)
    living = (
        {_place(entry): entry for entry in json.loads(path.read_text())} if path.exists() else {}
    )
    kept = put_back = shredded = 0
    with installation.access(ACTOR) as session:
        rows = session.scalars(select(DataKeyRow).with_for_update()).all()
        for row in rows:
            entry = living.pop((str(row.scope_id), row.purpose.value, row.number), None)
            if row.wrapped is None or _opens(installation, row):
                kept += 1
            elif entry is not None:
                row.wrapped, row.provider = base64.b64decode(entry["wrapped"]), entry["provider"]
                row.state = _state_now(row.state, KeyState(entry["state"]))
                put_back += 1
            else:
                row.wrapped, row.state = None, KeyState.DESTROYED
                shredded += 1
        session.flush()  # only one key of a scope is current: those out of use leave first
        for entry in living.values():
            session.add(_row(entry))
            put_back += 1
    installation.keyring.forget()
    return Recovered(kept, put_back, shredded)


def _state_now(restored: KeyState, living: KeyState) -> KeyState:
    """Return where a key stands that the restored values may still be under."""
    if living is KeyState.RETIRED and restored in SEARCHED:
        return KeyState.RETIRING
    return living


def _place(entry: dict[str, Any]) -> tuple[str, str, int]:
    return entry["scope"], entry["purpose"], entry["number"]


def _row(entry: dict[str, Any]) -> DataKeyRow:
    return DataKeyRow(
        id=uuid7(),
        scope_id=UUID(entry["scope"]),
        purpose=KeyPurpose(entry["purpose"]),
        number=entry["number"],
        suite=entry["suite"],
        state=KeyState(entry["state"]),
        provider=entry["provider"],
        wrapped=base64.b64decode(entry["wrapped"]),
    )


def _opens(installation: Any, row: DataKeyRow) -> bool:
    try:
        installation.keyring.provider.unwrap(row.wrapped, context_of(row))
    except KeyProviderError:
        return False
    return True
