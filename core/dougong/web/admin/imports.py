"""The import wizard: a file, its columns, a trial run with problems by row, then the import.

In a community the file is kept, sealed, until it is written: every step has an address that can be
loaded again, and what takes long is a worker's (``import_jobs``). A group's own records are few:
their file travels in the page, sealed, and is imported within the request.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from time import time
from typing import Any
from uuid import UUID

from flask import render_template, request, url_for
from sqlalchemy import delete, select

from dougong import services
from dougong.db.scope import Scope
from dougong.errors import DougongError, Invalid, NotFound
from dougong.exchange import ImportRun, RunState
from dougong.i18n import N_, gettext, translate_error
from dougong.web.admin import import_jobs, uploads
from dougong.web.admin.import_runs import (
    Draft,
    draft_of_run,
    keep,
    plan_of_run,
    problems_of,
    run_at_once,
)
from dougong.web.admin.importing import (
    Outcome,
    Plan,
    fields_of,
    find_header,
    guess,
    match_keys,
    places_of,
    row_id,
    summary,
)
from dougong.web.admin.menu import list_url
from dougong.web.admin.pages import blueprint, crumbs, find_view, go
from dougong.web.admin.presets import proposed, remember
from dougong.web.admin.progress import progress_of
from dougong.web.admin.resolving import batches
from dougong.web.admin.uploads import Table
from dougong.web.admin.views import RecordView
from dougong.web.app import require_scope

SHOWN = 200
SAMPLES = 3
RECENT = 8


def importable(plugin: str, model: str) -> type[RecordView]:
    """Return the view to import into; NotFound where it takes no files."""
    view = find_view(plugin, model, "create")
    if not view.can_import:
        raise NotFound(N_("There is no such page."))
    return view


def url_of(view: type[RecordView], page: str, **arguments: Any) -> str:
    """Return the address of one of the wizard's pages."""
    plugin, _, model = view.name().partition(".")
    return url_for(f"admin.{page}", plugin=plugin, model=model, **arguments)


# --- first step: the file -------------------------------------------------------------------------


@blueprint.route("/<plugin>/<model>/import", methods=["GET", "POST"])
def import_records(plugin: str, model: str) -> Any:
    """Ask for a file; then show its columns and what they were taken for."""
    view = importable(plugin, model)
    if request.method == "GET":
        return _start(view)
    try:
        if "draft" in request.form:
            return _mapping(view, draft_of(view), plan_of(view, draft_of(view)))
        draft, plan, origin = _taken(view, *uploads.named_upload(request.files.get("file")))
    except Invalid as error:
        return _start(view, translate_error(error)), error.status
    return _mapping(view, draft, plan, origin=origin)


def _start(view: type[RecordView], message: str = "") -> str:
    scope = require_scope()
    return render_template(
        "admin/import.html",
        view=view,
        to=partial(url_of, view),
        fields=fields_of(scope, view),
        message=message,
        limit=uploads.MOST_ROWS,
        done=_done(view),
        runs=recent_runs(scope, view.name()),
        summary=summary,
        crumbs=crumbs(view, (gettext(N_("Import")), None)),
    )


def recent_runs(scope: Scope, view: str) -> Sequence[ImportRun]:
    """Return the last imports of this kind that were written, and the actor's own on their way."""
    if scope.community_id is None:
        return []
    is_seen = ImportRun.state.in_((RunState.DONE, RunState.UNDONE)) | (
        (ImportRun.user_id == scope.actor.user_id) & (ImportRun.state != RunState.DRAFT)
    )
    query = select(ImportRun).where(ImportRun.view == view, is_seen)
    return scope.session.scalars(query.order_by(ImportRun.id.desc()).limit(RECENT)).all()


def _taken(
    view: type[RecordView], file_name: str, tables: Sequence[Table]
) -> tuple[Draft, Plan, str]:
    """Return the draft of the sheet that fits best, a plan for it, and where that comes from."""
    scope = require_scope()
    fields = fields_of(scope, view)
    filled = [table for table in tables if table.lines]
    heads = [find_header(fields, table.lines) for table in filled]
    known = [
        len(guess(fields, table.lines[head].cells))
        for table, head in zip(filled, heads, strict=True)
    ]
    best = known.index(max(known))
    lines = filled[best].lines[heads[best] :]
    if len(lines) < 2:
        raise Invalid(N_("There are no rows below the head of the file."))
    content = uploads.tables_as_json([Table("", lines)])
    plan, origin = proposed(scope, view.name(), fields, lines[0].cells, lines[1:])
    if scope.community_id is not None:
        run = keep(scope, view.name(), file_name, content, len(lines) - 1, plan.as_json())
        return draft_of_run(scope, run), plan, origin
    made_at, digest = int(time()), hashlib.sha256(repr(content).encode()).hexdigest()
    sealed = uploads.pack(scope, _purpose(view), [made_at, digest, content])
    return _opened(made_at, digest, content, sealed), plan, origin


def draft_of(view: type[RecordView]) -> Draft:
    """Return the file that the page names; raises Invalid when it is not this user's."""
    token, scope = request.form.get("draft", ""), require_scope()
    if scope.community_id is not None:
        return draft_of_run(scope, own_run(scope, view.name(), token))
    made_at, digest, content = uploads.unpack(scope, _purpose(view), token)
    return _opened(made_at, digest, content, token)


def own_run(scope: Scope, view: str, id: Any) -> ImportRun:
    """Return an import of the actor's own, locked; raises Invalid for any other."""
    try:
        run = scope.get(ImportRun, id, lock=True)
    except NotFound:
        run = None
    if run is None or run.user_id != scope.actor.user_id or run.view != view:
        raise Invalid(N_("The uploaded file is no longer at hand. Upload it again."))
    return run


def _opened(made_at: int, digest: str, content: Any, sealed: str) -> Draft:
    lines = uploads.tables_from_json(content)[0].lines
    return Draft(made_at, digest, list(lines[0].cells), lines[1:], sealed)


def _purpose(view: type[RecordView]) -> str:
    return f"import|{view.name()}"


# --- second step: the columns ---------------------------------------------------------------------


def plan_of(view: type[RecordView], draft: Draft) -> Plan:
    """Return what was chosen for each column of the file."""
    fields = fields_of(require_scope(), view)
    known = {each.key for each in fields}
    columns: dict[str, int] = {}
    for name, key in request.form.items():
        place = name.removeprefix("column-")
        if name.startswith("column-") and place.isdecimal() and key in known:
            columns.setdefault(key, min(int(place), uploads.MOST_COLUMNS))
    match = request.form.get("match", "")
    is_possible = match in {f.key for f in match_keys(fields)} and match in columns
    place_of = places_of(draft.header) if request.form.get("joins") == "true" else ()
    return Plan(columns, match if is_possible else "", place_of)


def _mapping(
    view: type[RecordView], draft: Draft, plan: Plan, message: str = "", origin: str = ""
) -> str:
    scope = require_scope()
    fields = fields_of(scope, view)
    taken = {at: key for key, at in plan.columns.items()}
    width = max(len(draft.header), *(len(line.cells) for line in draft.lines[:SAMPLES]))
    columns = [
        (
            at,
            str(draft.header[at] or "") if at < len(draft.header) else "",
            taken.get(at, ""),
            [str(line[at]) for line in draft.lines[:SAMPLES] if line[at] is not None],
        )
        for at in range(width)
    ]
    has_rooms = any(each.key in ("code", "room_id") for each in fields)
    return render_template(
        "admin/import_mapping.html",
        view=view,
        to=partial(url_of, view),
        draft=draft,
        fields=fields,
        columns=columns,
        missing=[f.label for f in fields if f.is_needed and f.key not in plan.columns],
        match=plan.match,
        match_keys=match_keys(fields) if view.may(scope, "change") else [],
        joins=bool(plan.place),
        may_join=has_rooms and bool(places_of(draft.header)) and view.name() != "dougong.unit",
        origin=origin,
        before=_imported_before(scope, draft),
        message=message,
        crumbs=crumbs(
            view,
            (gettext(N_("Import")), url_of(view, "import_records")),
            (gettext(N_("Columns")), None),
        ),
    )


def _imported_before(scope: Scope, draft: Draft) -> ImportRun | None:
    """Return an earlier import of the very same rows, to warn of it."""
    if draft.run is None:
        return None
    query = select(ImportRun).where(
        ImportRun.digest == draft.run.digest,
        ImportRun.view == draft.run.view,
        ImportRun.state == RunState.DONE,
    )
    return scope.session.scalars(query.order_by(ImportRun.id.desc())).first()


# --- third step: the trial ------------------------------------------------------------------------


@blueprint.post("/<plugin>/<model>/import/check")
def check_import(plugin: str, model: str) -> Any:
    """Try the import, at once or by a worker, and show what it would do."""
    view, scope = importable(plugin, model), require_scope()
    try:
        draft = draft_of(view)
    except Invalid as error:
        return _start(view, translate_error(error)), error.status
    plan = plan_of(view, draft)
    if not plan.columns:
        return _mapping(view, draft, plan, gettext(N_("Choose at least one column."))), 422
    if draft.run is None:
        return _try_in_page(view, draft, plan)
    run = draft.run
    is_busy = run.state is RunState.TRYING and progress_of(scope, run.job_id).is_busy
    if run.state not in (RunState.DRAFT, RunState.TRIED, RunState.TRYING) or is_busy:
        return go(url_of(view, "import_run", run=run.id))
    remember(scope, view.name(), draft.header, plan)
    run.plan = plan.as_json()
    import_jobs.start(scope, run, RunState.TRYING)
    return go(url_of(view, "import_run", run=run.id))


@blueprint.get("/<plugin>/<model>/import/<uuid:run>")
def import_run(plugin: str, model: str, run: UUID) -> Any:
    """Show where an import stands: its progress, its trial, or what it wrote."""
    return render_template("admin/import_run.html", **_run_page(plugin, model, run))


@blueprint.get("/<plugin>/<model>/import/<uuid:run>/progress")
def import_progress(plugin: str, model: str, run: UUID) -> str:
    """Return the part of the page that changes while a worker is busy."""
    return render_template("admin/import_run_body.html", **_run_page(plugin, model, run))


def _run_page(plugin: str, model: str, id: UUID) -> dict[str, Any]:
    view, scope = importable(plugin, model), require_scope()
    run = seen_run(scope, view.name(), id)
    is_own = run.user_id == scope.actor.user_id
    problems = problems_of(scope, run) if is_own else []
    return {
        "view": view,
        "run": run,
        "is_own": is_own,
        "to": partial(url_of, view),
        "progress": progress_of(scope, run.job_id),
        "summary": summary(run.counts),
        "problems": problems[:SHOWN],
        "problem_count": len(problems),
        "good": run.counts.get("total", 0) - run.counts.get("refused", 0),
        "may_undo": view.may(scope, "delete"),
        "plan": plan_of_run(run),
        "crumbs": crumbs(
            view,
            (gettext(N_("Import")), url_of(view, "import_records")),
            (run.file_name or "—", None),
        ),
    }


def seen_run(scope: Scope, view: str, id: UUID) -> ImportRun:
    """Return an import that the actor may look at: his own, or one that was written."""
    run = scope.get(ImportRun, id)
    is_written = run.state in (RunState.DONE, RunState.UNDONE, RunState.UNDOING)
    if run.view != view or not (is_written or run.user_id == scope.actor.user_id):
        raise NotFound(N_("There is no such page."))
    return run


# --- last step ------------------------------------------------------------------------------------


@blueprint.post("/<plugin>/<model>/import/commit")
def commit_import(plugin: str, model: str) -> Any:
    """Write the import: every row, or the good ones when that was chosen."""
    view, scope = importable(plugin, model), require_scope()
    try:
        if scope.community_id is None:
            draft = draft_of(view)
            return _commit_in_page(view, draft, plan_of(view, draft))
        run = own_run(scope, view.name(), request.form.get("draft", ""))
    except Invalid as error:
        return _start(view, translate_error(error)), error.status
    address = url_of(view, "import_run", run=run.id)
    is_stopped = run.state is RunState.WRITING and progress_of(scope, run.job_id).has_stopped
    if run.state is not RunState.TRIED and not is_stopped:
        return go(address)
    if run.counts.get("refused") and "good" not in request.form and not is_stopped:
        page = _run_page(plugin, model, run.id)
        page["message"] = gettext(N_("Nothing was imported: some rows are refused."))
        return render_template("admin/import_run.html", **page), 409
    if not is_stopped:
        run.only_good = "good" in request.form
    import_jobs.start(scope, run, RunState.WRITING)
    return go(address)


@blueprint.post("/<plugin>/<model>/import/undo")
def undo_import(plugin: str, model: str) -> Any:
    """Take an import back as a whole; refused when anything uses one of its records."""
    view, scope = importable(plugin, model), require_scope()
    find_view(plugin, model, "delete")
    if scope.community_id is None:
        return _undo_in_page(view)
    run = seen_run(scope, view.name(), UUID(_id("run")))
    scope.session.refresh(run, with_for_update=True)
    is_stopped = run.state is RunState.WRITING and progress_of(scope, run.job_id).has_stopped
    if run.state is RunState.DONE or is_stopped:
        import_jobs.start(scope, run, RunState.UNDOING)
    return go(url_of(view, "import_run", run=run.id))


def _id(name: str) -> str:
    try:
        return str(UUID(request.form.get(name, "")))
    except ValueError:
        raise NotFound(N_("There is no such page.")) from None


# --- a group's own records: within the request ----------------------------------------------------


def _try_in_page(view: type[RecordView], draft: Draft, plan: Plan) -> Any:
    try:
        outcome = tried(require_scope(), view, draft, plan)
    except DougongError as error:
        return _mapping(view, draft, plan, translate_error(error)), error.status
    return _result(view, draft, plan, outcome)


def tried(scope: Scope, view: type[RecordView], draft: Draft, plan: Plan) -> Outcome:
    """Return what importing would do; nothing stays."""
    savepoint = scope.session.begin_nested()
    try:
        return run_at_once(scope, view, draft, plan)
    finally:
        savepoint.rollback()


def _result(
    view: type[RecordView], draft: Draft, plan: Plan, outcome: Outcome, message: str = ""
) -> str:
    return render_template(
        "admin/import_result.html",
        view=view,
        to=partial(url_of, view),
        draft=draft,
        plan=plan,
        summary=summary(outcome.counts),
        problems=[(e.number, e.problems) for e in outcome.refused[:SHOWN]],
        problem_count=len(outcome.refused),
        good=outcome.total - len(outcome.refused),
        message=message,
        crumbs=crumbs(
            view,
            (gettext(N_("Import")), url_of(view, "import_records")),
            (gettext(N_("Trial run")), None),
        ),
    )


def _commit_in_page(view: type[RecordView], draft: Draft, plan: Plan) -> Any:
    scope = require_scope()
    savepoint = scope.session.begin_nested()
    try:
        outcome = run_at_once(scope, view, draft, plan)
    except DougongError as error:
        savepoint.rollback()
        return _mapping(view, draft, plan, translate_error(error)), error.status
    if outcome.refused and "good" not in request.form:
        savepoint.rollback()
        message = gettext(N_("Nothing was imported: some rows are refused now."))
        return _result(view, draft, plan, outcome, message), 409
    savepoint.commit()
    numbers = [e.number for e in outcome.entries if e.done == "created" and not e.problems]
    last = max(numbers, default=0)
    mark = [draft.made_at, draft.digest, last, summary(outcome.counts)]
    return go(url_of(view, "import_records", made=uploads.pack(scope, _mark(view), mark)))


def _mark(view: type[RecordView]) -> str:
    return f"imported|{view.name()}"


def _done(view: type[RecordView]) -> Mapping[str, Any] | None:
    """Return what the import did that this page was sent to after."""
    mark = request.args.get("made", "")
    if not mark:
        return None
    try:
        _, _, last, text = uploads.unpack(require_scope(), _mark(view), mark)
    except Invalid:
        return None
    return {"text": text, "mark": mark if last and view.may(require_scope(), "delete") else ""}


def _undo_in_page(view: type[RecordView]) -> Any:
    scope, name = require_scope(), f"{view.name()}.delete"
    made_at, digest, last, _ = uploads.unpack(scope, _mark(view), request.form.get("made", ""))
    ids = [row_id(made_at, digest, number) for number in range(1, last + 1)]
    with services.entered(scope, name, name):
        for some in batches(ids):
            scope.session.execute(
                delete(view.model).where(view.model.id.in_(some)),
                execution_options={"synchronize_session": False},
            )
    return go(f"{list_url(view)}?done=deleted")
