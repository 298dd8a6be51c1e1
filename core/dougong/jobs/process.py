"""The worker process: jobs, deliveries, schedules and the audit sealer.

A worker that dies leaves its jobs behind as running; another one (or itself, started again) takes
them over once its heartbeat is old; see `custody`. The database going away ends the process; the
supervisor starts it again.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

import procrastinate
import structlog
from procrastinate import BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.jobs import DeleteJobCondition
from procrastinate.jobs import Job as QueuedJob
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.exc import InterfaceError, OperationalError

from dougong import limits, pulse
from dougong.errors import Conflict
from dougong.events import DELIVER
from dougong.events.delivery import deliver
from dougong.events.queue import MAC, ROUNDS, is_genuine
from dougong.jobs import RUN
from dougong.jobs.custody import Custody
from dougong.jobs.running import Refused, is_final, run_job
from dougong.jobs.schedules import forget_ended, run_schedules
from dougong.settings import Settings

if TYPE_CHECKING:
    from dougong.installation import Installation

log = structlog.get_logger(__name__)

# What declares services that only a worker calls, and what these need; it stands above this layer.
WORK = ("dougong.web.admin.work",)
CONCURRENCY = 4
POLL_S, HEARTBEAT_S, STALLED_S = 0.5, 2.0, 8.0
LOOK_S, SWEEP_S = 5.0, 3600.0
GRACE_S = 12.0
LONGEST_PAUSE_S = 900


def main(settings: Settings, ready: Callable[[], None] = lambda: None) -> NoReturn:
    """Work until SIGTERM; jobs that run get some seconds to finish, else they run again later."""
    from dougong.installation import Installation

    installation, code = Installation.open(settings), 0
    try:
        asyncio.run(run(installation, ready))
    except BaseException:
        log.exception("the worker gives up")
        code = 1
    installation.close()
    # A thread that still runs a job must not keep the process; the job runs again.
    os._exit(code)


async def run(installation: "Installation", ready: Callable[[], None] = lambda: None) -> int:
    """Run worker and helpers in this process until SIGTERM or SIGINT."""
    queue = queue_app(installation)
    async with queue.open_async():
        custody = Custody(installation, STALLED_S)
        helping = (seal, look_after, end_overruns, watch_plugins)
        signals = [_help(work, custody) for work in helping]
        beating = asyncio.create_task(pulse.keep_beating(_come_round(signals)))
        worker = asyncio.create_task(
            queue.run_worker_async(
                concurrency=CONCURRENCY,
                fetch_job_polling_interval=POLL_S,
                update_heartbeat_interval=HEARTBEAT_S,
                stalled_worker_timeout=STALLED_S,
                shutdown_graceful_timeout=GRACE_S,
                delete_jobs=DeleteJobCondition.ALWAYS,
                install_signal_handlers=True,
                worker_middleware=[custody.hold],
            )
        )
        ready()
        try:
            await worker
        finally:
            beating.cancel()
            for stop in signals:
                stop.set()
    return 0


def _help(work: Callable[[Custody, threading.Event], None], custody: Custody) -> pulse.Watched:
    """Start a helper in a thread of its own; return the signal that stops it."""
    stop = pulse.Watched()
    threading.Thread(target=_guarded, args=(work, custody, stop), daemon=True).start()
    return stop


def _come_round(signals: Sequence[pulse.Watched]) -> Callable[[], Awaitable[bool]]:
    async def come_round() -> bool:
        return pulse.all_come_round(signals)

    return come_round


def _guarded(
    work: Callable[[Custody, threading.Event], None], custody: Custody, stop: threading.Event
) -> None:
    """Run a helper; should it fail, end the whole process for the supervisor to start it again."""
    try:
        work(custody, stop)
    except BaseException:
        log.exception("the worker gives up")
        os.kill(os.getpid(), signal.SIGTERM)
        raise


def seal(custody: Custody, stop: threading.Event) -> None:
    """Seal the audit log."""
    from dougong.audit import sealing

    sealing.run(custody.installation, stop)


def end_overruns(custody: Custody, stop: threading.Event) -> None:
    """End jobs that run longer than they may."""
    limits.watch(stop)


def watch_plugins(custody: Custody, stop: threading.Event) -> None:
    """Report code of plugins that does not come back, and write down what it took."""
    custody.installation.plugins.watch(stop)


def make_months(installation: "Installation") -> None:
    """Make the partitions of the months to come; while a table is in use, try in an hour again."""
    try:
        made = installation.migrator.make_partitions()
    except Conflict as error:
        log.warning("partitions wait for their table", error=str(error))
    else:
        _ = made and log.info("partitions were made", names=made)


def look_after(custody: Custody, stop: threading.Event) -> None:
    """Take over jobs of dead workers, run schedules, and sweep each hour."""
    swept_at = 0.0
    while not stop.is_set():
        try:
            custody.take_over()
            run_schedules(custody.installation)
            if time.monotonic() - swept_at > SWEEP_S:
                forget_ended(custody.installation)
                make_months(custody.installation)
                swept_at = time.monotonic()
        except (OperationalError, InterfaceError) as error:
            custody.lost_touch()
            log.warning("schedules wait for the database", error=str(error.orig))
        stop.wait(LOOK_S)


# --- procrastinate ------------------------------------------------------------------------------


class Patience(BaseRetryStrategy):
    """Tries again with doubling pauses, unless the answer was no."""

    def get_retry_decision(
        self, *, exception: BaseException, job: QueuedJob
    ) -> RetryDecision | None:
        if is_final(exception, job.attempts + 1):
            return None
        return RetryDecision(retry_in={"seconds": min(2**job.attempts, LONGEST_PAUSE_S)})


def queue_app(installation: "Installation") -> procrastinate.App:
    """Return procrastinate's application with every task that a worker knows."""
    for module in WORK:
        if find_spec(module) is not None:
            import_module(module).install(installation)
    keywords: dict[str, Any] = conninfo_to_dict(installation.databases.conninfo("platform"))
    keywords["application_name"] = "dougong worker"
    app = procrastinate.App(connector=PsycopgConnector(kwargs=keywords, min_size=2, max_size=4))

    def job(context: JobContext, **payload: Any) -> None:
        _check(installation, context, payload)
        run_job(installation, UUID(payload["community"]), UUID(payload["job"]), payload["digest"])

    app.task(name=RUN, retry=Patience(), pass_context=True)(job)
    for name, work in {DELIVER: deliver, **ROUNDS}.items():
        app.task(name=name, retry=Patience(), pass_context=True)(_round(installation, work))
    return app


def _round(installation: "Installation", work: Callable[[Any, UUID], Any]) -> Callable[..., None]:
    def run_round(context: JobContext, **payload: Any) -> None:
        _check(installation, context, payload)
        community_id = UUID(payload["community"])
        if work is deliver:
            work(installation, community_id)  # each delivery has a limit of its own
            return
        with limits.limited(context.job.task_name, limits.JOB_S, lambda error: None):
            work(installation, community_id)

    return run_round


def _check(installation: "Installation", context: JobContext, payload: dict[str, Any]) -> None:
    """Raise Refused unless this installation signed the payload for this task."""
    key = installation.databases.scope_key
    if not is_genuine(key, context.job.task_name, payload):
        log.error("a forged payload was refused", task=context.job.task_name)
        raise Refused("forged")
    payload.pop(MAC)
