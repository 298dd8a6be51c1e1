"""Group pages: of each community only what its own page would show this actor."""

from datetime import date

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from dougong.db.scope import Actor, Grant
from dougong.plugins.operations import disable, enable
from dougong.tenancy.models import Building, Ownership, Person, Room
from dougong.testing.factories import make_place

SYSTEM = Actor.system("test")


@pytest.fixture
def place(installation):
    """A group whose both communities have two buildings with a room each."""
    made = make_place(installation, rooms=2)
    with installation.scope(SYSTEM, community=made.other_community_id) as scope:
        for code in ("1", "2"):
            building = Building(code=code, name=f"{code}栋", sort_key=code)
            scope.session.add(building)
            scope.session.flush()
            scope.session.add(Room(building_id=building.id, code=f"{code}-1", sort_key=code))
        scope.session.add(Person(name="对岸业主"))
    return made


def seen(installation, place, model, *grants: Grant) -> set:
    """Return the communities whose rows of ``model`` a group page shows, counted in every way."""
    actor = Actor(None, "tester", grants=grants)
    with installation.scope(actor, group=place.group_id) as scope:
        rows = set(scope.session.scalars(select(model.community_id)))
        assert {r.community_id for r in scope.session.scalars(select(model))} == rows
        counted = scope.session.scalar(select(func.count()).select_from(model))
        assert bool(counted) == bool(rows)
        assert counted == len(scope.session.scalars(select(model)).all())
        return rows


def grant(place, *permissions, community=None, buildings=None) -> Grant:
    communities = frozenset({community}) if community else None
    return Grant(frozenset(permissions), place.group_id, communities, buildings)


def test_a_right_in_one_community_shows_nothing_of_another(installation, place):
    here = grant(place, "dougong.person.view", community=place.community_id)
    there = grant(place, "dougong.room.view", community=place.other_community_id)
    assert seen(installation, place, Person, here, there) == {place.community_id}
    assert seen(installation, place, Room, here, there) == {place.other_community_id}


def test_who_only_lives_in_a_community_sees_no_neighbours_there(installation, place):
    works = grant(place, "dougong.*", community=place.community_id)
    lives = grant(place, "*.portal", community=place.other_community_id)
    assert seen(installation, place, Person, works, lives) == {place.community_id}


def test_a_right_in_the_whole_group_shows_all_of_it(installation, place):
    both = {place.community_id, place.other_community_id}
    assert seen(installation, place, Room, grant(place, "dougong.*")) == both


def test_a_role_for_some_buildings_stays_there_beside_one_for_a_whole_community(
    installation, place
):
    with installation.scope(SYSTEM, community=place.other_community_id) as scope:
        only = scope.session.scalars(select(Building.id).where(Building.code == "1")).one()
    whole = grant(place, "dougong.*", community=place.community_id)
    part = grant(
        place,
        "dougong.*",
        community=place.other_community_id,
        buildings=frozenset({only}),
    )
    actor = Actor(None, "tester", grants=(whole, part))
    with installation.scope(actor, group=place.group_id) as scope:
        rooms = scope.session.scalars(select(Room)).all()
        assert {r.code for r in rooms if r.community_id == place.other_community_id} == {"1-1"}
        assert sum(r.community_id == place.community_id for r in rooms) == 2


def test_a_plugin_shows_no_rows_of_a_community_where_it_is_off(installation, place):
    from dougong_participation.models import Notice

    for community in (place.community_id, place.other_community_id):
        with installation.scope(SYSTEM, community=community) as scope:
            scope.session.add(Notice(title="停水", body="明日停水"))
    everything = grant(place, "*")
    both = {place.community_id, place.other_community_id}
    assert seen(installation, place, Notice, everything) == both
    disable(installation, SYSTEM, "participation", place.other_community_id)
    assert seen(installation, place, Notice, everything) == {place.community_id}
    enable(installation, SYSTEM, "participation", place.other_community_id)
    assert seen(installation, place, Notice, everything) == both


def test_a_plugin_that_is_on_for_some_buildings_shows_those_on_group_pages(installation, place):
    from dougong_meters.models import Commodity, Meter

    for community in (place.community_id, place.other_community_id):
        with installation.scope(SYSTEM, community=community) as scope:
            for room in scope.session.scalars(select(Room)).all():
                scope.session.add(
                    Meter(
                        room_id=room.id,
                        building_id=room.building_id,
                        serial=f"S{room.code}",
                        commodity=Commodity.WATER,
                        installed_on=date(2024, 1, 1),
                    )
                )
    for plugin in ("invoices", "arrears", "fees"):  # what needs another one goes first
        disable(installation, SYSTEM, plugin, place.community_id)
    only = [place.building_ids[0]]
    enable(installation, SYSTEM, "meters", place.community_id, only)
    actor = Actor(None, "tester", grants=(grant(place, "*"),))
    with installation.scope(actor, group=place.group_id) as scope:
        meters = scope.session.scalars(select(Meter).options(joinedload(Meter.room))).all()
        here = [m for m in meters if m.community_id == place.community_id]
        assert {m.room.building_id for m in here} == set(only)
        assert len(meters) - len(here) == 2


def test_a_count_and_a_join_are_narrowed_by_buildings_like_a_list(installation, place):
    """In one community as well: a figure on a card, a row that another row leads to."""
    only = frozenset({place.building_ids[0]})
    actor = Actor(
        None, "tester", grants=(grant(place, "*", community=place.community_id, buildings=only),)
    )
    with installation.scope(actor, community=place.community_id) as scope:
        assert scope.session.scalar(select(func.count()).select_from(Room)) == 1
        joined = select(func.count()).select_from(Person)
        joined = joined.join(Ownership, Ownership.person_id == Person.id)
        assert scope.session.scalar(joined.join(Room, Room.id == Ownership.room_id)) == 1
        [ownership] = scope.session.scalars(
            select(Ownership).options(joinedload(Ownership.room))
        ).all()
        assert ownership.room.building_id in only


def test_protected_people_are_shown_where_the_actor_cares_for_them(installation, place):
    for community in (place.community_id, place.other_community_id):
        with installation.scope(SYSTEM, community=community) as scope:
            scope.session.add(Person(name="重点照护", is_protected=True))
    cares = grant(place, "dougong.*", community=place.community_id)
    views = grant(place, "dougong.person.view", community=place.other_community_id)
    actor = Actor(None, "tester", grants=(cares, views))
    with installation.scope(actor, group=place.group_id) as scope:
        shown = scope.session.scalars(select(Person).where(Person.name == "重点照护")).all()
        assert {p.community_id for p in shown} == {place.community_id}
