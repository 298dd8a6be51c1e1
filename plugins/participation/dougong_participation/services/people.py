"""Who takes part: the person behind the login, and the rooms that are his."""

from uuid import UUID

from sqlalchemy import ColumnElement, or_, select

from dougong.db import Scope
from dougong.i18n import N_
from dougong.tenancy.models import Occupancy, Ownership, Room
from dougong_participation.errors import NotYours


def me(scope: Scope) -> UUID:
    """Return the actor's person in this community; raises NotYours for a login without one."""
    person = scope.actor.persons.get(scope.community_id) if scope.community_id else None
    if person is None:
        raise NotYours(N_("This page is for owners and residents of this community."))
    return person


def my_rooms(scope: Scope) -> list[Room]:
    """Return the rooms that the actor owns or lives in today, in the order of their codes."""
    query = select(Room).where(lives_in(scope, me(scope))).order_by(Room.sort_key)
    return list(scope.session.scalars(query))


def lives_in(scope: Scope, person_id: UUID) -> ColumnElement[bool]:
    """Return the condition that a person owns a room or lives in it today."""
    held = [
        Room.id.in_(
            select(model.room_id).where(
                model.person_id == person_id,
                model.from_on <= scope.today,
                or_(model.to_on.is_(None), model.to_on > scope.today),
            )
        )
        for model in (Ownership, Occupancy)
    ]
    return or_(*held)
