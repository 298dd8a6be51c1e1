"""Enqueues what is due by schedule: once per community that has the plugin on, in its time zone.

The last due time is a row written in the transaction that enqueues, so that a schedule fires once
however many workers look. What was missed while nothing ran is made up for once, not many times.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from croniter import croniter
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from dougong.capabilities import NotDeclared, check_declared
from dougong.db.base import uuid7
from dougong.db.scope import Actor
from dougong.errors import DougongError
from dougong.events.delivery import forget_old
from dougong.jobs import Schedule, submit

if TYPE_CHECKING:
    from dougong.installation import Installation

log = structlog.get_logger(__name__)

ACTOR = Actor.system("schedules")
# The kernel's own: a service, and the statement that finds the communities where it is due.
DUTIES = {
    "dougong.message_delivery.deliver_due": "select distinct community_id"
    " from dougong.message_delivery d where state = 'waiting' and due_at <= now()"
    " and not exists (select from dougong.job j where j.community_id = d.community_id"
    " and j.service = 'dougong.message_delivery.deliver_due'"
    " and j.state in ('waiting', 'running'))",
    "dougong.attachment.sweep": "select distinct a.community_id from dougong.attachment a"
    " where not exists (select from dougong.job j where j.community_id = a.community_id"
    " and j.service = 'dougong.attachment.sweep' and j.asked_at > now() - interval '1 day')",
    "dougong.device.forget_hours": "select distinct h.community_id from dougong.device h"
    " where not exists (select from dougong.job j where j.community_id = h.community_id"
    " and j.service = 'dougong.device.forget_hours' and j.asked_at > now() - interval '1 day')",
    "dougong.exchange.sweep": "select distinct p.community_id from dougong.exchange_part p"
    " where p.made_at < now() - interval '1 day'"
    " and not exists (select from dougong.job j where j.community_id = p.community_id"
    " and j.service = 'dougong.exchange.sweep' and j.asked_at > now() - interval '1 day')",
    "dougong.privacy_request.remind": "select distinct p.community_id"
    " from dougong.privacy_request p join dougong.community c on c.id = p.community_id,"
    " cast(now() at time zone c.zone as date) today where p.state = 'open'"
    " and (p.reminded_on is null and p.due_on <= today + 10"
    " or p.due_on < today and p.reminded_on <= p.due_on)"
    " and not exists (select from dougong.job j where j.community_id = p.community_id"
    " and j.service = 'dougong.privacy_request.remind'"
    " and j.asked_at > now() - interval '6 hours')",
    "dougong.personal.retain": "select c.id from dougong.community c"
    " where uuid_extract_timestamp(c.id) < now() - interval '1 day'"
    " and not exists (select from dougong.job j where j.community_id = c.id"
    " and j.service = 'dougong.personal.retain' and j.asked_at > now() - interval '1 day')",
}
KEPT_DAYS = 30


@dataclass(frozen=True)
class Entry:
    """One scheduled job of a plugin in one community."""

    community_id: UUID
    zone: str
    plugin: str
    job: str
    schedule: str
    service: str
    queue: str


def last_due(schedule: str, zone: str, now: datetime) -> datetime:
    """Return the newest instant at or before ``now`` at which a cron schedule is due.

    schedule: five fields, read in ``zone``. The clock's hour that summer time repeats or leaves
    out counts once.
    """
    local = now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    wall = croniter(schedule, local, ret_type=datetime).get_prev()
    if croniter.match(schedule, local):
        wall = local.replace(second=0, microsecond=0)
    return wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def run_schedules(installation: "Installation", now: datetime | None = None) -> int:
    """Enqueue everything that has become due since the last look; return how many jobs."""
    now = now or datetime.now(UTC)
    known = _known(installation)
    enqueued = 0
    for entry in _entries(installation):
        due_at = last_due(entry.schedule, entry.zone, now)
        before = known.get((entry.community_id, entry.plugin, entry.job))
        if before is None:
            _begin(installation, entry, now)
        elif due_at > before:
            enqueued += _enqueue(installation, entry, due_at)
    return enqueued + _duties(installation)


def _known(installation: "Installation") -> dict[tuple[UUID, str, str], datetime]:
    with installation.platform() as session:
        rows = session.execute(
            select(Schedule.community_id, Schedule.plugin, Schedule.job, Schedule.due_at)
        )
        return {(row[0], row[1], row[2]): row[3] for row in rows}


def _entries(installation: "Installation") -> Iterator[Entry]:
    plugins = installation.plugins
    scheduled = [p for p in plugins.installed if plugins.manifest(p).jobs]
    if not scheduled:
        return
    with installation.platform() as session:
        rows = session.execute(
            text(
                "select e.community_id, c.zone, e.plugin from dougong.plugin_enablement e"
                " join dougong.community c on c.id = e.community_id"
                " join dougong.plugin p on p.plugin = e.plugin and p.state = 'installed'"
                " where e.plugin = any(:plugins)"
            ),
            {"plugins": scheduled},
        ).all()
    for community_id, zone, plugin in rows:
        manifest = plugins.manifest(plugin)
        for job in manifest.jobs:
            if job.schedule is not None:
                service = manifest.service_of(job)
                yield Entry(community_id, zone, plugin, job.id, job.schedule, service, job.queue)


def _begin(installation: "Installation", entry: Entry, now: datetime) -> None:
    """Start counting from now: what was due before the plugin was on is not made up for."""
    with installation.scope(ACTOR, community=entry.community_id) as scope:
        scope.session.execute(
            insert(Schedule)
            .values(
                community_id=entry.community_id,
                id=uuid7(),
                plugin=entry.plugin,
                job=entry.job,
                due_at=now,
            )
            .on_conflict_do_nothing()
        )


def _enqueue(installation: "Installation", entry: Entry, due_at: datetime) -> int:
    try:
        with installation.scope(ACTOR, community=entry.community_id) as scope:
            row = scope.session.scalars(
                select(Schedule)
                .where(Schedule.plugin == entry.plugin, Schedule.job == entry.job)
                .with_for_update()
            ).one()
            if row.due_at >= due_at or entry.plugin not in scope.enabled:
                return 0
            row.due_at = due_at
            manifest = installation.plugins.manifest(entry.plugin)
            check_declared(manifest, "jobs", f"[[jobs]] {entry.job}")
            submit(scope, entry.service, {}, queue=entry.queue)
            return 1
    except (DougongError, NotDeclared) as error:
        log.error("a schedule cannot run", plugin=entry.plugin, job=entry.job, error=str(error))
        installation.plugins.failed(entry.plugin, f"schedule {entry.job}", error)
        return 0


def _duties(installation: "Installation") -> int:
    enqueued = 0
    for service, query in DUTIES.items():
        with installation.platform() as session:
            communities: Any = session.scalars(text(query)).all()
        for community_id in communities:
            with installation.scope(ACTOR, community=community_id) as scope:
                submit(scope, service, {})
                enqueued += 1
    return enqueued


def forget_ended(installation: "Installation") -> int:
    """Delete jobs that ended long ago, and facts that everybody knows; return how many."""
    with installation.platform() as session:
        done = session.execute(
            text(
                "delete from dougong.job where state in ('done', 'failed', 'cancelled')"
                " and ended_at < now() - make_interval(days => :days)"
            ),
            {"days": KEPT_DAYS},
        )
    return done.rowcount + forget_old(installation)  # type: ignore[attr-defined]
