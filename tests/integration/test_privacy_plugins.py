"""What plugins say when a person asks for a copy, or to be erased."""

from decimal import Decimal

import pytest

from dougong.db.scope import Actor
from dougong.errors import Conflict
from dougong.plugins import PluginState
from dougong.privacy.erasure import erase_person
from dougong.privacy.subjects import export_person
from dougong.tenancy.models import Person

SYSTEM = Actor.system("test")


@pytest.fixture
def rich(installation, place):
    """Return a place whose first person has money in the wallet."""
    if "ledger" not in installation.plugins.loaded:
        pytest.skip("the ledger is not installed here")
    from dougong_ledger.services import top_up

    with installation.scope(SYSTEM, community=place.community_id) as scope:
        person = scope.get(Person, place.person_ids[0])
        top_up(scope, person, Decimal("88.50"), "privacy-0001")
    return place


def test_a_copy_tells_what_a_plugin_adds(installation, rich):
    with installation.scope(SYSTEM, community=rich.community_id) as scope:
        copy = export_person(scope, scope.get(Person, rich.person_ids[0]))
    assert copy["plugins"]["ledger"] == {"wallet_balance_yuan": "88.50"}
    assert "ledger.wallet" in copy["records"]


def test_a_plugin_holds_an_erasure_up_and_is_not_blamed_for_it(installation, rich):
    person = rich.person_ids[0]
    for _ in range(installation.plugins.failures_until_quarantine):
        with pytest.raises(Conflict, match="88.50"):
            erase_person(installation, SYSTEM, rich.community_id, person, "本人要求")
    assert installation.plugins.standing("ledger").state is PluginState.INSTALLED
    with installation.scope(SYSTEM, community=rich.community_id) as scope:
        assert scope.get(Person, person).phone == "13800130000"


def test_who_has_no_money_is_erased_and_the_books_stay(installation, rich):
    other = rich.person_ids[1]
    entry = erase_person(installation, SYSTEM, rich.community_id, other, "本人要求")
    assert entry.emptied["dougong.person.name"] == 1
