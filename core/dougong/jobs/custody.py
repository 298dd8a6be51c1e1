"""Who runs which job of the queue; what nobody runs goes back into it.

Three ways lose a job: its worker dies, its worker leaves the queue while the job runs, or the
connection breaks at the moment when a living worker tells that it has fetched or ended it. The last
one would keep the job's lock for ever, and with it every job that waits for the lock.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import text

if TYPE_CHECKING:
    from dougong.installation import Installation

log = structlog.get_logger(__name__)

ABANDONED = text(
    """
    select j.id, coalesce(j.worker_id = :us, false) as is_ours
    from dougong.procrastinate_jobs j
    left join dougong.procrastinate_workers w on w.id = j.worker_id
    where j.status = 'doing' and case
        when w.id is null then true
        when w.id = :us then j.id <> all(cast(:running as bigint[]))
        else w.last_heartbeat < now() - make_interval(secs => :seconds) end
    for update of j skip locked
    """
)
TAKE_BACK = text("select dougong.procrastinate_retry_job_v2(:id, now(), null, null, null)")
PRUNE = text(
    "delete from dougong.procrastinate_workers"
    " where last_heartbeat < now() - make_interval(secs => :seconds) and id is distinct from :us"
)
NEVER_S = 10.0**9


class Custody:
    """What one worker process knows of the queue's jobs: which it runs itself.

    stalled_s: how old a heartbeat must be for its worker to count as dead.
    """

    def __init__(self, installation: "Installation", stalled_s: float) -> None:
        self.installation = installation
        self.stalled_s = stalled_s
        self.running: set[int] = set()
        self.worker_id: int | None = None
        self._missed: set[int] = set()
        self._in_touch_since = time.monotonic()

    async def hold(self, run: Callable[[], Awaitable[Any]], context: Any, worker: Any) -> Any:
        """Run one job of the queue and know meanwhile that it runs; a worker's middleware."""
        self.worker_id = worker.worker_id
        self.running.add(context.job.id)
        try:
            return await run()
        finally:
            self.running.discard(context.job.id)

    def lost_touch(self) -> None:
        """Note that the database was away: every heartbeat is old then, and none means death."""
        self._in_touch_since = time.monotonic()

    def take_over(self) -> int:
        """Put jobs that nobody runs back into the queue; return how many.

        One that this worker has fetched and does not run goes back when two looks miss it, so that
        one that begins or ends just now is left alone.
        """
        in_touch_s = time.monotonic() - self._in_touch_since
        seconds = self.stalled_s if in_touch_s >= self.stalled_s else NEVER_S
        with self.installation.platform() as session:
            found = session.execute(
                ABANDONED,
                {"us": self.worker_id, "running": sorted(self.running), "seconds": seconds},
            ).all()
            missed = {row.id for row in found if row.is_ours}
            back = [row.id for row in found if not row.is_ours or row.id in self._missed]
            for job_id in back:
                session.execute(TAKE_BACK, {"id": job_id})
            session.execute(PRUNE, {"us": self.worker_id, "seconds": seconds})
        self._missed = missed - set(back)
        if back:
            log.warning("jobs that nobody runs go back into the queue", count=len(back))
        return len(back)
