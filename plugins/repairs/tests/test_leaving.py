"""A technician leaves: his rights end, his orders go to a successor or back to the dispatcher."""

import re

import pytest
from sqlalchemy import select, text

from dougong.access import delegations, leaving, resolve_actor
from dougong.access.operations import create_user, grant_role
from dougong.access.roles import ship_roles
from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.errors import Conflict, Invalid, NotFound
from dougong.services import create
from dougong.testing.people import sign_in
from dougong.web.app import create_app
from dougong_repairs import services
from dougong_repairs.domain.states import OrderState
from dougong_repairs.models import Technician, WorkOrder

SYSTEM = Actor.system("test")


def login(installation, place, role, name, **where):
    with installation.access() as session:
        ship_roles(session)
        user_id = create_user(session, f"u{uuid7().hex}", name).id
        where = where or {"group_id": place.group_id, "community_id": place.community_id}
        grant_role(session, SYSTEM, user_id, role, **where)
    return user_id


@pytest.fixture
def people(installation, place):
    """Return logins: the leaving technician, another one, a cashier, the security administrator."""
    made = [login(installation, place, "technician", name) for name in ("老赵", "小钱")]
    made.append(login(installation, place, "cashier", "小孙"))
    where = {"group_id": place.group_id}
    made.append(login(installation, place, "security_administrator", "安全", **where))
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        scope.session.add_all(
            Technician(name=name, user_id=user)
            for name, user in zip(("老赵", "小钱"), made, strict=False)
        )
    return made


@pytest.fixture
def order(installation, place, people):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        made = create(scope, WorkOrder, {"text": "厨房水管漏水", "room_id": place.room_ids[0]})
        query = select(Technician.id).where(Technician.user_id == people[0])
        services.dispatch_order(scope, made, scope.session.scalars(query).one())
        return made.id


def let_leave(installation, place, people, successor):
    actor = resolve_actor(installation, people[3])
    with installation.scope(actor, group=place.group_id) as scope:
        before = leaving.leaver(scope, people[0])
        given = leaving.leave(scope, people[0], successor)
        return before, given, leaving.leaver(scope, people[0])


def state_of(installation, place, order):
    with installation.scope(SYSTEM, community=place.community_id) as scope:
        found = scope.get(WorkOrder, order)
        return found.state, found.technician.user_id if found.technician else None


def test_orders_go_to_the_successor_and_every_right_ends(installation, place, people, order):
    app = create_app(installation)
    browser = sign_in(app, installation, resolve_actor(installation, people[0]))
    address = f"/c/{place.community_id}/repairs/work/"
    assert browser.get(address).status_code == 200
    with installation.scope(resolve_actor(installation, people[0]), group=place.group_id) as scope:
        days = (scope.today, scope.today.replace(year=scope.today.year + 1))
        delegations.stand_in(scope, people[1], *days, "年假")
    before, given, after = let_leave(installation, place, people, people[1])
    assert [each.count for each in before.work] == [1] and given == 1
    assert after.work == () and not after.is_active
    assert state_of(installation, place, order) == (OrderState.DISPATCHED, people[1])
    assert resolve_actor(installation, people[0]) is None
    assert browser.get(address).status_code != 200
    with installation.access() as session:
        query = "select count(*) from dougong.delegation where user_id = :u and ended_at is null"
        assert session.scalar(text(query), {"u": people[0]}) == 0


@pytest.mark.parametrize("successor", [None, 2])
def test_without_a_technician_to_follow_orders_go_back(
    installation, place, people, order, successor
):
    chosen = None if successor is None else people[successor]
    _, given, _ = let_leave(installation, place, people, chosen)
    assert given == 1
    assert state_of(installation, place, order) == (OrderState.RETURNED, None)
    assert let_leave(installation, place, people, chosen)[1] == 0


def test_who_may_not_leave_and_who_may_not_follow(installation, place, people, order):
    actor = resolve_actor(installation, people[3])
    with installation.scope(actor, group=place.group_id) as scope:
        with pytest.raises(Conflict):
            leaving.leave(scope, people[3], None)
        for wrong in (uuid7(), people[0]):
            with pytest.raises(Invalid):
                leaving.leave(scope, people[0], wrong)
        with pytest.raises(NotFound):
            leaving.leave(scope, uuid7(), None)
    assert resolve_actor(installation, people[0]) is not None
    assert state_of(installation, place, order) == (OrderState.DISPATCHED, people[0])


def test_the_page_shows_the_work_and_asks_for_a_successor(installation, place, people, order):
    app = create_app(installation)
    browser = sign_in(app, installation, resolve_actor(installation, people[3]))
    address = f"/g/{place.group_id}/admin/users/{people[0]}/leave"
    page = browser.get(address)
    assert page.status_code == 200 and "老赵" in page.text and "小钱" in page.text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text).group(1)
    wrong = browser.post(address, data={"csrf_token": token, "successor": "x"})
    assert wrong.status_code == 404
    done = browser.post(address, data={"csrf_token": token, "successor": str(people[1])})
    assert done.status_code == 303, done.text
    assert "1" in browser.get(done.headers["Location"]).text
    assert state_of(installation, place, order) == (OrderState.DISPATCHED, people[1])
