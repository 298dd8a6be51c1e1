"""Buildings, rooms and people of the three demonstration communities, column by column."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from random import Random
from typing import Any
from uuid import UUID

from dougong.db import insert_rows, uuid7
from dougong.db.scope import Scope
from dougong.demo import names
from dougong.tenancy.models import (
    Building,
    Family,
    Occupancy,
    Ownership,
    Person,
    Room,
    Unit,
)

UNLUCKY = {4, 14, 24}
MOVED_IN = date(2016, 6, 1)


@dataclass
class Columns:
    """Rows of several tables, gathered column by column and written in one statement a table."""

    tables: dict[type, dict[str, list[Any]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, model: type, **values: Any) -> UUID:
        """Add a row; every row of a model names the same columns. Return its id."""
        values.setdefault("id", uuid7())
        for name, value in values.items():
            self.tables[model][name].append(value)
        return values["id"]

    def write(self, scope: Scope) -> int:
        """Insert everything, tables in order of reference; return the number of rows."""
        order = (Building, Unit, Person, Room, Ownership, Occupancy, Family)
        return sum(
            insert_rows(scope, model, self.tables[model]) for model in order if model in self.tables
        )


@dataclass
class Ground:
    """Makes one community's ground; ``number`` keeps phone numbers apart across communities."""

    chance: Random
    number: int
    rows: Columns = field(default_factory=Columns)
    people: int = 0

    def estate(self) -> Columns:
        """A high-rise estate: no 4th, 14th and 24th floor, shops below, unsold rooms, a duplex."""
        developer = self._company("翠湖置业有限公司（开发商）")
        floors = [floor for floor in range(1, 27) if floor not in UNLUCKY]
        for building_number in range(1, 9):
            building = self._building(building_number, 26)
            for unit_number in (1, 2):
                unit = self._unit(building, unit_number)
                for floor, door in product(floors, range(1, 5)):
                    self._flat(building, unit, building_number, unit_number, floor, door, developer)
            if building_number <= 4:
                self._shops(building, building_number)
            if building_number == 1:
                self._parking(building)
        return self.rows

    def old_community(self) -> Columns:
        """An old community: no units, areas missing for a third, several rooms behind a door."""
        for building_number in range(1, 15):
            building = self._building(building_number, 6)
            for floor in range(1, 7):
                for door in range(1, 7):
                    area = self._area(48) if self.chance.random() > 0.33 else None
                    code = f"{building_number}-{floor}0{door}"
                    room = self._room(building, None, code, floor, "flat", "occupied", area)
                    self._household(room, building_number * 100 + floor)
        return self.rows

    def campus(self) -> Columns:
        """Dormitories: rooms without owners, two to four students each with a dated bed."""
        for building_number in range(1, 7):
            building = self._building(building_number, 6, name=f"学生公寓{building_number}号楼")
            for floor, door in product(range(1, 7), range(1, 29)):
                code = f"{building_number}-{floor}{door:02}"
                room = self._room(
                    building, None, code, floor, "dormitory", "occupied", Decimal("24.00")
                )
                for bed in ("1", "2"):
                    student = self._person(with_identity=True)
                    self._lives(room, student, "bed", date(2025, 9, 1), bed=bed)
        return self.rows

    # --- places ---------------------------------------------------------------------------------

    def _building(self, number: int, floors: int, name: str | None = None) -> UUID:
        return self.rows.add(
            Building,
            code=str(number),
            name=name or f"{number}栋",
            floors=floors,
            sort_key=f"{number:04}",
        )

    def _unit(self, building: UUID, number: int) -> UUID:
        return self.rows.add(Unit, building_id=building, code=str(number), name=f"{number}单元")

    def _room(
        self,
        building: UUID,
        unit: UUID | None,
        code: str,
        floor: int,
        kind: str,
        state: str,
        area: Decimal | None,
    ) -> UUID:
        inner = (area * Decimal("0.78")).quantize(Decimal("0.01")) if area else None
        key = "-".join(part.zfill(4) for part in code.split("-"))
        return self.rows.add(
            Room,
            building_id=building,
            unit_id=unit,
            code=code,
            sort_key=key,
            floor=floor,
            room_kind=kind,
            state=state,
            built_area=area,
            inner_area=inner,
            old_code=f"A{code}",
        )

    def _flat(
        self, building: UUID, unit: UUID, b: int, u: int, floor: int, door: int, developer: UUID
    ) -> None:
        is_unsold = b == 8 and floor > 22
        is_duplex = floor == 26 and door == 1
        area = self._area(172 if is_duplex else (88, 102, 118, 136)[door - 1])
        state = "unsold" if is_unsold else self.chance.choice(["occupied"] * 17 + ["vacant"])
        code = f"{b}-{u}-{floor}0{door}" + ("跃" if is_duplex else "")
        room = self._room(building, unit, code, floor, "flat", state, area)
        if is_unsold:
            self._owns(room, developer, Decimal(1), date(2014, 1, 1))
        else:
            self._household(room, floor)

    def _shops(self, building: UUID, number: int) -> None:
        for door in range(1, 9):
            code = f"{number}-S{door:02}"
            room = self._room(building, None, code, 1, "shop", "occupied", self._area(64))
            owner = self._person(with_identity=True)
            self._owns(room, owner, Decimal(1), MOVED_IN)
            lessee = self._company(f"{self.chance.choice(names.COMPANIES)}（{code}）")
            self._lives(room, lessee, "lease", date(2025, 3, 1), pays_fees=True)

    def _parking(self, building: UUID) -> None:
        """Ten spaces below a building; the last two are mother and child, one behind the other."""
        for number in range(1, 9):
            owner = self._person(with_identity=True)
            self._owns(self._space(building, f"P-{number:03}"), owner, Decimal(1), MOVED_IN)
        owner = self._person(with_identity=True)
        for code in ("P-009母", "P-009子"):
            self._owns(self._space(building, code), owner, Decimal(1), MOVED_IN)

    def _space(self, building: UUID, code: str) -> UUID:
        return self._room(building, None, code, -1, "parking", "delivered", Decimal("12.72"))

    # --- people ---------------------------------------------------------------------------------

    def _person(self, *, with_identity: bool) -> UUID:
        self.people += 1
        number = self.number + self.people
        name = names.person_name(self.chance)
        return self.rows.add(
            Person,
            kind="person",
            name=name,
            sort_key=name,
            phone=names.phone(number),
            id_number=names.identity_number(self.chance, number) if with_identity else None,
        )

    def _company(self, name: str) -> UUID:
        self.people += 1
        return self.rows.add(
            Person,
            kind="company",
            name=name,
            sort_key=name,
            phone=names.phone(self.number + self.people),
            id_number=None,
        )

    def _household(self, room: UUID, seed: int) -> None:
        """Owners of a room: mostly one, sometimes two with shares, some divorced, some sold on."""
        first = self._person(with_identity=True)
        draw = self.chance.random()
        moved_in = MOVED_IN + timedelta(days=self.chance.randrange(900))
        if draw < 0.06:
            second = self._person(with_identity=True)
            for owner in (first, second):
                self._owns(room, owner, Decimal("0.5"), moved_in)
            if draw < 0.01:
                self._divorced(first, second, moved_in)
        elif draw < 0.10:
            sold = date(2025, 1, 1) + timedelta(days=self.chance.randrange(500))
            self._owns(room, first, Decimal(1), moved_in, sold)
            first = self._person(with_identity=True)
            self._owns(room, first, Decimal(1), sold)
            moved_in = sold
        else:
            self._owns(room, first, Decimal(1), moved_in)
        if draw > 0.9:
            lessee = self._person(with_identity=False)
            self._lives(room, lessee, "lease", date(2026, 1, 1), pays_fees=draw > 0.95)
        else:
            self._lives(room, first, "owner", moved_in)
        if seed % 9 == 0:
            child = self._person(with_identity=False)
            self.rows.add(
                Family,
                person_id=first,
                relative_id=child,
                relation="子女",
                may_pay=True,
                from_on=moved_in,
                to_on=None,
            )

    def _divorced(self, first: UUID, second: UUID, moved_in: date) -> None:
        """Let two owners be divorced: one lives here, both owe, neither pays for the other."""
        self.rows.add(
            Family,
            person_id=first,
            relative_id=second,
            relation="前配偶",
            may_pay=False,
            from_on=moved_in,
            to_on=None,
        )

    def _owns(
        self, room: UUID, person: UUID, share: Decimal, from_on: date, to_on: date | None = None
    ) -> None:
        self.rows.add(
            Ownership, room_id=room, person_id=person, share=share, from_on=from_on, to_on=to_on
        )

    def _lives(
        self,
        room: UUID,
        person: UUID,
        kind: str,
        from_on: date,
        *,
        pays_fees: bool = False,
        bed: str | None = None,
    ) -> None:
        self.rows.add(
            Occupancy,
            room_id=room,
            person_id=person,
            kind=kind,
            bed=bed,
            pays_fees=pays_fees,
            from_on=from_on,
            to_on=None,
        )

    def _area(self, about: int) -> Decimal:
        return Decimal(about) + Decimal(self.chance.randrange(-300, 300)) / 100


def demonstrations() -> Iterator[tuple[str, str, str]]:
    """Yield name, kind and region of the demonstration communities."""
    yield "翠湖花园", "estate", "华东"
    yield "和平里", "old_community", "华东"
    yield "江州大学", "campus", "华中"
