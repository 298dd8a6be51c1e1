"""What counts of each meter when a month begins, kept so that a month's usage reads no readings.

Readings stay the only truth. A job keeps what counted at the midnights that are over; it locks the
meters for it, so that nobody is in the middle of writing a reading of theirs. Whoever writes,
changes or takes away a reading of before such a midnight forgets what was kept after it, in his own
transaction, and the job keeps it anew. Where nothing is kept, usage is reckoned from readings.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause, event, inspect, text

from dougong.db import Scope
from dougong.errors import Conflict
from dougong.i18n import N_
from dougong.services import service
from dougong_meters.models import Reading
from dougong_meters.services.usage import at_instant

MONTHS, BATCH, LATE = 13, 20_000, timedelta(hours=1)
# No midnight of a place lies further than that from the one of UTC.
FARTHEST = timedelta(hours=14)

# What hangs in the month before a midnight or in the one after it, and is not kept.
MISSING = text(
    """
    select m.id from meters.meter m
    where m.community_id = :community and m.installed_on < :end_on
      and (m.removed_on is null or m.removed_on >= :start_on)
      and not exists (
        select from meters.month_counter k
        where k.community_id = :community and k.meter_id = m.id and k.begins_at = :at)
    limit :most
    """
)
LOCKED = text(
    """
    select id from meters.meter where community_id = :community and id = any (:meters)
    order by id for update skip locked
    """
)
HELD = text(
    """
    select id from meters.meter where community_id = :community and id = any (:meters)
    order by id for key share
    """
)
SAID = f"""
    with wanted as materialized ({{wanted}}),
    estimated as materialized (
        select g.community_id, g.meter_id, min(g.read_at) as first_at from meters.reading g
        where g.community_id in (select community_id from wanted) and g.kind = 'estimate'
          and g.state = 'accepted'
        group by g.community_id, g.meter_id
    )
    select m.community_id, m.id as meter_id, w.begins_at, c.value, c.read_at,
           coalesce(c.is_estimated, false) as is_estimated, r.rolled
    from wanted w
    join meters.meter m on m.community_id = w.community_id and m.id = w.meter_id
    left join estimated s on s.community_id = m.community_id and s.meter_id = m.id
    left join lateral ({at_instant("w.begins_at")}) c on true
    left join lateral (
        select count(*)::int as rolled from meters.reading
        where community_id = m.community_id and meter_id = m.id and state = 'accepted'
          and kind = 'rollover' and read_at > w.before_at and read_at <= w.begins_at
    ) r on true
"""
CHOSEN = """
    select cast(:community as uuid) as community_id, t.*
    from (select unnest(cast(:meters as uuid[])) as meter_id, cast(:at as timestamptz) as begins_at,
                 cast(:before as timestamptz) as before_at) t
"""
KEEP = text(
    f"""
    insert into meters.month_counter
        (id, community_id, meter_id, begins_at, value, read_at, is_estimated, rolled)
    select uuidv7(), said.* from ({SAID.format(wanted=CHOSEN)}) said
    on conflict (community_id, meter_id, begins_at) do nothing
    """
)
KEPT = """
    select k.community_id, k.meter_id, k.begins_at,
           (date_trunc('month', k.begins_at at time zone c.zone) - interval '1 month')
               at time zone c.zone as before_at
    from meters.month_counter k
    join dougong.community c on c.id = k.community_id
    where k.begins_at >= :since
"""
WRONG = f"""
    select k.community_id from ({SAID.format(wanted=KEPT)}) said
    join meters.month_counter k on k.community_id = said.community_id
         and k.meter_id = said.meter_id and k.begins_at = said.begins_at
    where (k.value, k.read_at, k.is_estimated, k.rolled)
          is distinct from (said.value, said.read_at, said.is_estimated, said.rolled)
"""
FORGET = text(
    """
    delete from meters.month_counter k
    using unnest(cast(:meters as uuid[]), cast(:instants as timestamptz[])) as t (meter_id, read_at)
    where k.community_id = :community and k.meter_id = t.meter_id and k.begins_at >= t.read_at
    """
)
WIPE = text("delete from meters.month_counter where community_id = :community")
DISTANT = datetime(1970, 1, 1, tzinfo=UTC)


def _months(scope: Scope) -> list[date]:
    """Return the first days of the last months whose first midnight is over for an hour."""
    first = (scope.now - LATE).astimezone(scope.zone).date().replace(day=1)
    months = [first]
    while len(months) < MONTHS:
        months.append((months[-1] - timedelta(days=1)).replace(day=1))
    return months


def _after(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)


def _before(first: date) -> date:
    return (first - timedelta(days=1)).replace(day=1)


@service("month_counter.keep", title=("Keep what counters showed", "留存月初表底"), is_public=False)
def keep_counters(scope: Scope, most: int = BATCH) -> int:
    """Keep what counted at the midnights of the last year that are missing; return how many.

    Runs every hour, at most ``most`` in a transaction. Meters that somebody is writing a reading of
    are left for the next time, so that nobody waits.
    """

    left, kept = most, 0
    for month in _months(scope):
        found, done = _keep(scope, month, left)
        left, kept = left - found, kept + done
        if not left:
            scope.enqueue("meters.month_counter.keep")
            break
    return kept


def _keep(scope: Scope, month: date, most: int) -> tuple[int, int]:
    """Keep what is missing at a month's first midnight; return how many were, and are kept now."""
    before = _before(month)
    at, since = (datetime.combine(day, time(), scope.zone) for day in (month, before))
    keys = {"community": scope.community_id, "at": at}
    spans = {"end_on": _after(month), "start_on": before, "most": most}
    missing = scope.session.scalars(MISSING, {**keys, **spans}).all()
    if not missing:
        return 0, 0
    locked = scope.session.scalars(LOCKED, {**keys, "meters": missing}).all()
    if locked:
        scope.session.execute(KEEP, {**keys, "meters": locked, "before": since})
    return len(missing), len(locked)


def wrong_counters(since: datetime = DISTANT) -> TextClause:
    """Return the query of what is kept, from an instant on, and not what the readings say."""
    return text(WRONG).bindparams(since=since)


@service("month_counter.check", title=("Check the kept counters", "核对月初表底"), is_public=False)
def check_counters(scope: Scope) -> int:
    """Compare what is kept of the last two months with the readings, every night.

    Raises Conflict when they differ.
    """
    last = datetime.combine(_before(scope.today), time(), scope.zone)
    wrong = len(scope.session.execute(wrong_counters(last)).all())
    if wrong:
        raise Conflict(
            N_("%(count)s kept counters are not what the readings say: recount them."), count=wrong
        )
    return 0


@service("month_counter.recount", title=("Recount the kept counters", "重新留存月初表底"))
def recount_counters(scope: Scope) -> int:
    """Throw what is kept away and keep it anew; return how many were wrong."""
    wrong = len(scope.session.execute(wrong_counters()).all())
    scope.session.execute(WIPE, {"community": scope.community_id})
    scope.enqueue("meters.month_counter.keep")
    return wrong


def forget_after(link: Any, community_id: UUID, readings: Sequence[tuple[UUID, datetime]]) -> None:
    """Forget what is kept of meters after these readings, (meter id, instant), that changed.

    link: what executes. Nothing is asked when none is as old as something that may be kept.
    """
    old = [each for each in readings if may_be_kept_after(each[1])]
    if not old:
        return
    meters = [meter for meter, _ in old]
    keys = {"community": community_id, "meters": meters}
    # In this order: the job that keeps is over, or waits until this transaction is.
    link.execute(HELD, keys)
    link.execute(FORGET, {**keys, "instants": [at for _, at in old]})


def may_be_kept_after(read_at: datetime, now: datetime | None = None) -> bool:
    """Return whether a month that began after ``read_at`` may be kept, in any zone."""
    ahead = ((now or datetime.now(UTC)) + FARTHEST).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    return read_at < ahead.replace(day=1) + FARTHEST


@event.listens_for(Reading, "after_insert")
@event.listens_for(Reading, "after_update")
@event.listens_for(Reading, "after_delete")
def _changed(mapper: Any, link: Connection, reading: Reading) -> None:
    """Forget what was kept after a reading that a session wrote, wherever it stood and stands."""
    known = inspect(reading).attrs

    def both(name: str) -> Iterable[Any]:
        past = known[name].history
        return [each for each in (*past.deleted, *past.unchanged, *past.added) if each is not None]

    at = min(both("read_at"), default=reading.read_at)
    meters = both("meter_id") or [reading.meter_id]
    forget_after(link, reading.community_id, [(meter, at) for meter in meters])
