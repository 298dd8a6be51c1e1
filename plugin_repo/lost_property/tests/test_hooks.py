from datetime import timedelta

import pytest
from dougong_lost_property.models import Enquiry, EnquiryState
from dougong_lost_property.services import hand_in

from dougong.db.scope import Actor
from dougong.hookspecs import Event
from dougong.services import create


@pytest.fixture
def tell(installation, scope):
    def told(hook, **arguments):
        return installation.plugins.hooks.tell(scope, "lost_property", hook, **arguments)

    return told


@pytest.fixture
def enquiry(scope, place):
    return create(
        scope,
        Enquiry,
        {"what": "雨伞", "person_id": place.person_ids[0], "lost_on": scope.today},
    )


def found(scope, days=0):
    item = hand_in(scope, "雨伞", scope.today + timedelta(days=days))
    return Event(item.id, "lost_property.item_found", {"item_id": str(item.id)})


def test_what_is_found_is_matched_with_who_asked_and_only_once(scope, tell, enquiry):
    event = found(scope)
    for _ in range(2):
        tell("event_happened", event=event)
    assert (enquiry.state, str(enquiry.item_id)) == (EnquiryState.MATCHED, event.ids["item_id"])


def test_what_was_found_before_the_loss_is_another(scope, tell, enquiry):
    tell("event_happened", event=found(scope, days=-1))
    assert enquiry.state is EnquiryState.OPEN


def test_a_person_gets_a_copy_of_his_enquiries_and_they_are_erased(scope, tell, place, enquiry):
    person = place.person_ids[0]
    assert tell("export_subject", person_id=person)["enquiries"][0]["what"] == "雨伞"
    tell("erase_subject", person_id=person)
    assert tell("export_subject", person_id=person) is None


def test_what_is_kept_for_too_long_is_told_to_the_doctor(installation, place, scope, tell):
    [finding] = tell("health_checks", installation=installation)
    assert finding.is_well
    with installation.scope(Actor.system("test"), community=place.other_community_id) as other:
        hand_in(other, "手套", other.today - timedelta(days=400))
    [finding] = tell("health_checks", installation=installation)
    assert not finding.is_well and finding.repair
