"""Lets go of what was on its way and is not wanted any more; the worker does it every day."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update

from dougong.db.scope import Scope
from dougong.exchange.models import (
    ExchangePart,
    ExportFile,
    FileState,
    ImportRow,
    ImportRun,
    RunState,
)
from dougong.services import service

UPLOADS_KEPT, UNDO_KEPT = timedelta(days=1), timedelta(days=30)


@service("exchange.sweep", title=("Sweep imports and exports", "清理导入导出文件"), is_public=False)
def sweep(scope: Scope) -> int:
    """Delete uploads after a day, prepared files after their time, undo after a month.

    Returns how many sealed pieces went.
    """
    old = scope.now - UPLOADS_KEPT
    drafts = select(ImportRun.id).where(
        ImportRun.state.in_((RunState.DRAFT, RunState.TRIED, RunState.DONE, RunState.UNDONE)),
        ImportRun.made_at < old,
    )
    expired = select(ExportFile.id).where(ExportFile.expires_at < scope.now)
    gone: Any = _run(
        scope,
        delete(ExchangePart).where(
            ExchangePart.owner_id.in_(drafts.union(expired).subquery().select())
        ),
    )
    _run(
        scope,
        update(ExportFile)
        .where(ExportFile.expires_at < scope.now, ExportFile.state == FileState.READY)
        .values(state=FileState.EXPIRED),
    )
    _run(
        scope,
        delete(ImportRun).where(
            ImportRun.state.in_((RunState.DRAFT, RunState.TRIED)), ImportRun.made_at < old
        ),
    )
    late = select(ImportRun.id).where(ImportRun.written_at < scope.now - UNDO_KEPT)
    _run(scope, delete(ImportRow).where(ImportRow.run_id.in_(late)))
    return gone.rowcount


def _run(scope: Scope, statement: Any) -> Any:
    return scope.session.execute(statement, execution_options={"synchronize_session": False})
