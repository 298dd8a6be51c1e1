"""How many requests a program may make: a bucket per login and place that fills evenly.

The bucket lies in the database, so the limit holds for all web processes together. A process takes
a few requests out at once and spends them by itself: one statement for many requests. What it has
not spent after some seconds is lost, so nobody ever gets more than the bucket holds. The setting
is ``dougong.api_requests_per_minute``.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from werkzeug.exceptions import TooManyRequests

from dougong.db.scope import NOBODY, Scope
from dougong.web.api.models import ApiBucket

DEFAULT_PER_MINUTE = 600
MOST_LEASES = 10_000
SETTING_AGE_S = 60.0
LEASE_S = 5.0
LEASES_PER_BUCKET = 20
TABLE = ApiBucket.__table__
FILLED = (
    "least(cast(:per_minute as float8), api_bucket.tokens"
    " + extract(epoch from clock_timestamp() - api_bucket.filled_at) * :per_minute / 60)"
)
GRANTED = f"least(:wanted, cast(floor({FILLED}) as int))"


@dataclass
class Lease:
    """Requests that a process has taken out and not spent. read_at: monotonic, of the setting.

    left: in the bucket, when this was taken out.
    """

    per_minute: int
    read_at: float
    spendable: int = 0
    taken_at: float = 0.0
    left: float = 0.0


@dataclass(frozen=True)
class Allowance:
    """What a program is told: per minute, left now, seconds until one more."""

    limit: int
    remaining: int
    retry_after_s: int


class Limiter:
    """What one process has taken out of the buckets."""

    def __init__(self) -> None:
        self._leases: OrderedDict[tuple[UUID, UUID], Lease] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, scope: Scope) -> tuple[bool, Allowance]:
        """Take a request of the scope's actor out; return whether it may go on."""
        key = (scope.actor.user_id or NOBODY, scope.community_id or scope.group_id)
        lease = self._lease(scope, key)
        with self._lock:
            if time.monotonic() - lease.taken_at > LEASE_S:
                lease.spendable = 0
            if lease.spendable:
                lease.spendable -= 1
                return True, Allowance(lease.per_minute, int(lease.left) + lease.spendable, 0)
        granted, left = _take_out(scope, key, lease.per_minute)
        with self._lock:
            lease.left, lease.taken_at = left, time.monotonic()
            if granted:
                lease.spendable += granted - 1
            remaining = int(left) + lease.spendable
        wait_s = 0 if granted else int((1 - left) * 60 / lease.per_minute) + 1
        return granted > 0, Allowance(lease.per_minute, remaining, wait_s)

    def _lease(self, scope: Scope, key: tuple[UUID, UUID]) -> Lease:
        """Return what this process knows of a bucket, with a setting that is not too old."""
        now = time.monotonic()
        known = self._leases.get(key)
        if known is None or now - known.read_at > SETTING_AGE_S:
            wanted = scope.setting("dougong.api_requests_per_minute", DEFAULT_PER_MINUTE)
            known = Lease(max(1, int(wanted)), now)
        with self._lock:
            self._leases[key] = known
            self._leases.move_to_end(key)
            while len(self._leases) > MOST_LEASES:
                self._leases.popitem(last=False)
        return known


def _take_out(scope: Scope, key: tuple[UUID, UUID], per_minute: int) -> tuple[int, float]:
    """Take some requests out of the bucket; return how many there were, and what is left."""
    wanted = max(1, per_minute // LEASES_PER_BUCKET)
    values = {
        "actor_id": key[0],
        "place_id": key[1],
        "tokens": per_minute - wanted,
        "filled_at": text("clock_timestamp()"),
        "granted": wanted,
    }
    statement = (
        insert(ApiBucket)
        .values(values)
        .on_conflict_do_update(
            index_elements=["actor_id", "place_id"],
            set_={
                "tokens": text(f"{FILLED} - {GRANTED}"),
                "filled_at": text("clock_timestamp()"),
                "granted": text(GRANTED),
            },
        )
        .returning(TABLE.c.granted, TABLE.c.tokens)
    )
    with scope.installation.access() as session:
        row = session.execute(statement, {"per_minute": per_minute, "wanted": wanted}).one()
    return row.granted, row.tokens


def refuse(allowance: Allowance) -> TooManyRequests:
    """Return the error that a program gets that asked too often."""
    return TooManyRequests(retry_after=allowance.retry_after_s)
