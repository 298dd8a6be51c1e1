"""Reporting a repair: from the portal, at the desk, by a code in the stairwell, by the API."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, text

from dougong.db import Scope, member_label
from dougong.errors import Conflict, Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.services import given_phone, service
from dougong.tenancy.models import Room
from dougong_repairs.domain.kinds import Category, Source, Urgency
from dougong_repairs.models import ReportPoint, WorkOrder
from dougong_repairs.services import deadlines
from dougong_repairs.services.judging import judged
from dougong_repairs.services.people import me, my_rooms
from dougong_repairs.services.stepping import need, write_down

VISITORS_AN_HOUR = 12
# What a tile without a word is: nobody knows whether somebody is in danger where these are broken.
TILES_SOON = frozenset({Category.ELEVATOR, Category.FIRE_SAFETY})


@service("work_order.create", title=("Take down a repair", "登记报修"))
def create_work_order(
    scope: Scope,
    text: str,
    category: Category | None = None,
    urgency: Urgency | None = None,
    source: Source = Source.DESK,
    room_id: UUID | None = None,
    building_id: UUID | None = None,
    place: str | None = None,
    person_id: UUID | None = None,
    contact_phone: str | None = None,
    visit_wanted: str | None = None,
    id: UUID | None = None,
    client_id: UUID | None = None,
) -> WorkOrder:
    """Take down a repair request; what is not said of category and urgency the model judges.

    Both clocks start. client_id: the same again returns the first order. Raises Invalid.
    """
    if client_id is not None and (known := _sent(scope, client_id)) is not None:
        return known
    need(text=text)
    if room_id is not None and building_id is None:
        building_id = scope.get(Room, room_id).building_id
    verdict = judged(scope, text, category, urgency)
    order = WorkOrder(
        number=_next_number(scope),
        text=text.strip()[:2000],
        category=verdict.category,
        urgency=verdict.urgency,
        triage_confidence=verdict.confidence,
        triage_reason=verdict.reason[:300],
        source=source,
        room_id=room_id,
        building_id=building_id,
        place=(place or "").strip()[:120] or None,
        person_id=person_id,
        visit_wanted=(visit_wanted or "").strip()[:80] or None,
        reported_at=scope.now,
        client_id=client_id,
        **({"id": id} if id else {}),
    )
    if phone := given_phone("contact_phone", contact_phone):
        order.contact_phone = phone
    deadlines.start_clocks(scope, order)
    scope.session.add(order)
    write_down(scope, order, "report")
    return order


def _sent(scope: Scope, client_id: UUID) -> WorkOrder | None:
    return scope.session.scalars(select(WorkOrder).where(WorkOrder.client_id == client_id)).first()


def _next_number(scope: Scope) -> int:
    """Return the community's next number; the lock is held until the transaction ends."""
    scope.session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"repairs.work_order {scope.community_id}"},
    )
    return (scope.session.scalar(select(func.max(WorkOrder.number))) or 0) + 1


@service("work_order.report", title=("Report a repair", "报修"), permission="repairs.portal")
def report_repair(
    scope: Scope,
    text: str = "",
    category: Category | None = None,
    room_id: UUID | None = None,
    place: str | None = None,
    visit_wanted: str | None = None,
    client_id: UUID | None = None,
) -> WorkOrder:
    """Report a repair in a room of the actor's own, or in a public place.

    A tile without a word is enough. Raises Invalid for a room that is not his or nothing said.
    """
    person, rooms = me(scope), my_rooms(scope)
    if room_id is not None and room_id not in {room.id for room in rooms}:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"room_id": gettext("This room is not yours.")},
        )
    if room_id is None and place is None and rooms:
        room_id = rooms[0].id
    building_id = next((r.building_id for r in rooms if r.id == room_id), None)
    if building_id is None and rooms:
        building_id = rooms[0].building_id
    said, urgency = said_by(text, category)
    return create_work_order(
        scope,
        said,
        category,
        urgency,
        source=Source.PORTAL,
        room_id=room_id,
        building_id=building_id,
        place=place,
        person_id=person,
        visit_wanted=visit_wanted,
        client_id=client_id,
    )


def said_by(text: str, category: Category | None) -> tuple[str, Urgency | None]:
    """Return the words of a report and, where a tile is all that was said, its urgency.

    A tile's name is no sentence that the model could judge. Raises Invalid when nothing was said.
    """
    if said := text.strip():
        return said, None
    if category is None:
        need(text="")
    return member_label(category), Urgency.URGENT if category in TILES_SOON else Urgency.NORMAL


@service(
    "work_order.report_by_code",
    title=("Report by QR code", "扫码报修"),
    permission="repairs.report_point.use",
    is_public=False,
)
def report_by_code(
    scope: Scope,
    code: str,
    text: str = "",
    category: Category | None = None,
    contact_phone: str | None = None,
    client_id: UUID | None = None,
) -> WorkOrder:
    """Report by the code of a place, without a name. Raises NotFound, Conflict when too often."""
    point = point_of(scope, code)
    recent = select(func.count()).where(
        WorkOrder.source == Source.QR,
        WorkOrder.place == point.name,
        WorkOrder.reported_at > scope.now - timedelta(hours=1),
    )
    if (scope.session.scalar(recent) or 0) >= VISITORS_AN_HOUR:
        raise Conflict(N_("This place was reported often within the hour. Please call the desk."))
    chosen = category or (None if text.strip() else point.category)
    said, urgency = said_by(text, chosen)
    return create_work_order(
        scope,
        said,
        chosen,
        urgency,
        source=Source.QR,
        building_id=point.building_id,
        place=point.name,
        contact_phone=contact_phone,
        client_id=client_id,
    )


def point_of(scope: Scope, code: str) -> ReportPoint:
    """Return the place of a code that is in use; raises NotFound."""
    query = select(ReportPoint).where(ReportPoint.code == code, ReportPoint.is_active)
    found = scope.session.scalars(query).first()
    if found is None:
        raise NotFound(N_("This code is not in use any more. Please call the desk."))
    return found
