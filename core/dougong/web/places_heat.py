"""Heat maps of a community's places: buildings by floor, or the rooms of one building."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.i18n import gettext
from dougong.tenancy.models import Building, Room
from dougong.web.heat import HeatMap, Spot, heat_map

# What a room has of something, and of how much: 0 of 120 yuan paid, 8.3 m³ of one room.
Share = tuple[Decimal, Decimal]


@dataclass(frozen=True)
class Links:
    """Where a cell leads. room: by its id. building: by its id, to the map of its rooms."""

    room: Callable[[UUID], str]
    building: Callable[[UUID], str]


@dataclass(frozen=True)
class PlacesHeat:
    """A map, None without a room that counts. building: whose rooms it shows, "" for all.

    unknown: rooms of which nothing is known.
    """

    map: HeatMap | None
    building: str
    unknown: int


def places_heat(
    scope: Scope,
    values_of: Callable[[Sequence[UUID]], Mapping[UUID, Share | None]],
    show: Callable[[Decimal], str],
    links: Links,
    building_id: UUID | None = None,
) -> PlacesHeat:
    """Return the heat map of rooms' values, of a community or of one building. One statement.

    values_of: what rooms have, None where it is not known; rooms that it leaves out are left out. A
    floor has the
    sum of its rooms' parts by the sum of their wholes: a rate, or a mean where each whole is 1.
    show: a value as people read it.
    """
    query = (
        select(Room.id, Room.code, Room.floor, Building.id.label("building_id"), Building.name)
        .join(Building, Building.id == Room.building_id)
        .order_by(Building.sort_key, Room.sort_key)
    )
    if building_id is not None:
        query = query.where(Building.id == building_id)
    places = scope.session.execute(query).all()
    values = values_of([room.id for room in places])
    rooms = [room for room in places if room.id in values]
    if not rooms:
        return PlacesHeat(None, "", 0)
    unknown = sum(values[room.id] is None for room in rooms)
    floors = _floors(rooms)
    if building_id is not None:
        spots = _of_rooms(rooms, values, show, links)
        return PlacesHeat(heat_map(spots, floors[::-1]), rooms[0].name, unknown)
    spots = _of_floors(rooms, values, show, links)
    return PlacesHeat(heat_map(spots, columns=floors), "", unknown)


def _floors(rooms: Sequence[Any]) -> list[str]:
    known = sorted({room.floor for room in rooms if room.floor is not None})
    missing = [_floor(None)] if any(room.floor is None for room in rooms) else []
    return [*map(_floor, known), *missing]


def _floor(floor: int | None) -> str:
    if floor is None:
        return gettext("No floor")
    return gettext("Floor %(floor)s", floor=floor)


def _rate(shares: Sequence[Share | None]) -> Decimal | None:
    known = [share for share in shares if share is not None]
    whole = sum((share[1] for share in known), Decimal(0))
    return sum((share[0] for share in known), Decimal(0)) / whole if whole else None


def _of_rooms(
    rooms: Sequence[Any],
    values: Mapping[UUID, Share | None],
    show: Callable[[Decimal], str],
    links: Links,
) -> list[Spot]:
    """Return a spot per room: in its floor's row, where it lies among the rooms of the floor."""
    placed: dict[str, int] = {}
    spots = []
    for room in rooms:
        floor = _floor(room.floor)
        placed[floor] = placed.get(floor, 0) + 1
        value = _rate([values[room.id]])
        text = gettext("unknown") if value is None else show(value)
        spots.append(Spot(floor, str(placed[floor]), room.code, value, text, links.room(room.id)))
    return sorted(spots, key=lambda spot: int(spot.column))


def _of_floors(
    rooms: Sequence[Any],
    values: Mapping[UUID, Share | None],
    show: Callable[[Decimal], str],
    links: Links,
) -> list[Spot]:
    """Return a spot per building and floor."""
    held: dict[tuple[UUID, str, str], list[Share | None]] = {}
    for room in rooms:
        place = (room.building_id, room.name, _floor(room.floor))
        held.setdefault(place, []).append(values[room.id])
    spots = []
    for (building_id, name, floor), shares in held.items():
        value = _rate(shares)
        text = gettext("unknown") if value is None else show(value)
        spots.append(Spot(name, floor, "", value, text, links.building(building_id)))
    return spots
