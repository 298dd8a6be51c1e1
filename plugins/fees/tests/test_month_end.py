"""A month's figures by item: opening + billed − received − waived = closing, to the fen."""

from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import select, text

from dougong.errors import Conflict
from dougong_fees import demo, services
from dougong_fees.domain.states import BillState
from dougong_fees.models import Bill, BillKind, Charge, FeeItem
from dougong_ledger import demo as ledger_demo
from dougong_ledger import services as ledger
from dougong_ledger.domain import INCOME, PREPAID, RECEIVABLE, PaymentChannel, Posting

from .conftest import NOVEMBER, OCTOBER, add_item

D = Decimal


@pytest.fixture
def billed(scope, place, item):
    add_item(scope, place, "waste", "8.13", name="垃圾清运费", method="fixed")
    for charge in scope.session.scalars(select(Charge)):
        charge.payer_id = place.person_ids[0]
    scope.session.flush()
    run = services.create_run(scope, "十月", OCTOBER, NOVEMBER, date(2026, 11, 20))
    services.publish_run(scope, run)
    return run


def figures(scope, month=None):
    return ledger.month_end(scope, month or scope.today.replace(day=1))


def test_what_was_billed_received_and_waived_leaves_the_closing(scope, billed):
    first, second, third = scope.session.scalars(select(Bill).order_by(Bill.id).limit(3)).all()
    services.pay_bills(scope, first, PaymentChannel.CASH, "month-0001")
    services.request_waiver(scope, second, D("50.01"), "漏水")
    services.withdraw_bill(scope, third, "错")
    end = figures(scope)
    assert {i.name for i in end.items} == {"物业服务费", "垃圾清运费"}
    for item in end.items:
        assert item.opening + item.billed - item.received - item.waived == item.closing >= 0
    assert end.total("opening") == 0
    assert end.total("billed") == billed.amount - third.amount
    assert end.total("received") == end.total("received_current") == first.amount
    assert end.total("waived") == D("50.01")
    owed = ledger.trial_balance(scope).balance(RECEIVABLE)
    assert end.total("closing") == owed
    share = end.total("received") / (end.total("billed") - D("50.01"))
    assert end.collection_rate == share and end.clearance_rate is None


def test_the_next_month_opens_with_what_the_last_one_closed(scope, billed):
    bill = scope.session.scalars(select(Bill).order_by(Bill.id).limit(1)).one()
    services.pay_bills(scope, bill, PaymentChannel.CASH, "month-0002")
    this = figures(scope)
    following = figures(scope, (scope.today.replace(day=1) + timedelta(days=32)).replace(day=1))
    closings = {item.name: item.closing for item in this.items}
    assert {item.name: item.opening for item in following.items} == closings
    assert following.total("billed") == following.total("received") == 0


def test_late_fees_apportionments_and_reversals_are_in_the_figures(scope, billed, item):
    item.late_fee_rate = D("0.0005")
    scope.session.flush()
    bill, other = scope.session.scalars(select(Bill).order_by(Bill.id).limit(2)).all()
    late = services.demand_late_fee(scope, bill, date(2026, 12, 31))
    services.request_waiver(scope, other, D("20.00"), "漏水")
    services.reverse_bill(scope, other, "错")
    end = figures(scope)
    by_name = {item.name: item for item in end.items}
    assert by_name["违约金" if "违约金" in by_name else "Late fee"].closing == late.amount
    assert end.total("waived") == 0, "taken back with the bill"
    assert end.total("closing") == ledger.trial_balance(scope).balance(RECEIVABLE)


def test_a_single_demand_is_in_the_figures(scope, place, billed):
    lines = [{"name": "换锁", "quantity": "1", "unit_price": "120.00"}]
    about = (place.room_ids[0], place.person_ids[0])
    services.demand_single(scope, *about, "换锁", lines, "repair-1")
    end = figures(scope)
    assert end.total("closing") == ledger.trial_balance(scope).balance(RECEIVABLE)
    assert end.total("billed") == billed.amount + D("120.00")


def test_a_month_is_not_closed_while_items_and_books_differ(scope, billed):
    month = (scope.today.replace(day=1) - timedelta(days=1)).replace(day=1)
    stray = Posting(RECEIVABLE, INCOME, D("5.00"), "无账单的应收")
    ledger.post(scope, "test", billed.id, "无账单的应收", [stray], on=month)
    scope.session.execute(text("update fees.bill set amount = amount"))
    with pytest.raises(Conflict, match="find out why"):
        frozen_with_items(scope, month)


def frozen_with_items(scope, month):
    """Close a month in which a late fee was demanded, so that there is an item to compare."""
    item = scope.session.scalars(select(FeeItem).where(FeeItem.code == "property")).one()
    item.late_fee_rate = D("0.0005")
    scope.session.flush()
    bill = scope.session.scalars(select(Bill).order_by(Bill.id).limit(1)).one()
    late = Bill(
        kind=BillKind.LATE_FEE,
        title="违约金",
        room_id=bill.room_id,
        payer_id=bill.payer_id,
        from_on=month,
        to_on=scope.today,
        due_on=scope.today,
        amount=D("1.00"),
        state=BillState.OPEN,
        trace=[],
    )
    scope.session.add(late)
    scope.session.flush()
    posting = Posting(RECEIVABLE, INCOME, D("1.00"), "违约金")
    ledger.post(scope, "fees.late_fee", late.id, "违约金", [posting], on=month)
    return ledger.close_month(scope, month)


def test_the_demonstration_has_months_that_close(scope, place):
    ledger_demo.load(scope, Random(7))
    demo.load(scope, Random(7))
    month = scope.today.replace(day=1)
    for _ in range(3):
        end = figures(scope, month)
        assert all(item.opening >= 0 and item.closing >= 0 for item in end.items)
        last = (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        trial = ledger.trial_balance(scope, last)
        assert trial.balance(RECEIVABLE) == end.total("closing")
        assert trial.balance(PREPAID) >= 0
        month = (month - timedelta(days=1)).replace(day=1)
    assert end.total("billed") > 0
