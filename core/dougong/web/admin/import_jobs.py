"""What a worker does for an import, in transactions of its own: one for a trial, one a piece.

The job's own transaction only marks it done. A run says in its row how far it is, locked while
somebody works on it; so a job that runs twice, or goes on after a kill, writes every row once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from dougong import services
from dougong.db.scope import Scope
from dougong.exchange import ImportRun, RunState
from dougong.i18n import N_
from dougong.jobs import submit
from dougong.services import service
from dougong.web.admin import import_runs, opening_runs
from dougong.web.admin.import_runs import AT_ONCE, Refused

PERMISSION = "dougong.import_run.work"
OPENING = "opening"


def start(scope: Scope, run: ImportRun, step: RunState) -> None:
    """Take the next step with a run: at once for a small file, else by a worker.

    step: TRYING, WRITING or UNDOING. The caller has checked the permission for what it does.
    """
    run.state, run.message, run.job_id = step, "", None
    scope.session.flush()
    if run.lines <= AT_ONCE:
        _at_once(scope, run, step)
        return
    name = f"dougong.import_run.{STEPS[step]}"
    with services.entered(scope, f"dougong.import_run.{STEPS[step]}", None):
        run.job_id = submit(scope, name, {"run_id": run.id}, lock=f"import:{run.id}")


STEPS = {RunState.TRYING: "try", RunState.WRITING: "write", RunState.UNDOING: "undo"}


def _at_once(scope: Scope, run: ImportRun, step: RunState) -> None:
    if step is RunState.TRYING:
        _module(run).trial(scope, run)
    elif step is RunState.UNDOING:
        _module(run).undo(scope, run)
    else:
        _write_at_once(scope, run)


def _write_at_once(scope: Scope, run: ImportRun) -> None:
    try:
        with scope.session.begin_nested():
            while _module(run).write_piece(scope, run):
                pass
    except Refused as refused:
        scope.session.refresh(run)
        _module(run).give_up(scope, run, refused.outcome)


def _module(run: ImportRun) -> Any:
    """Return the module that knows the steps of an import of this kind."""
    return opening_runs if run.view == OPENING else import_runs


@contextmanager
def working(scope: Scope, run_id: UUID, step: RunState) -> Iterator[tuple[Scope, ImportRun] | None]:
    """Open a transaction of its own on a run, locked; None when the step is over already."""
    with scope.installation.scope(scope.actor, community=scope.community_id) as own:
        run = own.get(ImportRun, run_id, lock=True)
        yield (own, run) if run.state is step else None


@service(
    "import_run.try",
    title=("Trial run of an import", "导入试运行"),
    permission=PERMISSION,
    is_public=False,
)
def try_import(scope: Scope, run_id: UUID) -> int:
    """Try a file and keep what importing it would do; return how many rows were refused."""
    with working(scope, run_id, RunState.TRYING) as found:
        if found is None:
            return 0
        own, run = found
        total = run.lines

        def tell(done: int) -> None:
            scope.progress(done, total, N_("Rows tried"))

        tell(0)
        _module(run).trial(own, run, tell)
        return int(run.counts.get("refused", 0))


@service("import_run.write", title=("Import", "导入"), permission=PERMISSION, is_public=False)
def write_import(scope: Scope, run_id: UUID) -> int:
    """Write a file that was tried, piece by piece; return how many rows are written."""
    is_more, done = True, 0
    try:
        while is_more:
            is_more, done = _write_piece(scope, run_id, done)
    except Refused as refused:
        with working(scope, run_id, RunState.WRITING) as found:
            if found is not None:
                _module(found[1]).give_up(*found, refused.outcome)
        return 0
    return done


def _write_piece(scope: Scope, run_id: UUID, done: int) -> tuple[bool, int]:
    """Write one piece; return whether there is more, and how many rows are written.

    done: how many were, for a run that somebody has ended meanwhile. Raises Refused.
    """
    with working(scope, run_id, RunState.WRITING) as found:
        if found is None:
            return False, done
        own, run = found
        total = run.lines

        def tell(written: int) -> None:
            scope.progress(written, total, N_("Rows written"))

        is_more = _module(run).write_piece(own, run, tell)
        if not is_more:
            tell(total)
        return is_more, run.done


@service(
    "import_run.undo",
    title=("Take an import back", "撤销导入"),
    permission=PERMISSION,
    is_public=False,
)
def undo_import(scope: Scope, run_id: UUID) -> bool:
    """Take an import back as a whole; return whether that was possible."""
    with working(scope, run_id, RunState.UNDOING) as found:
        if found is None:
            return False
        own, run = found
        _module(run).undo(own, run)
        return run.state is RunState.UNDONE
