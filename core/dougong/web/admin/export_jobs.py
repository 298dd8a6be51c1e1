"""Preparing a long export: a worker writes the file, sealed, and tells the one who asked."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from werkzeug.datastructures import MultiDict

from dougong import services
from dougong.db import uuid7
from dougong.db.scope import Scope
from dougong.errors import NotAllowed, NotFound
from dougong.exchange import ExportFile, FileState, write_parts
from dougong.i18n import N_
from dougong.jobs import submit
from dougong.messages import notify
from dougong.services import service
from dougong.web.admin import exporting, listing, registry
from dougong.web.admin.exporting import Asked
from dougong.web.admin.views import RecordView

CONTENT = "file"
KEPT = timedelta(days=3)


def ask(
    scope: Scope, view: type[RecordView], asked: Asked, query: str, rows: int
) -> tuple[UUID, UUID]:
    """Have a worker prepare an export; return the community where it lies, and its id.

    What is asked for on a group's page lies in the first community that the actor reaches there:
    jobs and messages belong to a community.
    """
    if scope.community_id is not None:
        return scope.community_id, _enqueue(scope, scope, view, asked, query, rows)
    if not scope.readable:
        raise NotAllowed(N_("This page is for staff."))
    place = scope.readable[0]
    with scope.installation.scope(scope.actor, community=place) as own:
        return place, _enqueue(own, scope, view, asked, query, rows)


def _enqueue(
    own: Scope, asking: Scope, view: type[RecordView], asked: Asked, query: str, rows: int
) -> UUID:
    file = ExportFile(
        id=uuid7(),
        view=view.name(),
        kind=asked.kind,
        asked_group_id=None if asking.community_id else asking.group_id,
        is_clear=asked.is_clear,
        name=exporting.name_of(asking, view, asked.kind)[:200],
        user_id=own.actor.user_id,
        rows=rows,
    )
    own.session.add(file)
    file.wish = query
    own.session.flush()
    with services.entered(own, exporting.VERB, None):
        file.job_id = submit(own, exporting.VERB, {"file_id": file.id}, lock=f"export:{file.id}")
    own.session.flush()
    return file.id


@service("export_file.make", title=("Export a list", "导出列表"), is_public=False)
def make_file(scope: Scope, file_id: UUID) -> int:
    """Write a prepared file, and a message with a link to it; return its size in bytes."""
    file = scope.get(ExportFile, file_id)
    if file.state is not FileState.WAITING:
        return file.size
    view = registry.view_named(file.view)
    if view is None:
        raise NotFound(N_("There is no such page."))
    wish = listing.Wish.read(MultiDict(parse_qsl(file.wish or "")))
    asked = Asked(file.kind, wish, file.is_clear)
    total = file.rows

    def tell(done: int) -> None:
        scope.progress(min(done, total), total, N_("Rows written"))

    tell(0)
    place: dict[str, Any] = {"community": scope.community_id}
    if file.asked_group_id is not None:
        place = {"group": file.asked_group_id}
    with scope.installation.scope(scope.actor, **place) as reading:
        for verb in ("view", "export"):
            if not view.may(reading, verb):
                raise NotAllowed(
                    N_("You may not do this here (%(permission)s)."),
                    permission=f"{view.name()}.{verb}",
                )
        content = exporting.write(reading, view, asked, tell)
    with content:
        content.seek(0)
        file.size = write_parts(scope, file.id, CONTENT, content)
    file.state, file.expires_at = FileState.READY, scope.now + KEPT
    scope.session.flush()
    if file.user_id is not None:
        values = {"name": file.name, "rows": f"{file.rows:,}", "days": KEPT.days}
        link, key = f"admin/exports/{file.id}/", f"export|{file.id}"
        notify(scope, file.user_id, "dougong:export_ready", values, link=link, key=key)
    return file.size
