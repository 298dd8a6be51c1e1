"""Leaks that a renovation may have caused: its deposit waits until somebody knows."""

from typing import Any

from sqlalchemy import select

from dougong.db import Scope
from dougong.i18n import gettext
from dougong.tenancy.models import Room
from dougong_repairs.domain.kinds import Category
from dougong_repairs.domain.states import OPEN
from dougong_repairs.models import WorkOrder


def leak_below(scope: Scope, application: Any) -> str | None:
    """Return why the deposit of a renovation is not given back yet, None when nothing is open.

    application: of the plugin renovation. That is an open plumbing order of the same stair, on the
    floor of the room or the one below, reported since the work was permitted: water runs down.
    """
    room, since = application.room, application.permitted_at
    if since is None:
        return None
    is_near = Room.unit_id == room.unit_id if room.unit_id else Room.building_id == room.building_id
    floors = () if room.floor is None else (Room.floor.in_((room.floor - 1, room.floor)),)
    found = scope.session.execute(
        select(WorkOrder.number, Room.code)
        .join(Room, (Room.community_id == WorkOrder.community_id) & (Room.id == WorkOrder.room_id))
        .where(
            WorkOrder.state.in_(OPEN),
            WorkOrder.category == Category.PLUMBING,
            WorkOrder.reported_at >= since,
            is_near,
            *floors,
        )
        .order_by(WorkOrder.number)
        .limit(1)
    ).first()
    if found is None:
        return None
    return gettext(
        "Work order no. %(number)s in %(room)s is about water and not finished: find out first"
        " whether the renovation caused it.",
        number=found.number,
        room=found.code,
    )
