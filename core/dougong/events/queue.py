"""Puts work into procrastinate's queue through the caller's own connection, signed.

The payload holds ids only and a MAC over task and arguments; a worker refuses others, so that a row
which an attacker manages to write is never acted upon.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from dougong.db.scope import Scope, ScopeKey

MAC = "mac"
# What a worker does for a community when it is woken by name: function(installation, community).
ROUNDS: dict[str, Callable[[Any, UUID], Any]] = {}
DEFER = text(
    "select dougong.procrastinate_defer_jobs_v1(array[row(:queue, :task, :priority, :lock, null,"
    " cast(:args as jsonb), cast(:at as timestamptz))]::dougong.procrastinate_job_to_defer_v1[])"
)


def defer(
    scope: Scope,
    task: str,
    arguments: Mapping[str, str],
    *,
    lock: str | None = None,
    queue: str = "default",
    at: datetime | None = None,
    priority: int = 0,
) -> None:
    """Have a worker run ``task`` once this transaction has committed.

    lock: no two tasks with the same lock run at once. at: not before this instant.
    """
    key = scope.installation.databases.scope_key
    signed = {**arguments, MAC: sign(key, task, arguments)}
    scope.session.execute(
        DEFER,
        {
            "queue": queue,
            "task": task,
            "priority": priority,
            "lock": lock,
            "args": json.dumps(signed),
            "at": at,
        },
    )


def sign(key: ScopeKey, task: str, arguments: Mapping[str, Any]) -> str:
    """Return the MAC of a payload."""
    secret = hmac.new(key.secret, b"dougong queue", hashlib.sha256).digest()
    body = json.dumps([task, sorted(arguments.items())], separators=(",", ":")).encode()
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def is_genuine(key: ScopeKey, task: str, payload: Mapping[str, Any]) -> bool:
    """Tell whether a payload was made by `defer` of this installation, for this task."""
    arguments = {k: v for k, v in payload.items() if k != MAC}
    given = payload.get(MAC)
    return isinstance(given, str) and hmac.compare_digest(
        given.encode(), sign(key, task, arguments).encode()
    )
