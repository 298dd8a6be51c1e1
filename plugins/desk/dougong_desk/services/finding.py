"""One box that finds a room: by its code, by who owns or lives there, by what others know."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import or_, select, union_all

from dougong.db import Scope, ciphers
from dougong.i18n import gettext
from dougong.tenancy.models import Occupancy, Ownership, Person, Room

LIMIT = 8
LAST = "\U0010ffff"


@dataclass(frozen=True)
class Found:
    """A room, and by what it was found."""

    room_id: UUID
    code: str
    kind: str
    found_by: str


def find(scope: Scope, words: str) -> list[Found]:
    """Return the rooms that a few characters stand for; a room once, the best reason first.

    A room's code by its beginning, a name by its beginning, a phone by all or its last four
    digits; plates, meters and the rest come from the plugins. The exact code stands alone.
    """
    words = words.strip()
    if len(words) < 2:
        return []
    hits = _by_code(scope, words)
    if hits and hits[0].code == words:
        return hits[:1]
    hits += _by_person(scope, words)
    others = [hit for a in scope.ask("find_rooms", words=words, limit=LIMIT) for hit in a]
    if others:
        query = select(Room.id, Room.code).where(Room.id.in_([hit.room_id for hit in others]))
        codes = {row.id: row.code for row in scope.session.execute(query)}
        hits += [
            Found(hit.room_id, codes[hit.room_id], str(hit.kind), hit.found_by)
            for hit in others
            if hit.room_id in codes
        ]
    return list({hit.room_id: hit for hit in reversed(hits)}.values())[::-1]


def _by_code(scope: Scope, words: str) -> list[Found]:
    query = (
        select(Room.id, Room.code)
        .where(Room.code >= words, Room.code < words + LAST)
        .order_by(Room.sort_key, Room.code)
        .limit(LIMIT)
    )
    kind = gettext("Room")
    hits = [Found(row.id, row.code, kind, row.code) for row in scope.session.execute(query)]
    return sorted(hits, key=lambda hit: hit.code != words)


def _by_person(scope: Scope, words: str) -> list[Found]:
    matches = [(Person.name >= words) & (Person.name < words + LAST)]
    if scope.restrictions(Person).get("phone") != "hide" and words.isdigit():
        if len(words) == 4:
            matches.append(Person.phone.ends_with(scope, words))  # type: ignore[union-attr]
        if len(words) >= 8:
            matches.append(Person.phone.matches(scope, words))  # type: ignore[union-attr]
    lives = union_all(
        select(Ownership.room_id, Ownership.person_id).where(*_now(scope, Ownership)),
        select(Occupancy.room_id, Occupancy.person_id).where(*_now(scope, Occupancy)),
    ).subquery()
    query = (
        select(Room.id, Room.code, Person.name)
        .join(lives, lives.c.room_id == Room.id)
        .join(Person, Person.id == lives.c.person_id)
        .where(or_(*matches))
        .order_by(Room.sort_key, Room.code)
        .limit(LIMIT * 2)
    )
    kind = gettext("Person")
    return [Found(r.id, r.code, kind, r.name) for r in scope.session.execute(query)]


def _now(scope: Scope, held: type[Ownership] | type[Occupancy]) -> tuple:
    today = scope.today
    return (held.from_on <= today, or_(held.to_on.is_(None), held.to_on > today))


@dataclass(frozen=True)
class Inhabitant:
    """Someone who owns a room or lives in it: who, as what, and a masked phone."""

    person_id: UUID
    name: str
    part: str
    phone: str


def people_of(scope: Scope, room_id: UUID) -> list[Inhabitant]:
    """Return who owns a room and who lives in it today, owners first, one statement."""
    held = union_all(
        select(Ownership.person_id, Ownership.share.label("share")).where(
            Ownership.room_id == room_id, *_now(scope, Ownership)
        ),
        select(Occupancy.person_id, -1).where(
            Occupancy.room_id == room_id, *_now(scope, Occupancy)
        ),
    ).subquery()
    query = select(Person, held.c.share).join(held, held.c.person_id == Person.id)
    hides = scope.restrictions(Person).get("phone") == "hide"
    found: dict[UUID, Inhabitant] = {}
    for person, share in scope.session.execute(query.order_by(held.c.share.desc(), Person.name)):
        part = gettext("Occupant")
        if share > 0:
            part = gettext("Owner") if share == 1 else gettext("Owner of %(share)s", share=share)
        phone = "" if hides else ciphers.mask("phone", person.phone) or ""
        found.setdefault(person.id, Inhabitant(person.id, person.name, part, phone))
    return list(found.values())
