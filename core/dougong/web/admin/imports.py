"""The import wizard: a file, its columns, a trial run with problems by row, then all or nothing.

Nothing is kept between the steps: the rows travel in the page, sealed (``uploads.pack``). The
trial writes everything in a savepoint and takes it back, so it finds what the import would.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import time
from typing import Any
from uuid import UUID

from flask import render_template, request, url_for
from sqlalchemy import select

from dougong import services
from dougong.db.scope import Scope
from dougong.errors import Conflict, DougongError, Invalid, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.web.admin import uploads
from dougong.web.admin.importing import (
    Outcome,
    Plan,
    RecordImport,
    fields_of,
    find_header,
    guess,
    match_keys,
    row_id,
    summary,
)
from dougong.web.admin.menu import list_url
from dougong.web.admin.pages import blueprint, crumbs, find_view, go
from dougong.web.admin.resolving import batches
from dougong.web.admin.uploads import Line, Table
from dougong.web.admin.views import RecordView
from dougong.web.app import require_scope

SHOWN = 200
SAMPLES = 3


@dataclass(frozen=True)
class Draft:
    """A file on its way: its head, its rows, and what makes the ids of its records."""

    made_at: int
    digest: str
    header: list[Any]
    lines: list[Line]
    sealed: str

    @property
    def seed(self) -> tuple[int, str]:
        return self.made_at, self.digest


def importable(plugin: str, model: str) -> type[RecordView]:
    """Return the view to import into; NotFound where it takes no files."""
    view = find_view(plugin, model, "create")
    if not view.can_import:
        raise NotFound(N_("There is no such page."))
    return view


# --- first step: the file -------------------------------------------------------------------------


@blueprint.route("/<plugin>/<model>/import", methods=["GET", "POST"])
def import_records(plugin: str, model: str) -> Any:
    """Ask for a file; then show its columns and what they were taken for."""
    view = importable(plugin, model)
    if request.method == "GET":
        return _start(view)
    try:
        if "draft" in request.form:
            return _mapping(view, draft_of(view), plan_of(view))
        draft = _taken(view, uploads.read_upload(request.files.get("file")))
    except Invalid as error:
        return _start(view, translate_error(error)), error.status
    return _mapping(view, draft, None)


def _start(view: type[RecordView], message: str = "") -> str:
    fields = fields_of(require_scope(), view)
    return render_template(
        "admin/import.html",
        view=view,
        to=partial(url_of, view),
        fields=fields,
        message=message,
        limit=uploads.MOST_ROWS,
        done=_done(view),
        crumbs=crumbs(view, (gettext(N_("Import")), None)),
    )


def _taken(view: type[RecordView], tables: Sequence[Table]) -> Draft:
    """Return the draft of the sheet that fits best: the one whose head knows most columns."""
    fields = fields_of(require_scope(), view)
    filled = [table for table in tables if table.lines]
    heads = [find_header(fields, table.lines) for table in filled]
    known = [
        len(guess(fields, table.lines[head].cells))
        for table, head in zip(filled, heads, strict=True)
    ]
    best = known.index(max(known))
    table, head = filled[best], heads[best]
    if len(table.lines) < head + 2:
        raise Invalid(N_("There are no rows below the head of the file."))
    made_at = int(time())
    content = uploads.tables_as_json([Table("", table.lines[head:])])
    digest = hashlib.sha256(repr(content).encode()).hexdigest()
    sealed = uploads.pack(require_scope(), _purpose(view), [made_at, digest, content])
    return _opened(made_at, digest, content, sealed)


def draft_of(view: type[RecordView]) -> Draft:
    """Return the file that the page carries; raises Invalid when it is not this user's."""
    sealed = request.form.get("draft", "")
    made_at, digest, content = uploads.unpack(require_scope(), _purpose(view), sealed)
    return _opened(made_at, digest, content, sealed)


def _opened(made_at: int, digest: str, content: Any, sealed: str) -> Draft:
    lines = uploads.tables_from_json(content)[0].lines
    return Draft(made_at, digest, list(lines[0].cells), lines[1:], sealed)


def _purpose(view: type[RecordView]) -> str:
    return f"import|{view.name()}"


# --- second step: the columns ---------------------------------------------------------------------


def plan_of(view: type[RecordView]) -> Plan:
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
    return Plan(columns, match if is_possible else "")


def _mapping(view: type[RecordView], draft: Draft, plan: Plan | None, message: str = "") -> str:
    scope = require_scope()
    fields = fields_of(scope, view)
    plan = plan or Plan(guess(fields, draft.header))
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
        message=message,
        crumbs=crumbs(view, (gettext(N_("Import")), url_of(view, "import_records")), _step()),
    )


def _step() -> tuple[str, None]:
    return gettext(N_("Columns")), None


def url_of(view: type[RecordView], page: str, **arguments: Any) -> str:
    """Return the address of one of the wizard's pages."""
    plugin, _, model = view.name().partition(".")
    return url_for(f"admin.{page}", plugin=plugin, model=model, **arguments)


# --- third step: the trial ------------------------------------------------------------------------


def run(scope: Scope, view: type[RecordView], draft: Draft, plan: Plan) -> Outcome:
    """Import a draft; raises Conflict when the same file was imported before."""
    ids = [row_id(*draft.seed, line.number) for line in draft.lines]
    for some in batches(ids):
        query = select(view.model.id).where(view.model.id.in_(some)).limit(1)
        if scope.session.scalars(query).first() is not None:
            raise Conflict(N_("This file has been imported already."))
    return RecordImport(scope, view.model, fields_of(scope, view), plan, seed=draft.seed).run(
        draft.lines
    )


def tried(scope: Scope, view: type[RecordView], draft: Draft, plan: Plan) -> Outcome:
    """Return what importing would do; nothing stays."""
    savepoint = scope.session.begin_nested()
    try:
        return run(scope, view, draft, plan)
    finally:
        savepoint.rollback()


@blueprint.post("/<plugin>/<model>/import/check")
def check_import(plugin: str, model: str) -> Any:
    """Try the import and show what it would do."""
    view = importable(plugin, model)
    try:
        draft, plan = draft_of(view), plan_of(view)
    except Invalid as error:
        return _start(view, translate_error(error)), error.status
    if not plan.columns:
        return _mapping(view, draft, plan, gettext(N_("Choose at least one column."))), 422
    try:
        outcome = tried(require_scope(), view, draft, plan)
    except DougongError as error:
        return _mapping(view, draft, plan, translate_error(error)), error.status
    return _result(view, draft, plan, outcome)


def _result(
    view: type[RecordView], draft: Draft, plan: Plan, outcome: Outcome, message: str = ""
) -> str:
    labels = {f.key: f.label for f in fields_of(require_scope(), view)}
    return render_template(
        "admin/import_result.html",
        view=view,
        to=partial(url_of, view),
        draft=draft,
        plan=plan,
        outcome=outcome,
        summary=summary(outcome),
        refused=outcome.refused[:SHOWN],
        good=len(outcome.entries) - len(outcome.refused),
        labels=labels,
        message=message,
        crumbs=crumbs(
            view,
            (gettext(N_("Import")), url_of(view, "import_records")),
            (gettext(N_("Trial run")), None),
        ),
    )


# --- last step ------------------------------------------------------------------------------------


@blueprint.post("/<plugin>/<model>/import/commit")
def commit_import(plugin: str, model: str) -> Any:
    """Import in this request's transaction: every row, or the good ones when that was chosen."""
    view, scope = importable(plugin, model), require_scope()
    try:
        draft, plan = draft_of(view), plan_of(view)
    except Invalid as error:
        return _start(view, translate_error(error)), error.status
    savepoint = scope.session.begin_nested()
    try:
        outcome = run(scope, view, draft, plan)
    except DougongError as error:
        savepoint.rollback()
        return _mapping(view, draft, plan, translate_error(error)), error.status
    if outcome.refused and "good" not in request.form:
        savepoint.rollback()
        message = gettext(N_("Nothing was imported: some rows are refused now."))
        return _result(view, draft, plan, outcome, message), 409
    savepoint.commit()
    ids = [e.new_id for e in outcome.entries if e.done == "created" and not e.problems]
    mark = [draft.made_at, draft.digest, draft.lines[-1].number if ids else 0, summary(outcome)]
    return go(url_of(view, "import_records", made=uploads.pack(scope, _mark(view), mark)))


def _mark(view: type[RecordView]) -> str:
    return f"imported|{view.name()}"


def _done(view: type[RecordView]) -> dict[str, Any] | None:
    """Return what the import did that this page was sent to after."""
    mark = request.args.get("made", "")
    if not mark:
        return None
    try:
        _, _, last, text = uploads.unpack(require_scope(), _mark(view), mark)
    except Invalid:
        return None
    return {"text": text, "mark": mark if last and view.may(require_scope(), "delete") else ""}


@blueprint.post("/<plugin>/<model>/import/undo")
def undo_import(plugin: str, model: str) -> Any:
    """Delete the records that an import made; refused when anything uses one of them."""
    view, scope = importable(plugin, model), require_scope()
    find_view(plugin, model, "delete")
    made_at, digest, last, _ = uploads.unpack(scope, _mark(view), request.form.get("made", ""))
    ids = [row_id(made_at, digest, number) for number in range(1, last + 1)]
    with services.entered(scope, f"{view.name()}.delete", f"{view.name()}.delete"):
        for some in batches(ids):
            _delete(scope, view.model, some)
    return go(f"{list_url(view)}?done=deleted")


def _delete(scope: Scope, model: Any, ids: Sequence[UUID]) -> None:
    from sqlalchemy import delete

    scope.session.execute(
        delete(model).where(model.id.in_(ids)), execution_options={"synchronize_session": False}
    )
