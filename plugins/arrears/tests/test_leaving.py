"""A collector leaves: his buildings and cases go to a successor, or to nobody yet."""

import pytest
from sqlalchemy import select

from dougong.db import uuid7
from dougong_arrears.models import CollectionCase, Collector, CollectorBuilding


@pytest.fixture
def collectors(scope, place):
    """Return the logins of two collectors; the first has a building and a case of his own."""
    made = [Collector(name=name, user_id=uuid7()) for name in ("老周", "小吴")]
    scope.session.add_all(made)
    scope.session.flush()
    scope.session.add(CollectorBuilding(collector_id=made[0].id, building_id=place.building_ids[0]))
    scope.session.add(
        CollectionCase(
            room_id=place.room_ids[0], payer_id=place.person_ids[0], collector_id=made[0].id
        )
    )
    scope.session.flush()
    return made


@pytest.mark.parametrize("follows", [True, False])
def test_buildings_and_cases_are_given_on(scope, collectors, follows):
    leaving, other = collectors
    answers = scope.ask("open_work", user_id=leaving.user_id)
    assert sum(each.count for work in answers for each in work) == 1
    successor = other.user_id if follows else uuid7()
    people = {"user_id": leaving.user_id, "successor_id": successor}
    assert sum(scope.ask("hand_over_work", **people)) == 1
    scope.session.expire_all()
    building = scope.session.scalars(select(CollectorBuilding)).one_or_none()
    case = scope.session.scalars(select(CollectionCase)).one()
    assert (building and building.collector_id) == (other.id if follows else None)
    assert case.collector_id == (other.id if follows else None)
    assert not leaving.is_active
    assert sum(scope.ask("hand_over_work", **people)) == 0
