"""Second persons: limits of posts, stand-ins, what lapses, and one page for all that waits."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text

from dougong.access import clearances, delegations, resolve_actor
from dougong.access.models import Role
from dougong.access.operations import create_user, grant_role
from dougong.access.roles import ship_roles
from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.errors import Conflict, Invalid, NotAllowed, NotFound, OwnRequest
from dougong.services.approvals import waiting
from dougong.tenancy.operations import set_setting
from dougong.testing.people import sign_in
from dougong.web.app import create_app
from dougong_fees import services
from dougong_fees.domain.states import WaiverState
from dougong_fees.models import Bill, Waiver

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
PERMISSION = "fees.waiver.approve"


@pytest.fixture
def bill(scope, place, item):
    run = services.create_run(scope, "2026年10月", OCTOBER, NOVEMBER, date(2026, 10, 20))
    services.publish_run(scope, run)
    query = select(Bill).where(Bill.room_id == place.room_ids[0])
    found = scope.session.scalars(query).one()
    scope.session.commit()
    return found.id


def login(installation, place, role, name):
    """Create a login that holds a shipped role in the place; return who it is."""
    with installation.access() as session:
        ship_roles(session)
        user_id = create_user(session, f"u{uuid7().hex}", name).id
        where = {"group_id": place.group_id, "community_id": place.community_id}
        grant_role(session, Actor.system(), user_id, role, **where)
    return resolve_actor(installation, user_id)


@pytest.fixture
def cashier(installation, place):
    return login(installation, place, "cashier", "收费员小陈")


@pytest.fixture
def manager(installation, place):
    return login(installation, place, "community_manager", "王经理")


@pytest.fixture
def guard(installation, place):
    return login(installation, place, "guard", "保安老李")


def asks(installation, place, actor, bill, amount="150.00", id=None):
    with installation.scope(actor, community=place.community_id) as own:
        made = services.request_waiver(own, own.get(Bill, bill), Decimal(amount), "漏水")
        assert made.state is WaiverState.REQUESTED
        return made.id


def approve(installation, place, actor, waiver):
    with installation.scope(actor, community=place.community_id) as own:
        return services.approve_waiver(own, own.get(Waiver, waiver)).state


def see(installation, place, actor, **where):
    with installation.scope(actor, **(where or {"community": place.community_id})) as own:
        return [each.id for each in waiting(own)]


def stand_in(installation, place, away, instead, days=7):
    with installation.scope(away, group=place.group_id) as own:
        today = own.today
        delegations.stand_in(own, instead.user_id, today, today + timedelta(days=days), "年假")
    return resolve_actor(installation, instead.user_id)


def limit(installation, place, role, most):
    with installation.access() as session:
        role_id = session.scalars(select(Role.id).where(Role.key == role)).one()
    actor = place.actor("dougong.role.view", "dougong.role.change")
    with installation.scope(actor, group=place.group_id) as own:
        clearances.limit(own, role_id, {PERMISSION: most})


def test_a_role_approves_up_to_its_limit_and_a_group_says_another(
    installation, place, bill, cashier, manager
):
    asked = asks(installation, place, manager, bill, "150.00")
    limit(installation, place, "cashier", "149.99")
    with pytest.raises(NotAllowed, match="149.99"):
        approve(installation, place, resolve_actor(installation, cashier.user_id), asked)
    with pytest.raises(Invalid):
        limit(installation, place, "cashier", "a lot")
    limit(installation, place, "cashier", "150")
    again = resolve_actor(installation, cashier.user_id)
    assert again.grants[0].limits[PERMISSION] == "150.00"
    limit(installation, place, "cashier", "")
    assert resolve_actor(installation, cashier.user_id).grants[0].limits[PERMISSION] == "500.00"
    limit(installation, place, "cashier", "-")
    assert resolve_actor(installation, cashier.user_id).grants[0].limit_of(PERMISSION) is None
    assert approve(installation, place, again, asked) is WaiverState.APPROVED


def test_a_stand_in_approves_and_nothing_else_and_the_log_says_for_whom(
    installation, place, bill, cashier, manager, guard
):
    asked = asks(installation, place, cashier, bill)
    assert see(installation, place, guard) == []
    with pytest.raises(NotAllowed):
        approve(installation, place, guard, asked)
    guard = stand_in(installation, place, manager, guard)
    assert see(installation, place, guard) == [asked]
    assert see(installation, place, guard, group=place.group_id) == [asked]
    assert guard.may("fees.waiver.refuse") and not guard.may("fees.bill_run.create")
    assert not guard.may("dougong.person.view")
    assert approve(installation, place, guard, asked) is WaiverState.APPROVED
    with installation.platform() as session:
        query = (
            "select body::json ->> 'reason' from dougong.audit_event"
            " where row_id = :id and verb = :verb"
        )
        reasons = session.scalars(text(query), {"id": str(asked), "verb": PERMISSION}).all()
    assert reasons and all("王经理" in reason for reason in reasons)


def test_a_stand_in_decides_neither_for_himself_nor_for_whom_he_stands_in(
    installation, place, bill, cashier, manager, guard
):
    asked = asks(installation, place, manager, bill)
    guard = stand_in(installation, place, manager, guard)
    with pytest.raises(OwnRequest):
        approve(installation, place, guard, asked)
    cashier = stand_in(installation, place, guard, cashier)
    with pytest.raises(OwnRequest):
        approve(installation, place, resolve_actor(installation, manager.user_id), asked)
    # A right of another's is not handed on: the cashier approves by his own role alone.
    assert all(grant.stands_in_for != manager.user_id for grant in cashier.grants)
    assert approve(installation, place, cashier, asked) is WaiverState.APPROVED


def test_a_delegation_ends_by_itself_or_by_hand(installation, place, manager, guard):
    guard = stand_in(installation, place, manager, guard)
    assert guard.may(PERMISSION)
    with pytest.raises(Conflict):
        stand_in(installation, place, manager, guard)
    with installation.scope(guard, group=place.group_id) as own:
        (made,) = delegations.stand_ins(own)
    stranger = place.actor("dougong.approval.view", user_id=uuid7())
    with pytest.raises(NotFound), installation.scope(stranger, group=place.group_id) as own:
        delegations.end_stand_in(own, made.id)
    with installation.scope(manager, group=place.group_id) as own:
        delegations.end_stand_in(own, made.id)
    assert not resolve_actor(installation, guard.user_id).may(PERMISSION)
    guard = stand_in(installation, place, manager, guard)
    with installation.access() as session:
        session.execute(
            text(
                "update dougong.delegation set from_on = current_date - 9, to_on = current_date"
                " where to_user_id = :user and ended_at is null"
            ),
            {"user": guard.user_id},
        )
    assert not resolve_actor(installation, guard.user_id).may(PERMISSION)


@pytest.mark.parametrize(
    ("days", "reason", "field"),
    [((0, 0), "年假", "to_on"), ((-1, 3), "年假", "from_on"), ((0, 3), " ", "reason")],
)
def test_a_delegation_says_what_is_wrong_with_it(
    installation, place, manager, guard, days, reason, field
):
    with installation.scope(manager, group=place.group_id) as own:
        first, last = (own.today + timedelta(days=n) for n in days)
        with pytest.raises(Invalid) as refused:
            delegations.stand_in(own, guard.user_id, first, last, reason)
        assert set(refused.value.fields) == {field}
        with pytest.raises(Invalid) as refused:
            delegations.stand_in(own, uuid7(), own.today, own.today + timedelta(days=1), "年假")
        assert set(refused.value.fields) == {"to_user_id"}


def test_a_request_lapses_and_can_only_be_refused_then(
    installation, scope, place, bill, cashier, manager
):
    long_ago = uuid7(datetime.now(UTC) - timedelta(days=30))
    scope.session.add(
        Waiver(
            id=long_ago, bill_id=bill, amount=Decimal(150), reason="漏水",
            requested_by=cashier.user_id,
        )
    )  # fmt: skip
    scope.session.commit()
    with installation.access() as session:
        set_setting(session, place.group_id, "approvals.days", 29)
    with pytest.raises(Conflict):
        approve(installation, place, manager, long_ago)
    with installation.scope(manager, community=place.community_id) as own:
        assert services.refuse_waiver(own, own.get(Waiver, long_ago)).state is WaiverState.REFUSED


def test_buildings_and_communities_narrow_what_waits(
    installation, place, bill, cashier, manager, other_place
):
    asked = asks(installation, place, cashier, bill)
    assert see(installation, place, manager) == [asked]
    elsewhere = login(installation, other_place, "community_manager", "别处经理")
    assert see(installation, other_place, elsewhere) == []
    assert see(installation, other_place, elsewhere, group=other_place.group_id) == []
    inside = place.actor("*", user_id=uuid7(), buildings=frozenset({uuid7()}))
    assert see(installation, place, inside) == []


@pytest.fixture
def other_place(installation):
    from dougong.testing.factories import make_place

    return make_place(installation)


def test_the_page_lists_decides_and_names_a_stand_in(
    installation, place, bill, cashier, manager, guard
):
    asked = asks(installation, place, cashier, bill)
    app = create_app(installation)
    mine = sign_in(app, installation, cashier)
    page = mine.get(f"/c/{place.community_id}/admin/approvals")
    assert page.status_code == 200 and "漏水" in page.text and str(asked) in page.text
    browser = sign_in(app, installation, manager)
    address = f"/c/{place.community_id}/admin/approvals"
    page = browser.get(address)
    assert "收费员小陈" in page.text and "150.00" in page.text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text).group(1)
    form = {"csrf_token": token, "service": PERMISSION, "id": str(asked), "from": "group"}
    decided = browser.post(f"{address}/decide", data=form)
    assert decided.status_code == 303 and f"/g/{place.group_id}/" in decided.headers["Location"]
    again = browser.post(f"{address}/decide", data=form)
    assert again.status_code == 409 and 'role="alert"' in again.text
    assert browser.post(f"{address}/decide", data={**form, "service": "x"}).status_code == 404
    assert browser.post(f"{address}/decide", data={**form, "id": "x"}).status_code == 422
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    form = {
        "csrf_token": token, "to_user_id": str(guard.user_id), "from_on": today.isoformat(),
        "to_on": (today + timedelta(days=5)).isoformat(), "reason": "年假",
    }  # fmt: skip
    wrong = browser.post(f"{address}/stand-in", data={**form, "to_on": "soon"})
    assert wrong.status_code == 422 and "error-to_on" in wrong.text
    assert browser.post(f"{address}/stand-in", data=form).status_code == 303
    assert "保安老李" in browser.get(address).text
    assert resolve_actor(installation, guard.user_id).may(PERMISSION)
