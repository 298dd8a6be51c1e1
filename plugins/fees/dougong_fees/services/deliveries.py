"""A new building is delivered: rooms of a batch go to their buyers, one by one or many at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select

from dougong.db import Scope, uuid7
from dougong.documents import Document, render
from dougong.errors import Conflict, DougongError, Invalid
from dougong.i18n import N_, gettext, translate_error
from dougong.services import service
from dougong.tenancy.models import Ownership, Person, Room, RoomState
from dougong_fees.models import Delivery, DeliveryRoom, DeliveryState, HandOver, RoomDeliveryState
from dougong_fees.services.handovers import hand_over, meters_of

OPEN = (RoomDeliveryState.EXPECTED, RoomDeliveryState.REFUSED)
MOST = 100
BETWEEN = "、"


@dataclass(frozen=True)
class Expected:
    """A line of the developer's list: a room's code, its buyers, the phone of the first."""

    room: str
    buyers: tuple[str, ...]
    phone: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far a batch is: rooms by state."""

    delivery: Delivery
    counts: Mapping[str, int]

    @property
    def rooms(self) -> int:
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        return sum(self.counts.get(s.value, 0) for s in RoomDeliveryState if s not in OPEN)


@service("delivery.plan", title=("Plan a delivery", "新建交房批次"), is_public=False)
def plan_delivery(
    scope: Scope,
    name: str,
    days: tuple[date, date],
    expected: Sequence[Expected],
    deemed_on: date | None = None,
    basis: str | None = None,
) -> Delivery:
    """Make a batch of the rooms that the developer lists; nobody owns anything new by it yet.

    days: first and last. deemed_on: needs its basis. Raises Invalid naming every line that is
    wrong; nothing is kept then.
    """
    rooms = _rooms_of(scope, expected)
    if not name.strip() or days[1] < days[0]:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"name": gettext("A batch has a name, and a last day after its first.")},
        )
    if deemed_on is not None and (deemed_on <= days[1] or not (basis or "").strip()):
        said = gettext("Who does not come takes over after the last day, and by a written basis.")
        raise Invalid(N_("Some fields are not right yet."), fields={"deemed_on": said})
    buildings = {room.building_id for room in rooms}
    made = Delivery(
        id=uuid7(),
        name=name.strip()[:80],
        building_id=buildings.pop() if len(buildings) == 1 else None,
        from_on=days[0],
        until_on=days[1],
        deemed_on=deemed_on,
        basis=(basis or "").strip()[:200] or None,
    )
    scope.session.add(made)
    scope.session.flush()
    scope.session.add_all(
        DeliveryRoom(
            delivery_id=made.id, room_id=room.id, buyers=BETWEEN.join(e.buyers), phone=e.phone
        )
        for room, e in zip(rooms, expected, strict=True)
    )
    scope.session.flush()
    return made


def _rooms_of(scope: Scope, expected: Sequence[Expected]) -> list[Room]:
    """Return the rooms of the list's lines; raises Invalid naming those that fit no room."""
    codes = [each.room for each in expected]
    found = {r.code: r for r in scope.session.scalars(select(Room).where(Room.code.in_(codes)))}
    waiting = set(
        scope.session.scalars(
            select(DeliveryRoom.room_id)
            .join(Delivery, Delivery.id == DeliveryRoom.delivery_id)
            .where(DeliveryRoom.state.in_(OPEN), Delivery.state == DeliveryState.OPEN)
        )
    )
    wrong = [gettext("The list is empty.")] if not expected else []
    for number, each in enumerate(expected, 1):
        room = found.get(each.room)
        checks = (
            (room is None, N_("there is no room %(room)s")),
            (codes.index(each.room) != number - 1, N_("%(room)s stands here twice")),
            (room is not None and room.id in waiting, N_("%(room)s waits in another batch")),
            (not each.buyers, N_("%(room)s has no buyer")),
        )
        why = next((words for is_so, words in checks if is_so), None)
        if why is not None:
            said = gettext(why, room=each.room)
            wrong.append(gettext("Line %(number)s: %(why)s", number=number, why=said))
    if wrong:
        raise Invalid(N_("Some fields are not right yet."), fields={"lines": "；".join(wrong[:12])})
    return [found[code] for code in codes]


@service("delivery_room.hand_over", title=("Deliver", "办理交付"), is_public=False)
def deliver(
    scope: Scope,
    delivery_room: DeliveryRoom,
    on: date,
    readings: Mapping[UUID, Decimal],
    keys: int = 0,
    defects: str | None = None,
) -> DeliveryRoom:
    """Let the buyers of a room take it over: from ``on`` they own it, and its charges are theirs.

    Bills of the developer that reach beyond the day are split; what was read together begins the
    buyers' usage. readings: by meter. Raises Conflict when it was delivered before.
    """
    return _take_over(
        scope, delivery_room, on, readings, RoomDeliveryState.DELIVERED, keys, defects
    )


@service("delivery_room.refuse", title=("Refused for defects", "登记验收未通过"))
def refuse_delivery(scope: Scope, delivery_room: DeliveryRoom, defects: str) -> DeliveryRoom:
    """Keep that the buyers did not take a room over, and why; the developer goes on paying."""
    record = _open(scope, delivery_room)
    if not defects.strip():
        fields = {"defects": gettext("Say what is wrong with the room.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    record.state, record.defects = RoomDeliveryState.REFUSED, defects.strip()[:1000]
    record.done_by, record.done_at = scope.actor.name[:120], scope.now
    scope.session.flush()
    return record


@service("delivery.hand_over_many", title=("Deliver many", "批量交付"), is_public=False)
def deliver_many(
    scope: Scope, delivery: Delivery, room_ids: Sequence[UUID], on: date
) -> dict[UUID, str]:
    """Deliver rooms whose buyers came together; return why some could not be, by room.

    Each stands alone: what cannot be done keeps no other from it. At most a hundred at once.
    """
    query = select(DeliveryRoom).where(
        DeliveryRoom.delivery_id == delivery.id, DeliveryRoom.id.in_(list(room_ids)[:MOST])
    )
    records = scope.session.scalars(query.order_by(DeliveryRoom.id)).all()
    return _each(scope, records, on, RoomDeliveryState.DELIVERED)


@service("delivery.deem", title=("Deem the rest delivered", "余户视为交付"))
def deem_delivered(scope: Scope, delivery: Delivery) -> Delivery:
    """Let who did not come take over on the batch's day, by its basis; refused rooms stay open.

    Raises Conflict before that day, or where the batch has none.
    """
    if delivery.deemed_on is None or delivery.deemed_on > scope.today:
        raise Conflict(N_("This batch has no such day, or it has not come yet."))
    query = select(DeliveryRoom).where(
        DeliveryRoom.delivery_id == delivery.id, DeliveryRoom.state == RoomDeliveryState.EXPECTED
    )
    rooms = scope.session.scalars(query.order_by(DeliveryRoom.id).limit(MOST)).all()
    problems = _each(scope, rooms, delivery.deemed_on, RoomDeliveryState.DEEMED)
    if problems and len(problems) == len(rooms):
        raise Conflict(N_("None could be delivered: %(why)s"), why=next(iter(problems.values())))
    return delivery


@service("delivery.close", title=("Close", "结束批次"))
def close_delivery(scope: Scope, delivery: Delivery) -> Delivery:
    """End a batch; what was not delivered can be put into another one."""
    delivery.state = DeliveryState.CLOSED
    scope.session.flush()
    return delivery


def _each(
    scope: Scope, records: Iterable[DeliveryRoom], on: date, state: RoomDeliveryState
) -> dict[UUID, str]:
    problems = {}
    for record in records:
        try:
            with scope.session.begin_nested():
                _take_over(scope, record, on, {}, state)
        except DougongError as error:
            said = next(iter((getattr(error, "fields", None) or {}).values()), None)
            problems[record.room_id] = said or translate_error(error)
    return problems


def _open(scope: Scope, delivery_room: DeliveryRoom) -> DeliveryRoom:
    record = scope.get(DeliveryRoom, delivery_room.id, lock=True)
    if record.state not in OPEN or record.delivery.state is not DeliveryState.OPEN:
        raise Conflict(N_("This room was delivered before, or its batch is closed."))
    return record


def _take_over(
    scope: Scope,
    delivery_room: DeliveryRoom,
    on: date,
    readings: Mapping[UUID, Decimal],
    state: RoomDeliveryState,
    keys: int = 0,
    defects: str | None = None,
) -> DeliveryRoom:
    record = _open(scope, delivery_room)
    people = _people(scope, record)
    serials = {meter.meter_id: meter.serial for meter in meters_of(scope, record.room, on)}
    made = _own(scope, record.room, people, on, readings)
    record.room.state = RoomState.DELIVERED
    record.state, record.taken_over_on = state, on
    record.readings = {serials.get(id, str(id)): f"{value:f}" for id, value in readings.items()}
    record.keys, record.defects = keys, (defects or "").strip()[:1000] or record.defects
    record.done_by, record.done_at = scope.actor.name[:120], scope.now
    record.hand_over_id = made.id if made else None
    scope.session.flush()
    return record


def _people(scope: Scope, record: DeliveryRoom) -> list[Person]:
    """Return the buyers as people: the first is known by name and phone, others are new."""
    found = []
    for number, name in enumerate(record.buyers.split(BETWEEN)):
        phone = record.phone if number == 0 else None
        known = None
        if phone:
            query = select(Person).where(Person.name == name, Person.phone.matches(scope, phone))
            known = scope.session.scalars(query.order_by(Person.id)).first()
        person = known or Person(name=name, phone=phone)
        scope.session.add(person)
        found.append(person)
    scope.session.flush()
    return found


def _own(
    scope: Scope, room: Room, people: Sequence[Person], on: date, readings: Mapping[UUID, Decimal]
) -> HandOver | None:
    """Let people own a room in equal shares; return the statement where it was owned before."""
    held = or_(Ownership.to_on.is_(None), Ownership.to_on > on)
    owned = select(Ownership.id).where(Ownership.room_id == room.id, held)
    made = None
    if scope.session.scalars(owned.limit(1)).first() is not None:
        made = hand_over(scope, room, people[0], on, readings)
    else:
        scope.session.add(Ownership(room_id=room.id, person_id=people[0].id, from_on=on))
        at = datetime.combine(on, time.min, scope.zone)
        for meter_id, value in readings.items():
            scope.call("meters.reading.record", meter=meter_id, value=value, read_at=at)
    scope.session.flush()
    if len(people) > 1:
        _share(scope, room, people, on)
    return made


def _share(scope: Scope, room: Room, people: Sequence[Person], on: date) -> None:
    """Divide a room among its buyers; the first, who gets the bills, has what is left over."""
    part = (Decimal(1) / len(people)).quantize(Decimal("0.000001"))
    first = select(Ownership).where(
        Ownership.room_id == room.id, Ownership.person_id == people[0].id, Ownership.from_on == on
    )
    scope.session.scalars(first).one().share = 1 - part * (len(people) - 1)
    scope.session.add_all(
        Ownership(room_id=room.id, person_id=each.id, from_on=on, share=part) for each in people[1:]
    )
    scope.session.flush()


# --- what is seen and printed -----------------------------------------------------------------


def deliveries(scope: Scope) -> list[Progress]:
    """Return the batches with how far they are, the latest first. Two statements."""
    query = select(Delivery).order_by(Delivery.from_on.desc(), Delivery.id.desc()).limit(40)
    found = scope.session.scalars(query).all()
    counts: dict[UUID, dict[str, int]] = {}
    rows = scope.session.execute(
        select(DeliveryRoom.delivery_id, DeliveryRoom.state, func.count())
        .where(DeliveryRoom.delivery_id.in_([each.id for each in found]))
        .group_by(DeliveryRoom.delivery_id, DeliveryRoom.state)
    )
    for delivery_id, state, count in rows:
        counts.setdefault(delivery_id, {})[RoomDeliveryState(state).value] = count
    return [Progress(each, counts.get(each.id, {})) for each in found]


def rooms_of(scope: Scope, delivery: Delivery, after: str = "") -> list[DeliveryRoom]:
    """Return the rooms of a batch in the order of their codes, a hundred at a time.

    after: the sort key of the last one of the page before.
    """
    query = (
        select(DeliveryRoom)
        .join(Room, Room.id == DeliveryRoom.room_id)
        .where(DeliveryRoom.delivery_id == delivery.id, Room.sort_key > after)
    )
    return list(scope.session.scalars(query.order_by(Room.sort_key).limit(MOST)))


@service("delivery.print", title=("Hand-over sheets", "打印交房单"))
def print_delivery(scope: Scope, delivery: Delivery) -> Document:
    """Return a sheet for every room that is still expected: checklist, readings, keys, signatures.

    A hundred at a time, in the order of the rooms.
    """
    query = (
        select(DeliveryRoom)
        .join(Room, Room.id == DeliveryRoom.room_id)
        .where(DeliveryRoom.delivery_id == delivery.id, DeliveryRoom.state.in_(OPEN))
    )
    rooms = scope.session.scalars(query.order_by(Room.sort_key).limit(MOST)).all()
    if not rooms:
        raise Conflict(N_("Every room of this batch is delivered."))
    return _sheets(scope, delivery, rooms)


@service("delivery_room.print", title=("Hand-over sheet", "打印交房单"))
def print_delivery_room(scope: Scope, delivery_room: DeliveryRoom) -> Document:
    """Return the sheet of one room, filled in where it is delivered."""
    return _sheets(scope, delivery_room.delivery, [delivery_room])


def _sheets(scope: Scope, delivery: Delivery, rooms: Sequence[DeliveryRoom]) -> Document:
    facts: dict[str, Any] = {"delivery": delivery, "sheets": rooms}
    name = f"{gettext('Hand-over sheets')}-{delivery.name}.pdf"
    return render(scope, "fees:delivery", facts, filename=name)
