"""Heat maps of a community's places: buildings by floor, or the rooms of one building."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.i18n import gettext
from dougong.tenancy.models import Building, Room
from dougong.web.heat import HeatMap, Spot, heat_map

# What a room has of something, and of how much: 0 of 120 yuan paid, 8.3 m³ of one room.
Share = tuple[Decimal, Decimal]


class FloorShare(NamedTuple):
    """What the rooms of a floor have of something, and of how much, added up by the database.

    A rate, or a mean where each room's whole is 1. unknown: rooms of which nothing is known.
    """

    building_id: UUID
    floor: int | None
    part: Decimal
    whole: Decimal
    unknown: int = 0


@dataclass(frozen=True)
class PlacesHeat:
    """A map, None without a room that counts. building: whose rooms it shows, "" for all.

    unknown: rooms of which nothing is known.
    """

    map: HeatMap | None
    building: str
    unknown: int


def floors_heat(
    scope: Scope,
    floors: Sequence[FloorShare],
    show: Callable[[Decimal], str],
    link: Callable[[UUID], str],
) -> PlacesHeat:
    """Return the heat map of a community: buildings by floor. One statement, for their names.

    floors: of each floor of a building one. show: a value as people read it. link: where the name
    of a building leads.
    """
    if not floors:
        return PlacesHeat(None, "", 0)
    query = select(Building.id, Building.name).order_by(Building.sort_key)
    held: dict[UUID, list[FloorShare]] = {}
    for each in floors:
        held.setdefault(each.building_id, []).append(each)
    said = {floor: _floor(floor) for floor in {each.floor for each in floors}}
    spots, links = [], {}
    for building_id, name in scope.session.execute(query):
        if building_id in held:
            links[name] = link(building_id)
        for each in held.get(building_id, ()):
            value = each.part / each.whole if each.whole else None
            text = gettext("unknown") if value is None else show(value)
            spots.append(Spot(name, said[each.floor], "", value, text))
    unknown = sum(each.unknown for each in floors)
    return PlacesHeat(heat_map(spots, columns=_floors(floors), links=links), "", unknown)


def rooms_heat(
    scope: Scope,
    values_of: Callable[[Sequence[UUID]], Mapping[UUID, Share | None]],
    show: Callable[[Decimal], str],
    link: Callable[[UUID], str],
    building_id: UUID,
) -> PlacesHeat:
    """Return the heat map of a building's rooms, by floor. One statement.

    values_of: what rooms have, None where it is not known; rooms that it leaves out are left out.
    show: a value as people read it. link: where the cell of a room leads.
    """
    query = (
        select(Room.id, Room.code, Room.floor, Building.name)
        .join(Building, Building.id == Room.building_id)
        .where(Building.id == building_id)
        .order_by(Room.sort_key)
    )
    places = scope.session.execute(query).all()
    values = values_of([room.id for room in places])
    rooms = [room for room in places if room.id in values]
    if not rooms:
        return PlacesHeat(None, "", 0)
    unknown = sum(values[room.id] is None for room in rooms)
    spots = _of_rooms(rooms, values, show, link)
    return PlacesHeat(heat_map(spots, _floors(rooms)[::-1]), rooms[0].name, unknown)


def _floors(places: Sequence[Any]) -> list[str]:
    known = sorted({place.floor for place in places if place.floor is not None})
    missing = [_floor(None)] if any(place.floor is None for place in places) else []
    return [*map(_floor, known), *missing]


def _floor(floor: int | None) -> str:
    if floor is None:
        return gettext("No floor")
    return gettext("Floor %(floor)s", floor=floor)


def _of_rooms(
    rooms: Sequence[Any],
    values: Mapping[UUID, Share | None],
    show: Callable[[Decimal], str],
    link: Callable[[UUID], str],
) -> list[Spot]:
    """Return a spot per room: in its floor's row, where it lies among the rooms of the floor."""
    placed: dict[str, int] = {}
    spots = []
    for room in rooms:
        floor, share = _floor(room.floor), values[room.id]
        placed[floor] = placed.get(floor, 0) + 1
        value = share[0] / share[1] if share is not None and share[1] else None
        text = gettext("unknown") if value is None else show(value)
        spots.append(Spot(floor, str(placed[floor]), room.code, value, text, link(room.id)))
    return sorted(spots, key=lambda spot: int(spot.column))
