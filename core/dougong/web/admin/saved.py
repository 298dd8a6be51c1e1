"""Saved views: a list's filters, order and columns under a name, for oneself or for all."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, text

from dougong.access.models import SavedView
from dougong.db.scope import Scope
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.web.admin.views import RecordView

# As text: each list asks this, and putting it together would cost more than asking it.
VIEWS = text(
    """
    select v.id, v.user_id, v.name, v.query from dougong.saved_view v
    where v.group_id = :group and v.view = :view and (v.user_id = :user or v.is_shared)
    order by v.name limit 20
    """
)


def views_of(scope: Scope, view: type[RecordView]) -> Sequence[Any]:
    """Return the actor's own views of a list and those shared in the group."""
    given = {"group": scope.group_id, "view": view.name(), "user": scope.actor.user_id}
    with scope.installation.looking_up() as connection:
        return connection.execute(VIEWS, given).all()


def keep(scope: Scope, view: type[RecordView], name: str, query: str, *, is_shared: bool) -> None:
    """Keep a query under a name; the same name replaces. Raises Invalid without a name."""
    name = name.replace("\0", "").strip()[:60]
    if not name:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"name": gettext(N_("Give the view a name."))},
        )
    user_id = scope.actor.user_id
    with scope.installation.access(scope.actor) as session:
        session.execute(
            delete(SavedView).where(
                SavedView.user_id == user_id,
                SavedView.group_id == scope.group_id,
                SavedView.view == view.name(),
                SavedView.name == name,
            )
        )
        session.add(
            SavedView(
                user_id=user_id,
                group_id=scope.group_id,
                view=view.name(),
                name=name,
                query=query.replace("\0", ""),
                is_shared=is_shared,
            )
        )


def forget(scope: Scope, view: type[RecordView], identity: str) -> None:
    """Forget one of the actor's own views."""
    try:
        wanted = UUID(identity)
    except ValueError:
        return
    with scope.installation.access(scope.actor) as session:
        session.execute(
            delete(SavedView).where(
                SavedView.id == wanted, SavedView.user_id == scope.actor.user_id
            )
        )
