"""The opening workbook read and written: all of it in one transaction, or nothing.

Its sheets are the kernel's and those of the plugins that are on (hook ``opening_sheets``). What is
wrong is listed by sheet and row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from dougong import services
from dougong.audit.images import model_of
from dougong.db import insert_rows
from dougong.db.scope import Scope
from dougong.errors import Conflict, DougongError, Invalid
from dougong.exchange import ImportRow, ImportRun, RunState, drop_parts, read_json, write_json
from dougong.hookspecs import OpeningColumn, OpeningSheet
from dougong.i18n import N_, gettext, translate_error, use_locale
from dougong.web.admin import registry
from dougong.web.admin.cells import folded
from dougong.web.admin.import_runs import PROBLEMS, Refused, finish, tables_of
from dougong.web.admin.importing import (
    Field,
    Plan,
    RecordImport,
    Tell,
    field_of,
    find_header,
    guess,
)
from dougong.web.admin.opening_sheets import kernel_sheets
from dougong.web.admin.resolving import batches
from dougong.web.admin.uploads import Table
from dougong.web.admin.views import Column
from dougong.web.admin.writing import BOOK, Entry

PERMISSION = "dougong.room.create"

SheetProblem = tuple[str, int, str, str]


@dataclass
class SheetResult:
    """What became of one sheet. missing: it was not in the workbook."""

    title: str
    total: int = 0
    is_missing: bool = False
    problems: list[tuple[int, str, str]] = field(default_factory=list)


# --- an import of its own kind --------------------------------------------------------------------


def trial(scope: Scope, run: ImportRun, tell: Tell = lambda done: None) -> None:
    """Write the workbook, take it back, and keep what would have happened."""
    tables = tables_of(scope, run)
    savepoint = scope.session.begin_nested()
    try:
        results = import_opening(scope, tables, tell)
    except Invalid as error:
        results = []
        message = translate_error(error)
    else:
        message = ""
    finally:
        savepoint.rollback()
    scope.session.refresh(run)
    _keep(scope, run, results)
    run.state, run.message = RunState.TRIED, message
    scope.session.flush()


def write_piece(scope: Scope, run: ImportRun, tell: Tell = lambda done: None) -> bool:
    """Write the whole workbook; raises Refused when a row is refused now."""
    book: list[tuple[str, UUID]] = []
    scope.session.info[BOOK] = book
    try:
        results = import_opening(scope, tables_of(scope, run), tell)
    finally:
        scope.session.info.pop(BOOK, None)
    if any(result.problems for result in results):
        raise Refused(results)
    columns: dict[str, list[Any]] = {
        "run_id": [run.id] * len(book),
        "number": list(range(len(book))),
        "subject_kind": [kind for kind, _ in book],
        "subject_id": [id for _, id in book],
    }
    insert_rows(scope, ImportRow, columns)
    run.done = run.lines
    run.counts = {**run.counts, "created": len(book)}
    finish(scope, run)
    return False


def give_up(scope: Scope, run: ImportRun, outcome: Sequence[SheetResult]) -> None:
    """Show the rows that are refused now; nothing was written."""
    _keep(scope, run, outcome)
    run.state = RunState.TRIED
    run.message = gettext(N_("Nothing was imported: some rows are refused now."))
    scope.session.flush()


def undo(scope: Scope, run: ImportRun) -> None:
    """Delete everything that the workbook made; what prevents it is said in the run's message."""
    try:
        with (
            services.entered(scope, "dougong.room.delete", "dougong.room.delete"),
            scope.session.begin_nested(),
        ):
            _take_back(scope, run)
        run.state, run.message = RunState.UNDONE, ""
        drop_parts(scope, run.id)
    except DougongError as error:
        run.state, run.message = RunState.DONE, translate_error(error)[:400]
    scope.session.flush()


def _take_back(scope: Scope, run: ImportRun) -> None:
    """Delete the rows from the last to the first, those of one table together."""
    query = select(ImportRow).where(ImportRow.run_id == run.id).order_by(ImportRow.number.desc())
    groups: list[tuple[str, list[UUID]]] = []
    for row in scope.session.scalars(query):
        if not groups or groups[-1][0] != row.subject_kind:
            groups.append((row.subject_kind, []))
        groups[-1][1].append(row.subject_id)
    for kind, ids in groups:
        model = model_of(kind)
        if model is None:
            raise Conflict(N_("There is no such page."))
        for some in batches(ids):
            scope.session.execute(
                delete(model).where(model.id.in_(some)),
                execution_options={"synchronize_session": False},
            )
    scope.session.execute(delete(ImportRow).where(ImportRow.run_id == run.id))


def _keep(scope: Scope, run: ImportRun, results: Sequence[SheetResult]) -> None:
    problems = [[r.title, *problem] for r in results for problem in r.problems]
    write_json(scope, run.id, PROBLEMS, problems)
    run.counts = {
        "sheets": [[r.title, r.total, r.is_missing, len(r.problems)] for r in results],
        "total": sum(r.total for r in results),
        "refused": len(problems),
    }


def sheet_problems(scope: Scope, run: ImportRun) -> list[SheetProblem]:
    """Return what was wrong with a workbook: sheet, row, column, sentence."""
    return [tuple(each) for each in read_json(scope, run.id, PROBLEMS) or ()]


# --- sheets ---------------------------------------------------------------------------------------


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
def import_opening(
    scope: Scope, tables: Sequence[Any], tell: Callable[[int], None] = lambda done: None
) -> list[SheetResult]:
    """Write the sheets of a workbook in order; return what became of each.

    Whoever calls takes everything back when any sheet has problems.
    """
    by_title = {folded(table.name): table for table in tables}
    results, through = [], 0
    for sheet in sheets_of(scope):
        table = next((by_title[t] for t in titles_of(sheet) if t in by_title), None)
        results.append(_sheet(scope, sheet, table))
        through += len(table.lines) if table is not None else 0
        tell(through)
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
    with scope.installation.plugins.boundary(plugin, "opening sheet"):
        messages = sheet.load(scope, [entry.values for entry in good])
    for at, message in messages.items():
        good[at].refuse("", message)
