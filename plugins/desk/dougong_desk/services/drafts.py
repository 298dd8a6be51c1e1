"""Drafts: a payment that was begun is laid aside while the next person is served."""

from uuid import UUID

from sqlalchemy import func, select

from dougong.db import Scope
from dougong.errors import Conflict, Invalid, NotAllowed
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Room
from dougong_desk.models import Draft
from dougong_desk.services.shifts import cashier_of

MOST = 20


def my_drafts(scope: Scope) -> list[Draft]:
    """Return what the actor has laid aside, the oldest first."""
    query = select(Draft).where(Draft.cashier_id == cashier_of(scope))
    return list(scope.session.scalars(query.order_by(Draft.id).limit(MOST)))


@service("draft.park", title=("Park", "挂单"))
def park_draft(scope: Scope, room_ids: list[UUID], chosen: list[UUID], note: str = "") -> Draft:
    """Lay a payment aside: its rooms and what was chosen.

    Raises Invalid without a room, Conflict beyond twenty drafts.
    """
    if not room_ids:
        fields = {"room_ids": gettext("Choose a room first.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    mine = select(func.count()).where(Draft.cashier_id == cashier_of(scope))
    if (scope.session.scalar(mine) or 0) >= MOST:
        raise Conflict(N_("Finish or drop one of your %(most)s drafts first."), most=MOST)
    rooms = [scope.get(Room, each) for each in room_ids]
    draft = Draft(
        cashier_id=cashier_of(scope),
        room_id=rooms[0].id,
        others=[str(room.id) for room in rooms[1:]],
        chosen=[str(each) for each in chosen],
        note=note.strip()[:80],
    )
    scope.session.add(draft)
    scope.session.flush()
    return draft


@service("draft.drop", title=("Drop", "删除挂单"))
def drop_draft(scope: Scope, draft: Draft) -> None:
    """Forget a draft of one's own."""
    if draft.cashier_id != cashier_of(scope):
        raise NotAllowed(N_("This draft is somebody else's."))
    scope.session.delete(draft)
    scope.session.flush()
