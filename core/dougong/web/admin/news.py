"""What has changed in a list since it was shown: a number, never the rows themselves.

An open list asks for it when it hears that its table has changed, and offers to show it; rows do
not jump under the reader's hands.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import render_template, request
from sqlalchemy import text

from dougong.db.scope import Scope
from dougong.web.admin import listing
from dougong.web.admin.menu import list_url
from dougong.web.admin.pages import blueprint, find_view
from dougong.web.admin.views import RecordView
from dougong.web.app import current_installation, require_scope

MOST = 500
OLDEST = timedelta(days=1)
# Ids of events begin with their time, so that the range of the key is all that is read.
EVENTS = text(
    """
    select e.row_id, max(e.operation) as operation from dougong.audit_event e
    where e.id > :floor and e.at > :since and e.chain_id = any(:chains)
      and e.schema_name = :schema and e.table_name = :table
    group by e.row_id limit :limit
    """
)


@blueprint.get("/<plugin>/<model>/news")
def list_news(plugin: str, model: str) -> str:
    """Say how many rows of a list are new or changed since it was shown."""
    view, scope = find_view(plugin, model), require_scope()
    since = _since()
    number, is_more = changed_since(scope, view, since) if since else (0, False)
    kept = [(k, v) for k, v in request.args.items(multi=True) if k not in ("since", "done")]
    return render_template(
        "admin/news.html",
        number=number,
        is_more=is_more,
        address=f"{list_url(view)}?{urlencode(kept)}".rstrip("?"),
    )


def _since() -> datetime | None:
    try:
        since = datetime.fromisoformat(request.args.get("since", ""))
    except ValueError:
        return None
    since = since if since.tzinfo else since.replace(tzinfo=UTC)
    return max(since, datetime.now(UTC) - OLDEST)


def changed_since(scope: Scope, view: type[RecordView], since: datetime) -> tuple[int, bool]:
    """Return how many rows that the actor sees in this list changed, and whether there are more.

    Only rows that the list's filters and the actor's rules let through are counted.
    """
    table = view.model.__table__
    chains = [scope.community_id] if scope.community_id else [*scope.readable, scope.group_id]
    values: dict[str, Any] = {
        "floor": UUID(int=int(since.timestamp() * 1000) << 80),
        "since": since,
        "chains": chains,
        "schema": table.schema,
        "table": table.name,
        "limit": MOST + 1,
    }
    with current_installation().platform() as session:
        rows = session.execute(EVENTS, values).all()
    ids = [UUID(row.row_id) for row in rows if row.row_id is not None][:MOST]
    is_more = len(rows) > MOST or any(row.row_id is None for row in rows)
    wish = listing.Wish.read({k: v for k, v in request.args.items() if k != "since"})
    matching = listing.matching(scope, view, wish).order_by(None)
    query = matching.with_only_columns(view.model.id).where(view.model.id.in_(ids))
    return len(scope.session.execute(query).all()) if ids else 0, is_more
