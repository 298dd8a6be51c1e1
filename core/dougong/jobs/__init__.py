"""Jobs: services that a worker runs, enqueued in the caller's transaction.

A job's row is written by the caller and marked done in the transaction of the service itself: a
job whose worker dies runs again, and what it writes to the database happens once.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select

from dougong.capabilities import NotDeclared, needs, refuse_undeclared
from dougong.db.base import Row, uuid7
from dougong.db.scope import Scope, ScopeKey
from dougong.errors import Conflict, Invalid
from dougong.events import tell_live
from dougong.events.queue import defer
from dougong.i18n import N_
from dougong.jobs.models import Job, JobState, Schedule
from dougong.services import find, service
from dougong.services.inputs import invalid_from

RUN = "dougong.job"


def enqueue(scope: Scope, service_name: str, /, **arguments: Any) -> UUID:
    """Have ``service_name`` run by a worker after this transaction commits; return the job's id.

    The arguments are checked now; records are passed by id. Raises Invalid for wrong ones or
    outside of a community, NotAllowed when the actor may not call the service (inside of another
    service that was checked already).
    """
    return submit(scope, service_name, arguments)


@needs("jobs")
def submit(
    scope: Scope,
    service_name: str,
    arguments: Mapping[str, Any],
    *,
    lock: str | None = None,
    at: datetime | None = None,
    queue: str = "default",
) -> UUID:
    """Enqueue with more say: which jobs of the community exclude each other, and when it may start.

    lock: the service's name by default, so that a community never runs the same service twice at
    once; ``""`` for no lock. at: not before this instant. Raises NotDeclared for a plugin's service
    that its manifest does not name under ``[[jobs]]``.
    """
    if scope.community_id is None:
        raise Invalid(N_("A job belongs to one community."))
    found = find(service_name)
    _refuse_undeclared_job(scope, found.name)
    if capability := getattr(found.function, "capability", None):
        refuse_undeclared(scope, capability, found.name)
    if getattr(scope, "_verb", None) is None:
        scope.require(found.permission)
        if found.step_up:
            scope.actor.require_proof(found.name)
    plain = _plain(found.input, arguments)
    job = Job(id=uuid7(), service=service_name, arguments=plain, user_id=scope.actor.user_id)
    job.community_id = scope.community_id
    job.mac = signature(scope.installation.databases.scope_key, job)
    scope.session.add(job)
    _put(scope, job, lock, at, queue)
    return job.id


def _refuse_undeclared_job(scope: Scope, service_name: str) -> None:
    plugin, _, short = service_name.partition(".")
    known = scope.installation.plugins.found.get(plugin)
    if known is None or known.manifest.job_of(service_name) is not None:
        return
    raise NotDeclared(
        f"{known.manifest.package} does not declare {service_name} as a job; write into its"
        f' manifest.toml: [[jobs]] id = "{short.rpartition(".")[2]}" service = "{service_name}"'
    )


def _plain(model: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    ids = {k: v.id if isinstance(v, Row) else v for k, v in arguments.items()}  # type: ignore[attr-defined]
    try:
        return model.model_validate(ids).model_dump(mode="json")
    except ValidationError as error:
        raise invalid_from(error) from error


def _put(
    scope: Scope,
    job: Job,
    lock: str | None = None,
    at: datetime | None = None,
    queue: str = "default",
) -> None:
    exclusive = job.service if lock is None else lock
    defer(
        scope,
        RUN,
        {"community": str(job.community_id), "job": str(job.id), "digest": job.mac.hex()},
        lock=f"{job.community_id}:{exclusive}" if exclusive else None,
        at=at,
        queue=queue,
    )
    tell_live(scope, RUN, job.user_id)


def signature(key: ScopeKey, job: Job) -> bytes:
    """Return the MAC over what a job does, for whom and where."""
    body = json.dumps(
        [str(job.community_id), str(job.id), job.service, str(job.user_id or ""), job.arguments],
        sort_keys=True,
        separators=(",", ":"),
    )
    secret = hmac.new(key.secret, b"dougong job", hashlib.sha256).digest()
    return hmac.new(secret, body.encode(), hashlib.sha256).digest()


def is_genuine(key: ScopeKey, job: Job) -> bool:
    """Tell whether the row is as `enqueue` wrote it."""
    return hmac.compare_digest(bytes(job.mac), signature(key, job))


# --- the jobs page ------------------------------------------------------------------------------


def recent(scope: Scope, limit: int = 100) -> Sequence[Job]:
    """Return the place's jobs, newest first; a group sees those of all its communities."""
    scope.require("dougong.job.view")
    return scope.session.scalars(select(Job).order_by(Job.id.desc()).limit(limit)).all()


@service("job.retry", title=("Run again", "重新运行"), permission="dougong.job.change")
def retry_job(scope: Scope, job: Job) -> Job:
    """Run a job again that failed or was cancelled. Raises Conflict in any other state."""
    if job.state not in (JobState.FAILED, JobState.CANCELLED):
        raise Conflict(N_("Only a job that failed or was cancelled can run again."))
    if not is_genuine(scope.installation.databases.scope_key, job):
        raise Conflict(N_("This job was changed behind our back and will not run."))
    job.state, job.error, job.is_cancel_wanted = JobState.WAITING, None, False
    job.attempts, job.done, job.ended_at = 0, 0, None
    _put(scope, job)
    return job


@service("job.cancel", title=("Cancel", "取消"), permission="dougong.job.change")
def cancel_job(scope: Scope, job: Job) -> Job:
    """Take a waiting job back; a running one stops when it next tells its progress.

    Raises Conflict when it has ended.
    """
    if job.state not in (JobState.WAITING, JobState.RUNNING):
        raise Conflict(N_("This job has ended already."))
    job.is_cancel_wanted = True
    if job.state is JobState.WAITING:
        job.state, job.ended_at = JobState.CANCELLED, scope.now
    tell_live(scope, RUN, job.user_id)
    return job


def retry(scope: Scope, job_id: UUID) -> Job:
    """Run a job again by its id; see `retry_job`."""
    return scope.call("dougong.job.retry", job=job_id)


def cancel(scope: Scope, job_id: UUID) -> Job:
    """Cancel a job by its id; see `cancel_job`."""
    return scope.call("dougong.job.cancel", job=job_id)


__all__ = [
    "Job",
    "JobState",
    "Schedule",
    "cancel",
    "enqueue",
    "recent",
    "retry",
    "submit",
]
