"""The opening workbook's pages (期初): one file with which a community starts, all or nothing.

The file is kept, sealed, until it is written; a large one is a worker's (``import_jobs``).
"""

from typing import Any
from uuid import UUID

from flask import Response, render_template, request, url_for

from dougong.db.columns import member_label
from dougong.db.scope import Scope
from dougong.errors import DougongError, Invalid, NotFound
from dougong.exchange import ImportRun, RunState
from dougong.hookspecs import OpeningColumn, OpeningSheet
from dougong.i18n import N_, gettext, translate_error
from dougong.web.admin import import_jobs, uploads
from dougong.web.admin.cells import folded
from dougong.web.admin.import_files import sample_column
from dougong.web.admin.import_runs import keep
from dougong.web.admin.imports import own_run, recent_runs, seen_run
from dougong.web.admin.menu import menu_page
from dougong.web.admin.opening_runs import (
    PERMISSION,
    fields_of,
    sheet_problems,
    sheets_of,
    titles_of,
)
from dougong.web.admin.opening_sheets import total_labels
from dougong.web.admin.pages import blueprint, go
from dougong.web.admin.presets import opening_tables
from dougong.web.admin.progress import progress_of
from dougong.web.admin.uploads import Table
from dougong.web.admin.workbooks import XLSX, SheetColumn, Workbook, send
from dougong.web.app import require_scope

NEEDED = (PERMISSION, "dougong.building.create", "dougong.person.create")
UNDO = "dougong.room.delete"
VIEW = import_jobs.OPENING
SHOWN = 200

menu_page(
    "admin.opening",
    ("Opening workbook", "期初导入"),
    PERMISSION,
    icon="upload",
    order=90,
    only_in="community",
)


def _community() -> Scope:
    scope = require_scope()
    if scope.community_id is None:
        raise NotFound(N_("Choose a community first."))
    for permission in NEEDED:
        scope.require(permission)
    return scope


# --- pages ----------------------------------------------------------------------------------------


@blueprint.route("/opening", methods=["GET", "POST"])
def opening() -> Any:
    """Ask for a filled workbook, or keep it and try what importing it would do."""
    scope = _community()
    if request.method == "GET":
        return _start(scope)
    try:
        file_name, read = uploads.named_upload(request.files.get("file"))
        tables = _known(scope, opening_tables(read))
        lines = sum(len(table.lines) for table in tables)
        run = keep(scope, VIEW, file_name, uploads.tables_as_json(tables), lines, {})
    except DougongError as error:
        return _start(scope, translate_error(error)), error.status
    import_jobs.start(scope, run, RunState.TRYING)
    return go(url_for("admin.opening_run", run=run.id))


def _known(scope: Scope, tables: list[Table]) -> list[Table]:
    """Return the sheets that are read here; raises Invalid when there is none."""
    titles = {title for sheet in sheets_of(scope) for title in titles_of(sheet)}
    known = [table for table in tables if folded(table.name) in titles]
    if not known:
        raise Invalid(N_("None of the sheets is known here. Start from the workbook of this page."))
    return known


def _start(scope: Scope, message: str = "") -> str:
    return render_template(
        "admin/opening.html",
        sheets=sheets_of(scope),
        message=message,
        runs=recent_runs(scope, VIEW),
        limit=uploads.MOST_ROWS,
        crumbs=_path(scope),
    )


def _path(scope: Scope, *further: tuple[str, str | None]) -> list[tuple[str, str | None]]:
    here = (gettext(N_("Opening workbook")), url_for("admin.opening") if further else None)
    return [(scope.place.name, url_for("admin.dashboard")), here, *further]


@blueprint.get("/opening/<uuid:run>/")
def opening_run(run: UUID) -> str:
    """Show where a workbook stands: its progress, its trial, or that it was written."""
    return render_template("admin/opening_run.html", **_run_page(run))


@blueprint.get("/opening/<uuid:run>/progress")
def opening_progress(run: UUID) -> str:
    """Return the part of the page that changes while a worker is busy."""
    return render_template("admin/opening_run_body.html", **_run_page(run))


def _run_page(id: UUID) -> dict[str, Any]:
    scope = _community()
    run = seen_run(scope, VIEW, id)
    is_own = run.user_id == scope.actor.user_id
    problems = sheet_problems(scope, run) if is_own else []
    return {
        "run": run,
        "is_own": is_own,
        "progress": progress_of(scope, run.job_id),
        "problems": problems[:SHOWN],
        "number": run.counts.get("refused", 0),
        "results": run.counts.get("sheets", []),
        "may_undo": scope.may(UNDO),
        "crumbs": _path(scope, (run.file_name or "—", None)),
    }


@blueprint.post("/opening/commit")
def commit_opening() -> Any:
    """Import the workbook that was tried; nothing when any row is refused."""
    scope = _community()
    run, is_stopped = _step(scope, RunState.WRITING)
    if run.state is RunState.TRIED and run.counts.get("refused"):
        page = _run_page(run.id)
        page["message"] = gettext(N_("Nothing was imported: some rows are refused."))
        return render_template("admin/opening_run.html", **page), 409
    if is_stopped or (run.state is RunState.TRIED and run.counts.get("total")):
        import_jobs.start(scope, run, RunState.WRITING)
    return go(url_for("admin.opening_run", run=run.id))


@blueprint.post("/opening/check")
def check_opening() -> Any:
    """Try a workbook again, after the trial was stopped or what is here has changed."""
    scope = _community()
    run, is_stopped = _step(scope, RunState.TRYING)
    if is_stopped or run.state is RunState.TRIED:
        import_jobs.start(scope, run, RunState.TRYING)
    return go(url_for("admin.opening_run", run=run.id))


@blueprint.post("/opening/undo")
def undo_opening() -> Any:
    """Delete everything that a workbook made; refused when anything uses a record of it."""
    scope = _community()
    scope.require(UNDO)
    run, _ = _step(scope, RunState.UNDOING)
    if run.state is RunState.DONE:
        import_jobs.start(scope, run, RunState.UNDOING)
    return go(url_for("admin.opening_run", run=run.id))


def _step(scope: Scope, step: RunState) -> tuple[ImportRun, bool]:
    """Return the run that a form names, locked, and whether this step of it was stopped."""
    run = own_run(scope, VIEW, request.form.get("draft", ""))
    return run, run.state is step and progress_of(scope, run.job_id).has_stopped


@blueprint.get("/opening/<uuid:run>/problems.xlsx")
def opening_problems(run: UUID) -> Response:
    """Download what is wrong with a workbook, by sheet and row."""
    scope = _community()
    found = seen_run(scope, VIEW, run)
    if found.user_id != scope.actor.user_id:
        raise NotFound(N_("There is no such page."))
    columns = [
        SheetColumn(gettext(N_("Sheet"))),
        SheetColumn(gettext(N_("Row")), "number"),
        SheetColumn(gettext(N_("Column"))),
        SheetColumn(gettext(N_("What is wrong")), width=70),
    ]
    with Workbook() as book:
        sheet = book.sheet(gettext(N_("problems")), columns)
        for problem in sheet_problems(scope, found):
            sheet.write(problem)
        sheet.filter()
    return send(
        book.file, XLSX, f"{gettext(N_('Opening workbook'))}-{gettext(N_('problems'))}.xlsx"
    )


@blueprint.get("/opening/template.xlsx")
def opening_template() -> Response:
    """Download the empty workbook of this community, with a sheet for every plugin that is on."""
    scope = _community()
    sheets = sheets_of(scope)
    with Workbook() as book:
        guide = [
            SheetColumn(gettext(N_("Sheet")), width=14),
            SheetColumn(gettext(N_("Column")), width=22),
            SheetColumn(gettext(N_("needed")), width=8),
            SheetColumn(gettext(N_("What to write")), width=70),
        ]
        page = book.sheet(gettext(N_("Guide")), guide)
        columns = {id(sheet): _template_columns(sheet) for sheet in sheets}
        for sheet in sheets:
            for column in columns[id(sheet)]:
                needed = gettext(N_("yes")) if column.is_needed else ""
                page.write([str(sheet.title), column.title, needed, column.note or sheet.note])
        for sheet in sheets:
            made = book.sheet(str(sheet.title), columns[id(sheet)])
            for label in total_labels() if sheet.order == 1_000 else ():
                made.write([label, None])
    return send(book.file, XLSX, f"{scope.place.name}-{gettext(N_('Opening workbook'))}.xlsx")


def _template_columns(sheet: OpeningSheet) -> list[SheetColumn]:
    notes = {c.key: str(c.note) for c in sheet.columns if isinstance(c, OpeningColumn)}
    made = []
    for each in fields_of(sheet):
        column = sample_column(each)
        note = notes.get(each.column.key) or column.note
        choices = [member_label(m) for m in each.column.members or ()]
        made.append(
            SheetColumn(
                column.title, column.kind, 14, note, choices or column.choices, each.is_needed
            )
        )
    return made
