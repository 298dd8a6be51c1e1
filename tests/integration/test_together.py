"""Several selects in one statement: the same rows as alone, as narrow, and one round trip."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Float,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    String,
    Uuid,
    cast,
    func,
    literal,
    select,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB

from dougong.db import uuid7
from dougong.db.columns import Money
from dougong.db.scope import Actor
from dougong.db.together import fetch_together
from dougong.tenancy.models import Building, Person, Room
from dougong.testing.budgets import watched
from dougong.testing.factories import make_place

SYSTEM = Actor.system("test")
VALUES = (
    (BigInteger, 2**60),
    (Numeric, Decimal("12.3400")),
    (Numeric, Decimal("100")),
    (Float, 0.1),
    (Boolean, False),
    (String, "龘 \"'\\"),
    (Date, date(2024, 2, 29)),
    (DateTime(timezone=True), datetime(2026, 11, 28, 23, 59, 59, 123456, UTC)),
    (Uuid, uuid7()),
    (LargeBinary, b"\x00\xff"),
    (JSONB, {"a": [1.5, None, "b"]}),
    (ARRAY(Uuid), [uuid7()]),
    (Money, Decimal("1234567.89")),
    (Money, None),
)


@pytest.fixture
def place(installation):
    made = make_place(installation, rooms=3)
    with installation.scope(SYSTEM, community=made.other_community_id) as scope:
        building = Building(code="x", name="对岸", sort_key="x")
        scope.session.add(building)
        scope.session.flush()
        scope.session.add(Room(building_id=building.id, code="x-1", sort_key="x"))
    return made


def test_values_come_back_as_from_a_select_alone(installation, place):
    queries = [select(literal(value, kind).label("v")) for kind, value in VALUES]
    queries.append(select(func.sum(literal(Decimal("0.30"), Money)), func.avg(literal(5))))
    queries.append(union_all(select(literal(1)), select(literal(2))))
    queries.append(text("select 7 as n, date '2026-01-02' as d").columns(n=Integer, d=Date))
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        alone = [scope.session.execute(query).all() for query in queries]
        with watched() as seen:
            found = [result.all() for result in scope.together(*queries)]
    assert found == alone
    assert [[type(v) for v in row] for rows in found for row in rows] == [
        [type(v) for v in row] for rows in alone for row in rows
    ]
    assert len(seen.statements) == 1


def test_an_interval_is_refused(installation, place):
    query = select(cast(literal("1 day"), Interval))
    with (
        installation.scope(SYSTEM, community=place.community_id) as scope,
        pytest.raises(TypeError, match="interval"),
    ):
        scope.together(query)


def test_records_belong_to_the_session_and_need_no_further_statement(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        known = scope.get(Room, place.room_ids[0])
        known.code = "changed"
        people, rooms = scope.together(
            select(Person).where(Person.id == place.person_ids[0]),
            select(Room, Building.name).join(Building, Building.id == Room.building_id),
        )
        with watched() as seen:
            person = people.scalar_one()
            pairs = rooms.all()
            assert person.name and person in scope.session and not scope.session.is_modified(person)
            assert all(room.code for room, _ in pairs)
            assert [name for _, name in pairs] == [name for _, name in pairs if name]
        assert not seen.statements
        assert known in [room for room, _ in pairs] and known.code == "changed"
        person.note = "new"
        scope.session.flush()
        assert scope.session.scalar(select(Person.note).where(Person.id == person.id)) == "new"


def test_every_select_is_as_narrow_as_the_scope(installation, place):
    counted = select(func.count()).select_from(Room)
    inside = select(Building.id).where(Building.id.in_(select(Room.building_id)))
    with installation.scope(SYSTEM, group=place.group_id) as scope:
        rows, total = scope.together(select(Room.community_id), counted)
        assert set(rows.scalars()) == {place.community_id, place.other_community_id}
        assert total.scalar_one() == 4
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        with watched() as seen:
            rows, total, buildings = scope.together(select(Room.community_id), counted, inside)
        assert set(rows.scalars()) == {place.community_id}
        assert total.scalar_one() == 3
        assert len(buildings.all()) >= 1
        assert seen.statements[0][0].count("community_id =") >= 4, "the second layer is there, too"


def test_nothing_is_asked_for_no_select(installation, place):
    with installation.scope(SYSTEM, community=place.community_id) as scope, watched() as seen:
        assert fetch_together(scope.session, []) == []
    assert not seen.statements
