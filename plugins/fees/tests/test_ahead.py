"""Owners pay months ahead, put money by and declare a room empty on the phone."""

import io
import re
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select

from dougong.access.operations import create_user, link_person
from dougong.db.scope import Actor
from dougong.files import attachments_of
from dougong.messages.models import Message
from dougong.testing.budgets import MOST_STATEMENTS, watched
from dougong.testing.people import make_login, sign_in
from dougong_fees import services
from dougong_fees.domain.periods import add_months
from dougong_fees.domain.states import BillState, WaiverState
from dougong_fees.models import Bill, ChargeMethod, FeeRule, Prepayment, RuleKind, Vacancy
from dougong_ledger import services as ledger
from dougong_ledger.domain import PaymentChannel
from dougong_ledger.models import PaymentOrder

from .conftest import add_item

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63"
    "f8cfc0f01f0005000201a1f65e3d0000000049454e44ae426082"
)
ABOUT = {"from_on": date(2020, 1, 1), "basis": "合同第十条"}


@pytest.fixture
def browser(app, installation, place):
    """Return a function that signs the n-th person in."""

    def made(who=0):
        with installation.access() as session:
            user = create_user(session, f"a{place.group_id.hex[-12:]}{who}", f"{who}")
            link_person(session, user.id, place.community_id, place.person_ids[who])
        return sign_in(app, installation, Actor(user.id, user.name))

    return made


@pytest.fixture
def offered(scope, place):
    """A fixed fee of 300 with a year for eleven months, billed up to this month."""
    item = add_item(scope, place, "fixed", "300.00", method=ChargeMethod.FIXED)
    year = {"kind": RuleKind.PREPAID, "pay_months": 11, "get_months": 12}
    empty = {"kind": RuleKind.VACANCY, "share": Decimal("0.3"), "wait_months": 0}
    scope.session.add_all(FeeRule(fee_item_id=item.id, **ABOUT, **each) for each in (year, empty))
    month = scope.today.replace(day=1)
    run = services.create_run(scope, "上月", add_months(month, -1), month, scope.today)
    services.publish_run(scope, run)
    scope.session.commit()
    return month


def send(client, html, action, **more):
    form = re.search(rf'<form[^>]*action="[^"]*{action}"[^>]*>.*?</form>', html, re.S)[0]
    address = re.search(r'action="([^"]+)"', form)[1]
    values = dict(re.findall(r'name="([^"]+)"[^>]*? value="([^"]*)"', form))
    return client.post(address, data={**values, **more})


def test_an_owner_pays_a_year_ahead_in_two_taps(scope, place, browser, offered):
    owner, ahead = browser(0), f"/c/{place.community_id}/fees/my/ahead"
    owner.get(ahead)
    with watched() as seen:
        page = owner.get(ahead).text
    assert len(seen.statements) <= MOST_STATEMENTS
    assert "约 ¥3,300.00" in page and "合同第十条" in page
    asked = send(owner, page, "/my/ahead")
    assert send(owner, page, "/my/ahead").location == asked.location
    bill = scope.session.scalars(select(Bill).where(Bill.kind == "prepaid")).one()
    assert (bill.amount, bill.from_on) == (Decimal(3300), offered)
    page = owner.get(asked.location).text
    order = send(owner, page, "/my/order")
    assert order.status_code == 303 and str(bill.id) in asked.location
    scope.session.rollback()
    services.pay_bills(scope, bill, PaymentChannel.CASH, "ahead-0001")
    scope.session.commit()
    page = owner.get(ahead).text
    assert "已预缴" in page and "约 ¥3,300.00" not in page
    assert "/cancel" not in owner.get(asked.location).text
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    assert owner.post(f"{asked.location}/cancel", data={"csrf_token": csrf}).status_code == 409
    prepayment = scope.session.scalars(select(Prepayment)).one()
    assert (prepayment.to_on, prepayment.payer_id) == (
        add_months(offered, 12), place.person_ids[0],
    )  # fmt: skip


def test_who_thinks_better_of_it_owes_nothing_and_nobody_pays_ahead_for_another(
    scope, place, browser, offered
):
    owner, stranger = browser(0), browser(1)
    ahead = f"/c/{place.community_id}/fees/my/ahead"
    page = owner.get(ahead).text
    theirs = stranger.get(ahead).text
    room = re.search(r'name="room" value="([^"]+)"', page)[1]
    assert send(stranger, theirs, "/my/ahead", room=room).status_code == 404
    asked = send(owner, page, "/my/ahead").location
    assert stranger.get(asked).status_code == 404
    page = owner.get(asked).text
    assert send(owner, page, "/cancel").location.endswith("/fees/my/ahead")
    bill = scope.session.scalars(select(Bill).where(Bill.kind == "prepaid")).one()
    assert bill.state is BillState.WITHDRAWN
    assert "约 ¥3,300.00" in owner.get(ahead).text


def test_money_that_is_put_by_is_an_order_for_the_own_wallet(scope, place, browser, offered):
    owner, ahead = browser(0), f"/c/{place.community_id}/fees/my/ahead"
    page = owner.get(ahead).text
    assert send(owner, page, "/my/save", amount="-5").status_code == 422
    assert "/pay/" in send(owner, page, "/my/save", amount="250").location
    order = scope.session.scalars(select(PaymentOrder)).one()
    assert (order.amount, order.payer_id) == (Decimal(250), place.person_ids[0])
    ledger.record_cash(scope, order)
    assert ledger.balance_of(scope, place.person_ids[0]) == Decimal(250)
    assert ledger.trial_balance(scope).is_balanced


def test_an_owner_declares_his_room_empty_with_photos_and_the_desk_decides(
    installation, scope, place, browser, offered
):
    owner, address = browser(0), f"/c/{place.community_id}/fees/my/vacancy"
    page = owner.get(address).text
    assert "少收 30%" in page
    values = {"from_on": offered.isoformat(), "shown": "水电表未走字"}
    assert send(owner, page, "/my/vacancy", **values).status_code == 422
    photo = {"photos": (io.BytesIO(PNG), "meter.png")}
    assert send(owner, page, "/my/vacancy", **values, **photo).status_code == 303
    again = {"photos": (io.BytesIO(PNG), "meter.png")}
    assert send(owner, page, "/my/vacancy", **values, **again).status_code == 422
    vacancy = scope.session.scalars(select(Vacancy)).one()
    assert vacancy.state is WaiverState.REQUESTED
    with installation.scope(place.actor("*"), community=place.community_id) as desk:
        record = desk.get(Vacancy, vacancy.id)
        assert [each.media_type for each in attachments_of(desk, record)] == ["image/png"]
        services.approve_vacancy(desk, record)
    told = scope.session.scalars(select(Message).where(Message.person_id == place.person_ids[0]))
    assert any("vacancy" in (each.link or "") for each in told)
    with watched() as seen:
        page = owner.get(address).text
    assert "已批准" in page and len(seen.statements) <= MOST_STATEMENTS


def test_the_collection_map_shows_what_was_paid_by_place_and_leads_to_the_bills(
    installation, scope, place, app, offered
):
    manager = sign_in(app, installation, make_login(installation, place, "community_manager"))
    address = f"/c/{place.community_id}/fees/map"
    bill = scope.session.scalars(select(Bill).where(Bill.room_id == place.room_ids[0])).one()
    services.pay_bills(scope, bill, PaymentChannel.CASH, "paid-00001")
    scope.session.commit()
    page = manager.get(address).text
    inside = re.findall(r'href="([^"]+building=[^"]+)"', page)
    assert inside and "heat-1" in page
    seen = [manager.get(link.replace("&amp;", "&")).text for link in dict.fromkeys(inside)]
    cells = r'class="heat-\d" href="([^"]+)"><small>[^<]+</small> ([^<]+)<'
    links = re.findall(cells, "".join(seen))
    shown = {link.rpartition("=")[2]: text for link, text in links}
    assert shown == {str(room): "100%" if room == bill.room_id else "0%" for room in place.room_ids}
