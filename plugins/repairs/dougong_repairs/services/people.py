"""Who acts: the person behind a login, his rooms, the technician, and parts in an order."""

from uuid import UUID

from sqlalchemy import ColumnElement, or_, select

from dougong.db import Scope
from dougong.i18n import N_
from dougong.tenancy.models import Occupancy, Ownership, Room
from dougong_repairs.domain.states import Part
from dougong_repairs.errors import NotYours
from dougong_repairs.models import Technician, WorkOrder

WORK = "repairs.work_order.work"
DISPATCH = "repairs.work_order.dispatch"


def me(scope: Scope) -> UUID:
    """Return the actor's person in this community; raises NotYours for a login without one."""
    person = scope.actor.persons.get(scope.community_id) if scope.community_id else None
    if person is None:
        raise NotYours(N_("This page is for owners and residents of this community."))
    return person


def my_rooms(scope: Scope) -> list[Room]:
    """Return the rooms that the actor owns or lives in today, in the order of their codes."""
    query = select(Room).where(_is_held_by(scope, me(scope))).order_by(Room.sort_key)
    return list(scope.session.scalars(query))


def _is_held_by(scope: Scope, person_id: UUID) -> ColumnElement[bool]:
    return or_(
        *(
            Room.id.in_(
                select(held.room_id).where(
                    held.person_id == person_id,
                    held.from_on <= scope.today,
                    or_(held.to_on.is_(None), held.to_on > scope.today),
                )
            )
            for held in (Ownership, Occupancy)
        )
    )


def known_technician(scope: Scope) -> Technician | None:
    """Return the technician behind the login, linked by name at first; None for anybody else."""
    if scope.actor.user_id is None or scope.community_id is None:
        return None
    query = select(Technician).where(Technician.user_id == scope.actor.user_id)
    known = scope.session.scalars(query).first()
    if known is not None:
        return known
    named = select(Technician).where(
        Technician.user_id.is_(None), Technician.name == scope.actor.name[:120]
    )
    found = scope.session.scalars(named.order_by(Technician.id).limit(1)).first()
    if found is not None:
        found.user_id = scope.actor.user_id
        scope.session.flush()
    return found


def technician_of(scope: Scope) -> Technician:
    """Return the technician behind the login, made at his first visit unless he dispatches.

    Raises NotAllowed without the permission to work on orders, NotYours for a dispatcher who is no
    technician, or a program.
    """
    scope.require(WORK)
    known = known_technician(scope)
    if known is not None:
        return known
    if scope.actor.user_id is None or scope.community_id is None or scope.may(DISPATCH):
        raise NotYours(N_("This page is for technicians of this community."))
    made = Technician(name=scope.actor.name[:120], user_id=scope.actor.user_id)
    scope.session.add(made)
    scope.session.flush()
    return made


def parts_of(scope: Scope, order: WorkOrder) -> set[Part]:
    """Return the parts that the actor has in an order."""
    parts = {Part.SYSTEM} if scope.actor.kind == "system" else set()
    if scope.may(DISPATCH):
        parts.add(Part.DISPATCHER)
    person = scope.actor.persons.get(scope.community_id) if scope.community_id else None
    if person is not None and person == order.person_id:
        parts.add(Part.OWNER)
    technician = known_technician(scope) if scope.may(WORK) else None
    if technician is not None and order.technician_id in (None, technician.id):
        parts.add(Part.TECHNICIAN)
    return parts
