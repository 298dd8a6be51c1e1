"""The files that the import wizard gives out: an empty sample, and the refused rows."""

from collections.abc import Sequence
from uuid import UUID

from flask import Response

from dougong.db.columns import member_label
from dougong.errors import NotFound
from dougong.i18n import N_, gettext
from dougong.web.admin.import_runs import Draft, Problem, draft_of_run, problems_of
from dougong.web.admin.importing import Field, fields_of
from dougong.web.admin.imports import draft_of, importable, plan_of, seen_run, tried
from dougong.web.admin.pages import blueprint
from dougong.web.admin.views import RecordView
from dougong.web.admin.workbooks import XLSX, SheetColumn, Workbook, send
from dougong.web.admin.writing import reason
from dougong.web.app import require_scope


@blueprint.post("/<plugin>/<model>/import/problems.xlsx")
def import_problems(plugin: str, model: str) -> Response:
    """Download the refused rows of a file that travels in the page, each with its reason."""
    view = importable(plugin, model)
    draft = draft_of(view)
    if draft.run is not None:
        return _problems(view, draft, problems_of(require_scope(), draft.run))
    outcome = tried(require_scope(), view, draft, plan_of(view, draft))
    return _problems(view, draft, [(e.number, e.problems) for e in outcome.refused])


@blueprint.get("/<plugin>/<model>/import/<uuid:run>/problems.xlsx")
def import_run_problems(plugin: str, model: str, run: UUID) -> Response:
    """Download the refused rows with the reason of each, ready to be corrected and imported."""
    view, scope = importable(plugin, model), require_scope()
    found = seen_run(scope, view.name(), run)
    if found.user_id != scope.actor.user_id:
        raise NotFound(N_("There is no such page."))
    problems = problems_of(scope, found)
    return _problems(view, draft_of_run(scope, found), problems)


def _problems(view: type[RecordView], draft: Draft, problems: Sequence[Problem]) -> Response:
    lines = {line.number: line for line in draft.lines}
    with Workbook() as book:
        columns = [SheetColumn(str(cell or "")) for cell in draft.header]
        columns += [
            SheetColumn(gettext(N_("Row"))),
            SheetColumn(gettext(N_("What is wrong")), width=60),
        ]
        sheet = book.sheet(view.label(), columns)
        for number, found in problems:
            line = lines[number]
            cells = [line[at] for at in range(len(draft.header))]
            sheet.write([*cells, number, reason(found)])
        sheet.filter()
    name = gettext(N_("problems"))
    return send(book.file, XLSX, f"{view.label()}-{name}.xlsx")


@blueprint.get("/<plugin>/<model>/import/sample.xlsx")
def import_sample(plugin: str, model: str) -> Response:
    """Download an empty workbook with the columns that an import understands."""
    view = importable(plugin, model)
    with Workbook() as book:
        book.sheet(view.label(), [sample_column(f) for f in fields_of(require_scope(), view)])
    name = gettext(N_("import sample"))
    return send(book.file, XLSX, f"{view.label()}-{name}.xlsx")


def sample_column(each: Field) -> SheetColumn:
    """Return the sheet's column of a field, with a note on what it takes."""
    column = each.column
    choices: list[str] = [member_label(m) for m in column.members] if column.members else []
    if column.kind == "flag":
        choices = [gettext(N_("yes")), gettext(N_("no"))]
    note = {
        "day": gettext(N_("A date such as 2026-11-24.")),
        "instant": gettext(N_("Date and time such as 2026-11-24 15:30.")),
        "money": gettext(N_("Yuan with two places.")),
        "relation": gettext(N_("The name or number under which it is known here.")),
    }.get(column.kind, "")
    if choices:
        note = "、".join(choices)
    if each.is_needed:
        note = " ".join([gettext(N_("This is needed.")), note]).strip()
    kind = "text" if column.kind in ("encrypted", "relation", "state") else column.kind
    return SheetColumn(
        each.label, kind, note=note, choices=choices, is_needed=each.is_needed, width=14
    )
