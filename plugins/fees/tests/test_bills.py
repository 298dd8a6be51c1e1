"""Payments settle bills once; refunds, waivers and late fees keep the books right."""

import io
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from importlib.resources import files

import pytest
from pypdf import PdfReader
from sqlalchemy import func, select

from dougong.db.scope import Actor, Grant
from dougong.errors import Conflict, Invalid, NotAllowed, NotFound, OwnRequest
from dougong.i18n import translations
from dougong.tenancy.models import Family, Ownership, Person
from dougong_fees import services
from dougong_fees.domain.numbers import bill_number
from dougong_fees.domain.states import BillState, WaiverState
from dougong_fees.errors import BillNotOwed, BillTouched
from dougong_fees.models import Bill, BillPayment, Charge, FeePrice
from dougong_fees.services.bills import open_bills_order
from dougong_ledger import services as ledger
from dougong_ledger.domain import CASH, LATE_FEE_INCOME, PREPAID, RECEIVABLE, WAIVED, PaymentChannel
from dougong_ledger.models import Payment

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
D = Decimal


@pytest.fixture
def published(scope, place, item):
    """The published bills of October, by room, due on 20 October."""
    run = services.create_run(scope, "2026年10月", OCTOBER, NOVEMBER, date(2026, 10, 20))
    services.publish_run(scope, run)
    scope.session.expire_all()
    return {b.room_id: b for b in scope.session.scalars(select(Bill))}


@pytest.fixture
def bill(published, place):
    return published[place.room_ids[0]]


def pay(scope, bill, key="desk-0001", channel=PaymentChannel.CASH):
    return services.pay_bills(scope, bill, channel, key)


def test_cash_settles_a_bill_and_the_books_balance(scope, bill):
    before = ledger.trial_balance(scope).balance(RECEIVABLE)
    payment = pay(scope, bill)
    trial = ledger.trial_balance(scope)
    assert (bill.state, bill.paid) == (BillState.PAID, bill.amount)
    assert payment.amount == bill.amount == trial.balance(CASH)
    assert trial.balance(RECEIVABLE) == before - bill.amount
    assert trial.is_balanced


def test_a_bill_is_paid_once(scope, bill):
    first = pay(scope, bill)
    assert pay(scope, bill).id == first.id
    with pytest.raises(BillNotOwed):
        pay(scope, bill, "desk-0002")


def test_an_order_for_a_bill_that_was_paid_meanwhile_takes_no_money(installation, scope, bill):
    order = open_bills_order(scope, [bill], bill.payer_id, "first-come")
    pay(scope, bill)
    scope.session.commit()
    with (
        pytest.raises(BillNotOwed),
        installation.scope(Actor.system(), community=scope.community_id) as late,
    ):
        ledger.record_cash(late, late.get(type(order), order.id))
    with installation.scope(Actor.system(), community=scope.community_id) as after:
        assert after.session.scalar(select(func.count()).select_from(Payment)) == 1


def test_two_desks_at_once_take_the_money_once(installation, scope, bill):
    scope.session.commit()

    def desk(number):
        try:
            with installation.scope(Actor.system(), community=scope.community_id) as own:
                return pay(own, own.get(Bill, bill.id), f"desk-number-{number % 2}").id
        except BillNotOwed:
            return None

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(desk, range(10)))
    assert len({a for a in answers if a}) == 1
    with installation.scope(Actor.system(), community=scope.community_id) as own:
        assert own.get(Bill, bill.id).paid == bill.amount
        assert own.session.scalar(select(func.count()).select_from(BillPayment)) == 1
        assert ledger.trial_balance(own).balance(CASH) == bill.amount


def test_a_refund_lets_the_bill_be_owed_again(scope, bill):
    payment = pay(scope, bill)
    ledger.refund_payment(scope, payment, D("100.00"), "多收", "refund-0001")
    assert (bill.state, bill.paid) == (BillState.PARTLY_PAID, bill.amount - 100)
    ledger.refund_payment(scope, payment, payment.amount - 100, "退", "refund-0002")
    trial = ledger.trial_balance(scope)
    assert (bill.state, bill.paid, trial.balance(CASH)) == (BillState.OPEN, 0, 0)
    assert trial.is_balanced


def test_a_small_waiver_counts_at_once_and_a_large_one_needs_another_person(
    installation, scope, place, bill
):
    services.request_waiver(scope, bill, D("50.00"), "漏水补偿")
    assert (bill.waived, bill.state) == (D(50), BillState.PARTLY_PAID)
    assert ledger.trial_balance(scope).balance(WAIVED) == -50
    scope.session.commit()
    clerk, boss = place.actor("*"), place.actor("*")
    with installation.scope(clerk, community=place.community_id) as own:
        waiver = services.request_waiver(own, own.get(Bill, bill.id), D("150.00"), "漏水")
        assert waiver.state is WaiverState.REQUESTED
        with pytest.raises(OwnRequest):
            services.approve_waiver(own, waiver)
    with installation.scope(boss, community=place.community_id) as own:
        services.approve_waiver(own, own.get(type(waiver), waiver.id))
        assert own.get(Bill, bill.id).waived == D(200)
        with pytest.raises(Conflict):
            services.refuse_waiver(own, own.get(type(waiver), waiver.id))


def test_no_more_is_waived_than_is_owed(scope, bill):
    with pytest.raises(BillNotOwed):
        services.request_waiver(scope, bill, bill.amount + 1, "太多")


def test_a_late_fee_is_reckoned_daily_and_posted_when_demanded(scope, item, bill):
    item.late_fee_rate = D("0.0005")
    scope.session.flush()
    on = bill.due_on + timedelta(days=30)
    expected = (bill.amount * D("0.0005") * 30).quantize(D("0.01"))
    assert services.late_fee_due(scope, bill, on) == expected
    assert ledger.trial_balance(scope).balance(LATE_FEE_INCOME) == 0
    demand = services.demand_late_fee(scope, bill, on)
    assert (demand.amount, demand.parent_id) == (expected, bill.id)
    assert ledger.trial_balance(scope).balance(LATE_FEE_INCOME) == expected
    assert services.late_fee_due(scope, bill, on) == 0
    assert services.late_items(scope, demand, on + timedelta(days=400)) == []
    with pytest.raises(Conflict):
        services.demand_late_fee(scope, bill, on)
    assert "30" in services.explain_bill(scope, demand)[0].notes[0]


def test_without_a_clause_no_late_fee_grows(scope, bill):
    assert services.late_fee_due(scope, bill, bill.due_on + timedelta(days=900)) == 0


def test_a_paid_bill_is_not_withdrawn_and_a_run_keeps_it(scope, published, bill):
    run, payment = bill.run, pay(scope, bill)
    with pytest.raises(BillTouched):
        services.withdraw_bill(scope, bill, "错")
    services.roll_back_run(scope, run, "重算")
    assert [p["room"] for p in run.problems] == [bill.room.code]
    ledger.refund_payment(scope, payment, payment.amount, "退", "refund-0001")
    services.withdraw_bill(scope, bill, "错")
    trial = ledger.trial_balance(scope)
    assert (trial.is_balanced, trial.balance(RECEIVABLE), bill.state) == (
        True,
        0,
        BillState.WITHDRAWN,
    )


def test_every_line_explains_itself(scope, bill):
    (line,) = services.explain_bill(scope, bill)
    assert line.formula == f"89.5 ㎡ × 2.8 = {bill.amount}"
    assert line.period == "2026-10-01 – 2026-10-31"


# --- the portal -----------------------------------------------------------------------------------


def owner(place, person_id):
    grant = Grant(
        frozenset({"fees.portal"}),
        group_id=place.group_id,
        communities=frozenset({place.community_id}),
    )
    return Actor(person_id, "业主", grants=(grant,), persons={place.community_id: person_id})


def test_an_owner_pays_from_the_wallet_in_two_steps(installation, scope, place, bill):
    person = scope.get(Person, bill.payer_id)
    ledger.top_up(scope, person, D(1000), "top-up-0001")
    scope.session.commit()
    actor = owner(place, bill.payer_id)
    with installation.scope(actor, community=place.community_id) as own:
        order = services.order_mine(own, [bill.id], "owner-0001")
    with installation.scope(actor, community=place.community_id) as own:
        first = services.pay_mine(own, order.id)
        assert services.pay_mine(own, order.id).id == first.id
    with installation.scope(Actor.system(), community=place.community_id) as own:
        assert own.get(Bill, bill.id).state is BillState.PAID
        assert ledger.balance_of(own, bill.payer_id) == 1000 - bill.amount
        trial = ledger.trial_balance(own)
        assert trial.is_balanced and trial.balance(PREPAID) == 1000 - bill.amount


def test_an_owner_neither_sees_nor_pays_the_bill_of_another(installation, scope, place, bill):
    scope.session.commit()
    stranger = owner(place, place.person_ids[1])
    with installation.scope(stranger, community=place.community_id) as own:
        assert bill.id not in {
            b.id for b in own.session.scalars(services.my_bills(own, place.person_ids[1]))
        }
        with pytest.raises(NotFound):
            services.order_mine(own, [bill.id], "stranger-1")
        with pytest.raises(NotAllowed):
            own.call("fees.waiver.request", bill=bill.id, amount="1.00", reason="x")


def test_a_new_owner_does_not_see_the_former_owners_bill(scope, place, bill):
    former = scope.session.scalars(select(Ownership).where(Ownership.room_id == bill.room_id)).one()
    former.to_on = NOVEMBER
    buyer = place.person_ids[1]
    scope.session.add(Ownership(room_id=bill.room_id, person_id=buyer, from_on=NOVEMBER))
    scope.session.flush()
    assert bill not in scope.session.scalars(services.my_bills(scope, buyer)).all()
    assert bill in scope.session.scalars(services.my_bills(scope, bill.payer_id)).all()


def test_a_co_owner_and_a_child_see_the_bill(scope, place, bill):
    partner, child = Person(name="共有人"), Person(name="子女")
    scope.session.add_all([partner, child])
    scope.session.flush()
    scope.session.add_all(
        [
            Ownership(
                room_id=bill.room_id, person_id=partner.id, share=D("0.5"), from_on=date(2020, 1, 1)
            ),
            Family(
                person_id=bill.payer_id,
                relative_id=child.id,
                relation="子女",
                from_on=date(2020, 1, 1),
            ),
        ]
    )
    scope.session.flush()
    for person in (partner, child):
        assert bill in scope.session.scalars(services.my_bills(scope, person.id)).all()


def test_prepaid_money_pays_the_oldest_first_and_the_last_in_part(scope, place, item):
    for charge in scope.session.scalars(select(Charge)):
        charge.payer_id = place.person_ids[0]
    scope.session.flush()
    for month in (8, 9, 10):
        period = date(2026, month, 1), date(2026, month + 1, 1), date(2026, month, 20)
        services.publish_run(scope, services.create_run(scope, f"{month}月", *period))
    person = scope.get(Person, place.person_ids[0])
    ledger.top_up(scope, person, Decimal("1500.00"), "prepaid-0001")
    any_bill = scope.session.scalars(select(Bill).order_by(Bill.due_on.desc()).limit(1)).one()
    for _ in range(2):
        services.pay_from_wallet(scope, any_bill, "allocate-0001")
    scope.session.expire_all()
    bills = scope.session.scalars(select(Bill).order_by(Bill.due_on, Bill.id)).all()
    states = [bill.state for bill in bills]
    order = [BillState.PAID, BillState.PARTLY_PAID, BillState.OPEN]
    assert states == sorted(states, key=order.index)
    assert states.count(BillState.PARTLY_PAID) == 1
    assert sum(bill.paid for bill in bills) == 1500
    assert ledger.balance_of(scope, person.id) == 0
    with pytest.raises(Conflict):
        services.pay_from_wallet(scope, any_bill, "allocate-0002")


def test_a_rent_steps_up_by_dated_prices(scope, place, item):
    assert services.step_up_price(scope, item, D(5), 12, 3) == 3
    prices = scope.session.scalars(select(FeePrice).order_by(FeePrice.from_on)).all()
    assert [(p.from_on.year, p.unit_price) for p in prices] == [
        (2020, D("2.80")),
        (2021, D("2.94")),
        (2022, D("3.09")),
        (2023, D("3.24")),
    ]
    assert [p.to_on for p in prices[:-1]] == [p.from_on for p in prices[1:]]
    with pytest.raises(Invalid):
        services.step_up_price(scope, item, D(0), 12, 3)


@pytest.mark.parametrize("page", ["documents/bill", "fees/explain", "fees/group_runs"])
def test_a_due_day_is_said_in_a_word_of_fees_own(page):
    source = files("dougong_fees").joinpath(f"templates/{page}.html").read_text(encoding="utf-8")
    words = set(re.findall(r'_\("((?:Bill d|D)ue on)"\)', source))
    assert [translations("zh_Hans_CN").gettext(each) for each in words] == ["缴费截止日"]


def test_a_bill_prints_with_every_line_explained(scope, bill):
    content = services.print_bill(scope, bill).content
    text = re.sub(
        r"\s", "", "".join(p.extract_text() for p in PdfReader(io.BytesIO(content)).pages)
    )
    assert bill_number(bill.id) in text and "89.5㎡×2.8" in text
    for typed in (bill_number(bill.id), f"http://a/{scope.url_part}/fees/my/{bill.id}"):
        hits = [hit for answer in scope.ask("find_rooms", words=typed, limit=8) for hit in answer]
        assert [hit.room_id for hit in hits] == [bill.room_id]
