"""How many requests a program may make: a bucket per login that fills evenly.

Each web process counts for itself; the limit protects it from a program that runs wild, it is no
quota. The setting is ``dougong.api_requests_per_minute``.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from werkzeug.exceptions import TooManyRequests

from dougong.db.scope import NOBODY, Scope

DEFAULT_PER_MINUTE = 600
MOST_BUCKETS = 10_000
SETTING_AGE_S = 60.0


@dataclass
class Bucket:
    """What is left for one actor in one place. at: monotonic seconds of the last request."""

    per_minute: int
    left: float
    at: float
    read_at: float

    def take(self, now: float) -> bool:
        """Take one request out; False when nothing is left."""
        self.left = min(self.per_minute, self.left + (now - self.at) * self.per_minute / 60)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(frozen=True)
class Allowance:
    """What a program is told: per minute, left now, seconds until one more."""

    limit: int
    remaining: int
    retry_after_s: int


class Limiter:
    """The buckets of one process."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[UUID, UUID], Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, scope: Scope) -> tuple[bool, Allowance]:
        """Take a request of the scope's actor out; return whether it may go on."""
        key = (scope.actor.user_id or NOBODY, scope.community_id or scope.group_id)
        now = time.monotonic()
        known = self._buckets.get(key)
        if known is None or now - known.read_at > SETTING_AGE_S:
            wanted = scope.setting("dougong.api_requests_per_minute", DEFAULT_PER_MINUTE)
            per_minute = max(1, int(wanted))
        else:
            per_minute = known.per_minute
        with self._lock:
            bucket = self._buckets.setdefault(key, Bucket(per_minute, per_minute, now, now))
            self._buckets.move_to_end(key)
            if bucket.per_minute != per_minute or now - bucket.read_at > SETTING_AGE_S:
                bucket.per_minute, bucket.read_at = per_minute, now
            is_allowed = bucket.take(now)
            while len(self._buckets) > MOST_BUCKETS:
                self._buckets.popitem(last=False)
            wait = 0 if is_allowed else int((1 - bucket.left) * 60 / bucket.per_minute) + 1
            return is_allowed, Allowance(bucket.per_minute, int(bucket.left), wait)


def refuse(allowance: Allowance) -> TooManyRequests:
    """Return the error that a program gets that asked too often."""
    return TooManyRequests(retry_after=allowance.retry_after_s)
