"""When a phone says that something happened, which may be long before the word of it came."""

from datetime import datetime, timedelta

from dougong.db import Scope

CLOCK_MAY_BE_OFF = timedelta(minutes=5)
LONGEST_WITHOUT_NETWORK = timedelta(days=7)


def happened_at(scope: Scope, said: datetime | None) -> datetime:
    """Return the instant that a phone gave for what was done on it, now when it gave none.

    A phone whose clock is ahead, or that claims more than a week, is not believed: then it is now.
    When the word came is kept beside it (`SyncedWork.synced_at`).
    """
    if said is None or said.tzinfo is None or said > scope.now + CLOCK_MAY_BE_OFF:
        return scope.now
    return min(said, scope.now) if scope.now - said <= LONGEST_WITHOUT_NETWORK else scope.now
