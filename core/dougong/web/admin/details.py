"""What a record's page shows: its values, its history, and the lists that belong to it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import text

from dougong.audit import timeline as audit
from dougong.db.scope import Scope
from dougong.errors import NotFound
from dougong.hookspecs import Panel
from dougong.i18n import N_
from dougong.web.admin import registry
from dougong.web.admin.listing import with_names
from dougong.web.admin.menu import list_url
from dougong.web.admin.views import Column, RecordView

MOST_ENTRIES = 20


@dataclass(frozen=True)
class RelatedList:
    """Another view's list, narrowed to the records that belong to this one."""

    label: str
    url: str
    icon: str


def details_of(scope: Scope, view: type[RecordView], record: Any) -> list[tuple[Column, Any]]:
    """Return every column that the actor may see and the record, for the page's facts."""
    columns = view.seen_columns(scope).values()
    return [(column, record) for column in columns if not column.is_technical]


def record_options(scope: Scope, view: type[RecordView]) -> list[Any]:
    """Return the options that load what a record's facts name, in the statement that reads it."""
    return with_names(view, [*view.seen_columns(scope).values()])


def link_of(scope: Scope, column: Column, record: Any) -> str:
    """Return the address of the record that a relation leads to, empty where nobody may go."""
    other = getattr(record, column.key) if column.kind == "relation" else None
    if other is None:
        return ""
    view = registry.view_of(type(other))
    if view is None or not view.may(scope, "view"):
        return ""
    return f"{list_url(view, scope=_place(scope, other))}{other.id}/"


def related_lists(scope: Scope, view: type[RecordView], record: Any) -> list[RelatedList]:
    """Return links to the lists of other views that can be filtered by this record."""
    found = []
    for other in registry.views():
        if other is view or not other.may(scope, "view"):
            continue
        known = other.seen_columns(scope)
        for key in other.filters:
            if key in known and known[key].target is view.model:
                url = list_url(other, scope=_place(scope, record), **{key: str(record.id)})
                found.append((RelatedList(other.label(), url, other.icon), str(known[key].label)))
    return _told_apart(found)


def shown_panels(scope: Scope, panels: Iterable[Panel]) -> list[Panel]:
    """Return panels in their order, without addresses that are closed to the actor."""
    found = [p if opens(scope, p.url) else replace(p, url=None) for p in panels]
    return sorted(found, key=lambda panel: panel.order)


def opens(scope: Scope, url: str | None) -> bool:
    """Tell whether a figure's or panel's address leads somewhere for this actor."""
    parts = (url or "").partition("?")[0].strip("/").split("/")
    view = registry.view_named(".".join(parts[1:3])) if parts[0] == "admin" else None
    return bool(url) and (view is None or view.may(scope, "view"))


def _told_apart(found: list[tuple[RelatedList, str]]) -> list[RelatedList]:
    """Return the lists; where two have one title, each says by which column it is narrowed."""
    titles = [each.label for each, _ in found]
    return [
        replace(each, label=f"{each.label} ({by})") if titles.count(each.label) > 1 else each
        for each, by in found
    ]


def _place(scope: Scope, record: Any) -> Any:
    community_id = getattr(record, "community_id", None)
    return f"c/{community_id}" if community_id else scope


def timeline_of(scope: Scope, record: Any, before: str | None) -> Sequence[audit.TimelineEntry]:
    """Return the newest entries of the record's history, older than ``before`` when given."""
    try:
        cursor = UUID(before) if before else None
    except ValueError:
        cursor = None
    entries = audit.timeline(scope, record, limit=MOST_ENTRIES, before=cursor)
    levels = scope.restrictions(type(record))
    hidden = {f"{key}_sealed" for key in levels} | set(levels)
    hidden = {key for key in hidden if levels.get(key.removesuffix("_sealed")) == "hide"}
    return [
        replace(entry, changes=tuple(c for c in entry.changes if c.column not in hidden))
        for entry in entries
    ]


def undo_last(scope: Scope, view: type[RecordView], id: UUID) -> Any:
    """Take back the last change or deletion of a row; raises Conflict when there is none."""
    with scope.installation.platform() as session:
        event_id = session.execute(
            text(
                "select id from dougong.audit_event where chain_id = any(:chains)"
                " and schema_name = :schema and table_name = :table and row_id = :row"
                " order by id desc limit 1"
            ),
            {
                "chains": [*scope.readable, scope.group_id],
                "schema": view.model.__table__.schema,
                "table": view.model.__table__.name,
                "row": str(id),
            },
        ).scalar()
    if event_id is None:
        raise NotFound(N_("There is no such entry in the log here."))
    return audit.undo(scope, event_id)
