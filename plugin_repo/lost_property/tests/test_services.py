from datetime import date

import pytest
from dougong_lost_property.models import Item, ItemState
from dougong_lost_property.services import give_back

from dougong.errors import Conflict
from dougong.services import create


@pytest.fixture
def item(scope):
    return create(scope, Item, {"name": "雨伞", "found_on": date(2026, 11, 24)})


def test_an_item_is_kept_until_it_is_given_back(scope, item):
    assert item.state is ItemState.KEPT
    give_back(scope, item, "王女士")
    assert (item.state, item.receiver) == (ItemState.RETURNED, "王女士")


def test_an_item_is_given_back_once(scope, item):
    give_back(scope, item, "王女士")
    with pytest.raises(Conflict):
        give_back(scope, item, "李先生")
