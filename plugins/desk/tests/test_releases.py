"""Things leave with a pass: asked for, agreed to, issued, checked once at the gate."""

import io
import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
from pypdf import PdfReader
from sqlalchemy import select

from dougong.db import Actor
from dougong.errors import Conflict, Invalid, NotFound, OwnRequest
from dougong.services import create
from dougong.tenancy.models import Occupancy, Person
from dougong.testing.people import sign_in
from dougong.testing.programs import make_login
from dougong.web.app import create_app
from dougong_desk import services
from dougong_desk.domain import ReleaseRefusal, ReleaseState, why_not_out
from dougong_desk.models import ReleasePass
from dougong_desk.services import releases

DAY = date(2026, 11, 28)


@pytest.mark.parametrize(
    ("state", "shift", "why"),
    [
        (ReleaseState.ISSUED, 0, None),
        (ReleaseState.ISSUED, 2, None),
        (ReleaseState.ISSUED, -1, ReleaseRefusal.TOO_EARLY),
        (ReleaseState.ISSUED, 3, ReleaseRefusal.TOO_LATE),
        (ReleaseState.LEFT, 0, ReleaseRefusal.LEFT),
        (ReleaseState.REQUESTED, 0, ReleaseRefusal.NOT_ISSUED),
        (ReleaseState.REVOKED, 0, ReleaseRefusal.REVOKED),
    ],
)
def test_a_pass_is_good_once_and_in_its_days(state, shift, why):
    today = DAY + timedelta(days=shift)
    assert why_not_out(state, DAY, DAY + timedelta(days=2), today) is why


@pytest.fixture
def lodger(installation, place):
    """Somebody who rents the first room, whose owner is the first person."""
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        person = Person(name="租客小林")
        scope.session.add(person)
        scope.session.flush()
        values = {"room_id": place.room_ids[0], "person_id": person.id, "kind": "lease"}
        scope.session.add(Occupancy(**values, from_on=date(2026, 1, 1)))
        return person.id


def resident(place, person_id):
    return replace(place.actor("desk.portal"), persons={place.community_id: person_id})


def asked(installation, place, person_id):
    actor = resident(place, person_id)
    with installation.scope(actor, community=place.community_id) as scope:
        values = (place.room_ids[0], "冰箱 1 台\n\n床 2 张", "小林", scope.today, scope.today)
        return releases.ask_release(scope, *values, "沪a12345").id


def test_what_a_lodger_takes_away_waits_for_the_owner_and_leaves_once(installation, place, lodger):
    id = asked(installation, place, lodger)
    desk = place.actor("desk.*")
    with installation.scope(desk, community=place.community_id) as scope:
        record = scope.get(ReleasePass, id)
        assert (record.state, record.plate) == (ReleaseState.REQUESTED, "沪A12345")
        with pytest.raises(Invalid):
            services.approve_release(scope, record)
    owner = resident(place, place.person_ids[0])
    with installation.scope(owner, community=place.community_id) as scope:
        assert releases.my_releases(scope)[0].id == id
        releases.agree_release(scope, id)
    with installation.scope(desk, community=place.community_id) as scope:
        record = services.approve_release(scope, scope.get(ReleasePass, id))
        pdf = releases.paper(scope, record, "https://example.org/desk/release/x").content
        text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
        assert "冰箱" in text and "000001" in text
        services.let_out(scope, record, "核对无误")
        with pytest.raises(Conflict):
            services.let_out(scope, record)
        with pytest.raises(Conflict):
            services.revoke_release(scope, record, "太晚")
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        left = scope.session.scalars(select(ReleasePass)).one()
        assert (left.state, left.items) == (ReleaseState.LEFT, "冰箱 1 台\n床 2 张")


def test_an_owner_has_his_pass_at_once_and_nobody_asks_for_anothers_room(installation, place):
    id = asked(installation, place, place.person_ids[0])
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        assert scope.get(ReleasePass, id).state is ReleaseState.ISSUED
        stranger = create(scope, Person, {"name": "路人"}).id
    with pytest.raises(NotFound):
        asked(installation, place, stranger)


def test_nobody_issues_what_he_asked_for_himself(installation, place, lodger):
    id = asked(installation, place, lodger)
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        record = scope.get(ReleasePass, id)
        actor = place.actor("desk.*")
        record.asked_by, record.owner_word = actor.user_id, "电话"
    with installation.scope(actor, community=place.community_id) as scope:
        with pytest.raises(OwnRequest):
            services.approve_release(scope, scope.get(ReleasePass, id))
        issued = services.issue_release(
            scope, place.room_ids[1], "钢琴", "老王", scope.today, scope.today, None, "当面同意"
        )
        assert issued.number == 2


def test_the_code_opens_for_anybody_and_the_gate_only_for_guards(installation, place):
    app = create_app(installation)
    id = asked(installation, place, place.person_ids[0])
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        code = scope.get(ReleasePass, id).code
    scanned = app.test_client().get(f"/desk/release/{place.community_id}/{code}").text
    assert "冰箱" in scanned and "小*" in scanned and "小林" not in scanned
    assert app.test_client().get(f"/desk/release/{place.community_id}/nothing").status_code == 404
    guard = sign_in(app, installation, make_login(installation, place, "guard"))
    base = f"/c/{place.community_id}/desk/gate/"
    assert "000001" in guard.get(base).text and "000001" in guard.get(f"{base}?q=1").text
    page = guard.get(base + code).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    form = {"csrf_token": token, "note": "多一只纸箱，已退回"}
    assert guard.post(base + code, data=form).status_code == 303
    assert guard.post(base + code, data=form).status_code == 409
    assert "多一只纸箱" in guard.get(base + code).text
    cleaner = sign_in(app, installation, make_login(installation, place, "cleaner"))
    assert cleaner.get(base).status_code == 403
