"""The files that the import wizard gives out: an empty sample, and the refused rows."""

from flask import Response

from dougong.db.columns import member_label
from dougong.i18n import N_, gettext
from dougong.web.admin.importing import Field, fields_of
from dougong.web.admin.imports import draft_of, importable, plan_of, tried
from dougong.web.admin.pages import blueprint
from dougong.web.admin.workbooks import XLSX, SheetColumn, Workbook, send
from dougong.web.app import require_scope


@blueprint.post("/<plugin>/<model>/import/problems.xlsx")
def import_problems(plugin: str, model: str) -> Response:
    """Download the refused rows with the reason of each, ready to be corrected and imported."""
    view = importable(plugin, model)
    draft, plan = draft_of(view), plan_of(view)
    outcome = tried(require_scope(), view, draft, plan)
    lines = {line.number: line for line in draft.lines}
    with Workbook() as book:
        columns = [SheetColumn(str(cell or "")) for cell in draft.header]
        columns += [
            SheetColumn(gettext(N_("Row"))),
            SheetColumn(gettext(N_("What is wrong")), width=60),
        ]
        sheet = book.sheet(view.label(), columns)
        for entry in outcome.refused:
            line = lines[entry.number]
            cells = [line[at] for at in range(len(draft.header))]
            sheet.write([*cells, entry.number, entry.reason])
        sheet.filter()
    return send(book.file, XLSX, f"{view.label()}-{gettext(N_('problems'))}.xlsx")


@blueprint.get("/<plugin>/<model>/import/sample.xlsx")
def import_sample(plugin: str, model: str) -> Response:
    """Download an empty workbook with the columns that an import understands."""
    view = importable(plugin, model)
    with Workbook() as book:
        book.sheet(view.label(), [sample_column(f) for f in fields_of(require_scope(), view)])
    return send(book.file, XLSX, f"{view.label()}-{gettext(N_('import sample'))}.xlsx")


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
