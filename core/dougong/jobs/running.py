"""Runs one job: as who asked for it, in its community, done exactly once."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from dougong.access import resolve_actor
from dougong.db.base import Row
from dougong.db.scope import Actor, Grant, Scope
from dougong.errors import DougongError, NotAllowed
from dougong.events import tell_live
from dougong.i18n import N_, translate_error, use_locale
from dougong.jobs import RUN, Job, JobState, is_genuine
from dougong.limits import JOB_S, Overrun, limited
from dougong.services import find

if TYPE_CHECKING:
    from dougong.installation import Installation

log = structlog.get_logger(__name__)

MOST_ATTEMPTS, MOST_OVERRUNS = 6, 2
# More than attempts that failed: those also count whose worker was killed in the middle.
MOST_STARTS = 12
TELL_EVERY_S = 0.5


class JobCancelled(DougongError):
    """Somebody cancelled the job while it ran; what it did is undone."""

    status = 409
    code = "cancelled"


class Refused(DougongError):
    """The payload or the row was not made by us; nothing was run."""

    status = 403
    code = "refused"


class Ended(Exception):
    """The job ended elsewhere meanwhile; this run is undone."""


def run_job(installation: "Installation", community_id: UUID, job_id: UUID, digest: str) -> None:
    """Run the service of a job, unless the job has ended; raises what the service raises.

    The row is marked done in the service's own transaction, so that a second run after a crash, or
    at the same time, changes nothing. Raises Refused for a row that was tampered with.
    """
    system = Actor.system("jobs")
    with installation.scope(system, community=community_id) as scope:
        job = scope.get(Job, job_id)
        if not is_genuine(installation.databases.scope_key, job) or job.mac.hex() != digest:
            log.error("a forged job was refused", job=str(job_id), community=str(community_id))
            raise Refused(N_("This job was changed behind our back and will not run."))
        if job.state not in (JobState.WAITING, JobState.RUNNING):
            return
        job.state, job.started_at, job.ended_at = JobState.RUNNING, scope.now, None
        job.attempts += 1
        attempt, name, arguments, user_id = job.attempts, job.service, job.arguments, job.user_id
        tell_live(scope, RUN, user_id)

    def stuck(error: Overrun) -> None:
        _record(installation, community_id, job_id, error, is_final(error, attempt))

    try:
        if attempt > MOST_STARTS:
            raise Refused(N_("Each worker that ran it has died; it is not tried again."))
        actor = acting(installation, community_id, user_id, name)
        with (
            use_locale(actor.locale),
            installation.scope(actor, community=community_id) as scope,
            installation.plugins.boundary(name.partition(".")[0], f"job {name}"),
            limited(name, seconds_for(installation, name), stuck) as limit,
        ):
            limit.of(scope)
            scope.progress = Progress(installation, community_id, job_id, user_id)
            _finish(scope, job_id, scope.call(name, **arguments))
    except Ended:
        return
    except Exception as error:
        if isinstance(error, Overrun):
            installation.plugins.failed(name.partition(".")[0], f"job {name}", error)
        _record(installation, community_id, job_id, error, is_final(error, attempt))
        raise


def seconds_for(installation: "Installation", name: str) -> float:
    """Return how long a service may run as a job: what its manifest says, else an hour."""
    plugin = installation.plugins.found.get(name.partition(".")[0])
    job = plugin.manifest.job_of(name) if plugin is not None else None
    return float(job.timeout_s) if job is not None and job.timeout_s else JOB_S


def acting(
    installation: "Installation", community_id: UUID, user_id: UUID | None, name: str
) -> Any:
    """Return who runs a job: the user who asked for it, with what he may do now.

    He was allowed to ask, so the one permission of the service is added, for the buildings that he
    reaches. Raises NotAllowed when the user is gone.
    """
    if user_id is None:
        return Actor.system("jobs")
    actor = resolve_actor(installation, user_id)
    if actor is None:
        raise NotAllowed(N_("Who asked for this job may no longer sign in."))
    with installation.scope(Actor.system("jobs"), community=community_id) as scope:
        group_id = scope.group_id
    reaching = [g for g in actor.grants if g.reaches(group_id, community_id)]
    whole = not reaching or any(g.buildings is None for g in reaching)
    added = Grant(
        permissions=frozenset({find(name).permission}),
        group_id=group_id,
        communities=frozenset({community_id}),
        buildings=None if whole else frozenset().union(*(g.buildings or () for g in reaching)),
        role="job",
    )
    return Actor(
        actor.user_id,
        actor.name,
        kind="job",
        grants=(*actor.grants, added),
        persons=actor.persons,
        locale=actor.locale,
    )


class Progress:
    """Writes how far a job is, in transactions of its own, twice a second at most."""

    def __init__(
        self,
        installation: "Installation",
        community_id: UUID,
        job_id: UUID,
        user_id: UUID | None = None,
    ) -> None:
        self._installation = installation
        self._community_id = community_id
        self._job_id = job_id
        self._user_id = user_id
        self._told_at = 0.0

    def __call__(self, done: int, total: int | None, message: str = "") -> None:
        """Tell that ``done`` of ``total`` are done; raises JobCancelled when somebody said so."""
        if time.monotonic() - self._told_at < TELL_EVERY_S and done != total:
            return
        self._told_at = time.monotonic()
        system = Actor.system("jobs")
        with self._installation.scope(system, community=self._community_id) as scope:
            wanted = scope.session.execute(
                update(Job)
                .where(Job.id == self._job_id)
                .values(done=done, total=total, message=message[:200])
                .returning(Job.is_cancel_wanted)
            ).scalar()
            tell_live(scope, RUN, self._user_id)
        if wanted:
            raise JobCancelled(N_("This job was cancelled."))


def _finish(scope: Scope, job_id: UUID, result: Any) -> None:
    """Mark the job done, in the service's transaction; raises Ended when it ended elsewhere."""
    scope.session.flush()
    marked = scope.session.execute(
        update(Job)
        .where(Job.id == job_id, Job.state.in_((JobState.WAITING, JobState.RUNNING)))
        .values(state=JobState.DONE, ended_at=scope.now, error=None, result=_plain(result))
        .execution_options(synchronize_session=False)
        .returning(Job.user_id)
    ).first()
    if marked is None:
        raise Ended
    tell_live(scope, RUN, marked[0])


def _plain(result: Any) -> Any:
    """Return what is kept of a service's answer: an id, a number or a text."""
    if isinstance(result, Row):
        result = result.id  # type: ignore[attr-defined]
    if isinstance(result, UUID):
        return str(result)
    return result if isinstance(result, int | str | float | bool) else None


def is_final(error: BaseException, attempt: int) -> bool:
    """Tell whether trying again is of no use: the answer was no, or it failed often enough."""
    if isinstance(error, Overrun):
        return attempt >= MOST_OVERRUNS
    is_answer = isinstance(error, DougongError) and error.status < 500
    return is_answer or attempt >= MOST_ATTEMPTS


def _record(
    installation: "Installation", community_id: UUID, job_id: UUID, error: Exception, final: bool
) -> None:
    state = JobState.FAILED if final else JobState.WAITING
    if isinstance(error, JobCancelled):
        state = JobState.CANCELLED
    try:
        with installation.scope(Actor.system("jobs"), community=community_id) as scope:
            marked = scope.session.execute(
                update(Job)
                .where(Job.id == job_id, Job.state == JobState.RUNNING)
                .values(
                    state=state,
                    error=_words(error),
                    ended_at=datetime.now(UTC) if state is not JobState.WAITING else None,
                )
                .returning(Job.user_id)
            ).first()
            tell_live(scope, RUN, marked[0] if marked else None)
    except OperationalError:
        log.warning("a job's failure could not be recorded", job=str(job_id))


def _words(error: Exception) -> str:
    """Return the error for people; of a fault only its kind, for it may quote personal values."""
    return translate_error(error) if isinstance(error, DougongError) else type(error).__name__
