"""Dormitory beds: whole classes check in and out at once, with what is left of their energy."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from uuid import UUID, uuid5

from sqlalchemy import Select, func, or_, select

from dougong.db import Scope, insert_rows, uuid7
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Building, Occupancy, OccupancyKind, Person, Room
from dougong_prepaid.models import EnergyAccount, Student
from dougong_prepaid.services.accounts import give_to_wallets
from dougong_prepaid.services.residents import people_in
from dougong_prepaid.services.settling import settle_usage

MOST = 2000
SHOWN = 12


@dataclass(frozen=True)
class Arrival:
    """A line of the list of new students: the room's code, student number, name, phone."""

    room: str
    number: str
    name: str
    phone: str | None = None


@dataclass(frozen=True)
class Leaving:
    """What a check-out did: beds that were left, rooms that are empty now, what is left to do."""

    beds: int
    rooms: int
    problems: Sequence[str]


@service("student.check_in", title=("Check students in", "批量入住"), is_public=False)
def check_in(scope: Scope, on: date, arrivals: Sequence[Arrival]) -> int:
    """Give every student of a list his bed from a day on; return how many beds were taken.

    A student is known by his number; who has the very bed already is left alone, so that a list can
    be sent twice. Raises Invalid naming the lines that are wrong: an unknown room, a full one, a
    student who stands there twice or lives elsewhere. Nothing is kept then. A fixed number of
    statements, however long the list.
    """
    rooms = _rooms(scope, arrivals)
    known = _known(scope, [each.number for each in arrivals])
    beds = _beds(scope, on)
    left = _fit(scope, arrivals, rooms, known, beds)
    taken = {room: set(people.values()) for room, people in beds.items()}
    people = {each.number: known.get(each.number) or uuid7() for each in left}
    new = [each for each in left if each.number not in known]
    insert_rows(
        scope,
        Person,
        {
            "id": [people[each.number] for each in new],
            "kind": ["person"] * len(new),
            "name": [each.name for each in new],
            "sort_key": [each.name for each in new],
            "phone": [each.phone for each in new],
        },
    )
    insert_rows(
        scope,
        Student,
        {"person_id": [people[e.number] for e in new], "number": [e.number for e in new]},
    )
    insert_rows(
        scope,
        Occupancy,
        {
            "room_id": [rooms[each.room] for each in left],
            "person_id": [people[each.number] for each in left],
            "kind": [OccupancyKind.BED.value] * len(left),
            "bed": [_lowest(taken, rooms[each.room]) for each in left],
            "from_on": [on] * len(left),
        },
    )
    return len(left)


def _rooms(scope: Scope, arrivals: Sequence[Arrival]) -> dict[str, UUID]:
    if not 0 < len(arrivals) <= MOST:
        said = gettext("A list has between one and %(most)s students.", most=MOST)
        raise Invalid(N_("Some fields are not right yet."), fields={"lines": said})
    codes = {each.room for each in arrivals}
    query = select(Room.code, Room.id).where(Room.code.in_(codes))
    return {row.code: row.id for row in scope.session.execute(query)}


def _known(scope: Scope, numbers: Sequence[str]) -> dict[str, UUID]:
    query = select(Student.number, Student.person_id).where(Student.number.in_(numbers))
    return {row.number: row.person_id for row in scope.session.execute(query)}


def _beds(scope: Scope, on: date) -> dict[UUID, dict[UUID, str | None]]:
    """Return who has a bed where on a day, and which, by room."""
    query = select(Occupancy.room_id, Occupancy.person_id, Occupancy.bed).where(
        Occupancy.kind == OccupancyKind.BED, or_(Occupancy.to_on.is_(None), Occupancy.to_on > on)
    )
    found: dict[UUID, dict[UUID, str | None]] = {}
    for room_id, person_id, bed in scope.session.execute(query):
        found.setdefault(room_id, {})[person_id] = bed
    return found


def _lowest(beds: dict[UUID, set[str | None]], room_id: UUID) -> str:
    """Return the lowest number of a bed that nobody has, and let it be taken."""
    taken = beds.setdefault(room_id, set())
    free = next(str(number) for number in count(1) if str(number) not in taken)
    taken.add(free)
    return free


def _fit(
    scope: Scope,
    arrivals: Sequence[Arrival],
    rooms: dict[str, UUID],
    known: dict[str, UUID],
    beds: dict[UUID, dict[UUID, str | None]],
) -> list[Arrival]:
    """Return the lines that take a bed; raises Invalid naming those that cannot."""
    most = int(scope.setting("prepaid.beds", 4))
    lives = {person: room for room, people in beds.items() for person in people}
    taken = {room: len(people) for room, people in beds.items()}
    wrong, left, seen = [], [], set()
    for number, each in enumerate(arrivals, 1):
        room, person = rooms.get(each.room), known.get(each.number)
        has = lives.get(person) if person else None
        is_full = has is None and taken.get(room, 0) >= most
        checks = (
            (room is None, gettext("there is no room %(room)s", room=each.room)),
            (not each.number or not each.name, gettext("number or name is missing")),
            (each.number in seen, gettext("%(number)s stands here twice", number=each.number)),
            (
                has is not None and has != room,
                gettext("%(number)s has a bed elsewhere", number=each.number),
            ),
            (
                is_full,
                gettext("%(room)s has %(most)s beds, all taken", room=each.room, most=most),
            ),
        )
        why = next((words for is_so, words in checks if is_so), None)
        if why is not None:
            wrong.append(gettext("Line %(number)s: %(why)s", number=number, why=why))
            continue
        seen.add(each.number)
        if has is None:
            taken[room] = taken.get(room, 0) + 1
            left.append(each)
    if wrong:
        told = "；".join(wrong[:SHOWN])
        raise Invalid(N_("Some fields are not right yet."), fields={"lines": told})
    return left


@service("student.check_out", title=("Check students out", "批量退宿"), is_public=False)
def check_out(
    scope: Scope, on: date, numbers: Sequence[str] = (), building_id: UUID | None = None
) -> Leaving:
    """End beds from a day on: of the students named, or of everybody in a building.

    Usage is charged first; who leaves takes his equal part of what the room has left into his
    wallet, and a balance below zero stays with the room, which is told. Raises Invalid where
    neither is given.
    """
    if not numbers and building_id is None:
        said = gettext("Say which students leave, or which building is emptied.")
        raise Invalid(N_("Some fields are not right yet."), fields={"numbers": said})
    settle_usage(scope)
    leaving: dict[UUID, list[Occupancy]] = {}
    for bed in scope.session.scalars(_leaving(on, numbers, building_id)).all():
        leaving.setdefault(bed.room_id, []).append(bed)
    if not leaving:
        raise Conflict(N_("Nobody of them has a bed here."))
    problems, emptied = [], 0
    for room_id in sorted(leaving):
        problem, is_empty = _leave(scope, room_id, leaving[room_id], on)
        problems += [problem] if problem else []
        emptied += is_empty
    return Leaving(sum(map(len, leaving.values())), emptied, problems)


def _leaving(on: date, numbers: Sequence[str], building_id: UUID | None) -> Select[Occupancy]:
    query = select(Occupancy).where(
        Occupancy.kind == OccupancyKind.BED,
        Occupancy.from_on < on,
        or_(Occupancy.to_on.is_(None), Occupancy.to_on > on),
    )
    if numbers:
        people = select(Student.person_id).where(Student.number.in_(list(numbers)))
        query = query.where(Occupancy.person_id.in_(people))
    if building_id is not None:
        rooms = select(Room.id).where(Room.building_id == building_id)
        query = query.where(Occupancy.room_id.in_(rooms))
    return query.order_by(Occupancy.id).with_for_update(of=Occupancy)


def _leave(scope: Scope, room_id: UUID, beds: Sequence[Occupancy], on: date) -> tuple[str, bool]:
    """End the beds of one room; return what is wrong with its account, and whether it is empty."""
    living = people_in(scope, room_id)
    going = [person for person in living if person.id in {bed.person_id for bed in beds}]
    account = scope.session.scalars(
        select(EnergyAccount)
        .where(EnergyAccount.room_id == room_id, EnergyAccount.closed_on.is_(None))
        .order_by(EnergyAccount.commodity)
        .with_for_update(of=EnergyAccount)
    ).first()
    problem = ""
    if account is not None and account.balance < 0:
        problem = gettext(
            "%(room)s owes ¥%(amount)s", room=account.room.code, amount=f"{-account.balance:,.2f}"
        )
    elif account is not None and account.balance and going:
        source = uuid5(account.id, f"check out {on} {sorted(bed.id for bed in beds)}")
        words = gettext("Check-out of %(room)s", room=account.room.code)
        give_to_wallets(scope, account, going, len(living), words, source)
    for bed in beds:
        bed.to_on = on
    scope.session.flush()
    return problem, len(going) == len(living)


def occupied_beds(scope: Scope) -> list[tuple[str, str, int, int]]:
    """Return building, id, rooms and taken beds of every building with beds today."""
    query = (
        select(Room.building_id, func.count(func.distinct(Room.id)), func.count())
        .join(Occupancy, Occupancy.room_id == Room.id)
        .where(
            Occupancy.kind == OccupancyKind.BED,
            or_(Occupancy.to_on.is_(None), Occupancy.to_on > scope.today),
        )
        .group_by(Room.building_id)
    )
    counts = {row[0]: (row[1], row[2]) for row in scope.session.execute(query)}
    buildings = select(Building).where(Building.id.in_(counts)).order_by(Building.sort_key)
    return [(b.name, str(b.id), *counts[b.id]) for b in scope.session.scalars(buildings)]
