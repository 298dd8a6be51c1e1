"""A room changes hands: bills are split by the day, money follows, and it can be taken back."""

import io
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from dougong.errors import Conflict, Invalid
from dougong.files import attachments_of
from dougong.services import create
from dougong.tenancy.models import Ownership, Person, Room
from dougong_fees import services
from dougong_fees.domain.states import BillState, WaiverState
from dougong_fees.errors import BillTouched
from dougong_fees.models import (
    Bill,
    BillLine,
    BillRun,
    Charge,
    ChargeMethod,
    FeeItem,
    HandOver,
    HandOverState,
)
from dougong_fees.services.handovers import meters_of, new_bills
from dougong_fees.services.reports import run_report
from dougong_ledger import services as ledger
from dougong_ledger.domain import PaymentChannel
from dougong_meters.models import Meter

from .conftest import add_item

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63"
    "f8cfc0f01f0005000201a1f65e3d0000000049454e44ae426082"
)
OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
DAY = date(2026, 10, 11)
D = Decimal


@pytest.fixture
def bill(scope, place, item):
    """The first room's bill of October; the room changes hands on the eleventh."""
    run = services.create_run(scope, "2026年10月", OCTOBER, NOVEMBER, date(2026, 10, 20))
    services.publish_run(scope, run)
    scope.session.expire_all()
    query = select(Bill).where(Bill.room_id == place.room_ids[0])
    return scope.session.scalars(query).one()


@pytest.fixture
def buyer(scope):
    person = Person(name="新业主")
    scope.session.add(person)
    scope.session.flush()
    return person


def made(scope, bill, buyer, **values):
    room = scope.get(Room, bill.room_id)
    return services.hand_over(scope, room, buyer, DAY, {}, **values)


def parts(scope, record):
    bills = new_bills(scope, record.statement["runs"])
    return {bill.payer_id: bill for bill in bills}


def test_a_bill_is_split_by_half_open_periods(scope, bill, buyer):
    whole, seller = bill.amount, bill.payer_id
    record = made(scope, bill, buyer)
    split = parts(scope, record)
    assert bill.state is BillState.WITHDRAWN
    assert (split[seller].from_on, split[seller].to_on) == (OCTOBER, DAY)
    assert (split[buyer.id].from_on, split[buyer.id].to_on) == (DAY, NOVEMBER)
    assert abs(sum(each.amount for each in split.values()) - whole) <= D("0.01")
    assert split[seller].amount == (whole * 10 / 31).quantize(D("0.01"))
    assert ledger.trial_balance(scope).is_balanced
    owners = scope.session.scalars(
        select(Ownership).where(Ownership.room_id == bill.room_id).order_by(Ownership.from_on)
    ).all()
    assert [(o.person_id, o.to_on) for o in owners] == [(seller, DAY), (buyer.id, None)]
    assert services.print_hand_over(scope, record).content.startswith(b"%PDF")


def test_what_the_seller_paid_pays_his_part_and_the_rest_is_his(scope, bill, buyer):
    whole, seller = bill.amount, bill.payer_id
    services.pay_bills(scope, bill, PaymentChannel.CASH, "desk-0001")
    split = parts(scope, made(scope, bill, buyer))
    assert split[seller].state is BillState.PAID
    assert (split[buyer.id].state, split[buyer.id].paid) == (BillState.OPEN, 0)
    assert ledger.balance_of(scope, seller) == whole - split[seller].amount
    assert ledger.trial_balance(scope).is_balanced


@pytest.fixture
def water(scope, place):
    """The first room's water meter, 5 yuan a cubic metre: 100 on 1 October, 130 on 1 November."""
    item = add_item(scope, place, "water", "5.00", method=ChargeMethod.USAGE, commodity="water")
    for charge in scope.session.scalars(select(Charge).where(Charge.fee_item_id == item.id)):
        if charge.room_id != place.room_ids[0]:
            scope.session.delete(charge)
    meter = create(
        scope,
        Meter,
        {
            "serial": "W-1",
            "commodity": "water",
            "room_id": place.room_ids[0],
            "installed_on": date(2026, 1, 1),
        },
    )
    for day, value in ((OCTOBER, 100), (NOVEMBER, 130)):
        read_at = datetime.combine(day, time.min, scope.zone)
        scope.call("meters.reading.record", meter=meter.id, value=D(value), read_at=read_at)
    return meter.id


def test_a_closing_reading_divides_what_the_meter_counted(scope, place, water, bill, buyer):
    room, seller = scope.get(Room, bill.room_id), bill.payer_id
    assert [(m.meter_id, m.serial, m.last) for m in meters_of(scope, room, DAY)] == [
        (water, "W-1", D(100))
    ]
    shown = services.preview_hand_over(scope, room, buyer, DAY, {water: D(112)})
    scope.session.expire_all()
    record = services.hand_over(scope, room, buyer, DAY, {water: D(112)})
    assert record.statement["readings"] == shown["readings"]
    (kept,) = record.statement["readings"]
    assert (kept["serial"], kept["commodity"], D(kept["value"])) == ("W-1", "water", 112)
    query = select(BillLine).join(FeeItem, FeeItem.id == BillLine.fee_item_id)
    lines = {
        line.bill.payer_id: line
        for line in scope.session.scalars(
            query.where(FeeItem.code == "water", BillLine.is_withdrawn.is_(False))
        )
    }
    used = {payer: (line.quantity, line.amount) for payer, line in lines.items()}
    assert used == {seller: (12, D("60.00")), buyer.id: (18, D("90.00"))}
    assert lines[seller].evidence["closing"] == lines[buyer.id].evidence["opening"]
    assert ledger.trial_balance(scope).is_balanced


def test_a_preview_says_the_same_and_writes_nothing(scope, bill, buyer):
    services.pay_bills(scope, bill, PaymentChannel.CASH, "desk-0001")
    room, before = scope.get(Room, bill.room_id), ledger.trial_balance(scope)
    shown = services.preview_hand_over(scope, room, buyer, DAY, {})
    scope.session.expire_all()
    assert scope.session.scalars(select(HandOver)).first() is None
    assert (bill.state, bill.paid) == (BillState.PAID, bill.amount)
    assert ledger.trial_balance(scope) == before
    done = made(scope, bill, buyer).statement
    same = ("before", "seller", "buyer", "arrears_total", "prepaid", "deposits")
    assert {key: shown[key] for key in same} == {key: done[key] for key in same}


def test_a_deposit_can_go_to_the_sellers_prepaid_money(scope, bill, buyer):
    seller = bill.payer_id
    values = (bill.room_id, seller, D(2000), PaymentChannel.CASH)
    deposit = ledger.take_deposit(scope, "装修押金", *values)
    record = made(scope, bill, buyer, releases_deposits=True)
    assert record.statement["deposits"][0]["held"] == "2000.00"
    scope.session.refresh(deposit)
    assert (deposit.held, ledger.balance_of(scope, seller)) == (0, 2000)
    assert ledger.trial_balance(scope).is_balanced


def test_it_is_undone_while_the_buyer_has_paid_nothing(scope, bill, buyer):
    whole, seller = bill.amount, bill.payer_id
    record = made(scope, bill, buyer)
    services.undo_hand_over(scope, record, "签错了")
    owner = select(Ownership).where(Ownership.room_id == bill.room_id)
    assert [(o.person_id, o.to_on) for o in scope.session.scalars(owner)] == [(seller, None)]
    again = scope.session.scalars(
        select(Bill).where(Bill.room_id == bill.room_id, Bill.state == BillState.OPEN)
    ).one()
    assert (again.amount, again.payer_id, record.state) == (whole, seller, HandOverState.UNDONE)
    with pytest.raises(Conflict):
        services.undo_hand_over(scope, record, "twice")
    second = made(scope, again, buyer)
    services.pay_bills(scope, parts(scope, second)[buyer.id], PaymentChannel.CASH, "desk-0002")
    with pytest.raises(BillTouched):
        services.undo_hand_over(scope, second, "too late")
    assert ledger.trial_balance(scope).is_balanced


def test_it_is_certified_once_the_seller_owes_nothing(scope, bill, buyer):
    record = made(scope, bill, buyer)
    mine = parts(scope, record)[bill.payer_id]
    with pytest.raises(Conflict, match="still owed"):
        services.certify_hand_over(scope, record)
    services.pay_bills(scope, mine, PaymentChannel.CASH, "desk-0003")
    assert services.certify_hand_over(scope, record).content.startswith(b"%PDF")
    services.keep_photos(scope, record, [("meter.png", io.BytesIO(PNG))])
    assert [each.media_type for each in attachments_of(scope, record)] == ["image/png"]


def test_an_agreed_charge_of_the_seller_ends_with_him(scope, bill, buyer):
    charge = scope.session.scalars(select(Charge).where(Charge.room_id == bill.room_id)).one()
    charge.payer_id = bill.payer_id
    scope.session.flush()
    split = parts(scope, made(scope, bill, buyer))
    assert set(split) == {bill.payer_id, buyer.id}


def test_a_draft_a_day_to_come_and_the_owner_himself_are_refused(scope, bill, buyer):
    room, owner = scope.get(Room, bill.room_id), scope.get(Person, bill.payer_id)
    with pytest.raises(Invalid):
        services.hand_over(scope, room, buyer, scope.today + timedelta(days=1), {})
    with pytest.raises(Invalid):
        services.hand_over(scope, room, owner, DAY, {})
    services.create_run(scope, "11月", NOVEMBER, date(2026, 12, 1), date(2026, 11, 20))
    with pytest.raises(Conflict):
        services.hand_over(scope, room, buyer, DAY, {})


def test_a_hand_over_is_no_period_of_its_own_for_reports(scope, bill, buyer):
    made(scope, bill, buyer)
    period = (NOVEMBER, date(2026, 12, 1), date(2026, 11, 20))
    run = services.create_run(scope, "11月", *period)
    assert run_report(scope, run).previous.name == "2026年10月"
    hand_overs = scope.session.scalars(select(BillRun).where(BillRun.room_id.is_not(None))).all()
    assert [(each.rooms, each.bills) for each in hand_overs] == [(1, 1), (1, 1)]


def test_a_waiver_cannot_be_split_below_the_limit(installation, scope, place, bill):
    scope.session.commit()
    clerk = place.actor("fees.waiver.*")
    with installation.scope(clerk, community=place.community_id) as own:
        mine = own.get(Bill, bill.id)
        first = services.request_waiver(own, mine, D("60.00"), "漏水")
        second = services.request_waiver(own, mine, D("60.00"), "漏水")
        assert (first.state, second.state) == (WaiverState.APPROVED, WaiverState.REQUESTED)
