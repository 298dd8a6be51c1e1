"""The opening workbook (期初): one file with which a community starts, all of it or nothing.

Its sheets are the kernel's and those of the plugins that are on (hook ``opening_sheets``). A
filled workbook is tried in a savepoint first; what is wrong is listed by sheet and row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Response, render_template, request, url_for

from dougong import services
from dougong.db.columns import member_label
from dougong.db.scope import Scope
from dougong.errors import DougongError, Invalid, NotFound
from dougong.hookspecs import OpeningColumn, OpeningSheet
from dougong.i18n import N_, gettext, translate_error, use_locale
from dougong.web.admin import registry, uploads
from dougong.web.admin.cells import folded
from dougong.web.admin.import_files import sample_column
from dougong.web.admin.importing import Field, Plan, RecordImport, field_of, find_header, guess
from dougong.web.admin.menu import menu_page
from dougong.web.admin.opening_sheets import kernel_sheets, total_labels
from dougong.web.admin.pages import blueprint, go
from dougong.web.admin.uploads import Table
from dougong.web.admin.views import Column
from dougong.web.admin.workbooks import XLSX, SheetColumn, Workbook, send
from dougong.web.admin.writing import Entry
from dougong.web.app import current_installation, require_scope

PERMISSION = "dougong.room.create"
NEEDED = (PERMISSION, "dougong.building.create", "dougong.person.create")
PURPOSE = "opening"
SHOWN = 200

menu_page(
    "admin.opening",
    ("Opening workbook", "期初导入"),
    PERMISSION,
    icon="upload",
    order=90,
    only_in="community",
)


@dataclass
class SheetResult:
    """What became of one sheet. missing: it was not in the workbook."""

    title: str
    total: int = 0
    is_missing: bool = False
    problems: list[tuple[int, str, str]] = field(default_factory=list)


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
    """Ask for a filled workbook, or try it and show what importing it would do."""
    scope = _community()
    if request.method == "GET":
        return _page(scope)
    try:
        tables = uploads.read_upload(request.files.get("file"))
        sealed = uploads.pack(scope, PURPOSE, uploads.tables_as_json(tables))
        return _page(scope, results=tried(scope, tables), sealed=sealed)
    except DougongError as error:
        return _page(scope, translate_error(error)), error.status


def _page(
    scope: Scope, message: str = "", results: Sequence[SheetResult] = (), sealed: str = ""
) -> str:
    problems = [(r.title, *p) for r in results for p in r.problems]
    place = (scope.place.name, url_for("admin.dashboard"))
    return render_template(
        "admin/opening.html",
        sheets=sheets_of(scope),
        message=message,
        results=results,
        problems=problems[:SHOWN],
        number=len(problems),
        sealed=sealed,
        limit=uploads.MOST_ROWS,
        crumbs=[place, (gettext(N_("Opening workbook")), None)],
    )


@blueprint.post("/opening/commit")
def commit_opening() -> Any:
    """Import the workbook that was tried; nothing when any row is refused now."""
    scope = _community()
    try:
        sealed = request.form.get("draft", "")
        tables = uploads.tables_from_json(uploads.unpack(scope, PURPOSE, sealed))
    except Invalid as error:
        return _page(scope, translate_error(error)), error.status
    savepoint = scope.session.begin_nested()
    results = import_opening(scope, tables)
    if any(result.problems for result in results):
        savepoint.rollback()
        message = gettext(N_("Nothing was imported: some rows are refused now."))
        return _page(scope, message, results, sealed), 409
    savepoint.commit()
    return go(url_for("admin.opening", done=sum(r.total for r in results)))


@blueprint.post("/opening/problems.xlsx")
def opening_problems() -> Response:
    """Download what is wrong with a workbook, by sheet and row."""
    scope = _community()
    draft = uploads.unpack(scope, PURPOSE, request.form.get("draft", ""))
    results = tried(scope, uploads.tables_from_json(draft))
    columns = [
        SheetColumn(gettext(N_("Sheet"))),
        SheetColumn(gettext(N_("Row")), "number"),
        SheetColumn(gettext(N_("Column"))),
        SheetColumn(gettext(N_("What is wrong")), width=70),
    ]
    with Workbook() as book:
        sheet = book.sheet(gettext(N_("problems")), columns)
        for result in results:
            for problem in result.problems:
                sheet.write([result.title, *problem])
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
            if sheet.order == 1_000:
                for label in total_labels():
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


# --- reading and writing --------------------------------------------------------------------------


def sheets_of(scope: Scope) -> list[OpeningSheet]:
    """Return the workbook's sheets in the order in which they are read."""
    answers = scope.ask("opening_sheets")
    sheets = kernel_sheets() + [sheet for answer in answers for sheet in answer]
    return sorted(sheets, key=lambda sheet: sheet.order)


def fields_of(sheet: OpeningSheet) -> list[Field]:
    """Return the columns of a sheet as an import reads them."""
    if sheet.model is None:
        return [field_of(_column(c), c.is_needed) for c in sheet.columns]
    from dougong.services.inputs import writable_columns

    view = registry.view_of(sheet.model)
    assert view is not None
    known, writable = view.all_columns(), writable_columns(sheet.model)
    made = []
    for key in sheet.columns:
        column = known[key]
        _, is_nullable, has_default = writable[f"{key}_id" if column.target else key]
        made.append(field_of(column, not (is_nullable or has_default)))
    return made


def _column(given: OpeningColumn) -> Column:
    key = given.key.removesuffix("_id") if given.kind == "relation" else given.key
    kind = "text" if given.kind == "state" and given.members is None else given.kind
    return Column(key, given.label, kind, False, not given.is_needed, given.members, given.target)


@services.service(
    "opening.import",
    title=("Import the opening workbook", "导入期初数据"),
    permission=PERMISSION,
    is_public=False,
)
def import_opening(scope: Scope, tables: Sequence[Any]) -> list[SheetResult]:
    """Write the sheets of a workbook in order; return what became of each.

    Whoever calls takes everything back when any sheet has problems.
    """
    by_title = {folded(table.name): table for table in tables}
    results = []
    for sheet in sheets_of(scope):
        table = next((by_title[t] for t in titles_of(sheet) if t in by_title), None)
        results.append(_sheet(scope, sheet, table))
    if all(result.is_missing for result in results):
        raise Invalid(N_("None of the sheets is known here. Start from the workbook of this page."))
    return results


def titles_of(sheet: OpeningSheet) -> list[str]:
    """Return a sheet's title in both languages."""
    found = []
    for locale in ("zh_Hans_CN", "en"):
        with use_locale(locale):
            found.append(folded(str(sheet.title)))
    return found


def _sheet(scope: Scope, sheet: OpeningSheet, table: Table | None) -> SheetResult:
    result = SheetResult(str(sheet.title), is_missing=table is None)
    if table is None or not table.lines:
        return result
    fields = fields_of(sheet)
    head = find_header(fields, table.lines)
    plan = Plan(guess(fields, table.lines[head].cells))
    lines = table.lines[head + 1 :]
    if sheet.order == 1_000:
        lines = [line for line in lines if line[1] is not None]
    result.total = len(lines)
    missing = [f.label for f in fields if f.is_needed and f.key not in plan.columns]
    if not lines:
        return result
    if missing:
        message = gettext(N_("This column is missing: %(names)s"), names="、".join(missing))
        result.problems.append((table.lines[head].number, "", message))
        return result
    if sheet.model is not None:
        scope.require(services.permission_of(sheet.model, "create"))
        entries = RecordImport(scope, sheet.model, fields, plan).run(lines).entries
    else:
        entries = RecordImport(scope, None, fields, plan).read(lines)
        _load(scope, sheet, fields, entries)
    result.problems += [
        (entry.number, label, text) for entry in entries for label, text in entry.problems
    ]
    return result


def _load(
    scope: Scope, sheet: OpeningSheet, fields: Sequence[Field], entries: Sequence[Entry]
) -> None:
    """Hand the good rows of a sheet to whoever reads it, and note what it says of them."""
    for entry in entries:
        labels = {label for label, _ in entry.problems}
        for each in fields:
            if each.is_needed and each.key not in entry.values and each.label not in labels:
                entry.refuse(each.label, gettext(N_("This is needed.")))
    good = [entry for entry in entries if not entry.problems]
    if not good or sheet.load is None:
        return
    plugin = services.plugin_of_module(sheet.load.__module__)
    messages: Mapping[int, str]
    with current_installation().plugins.boundary(plugin, "opening sheet"):
        messages = sheet.load(scope, [entry.values for entry in good])
    for at, message in messages.items():
        good[at].refuse("", message)


def tried(scope: Scope, tables: Sequence[Table]) -> list[SheetResult]:
    """Return what importing would do; nothing stays."""
    savepoint = scope.session.begin_nested()
    try:
        return import_opening(scope, tables)
    finally:
        savepoint.rollback()
