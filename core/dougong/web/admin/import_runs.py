"""An import as the server keeps it: tried, written piece by piece, taken back as a whole.

The same steps serve a request, for a small file, and a job. Each works in the transaction of the
scope that it is given, and says in the run's row how far it is; so a worker that is killed leaves
whole pieces behind, and the next one goes on after the last of them.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select

from dougong import services
from dougong.db import insert_rows, uuid7
from dougong.db.scope import Scope
from dougong.errors import Conflict, DougongError, Invalid, NotFound
from dougong.exchange import ImportRow, ImportRun, RunState, drop_parts, read_json, write_json
from dougong.i18n import N_, gettext, translate_error
from dougong.services.inputs import record_input
from dougong.web.admin import registry, uploads
from dougong.web.admin.importing import (
    Outcome,
    Plan,
    RecordImport,
    Tell,
    fields_of,
    row_id,
)
from dougong.web.admin.resolving import batches
from dougong.web.admin.uploads import Line, Table
from dougong.web.admin.views import RecordView
from dougong.web.admin.writing import Entry

AT_ONCE = 200
CHUNK = 1_000
ROWS, PROBLEMS = "rows", "problems"

Problem = tuple[int, list[tuple[str, str]]]


@dataclass(frozen=True)
class Draft:
    """A file on its way: its head, its rows, and what makes the ids of its records.

    token: what the page's forms carry: the run's id, or for a group's own records the sealed file.
    """

    made_at: int
    digest: str
    header: list[Any]
    lines: list[Line]
    token: str
    run: ImportRun | None = None

    @property
    def seed(self) -> tuple[int, str]:
        return self.made_at, self.digest


class Refused(Conflict):
    """Rows that were fine in the trial are refused now, and all of them were wanted."""

    def __init__(self, outcome: Any) -> None:
        super().__init__(N_("Nothing was imported: some rows are refused now."))
        self.outcome = outcome


# --- the file and its plan ------------------------------------------------------------------------


def keep(
    scope: Scope, view: str, file_name: str, content: list[Any], lines: int, plan: dict[str, Any]
) -> ImportRun:
    """Keep an uploaded file until it is imported, sealed; content: as of ``tables_as_json``."""
    run = ImportRun(id=uuid7(), view=view, user_id=scope.actor.user_id, lines=lines, plan=plan)
    run.digest = digest_of(scope, content)
    run.made_at = scope.now
    scope.session.add(run)
    run.file_name = file_name[-200:] or None
    scope.session.flush()
    write_json(scope, run.id, ROWS, content)
    return run


def digest_of(scope: Scope, content: list[Any]) -> str:
    """Return the keyed digest of a file's rows: the same only within one community."""
    owner: Any = scope.community_id
    key = scope.installation.keyring.index_keys([owner])[owner][0]
    plain = json.dumps(content, ensure_ascii=False).encode()
    return key.digest(b"dougong.import.v1|" + hashlib.sha256(plain).digest()).hex()


def tables_of(scope: Scope, run: ImportRun) -> list[Table]:
    """Return the rows of a run's file; raises Invalid once they are gone."""
    content = read_json(scope, run.id, ROWS)
    if content is None:
        raise Invalid(N_("The uploaded file is no longer at hand. Upload it again."))
    return uploads.tables_from_json(content)


def draft_of_run(scope: Scope, run: ImportRun) -> Draft:
    """Return a run's file as the wizard reads it."""
    lines = tables_of(scope, run)[0].lines
    made_at = int(run.made_at.timestamp())
    return Draft(made_at, run.id.hex, list(lines[0].cells), lines[1:], str(run.id), run)


def plan_of_run(run: ImportRun) -> Plan:
    """Return what was chosen for a run's columns."""
    return Plan.from_json(run.plan)


def view_of(run: ImportRun) -> type[RecordView]:
    """Return the view that a run imports into; raises NotFound where it is gone."""
    view = registry.view_named(run.view)
    if view is None:
        raise NotFound(N_("There is no such page."))
    return view


def problems_of(scope: Scope, run: ImportRun) -> list[Problem]:
    """Return what was wrong with the rows of a run, by the number of the row."""
    return [(n, [tuple(p) for p in found]) for n, found in read_json(scope, run.id, PROBLEMS) or ()]


def _keep_problems(scope: Scope, run: ImportRun, entries: Sequence[Entry]) -> None:
    write_json(scope, run.id, PROBLEMS, [[e.number, e.problems] for e in entries])


def _importer(scope: Scope, draft: Draft, view: type[RecordView], plan: Plan) -> RecordImport:
    return RecordImport(scope, view.model, fields_of(scope, view), plan, seed=draft.seed)


# --- the trial ------------------------------------------------------------------------------------


def trial(scope: Scope, run: ImportRun, tell: Tell = lambda done: None) -> None:
    """Write everything, take it back, and keep what would have happened."""
    view, draft = view_of(run), draft_of_run(scope, run)
    savepoint = scope.session.begin_nested()
    try:
        outcome = _importer(scope, draft, view, plan_of_run(run)).run(draft.lines, tell)
    finally:
        savepoint.rollback()
    scope.session.refresh(run)
    _keep_problems(scope, run, outcome.refused)
    run.counts, run.state, run.message = outcome.counts, RunState.TRIED, ""
    scope.session.flush()


# --- writing --------------------------------------------------------------------------------------


def write_piece(scope: Scope, run: ImportRun, tell: Tell = lambda done: None) -> bool:
    """Write the next lines of a run; return whether any are left.

    Rows that the trial refused are left out, which the run's ``only_good`` has said. Raises Refused
    when others are refused now and all were wanted; the caller rolls back.
    """
    tell(run.done)
    view, draft = view_of(run), draft_of_run(scope, run)
    known = {number for number, _ in problems_of(scope, run)}
    piece = draft.lines[run.done : run.done + CHUNK]
    wanted = [line for line in piece if line.number not in known]
    outcome = _importer(scope, draft, view, plan_of_run(run)).run(wanted)
    if outcome.refused and not run.only_good:
        raise Refused(outcome)
    _note(scope, run, view.model, outcome)
    run.done += len(piece)
    if run.done < len(draft.lines):
        scope.session.flush()
        return True
    finish(scope, run)
    return False


def finish(scope: Scope, run: ImportRun) -> None:
    """Say that a run is written; its file is needed only to give refused rows back."""
    run.state, run.written_at, run.message = RunState.DONE, scope.now, ""
    scope.session.flush()
    if not run.counts.get("refused"):
        drop_parts(scope, run.id, ROWS, PROBLEMS)


def _note(scope: Scope, run: ImportRun, model: Any, outcome: Outcome) -> None:
    """Remember what a piece wrote, and count it."""
    written = [e for e in outcome.entries if not e.problems and e.done != "unchanged"]
    if written:
        befores = [_before(e) for e in written]
        columns: dict[str, list[Any]] = {
            "run_id": [run.id] * len(written),
            "number": [e.number for e in written],
            "subject_kind": [f"{model.__schema__}.{model.__tablename__}"] * len(written),
            "subject_id": [e.found_id or e.new_id for e in written],
        }
        if any(befores):
            columns["before"] = befores
        insert_rows(scope, ImportRow, columns)
    trial = run.counts.get("refused", 0)
    counts = dict(run.counts) if run.done else {"refused": trial}
    for key, number in outcome.counts.items():
        counts[key] = counts.get(key, 0) + number
    run.counts = counts
    if outcome.refused:
        known = problems_of(scope, run)
        fresh = [[e.number, e.problems] for e in outcome.refused]
        write_json(scope, run.id, PROBLEMS, sorted([*known, *fresh]))


def _before(entry: Entry) -> str | None:
    """Return what an entry changed, as JSON: by attribute, what was there and what is now."""
    if not entry.before:
        return None
    pairs = {key: [_plain(was), _plain(entry.values[key])] for key, was in entry.before.items()}
    return json.dumps(pairs, ensure_ascii=False)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int) else str(value)


def give_up(scope: Scope, run: ImportRun, outcome: Outcome) -> None:
    """Take back the pieces that are written, and show the rows that are refused now."""
    with services.entered(scope, f"{run.view}.import", f"{run.view}.create"):
        take_back(scope, run)
    _keep_problems(scope, run, outcome.refused)
    run.counts = {**run.counts, "refused": len(outcome.refused)}
    run.state, run.done = RunState.TRIED, 0
    run.message = gettext(N_("Nothing was imported: some rows are refused now."))
    scope.session.flush()


# --- taking back ----------------------------------------------------------------------------------


def take_back(scope: Scope, run: ImportRun) -> None:
    """Delete what a run made and put back what it changed: all of it, or nothing.

    Raises Conflict when something uses a record that it made, or when a record that it changed has
    been changed since.
    """
    model = view_of(run).model
    rows = scope.session.scalars(
        select(ImportRow).where(ImportRow.run_id == run.id).order_by(ImportRow.number.desc())
    ).all()
    changed = [row for row in rows if row.before is not None]
    made = [row.subject_id for row in rows if row.before is None]
    with scope.session.begin_nested():
        _put_back(scope, model, changed)
        for some in batches(made):
            scope.session.execute(
                delete(model).where(model.id.in_(some)),
                execution_options={"synchronize_session": False},
            )
        scope.session.execute(delete(ImportRow).where(ImportRow.run_id == run.id))


def _put_back(scope: Scope, model: Any, rows: Sequence[ImportRow]) -> None:
    reader = record_input(model, "change")
    for some in batches(rows, 500):
        query = select(model).where(model.id.in_([row.subject_id for row in some]))
        records = {r.id: r for r in scope.session.scalars(query.with_for_update(of=model))}
        for row in some:
            _revert(records.get(row.subject_id), row, reader)
        scope.session.flush()


def _revert(record: Any, row: ImportRow, reader: Any) -> None:
    if record is None:
        raise Conflict(N_("Row %(row)s cannot be taken back: it is gone."), row=row.number)
    pairs = json.loads(row.before or "{}")
    was = reader.model_validate({key: pair[0] for key, pair in pairs.items()})
    put = reader.model_validate({key: pair[1] for key, pair in pairs.items()})
    if any(getattr(record, key) != getattr(put, key) for key in pairs):
        raise Conflict(
            N_("Row %(row)s cannot be taken back: “%(name)s” has been changed since."),
            row=row.number,
            name=str(record),
        )
    for key in pairs:
        setattr(record, key, getattr(was, key))


def undo(scope: Scope, run: ImportRun) -> None:
    """Take a whole import back; what prevents it is said in the run's message."""
    name = f"{run.view}.delete"
    try:
        with services.entered(scope, name, name):
            take_back(scope, run)
        run.state, run.message = RunState.UNDONE, ""
        drop_parts(scope, run.id)
    except DougongError as error:
        run.state, run.message = RunState.DONE, translate_error(error)[:400]
    scope.session.flush()


# --- a group's own records: the file travels in the page -----------------------------------------


def run_at_once(scope: Scope, view: type[RecordView], draft: Draft, plan: Plan) -> Outcome:
    """Import a draft in this transaction; raises Conflict when it was imported before."""
    ids = [row_id(*draft.seed, line.number) for line in draft.lines]
    for some in batches(ids):
        query = select(view.model.id).where(view.model.id.in_(some)).limit(1)
        if scope.session.scalars(query).first() is not None:
            raise Conflict(N_("This file has been imported already."))
    return _importer(scope, draft, view, plan).run(draft.lines)
