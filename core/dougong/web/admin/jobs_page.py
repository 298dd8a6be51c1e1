"""The jobs of a place: how far each is, why it failed in words, and what can be done about it."""

from typing import Any
from uuid import UUID

from flask import render_template, request, url_for
from sqlalchemy import func, select

from dougong.access.models import User
from dougong.db.columns import member_label
from dougong.db.scope import Scope
from dougong.errors import Conflict, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.jobs import cancel_job, retry_job
from dougong.jobs.models import Job, JobState
from dougong.web.admin.menu import ADMINISTRATION, menu_page
from dougong.web.admin.pages import blueprint, community_names, go
from dougong.web.admin.progress import shown
from dougong.web.app import current_installation, require_scope

PAGE = 30
VIEW, CHANGE = "dougong.job.view", "dougong.job.change"
OPEN = (JobState.WAITING, JobState.RUNNING)
SYSTEM = "system"

menu_page(
    "admin.job_list",
    ("Jobs", "后台任务"),
    VIEW,
    section=ADMINISTRATION,
    icon="cpu",
    order=70,
)


@blueprint.get("/jobs/")
def job_list() -> str:
    """Show the place's jobs, newest first."""
    return render_template("admin/jobs.html", **_page())


@blueprint.get("/jobs/rows")
def job_rows() -> str:
    """Return the part of the page that changes."""
    return render_template("admin/jobs_body.html", **_page())


def _page() -> dict[str, Any]:
    scope = require_scope()
    scope.require(VIEW)
    state, is_own, before = _wish()
    whose = Job.user_id.is_(None) if is_own else Job.user_id.is_not(None)
    query = select(Job).where(whose).order_by(Job.id.desc()).limit(PAGE + 1)
    if state is not None:
        query = query.where(Job.state == state)
    if before is not None:
        query = query.where(Job.id < before)
    jobs = list(scope.session.scalars(query))
    return {
        "jobs": [shown(job) for job in jobs[:PAGE]],
        "next": jobs[PAGE - 1].id if len(jobs) > PAGE else None,
        "is_first": before is None,
        "state": state,
        "by": SYSTEM if is_own else None,
        **_numbers(scope, is_own),
        "states": [(s, member_label(s)) for s in JobState],
        "people": _people(jobs),
        "communities": community_names(scope),
        "may_change": scope.may(CHANGE),
        "told": request.args.get("told", "")[:300],
        "here": request.full_path.rstrip("?"),
        "place_of": lambda job: f"c/{job.community_id}",
        "crumbs": [
            (scope.place.name, url_for("admin.dashboard")),
            (gettext(N_("Jobs")), None),
        ],
    }


def _wish() -> tuple[JobState | None, bool, UUID | None]:
    """Return what the address asks for: a state, the system's own jobs, those before one.

    What makes no sense is left out.
    """
    states = {state.value: state for state in JobState}
    try:
        before = UUID(request.args.get("before", ""))
    except ValueError:
        before = None
    return states.get(request.args.get("state", "")), request.args.get("by") == SYSTEM, before


def _numbers(scope: Scope, is_own: bool) -> dict[str, Any]:
    """Return how many jobs of the chosen kind are in each state, and which fail in the other."""
    is_system = Job.user_id.is_(None)
    query = select(Job.state, is_system, func.count()).group_by(Job.state, is_system)
    found = {(state, own): count for state, own, count in scope.session.execute(query)}
    return {
        "numbers": {state.value: count for (state, own), count in found.items() if own == is_own},
        "failed_elsewhere": found.get((JobState.FAILED, not is_own), 0),
    }


def _people(jobs: list[Job]) -> dict[UUID, str]:
    """Return the names of those who asked for the jobs."""
    ids = {job.user_id for job in jobs if job.user_id is not None}
    if not ids:
        return {}
    with current_installation().access() as session:
        rows = session.execute(select(User.id, User.name).where(User.id.in_(ids)))
        return {row.id: row.name for row in rows}


@blueprint.post("/jobs/<uuid:id>/<step>")
def job_step(id: UUID, step: str) -> Any:
    """Run a job again or cancel it, and go back to the list, of the community or the group."""
    scope = require_scope()
    steps = {"retry": retry_job, "cancel": cancel_job}
    if step not in steps:
        raise NotFound(N_("There is no such page."))
    message = ""
    try:
        with scope.session.begin_nested():
            steps[step](scope, scope.get(Job, id, lock=True))
    except Conflict as error:
        message = translate_error(error)
    return go(_back(scope, message))


def _back(scope: Scope, message: str) -> str:
    wanted = request.form.get("back", "")
    places = (f"/{scope.url_part}/admin/", f"/g/{scope.group_id}/admin/")
    if not wanted.startswith(places) or "\\" in wanted:
        wanted = url_for("admin.job_list")
    if not message:
        return wanted
    from urllib.parse import quote

    return f"{wanted}{'&' if '?' in wanted else '?'}told={quote(message)}"
