"""What a phone did without network, done here exactly once.

A plugin keeps the outcome in a table of its own with the columns ``client_id`` (unique in the
community), ``verb``, ``synced_at``, ``is_done`` and ``problem``, and calls `perform_once`.
"""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select, text

from dougong.db.base import Row
from dougong.db.scope import Scope
from dougong.errors import DougongError
from dougong.i18n import translate_error
from dougong.services import entered

R = TypeVar("R", bound=Row)


def perform_once(
    scope: Scope,
    model: type[R],
    client_id: UUID,
    work: Callable[[], object],
    *,
    audit: tuple[str, str | None],
    **values: Any,
) -> R:
    """Call ``work`` and keep what came of it; the same id again returns the first outcome.

    What cannot be done (any DougongError) is undone and kept as a conflict that the person sees;
    it is no error of the request. audit: the verb under which the outcome is written, and the
    permission for it. values: further columns of ``model``.
    """
    scope.session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:id, 0))"),
        {"id": f"{audit[0]} {scope.community_id} {client_id}"},
    )
    rows: Any = model
    known = scope.session.scalars(select(model).where(rows.client_id == client_id)).first()
    if known is not None:
        return known
    problem = _try(scope, work)
    made = rows(
        client_id=client_id,
        synced_at=scope.now,
        is_done=problem is None,
        problem=problem,
        **values,
    )
    with entered(scope, *audit):
        scope.session.add(made)
        scope.session.flush()
    return made  # type: ignore[no-any-return]


def _try(scope: Scope, work: Callable[[], object]) -> str | None:
    """Return what speaks against an operation, None when it is done."""
    try:
        with scope.session.begin_nested():
            work()
    except DougongError as error:
        fields = getattr(error, "fields", {}) or {}
        return " ".join([translate_error(error), *fields.values()])[:300]
    return None
