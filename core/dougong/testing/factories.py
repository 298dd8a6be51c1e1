"""Makes groups, communities, buildings, rooms and people for tests."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import text

from dougong.db import uuid7
from dougong.db.scope import Actor, Grant
from dougong.installation import Installation
from dougong.tenancy.models import (
    Building,
    Community,
    LegalEntity,
    Ownership,
    Person,
    PropertyGroup,
    Region,
    Room,
    Unit,
)

_numbers = count(1)


@dataclass(frozen=True)
class Place:
    """A fresh group with two communities; the second is the foreign one in tenancy tests."""

    group_id: UUID
    legal_entity_id: UUID
    community_id: UUID
    other_community_id: UUID
    building_ids: tuple[UUID, ...]
    room_ids: tuple[UUID, ...]
    person_ids: tuple[UUID, ...]

    def actor(self, *permissions: str, user_id: UUID | None = None, **grant: Any) -> Actor:
        """Return a user who holds ``permissions`` in the first community."""
        granted = Grant(
            frozenset(permissions),
            group_id=self.group_id,
            communities=grant.pop("communities", frozenset({self.community_id})),
            **grant,
        )
        return Actor(user_id or uuid7(), "tester", grants=(granted,))


def make_place(installation: Installation, rooms: int = 4) -> Place:
    """Return a fresh property group, with people and ``rooms`` rooms in its first community."""
    number = next(_numbers)
    group_id, community_id, other_id = uuid7(), uuid7(), uuid7()
    with installation.platform() as session:
        session.add(PropertyGroup(id=group_id, name=f"集团{number}"))
        session.flush()
        entity = LegalEntity(group_id=group_id, name=f"物业公司{number}", tax_number="91310000X")
        region = Region(group_id=group_id, name="华东")
        session.add_all([entity, region])
        session.flush()
        for each, name in ((community_id, "翠湖花园"), (other_id, "阳光里")):
            session.add(
                Community(
                    id=each,
                    group_id=group_id,
                    name=f"{name}{number}",
                    region_id=region.id,
                    legal_entity_id=entity.id,
                )
            )
        session.flush()
        entity_id = entity.id
        session.execute(text("select 1"))
    with installation.access() as access:
        for each in (community_id, other_id):
            installation.plugins.enable_everything(access, each)
    buildings, made_rooms, people = _ground(installation, community_id, rooms)
    return Place(group_id, entity_id, community_id, other_id, buildings, made_rooms, people)


def _ground(
    installation: Installation, community_id: UUID, rooms: int
) -> tuple[tuple[UUID, ...], tuple[UUID, ...], tuple[UUID, ...]]:
    with installation.scope(Actor.system("factory"), community=community_id) as scope:
        session = scope.session
        buildings = [Building(code=str(n), name=f"{n}栋", sort_key=f"{n:04}") for n in (1, 2)]
        session.add_all(buildings)
        session.flush()
        units = [Unit(building_id=b.id, code="1", name="1单元") for b in buildings]
        session.add_all(units)
        session.flush()
        made, people = [], []
        for n in range(rooms):
            building, unit = buildings[n % 2], units[n % 2]
            code = f"{building.code}-1-{n // 2 + 1}01"
            made.append(
                Room(
                    building_id=building.id,
                    unit_id=unit.id,
                    code=code,
                    sort_key=code,
                    floor=n // 2 + 1,
                    built_area=Decimal("89.50") + n,
                    inner_area=Decimal("70.25") + n,
                )
            )
            people.append(Person(name=f"业主{n}", phone=f"1380013{n:04}"))
        session.add_all([*made, *people])
        session.flush()
        session.add_all(
            Ownership(room_id=room.id, person_id=person.id, from_on=date(2020, 1, 1))
            for room, person in zip(made, people, strict=True)
        )
        session.flush()
        return (
            tuple(b.id for b in buildings),
            tuple(r.id for r in made),
            tuple(p.id for p in people),
        )
