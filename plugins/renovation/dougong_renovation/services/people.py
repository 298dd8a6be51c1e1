"""Who acts: the person behind a login, what is his, and who lives beside a room."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from dougong.db import Scope
from dougong.i18n import N_
from dougong.tenancy.models import Occupancy, Ownership, Person, Room
from dougong_renovation.domain.states import Part
from dougong_renovation.errors import NotYours
from dougong_renovation.models import Application

HOLDINGS = (Ownership, Occupancy)
PORTAL = "renovation.portal"
DESK = "renovation.application.view"


def me(scope: Scope) -> UUID:
    """Return the actor's person in this community; raises NotYours for a login without one."""
    person = scope.actor.persons.get(scope.community_id) if scope.community_id else None
    if person is None:
        raise NotYours(N_("This page is for owners and residents of this community."))
    return person


def my_rooms(scope: Scope) -> list[Room]:
    """Return the rooms that the actor owns or lives in today, in the order of their codes."""
    person = me(scope)
    held = or_(*(Room.id.in_(_held(scope, m.room_id, m.person_id == person)) for m in HOLDINGS))
    return list(scope.session.scalars(select(Room).where(held).order_by(Room.sort_key)))


def holders_of(scope: Scope, room_id: UUID) -> Sequence[Person]:
    """Return who owns or lives in a room today, in whose name one can apply."""
    held = or_(*(Person.id.in_(_held(scope, m.person_id, m.room_id == room_id)) for m in HOLDINGS))
    return scope.session.scalars(select(Person).where(held).order_by(Person.id)).all()


def owns(scope: Scope, person_id: UUID, room_id: UUID) -> bool:
    """Tell whether a person owns a room today; an occupant needs the owner's consent."""
    return bool(scope.session.scalar(owns_query(scope, person_id, room_id)))


def owns_query(scope: Scope, person_id: UUID, room_id: UUID) -> Select[bool]:
    """Return the query of whether a person owns a room today."""
    query = _held(
        scope, Ownership.id, Ownership.person_id == person_id, Ownership.room_id == room_id
    )
    return select(query.exists())


def parts_of(scope: Scope, application: Application) -> set[Part]:
    """Return the parts that the actor has in a renovation."""
    parts = {Part.DESK} if scope.actor.kind == "system" or scope.may(DESK) else set()
    person = scope.actor.persons.get(scope.community_id) if scope.community_id else None
    if person is not None and person == application.person_id:
        parts.add(Part.OWNER)
    return parts


def neighbours_of(scope: Scope, room: Room, *but: UUID) -> Sequence[Person]:
    """Return who owns or lives in the rooms beside, above and below a room.

    That is the same unit (building, where there are none), from the floor below to the one above;
    where floors are unknown, the whole unit. but: people who are left out.
    """
    beside = select(Room.id).where(is_beside(room))
    held = or_(*(Person.id.in_(_held(scope, m.person_id, m.room_id.in_(beside))) for m in HOLDINGS))
    query = select(Person).where(held, Person.id.not_in(but)).order_by(Person.id)
    return scope.session.scalars(query).all()


def is_beside(room: Room) -> ColumnElement[bool]:
    """Return the condition that a room is a neighbour of ``room``."""
    same = Room.unit_id == room.unit_id if room.unit_id else Room.building_id == room.building_id
    if room.floor is None:
        return and_(same, Room.id != room.id)
    near = func.coalesce(Room.floor, room.floor).between(room.floor - 1, room.floor + 1)
    return and_(same, near, Room.id != room.id)


def _held(scope: Scope, column: Any, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Return the query for a column of what is held today: rooms or people."""
    model = column.class_
    is_now = and_(
        model.from_on <= scope.today, or_(model.to_on.is_(None), model.to_on > scope.today)
    )
    return select(column).where(is_now, *conditions)
