"""How far a job is, in words and as a share, for the pages that wait for one."""

import re
from dataclasses import dataclass
from uuid import UUID

from dougong.db.scope import Scope
from dougong.errors import NotFound
from dougong.i18n import N_, gettext
from dougong.jobs import Job, JobState

FAULT = re.compile(r"[A-Za-z_.]+")


@dataclass(frozen=True)
class Progress:
    """A job as a page shows it. percent: None when the job cannot say."""

    job: Job | None
    percent: int | None
    words: str
    error: str = ""

    @property
    def is_busy(self) -> bool:
        """Tell whether the job waits or runs."""
        return self.job is not None and self.job.state in (JobState.WAITING, JobState.RUNNING)

    @property
    def has_stopped(self) -> bool:
        """Tell whether the job ended without doing its work."""
        return self.job is not None and self.job.state in (JobState.FAILED, JobState.CANCELLED)


def progress_of(scope: Scope, job_id: UUID | None) -> Progress:
    """Return how far a job of this community is; of none when it is long gone."""
    try:
        job = scope.get(Job, job_id) if job_id is not None else None
    except NotFound:
        job = None
    return shown(job)


def shown(job: Job | None) -> Progress:
    """Return a job's progress for people."""
    if job is None:
        return Progress(None, None, "")
    percent = min(100, job.done * 100 // job.total) if job.total else None
    if job.state is JobState.DONE:
        percent = 100
    told = gettext(job.message) if job.message else ""
    words = told
    if job.total:
        counted = gettext(N_("%(done)s of %(total)s"), done=f"{job.done:,}", total=f"{job.total:,}")
        words = f"{told} · {counted}" if told else counted
    return Progress(job, percent, words, reason_of(job))


def reason_of(job: Job) -> str:
    """Return why a job failed, in words; a fault of the program is named by its kind."""
    if not job.error:
        return ""
    if FAULT.fullmatch(job.error):
        text = N_(
            "Something went wrong on our side (%(kind)s), %(attempts)s times. The program's log"
            " says more; running it again is safe."
        )
        return gettext(text, kind=job.error, attempts=job.attempts)
    return job.error
