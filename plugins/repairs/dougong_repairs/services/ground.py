"""Codes to report by, who is on shift, and who is told of late orders."""

import secrets
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import Invalid
from dougong.i18n import N_
from dougong.services import service
from dougong_repairs.domain.kinds import Category
from dougong_repairs.models import DutyContact, ReportPoint, Technician
from dougong_repairs.services.people import DISPATCH, WORK, technician_of


@service("report_point.create", title=("Make a code", "新建报修码"))
def create_report_point(
    scope: Scope,
    name: str,
    building_id: UUID | None = None,
    category: Category = Category.PUBLIC_AREA,
    is_active: bool = True,
    id: UUID | None = None,
) -> ReportPoint:
    """Make a place with a code of its own that cannot be guessed."""
    point = ReportPoint(
        name=name,
        building_id=building_id,
        category=category,
        is_active=is_active,
        code=secrets.token_urlsafe(9),
        **({"id": id} if id else {}),
    )
    scope.session.add(point)
    scope.session.flush()
    return point


@service("technician.change_shift", title=("On or off shift", "上班/下班"), permission=WORK)
def change_shift(scope: Scope, is_on_shift: bool) -> Technician:
    """Say that one is on shift or not; who is not gets no orders."""
    technician = technician_of(scope)
    technician.is_on_shift = is_on_shift
    return technician


@service(
    "duty_contact.tell_me", title=("Tell me of late orders", "订阅超时提醒"), permission=DISPATCH
)
def tell_me(scope: Scope, level: int = 1) -> DutyContact:
    """Tell the actor of late orders from this level on (1 to 3). Raises Invalid for a program."""
    if scope.actor.user_id is None or level not in (1, 2, 3):
        raise Invalid(N_("Only somebody who is signed in can be told of late orders."))
    query = select(DutyContact).where(DutyContact.user_id == scope.actor.user_id)
    known = scope.session.scalars(query).first()
    if known is None:
        known = DutyContact(user_id=scope.actor.user_id, name=scope.actor.name[:120], level=level)
        scope.session.add(known)
    known.level = level
    scope.session.flush()
    return known
