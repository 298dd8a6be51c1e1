"""What residents and staff see of prepaid energy."""

import re
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import select, text

from dougong.access.operations import create_user, link_person, start_session
from dougong.db.scope import Actor
from dougong.testing.people import make_login, sign_in
from dougong.web.app import SESSION_COOKIE, create_app
from dougong_ledger.demo import fill_wallets
from dougong_ledger.services import trial_balance
from dougong_meters.models import Meter
from dougong_prepaid import cards, demo, services
from dougong_prepaid.models import EnergyAccount, SupplierBill


@pytest.fixture
def resident(installation, place, dormitory):
    """Return a browser of somebody who lives in the room and has a wallet with 500 yuan."""
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        fill_wallets(scope, [dormitory.person_ids[1]], [Decimal(500)])
        services.settle(scope)
    with installation.access() as session:
        user = create_user(session, f"p{place.group_id.hex[-12:]}", "同学")
        link_person(session, user.id, place.community_id, dormitory.person_ids[1])
        token = start_session(session, user)
    client = create_app(installation).test_client()
    client.set_cookie(SESSION_COOKIE, token)
    return client


def test_whoever_lives_there_tops_up_from_his_wallet_or_through_a_channel(
    installation, place, dormitory, resident
):
    mine = f"/c/{place.community_id}/prepaid/my/"
    page = resident.get(mine)
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
    key = re.search(r'name="key" value="([^"]+)"', page.text)[1]

    def pay(amount, **more):
        form = {"csrf_token": csrf, "key": key, "amount": amount, **more}
        return resident.post(f"{mine}{dormitory.account_id}", data=form)

    assert pay("-3").status_code == pay("abc").status_code == 422
    assert pay("30", means="wallet").status_code == 303
    assert pay("30", means="wallet").status_code == 303
    page = resident.get(mine).text
    assert "¥30.00" in page and len(page) < 15 * 1024
    assert "/ledger/pay/" in pay("20", key=f"{key}-2").location
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        assert scope.get(EnergyAccount, dormitory.account_id).balance == Decimal(30)
        (card,) = scope.answer(cards.portal(scope, dormitory.person_ids[1]))
        assert card.value == "¥30.00"


def test_nobody_tops_up_or_sees_a_strangers_room(installation, place, dormitory):
    with installation.access() as session:
        user = create_user(session, f"x{place.group_id.hex[-12:]}", "陌生人")
        link_person(session, user.id, place.community_id, place.person_ids[3])
        token = start_session(session, user)
    client = create_app(installation).test_client()
    client.set_cookie(SESSION_COOKIE, token)
    page = client.get(f"/c/{place.community_id}/prepaid/my/").text
    assert "没有预付费用电" in page


def test_a_markup_over_the_suppliers_bill_is_seen(installation, place, dormitory):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        services.settle(scope)
        meter = scope.get(Meter, dormitory.meter_id)
        meter.last_value, meter.last_read_at = Decimal(200), scope.now
        scope.session.flush()
        services.settle(scope)
        scope.session.add(
            SupplierBill(commodity="electricity", from_on=scope.today.replace(month=1, day=1),
                         to_on=scope.today + timedelta(days=1), quantity=Decimal(100),
                         amount=Decimal("50.00"))
        )  # fmt: skip
        year = scope.today.year
    boss = sign_in(create_app(installation), installation,
                   make_login(installation, place, "community_manager"))  # fmt: skip
    page = boss.get(f"/c/{place.community_id}/prepaid/resale?year={year}")
    assert page.status_code == 200 and "多收 ¥6.00" in page.text


def test_the_demonstration_balances(installation, place, dormitory):
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        scope.session.execute(text("update dougong.room set room_kind = 'dormitory'"))
        scope.session.execute(text("delete from prepaid.energy_account"))
        scope.session.execute(text("delete from prepaid.tariff"))
        meters = scope.session.scalars(select(Meter)).all()
        demo.dormitories(scope, Random(1), meters)
        total = sum(scope.session.scalars(select(EnergyAccount.balance)), Decimal(0))
        books = {a.code: a for a in trial_balance(scope).accounts}
        held = books[demo.ENERGY_LIABILITY]
        assert held.credit - held.debit == total > 0
        assert services.post_usage(scope) == 0
