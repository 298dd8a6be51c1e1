"""Paying early, paying months ahead, rooms left empty: dated rules, exact to the fen."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from dougong.errors import Conflict, Invalid, OwnRequest
from dougong.tenancy.models import Person, Room
from dougong_fees import services
from dougong_fees.domain.periods import add_months
from dougong_fees.domain.prepaid import early_discount, recognised_by
from dougong_fees.domain.states import BillState, WaiverState
from dougong_fees.errors import RunClosed
from dougong_fees.models import (
    Bill,
    BillKind,
    BillLine,
    BillRun,
    Charge,
    ChargeMethod,
    Discount,
    FeeRule,
    Prepayment,
    PrepaymentMonth,
    PrepaymentState,
    RuleKind,
    Vacancy,
    Waiver,
)
from dougong_fees.services import run_sql
from dougong_fees.services.deferred import DEFERRED
from dougong_fees.services.runs import publish_on
from dougong_ledger import services as ledger
from dougong_ledger.domain import CASH, PREPAID, RECEIVABLE, WAIVED, PaymentChannel

from .conftest import add_item

D = Decimal
LONG_AGO = date(2020, 1, 1)
yuan = st.decimals(D("0.01"), D(100_000), places=2)
days = st.dates(date(2020, 1, 1), date(2030, 12, 31))


# --- the arithmetic -------------------------------------------------------------------------------


@given(st.lists(st.tuples(yuan, st.decimals(0, 1, places=4)), max_size=6))
def test_what_paying_early_leaves_off_is_between_nothing_and_the_bill(parts):
    less = early_discount(parts)
    assert 0 <= less <= sum((amount for amount, _ in parts), D(0))
    exact = sum((amount * share for amount, share in parts), D(0))
    assert abs(less - exact) <= D("0.005") * len(parts)


@given(yuan, days, st.integers(1, 36), st.lists(days, max_size=8))
def test_income_of_months_paid_ahead_only_grows_and_ends_at_the_whole(amount, start, count, cuts):
    end = add_months(start, count)
    steps = [recognised_by(amount, start, end, day) for day in sorted([start, *cuts, end])]
    assert steps == sorted(steps) and steps[0] >= 0
    assert recognised_by(amount, start, end, end) == amount


def test_a_year_at_3300_is_275_a_month_and_an_odd_fen_is_not_lost():
    start = date(2026, 1, 1)
    by = [
        recognised_by(D("3300.00"), start, add_months(start, 12), add_months(start, n))
        for n in range(13)
    ]
    assert by == [275 * n for n in range(13)]
    odd = [
        recognised_by(D("100.00"), start, add_months(start, 12), add_months(start, n))
        for n in range(13)
    ]
    assert {b - a for a, b in zip(odd, odd[1:], strict=False)} == {D("8.33"), D("8.34")}


def test_a_share_above_all_of_it_is_refused():
    with pytest.raises(ValueError, match="share"):
        early_discount([(D(1), D("1.1"))])


# --- paying early ---------------------------------------------------------------------------------


def rule(scope, item, kind, from_on=LONG_AGO, **values):
    made = FeeRule(fee_item_id=item.id, kind=kind, from_on=from_on, basis="合同第九条", **values)
    scope.session.add(made)
    scope.session.flush()
    return made


@pytest.fixture
def fixed(scope, place):
    return add_item(scope, place, "fixed", "300.00", name="物业服务费", method=ChargeMethod.FIXED)


def billed(scope, room_id, due_in=10):
    """Bill the last month, due so many days from today; return the bill of a room."""
    end = scope.today.replace(day=1)
    start = add_months(end, -1)
    run = services.create_run(scope, "上月", start, end, scope.today + timedelta(days=due_in))
    services.publish_run(scope, run)
    scope.session.expire_all()
    query = select(Bill).where(Bill.room_id == room_id, Bill.run_id == run.id)
    return scope.session.scalars(query).one()


def test_who_pays_days_before_the_due_day_pays_less_and_a_refund_ends_it(scope, place, fixed):
    rule(scope, fixed, RuleKind.PROMPT, share=D("0.05"), days_before=5)
    bill = billed(scope, place.room_ids[0])
    note = "\n".join(services.explain_bill(scope, bill)[0].notes)
    assert "300.00 × 5% = 15.00" in note and "合同第九条" in note
    (due,) = services.room_dues(scope, [place.room_ids[0]])
    assert due.amount == D("285.00")
    payment = services.pay_bills(scope, bill, PaymentChannel.CASH, "early-0001")
    assert (payment.amount, bill.state, bill.waived) == (D("285.00"), BillState.PAID, D("15.00"))
    trial = ledger.trial_balance(scope)
    owed = sum(b.amount for b in scope.session.scalars(select(Bill))) - 300
    assert (trial.balance(CASH), trial.balance(RECEIVABLE)) == (D("285.00"), owed)
    ledger.refund_payment(scope, payment, D("285.00"), "退款", "early-0002")
    scope.session.refresh(bill)
    assert (bill.state, bill.paid, bill.waived) == (BillState.OPEN, 0, 0)
    assert scope.session.scalars(select(Waiver.state)).one() is WaiverState.LAPSED
    end = ledger.month_end(scope, scope.today.replace(day=1))
    assert (end.total("waived"), end.total("closing")) == (0, owed + 300)
    assert ledger.trial_balance(scope).balance(WAIVED) == 0


@pytest.mark.parametrize(
    ("due_in", "from_on"), [(4, LONG_AGO), (10, date(2200, 1, 1))], ids=["too late", "not in force"]
)
def test_who_pays_later_or_without_a_rule_pays_all(scope, place, fixed, due_in, from_on):
    rule(scope, fixed, RuleKind.PROMPT, from_on, share=D("0.05"), days_before=5)
    bill = billed(scope, place.room_ids[0], due_in)
    payment = services.pay_bills(scope, bill, PaymentChannel.CASH, "late-00001")
    assert (payment.amount, bill.waived) == (D("300.00"), 0)


def test_a_part_paid_early_is_no_early_payment(scope, place, fixed):
    rule(scope, fixed, RuleKind.PROMPT, share=D("0.05"), days_before=5)
    bill = billed(scope, place.room_ids[0])
    person = scope.get(Person, bill.payer_id)
    ledger.top_up(scope, person, D("200.00"), "part-00001")
    services.pay_from_wallet(scope, bill, "part-00002")
    assert (bill.paid, bill.waived, bill.state) == (D("200.00"), 0, BillState.PARTLY_PAID)
    payment = services.pay_bills(scope, bill, PaymentChannel.CASH, "part-00003")
    assert payment.amount == D("100.00")


# --- months ahead ---------------------------------------------------------------------------------


def ahead(scope, place, fixed, *, from_on=None, paid=True, **values):
    """Prepay eleven months for twelve of the first room; they began six months ago."""
    terms = rule(scope, fixed, RuleKind.PREPAID, pay_months=11, get_months=12, **values)
    start = from_on or add_months(scope.today.replace(day=1), -6)
    prepayment = services.offer_prepayment(scope, scope.get(Room, place.room_ids[0]), terms, start)
    if paid:
        bill = scope.get(Bill, prepayment.bill_id)
        services.pay_bills(scope, bill, PaymentChannel.CASH, "ahead-0001")
    return prepayment


def balances(scope, *codes):
    trial = ledger.trial_balance(scope)
    assert trial.is_balanced
    return tuple(trial.balance(code) for code in codes)


def test_eleven_months_are_paid_for_twelve_and_become_income_month_by_month(scope, place, fixed):
    prepayment = ahead(scope, place, fixed)
    assert prepayment.amount == D("3300.00")
    bill = scope.get(Bill, prepayment.bill_id)
    assert bill.kind is BillKind.PREPAID
    (line,) = services.explain_bill(scope, bill)
    assert "11" in line.formula and any("12" in note and "合同" in note for note in line.notes)
    assert balances(scope, DEFERRED, "6001.fixed", CASH) == (D(3300), 0, D(3300))
    first = prepayment.from_on
    assert services.recognise_prepayments(scope, first) == D("275.00")
    assert services.recognise_prepayments(scope, first) == 0
    # The last month makes up for those between; the hook does the same when a month is closed.
    ledger.close_month(scope, add_months(first, 2))
    assert services.recognise_prepayments(scope) == D("825.00")
    assert balances(scope, DEFERRED, "6001.fixed") == (D(1650), D(1650))
    rows = scope.session.execute(
        select(PrepaymentMonth.month_on, PrepaymentMonth.amount).order_by(PrepaymentMonth.month_on)
    ).all()
    assert [amount for _, amount in rows] == [D(275), D(550), D(825)]


def test_a_run_leaves_out_what_is_paid_ahead(scope, place, fixed):
    ahead(scope, place, fixed)
    end = scope.today.replace(day=1)
    run = services.create_run(scope, "上月", add_months(end, -1), end, end)
    rooms = scope.session.scalars(select(Bill.room_id).where(Bill.run_id == run.id)).all()
    assert sorted(rooms) == sorted(place.room_ids[1:]) and run.problems == []


@pytest.mark.parametrize(
    ("full_price", "used", "back"),
    [(False, D("1375.00"), D("1925.00")), (True, D("1500.00"), D("1800.00"))],
    ids=["in proportion", "at the ordinary price"],
)
def test_ending_after_five_months_bills_them_and_gives_back_the_rest(
    scope, place, fixed, full_price, used, back
):
    prepayment = ahead(scope, place, fixed, is_full_price_on_return=full_price)
    services.recognise_prepayments(scope, prepayment.from_on)
    on = add_months(prepayment.from_on, 5)
    end = scope.today.replace(day=1)
    run = services.create_run(scope, "上月", add_months(end, -1), end, end)
    services.publish_run(scope, run)
    others = run.amount
    services.end_prepayment(scope, prepayment, on, "搬走")
    scope.session.expire_all()
    assert prepayment.state is PrepaymentState.ENDED
    assert ledger.balance_of(scope, prepayment.payer_id) == back
    # The month after, which the run had left out, is owed at the ordinary price.
    assert balances(scope, DEFERRED, PREPAID, CASH) == (0, back, D(3300))
    assert balances(scope, "6001.fixed", RECEIVABLE) == (used + others + 300, others + 300)
    lines = scope.session.scalars(
        select(BillLine)
        .join(Bill, Bill.id == BillLine.bill_id)
        .where(Bill.room_id == place.room_ids[0], BillLine.is_withdrawn.is_(False))
        .order_by(BillLine.from_on)
    ).all()
    assert [(line.from_on, line.to_on, line.amount) for line in lines] == [
        (prepayment.from_on, on, used),
        (on, end, D("300.00")),
    ]
    with pytest.raises(Conflict):
        services.end_prepayment(scope, prepayment, on, "twice")
    month = ledger.month_end(scope, scope.today.replace(day=1))
    assert month.total("closing") == others + 300


def test_an_offer_that_nobody_pays_is_withdrawn_and_a_run_of_it_is_not_rolled_back(
    scope, place, fixed
):
    prepayment = ahead(scope, place, fixed, paid=False)
    bill = scope.get(Bill, prepayment.bill_id)
    assert services.recognise_prepayments(scope) == 0
    with pytest.raises(RunClosed):
        services.roll_back_run(scope, scope.get(BillRun, bill.run_id), "错")
    bill.due_on = scope.today - timedelta(days=1)
    scope.session.flush()
    assert services.lapse_prepayments(scope) == 1
    assert (bill.state, prepayment.state) == (BillState.WITHDRAWN, PrepaymentState.ENDED)
    assert balances(scope, DEFERRED, RECEIVABLE) == (0, 0)


def test_what_is_billed_already_is_not_paid_ahead(scope, place, fixed):
    billed(scope, place.room_ids[0])
    with pytest.raises(Conflict):
        ahead(scope, place, fixed)


def test_what_depends_on_a_meter_is_not_paid_ahead(scope, place):
    water = add_item(scope, place, "water", method=ChargeMethod.USAGE, commodity="water")
    with pytest.raises(Invalid):
        ahead(scope, place, water, paid=False)


def test_a_seller_gets_back_what_he_paid_ahead_beyond_the_hand_over(scope, place, fixed):
    prepayment = ahead(scope, place, fixed)
    buyer = Person(name="新业主")
    scope.session.add(buyer)
    scope.session.flush()
    room, seller = scope.get(Room, place.room_ids[0]), prepayment.payer_id
    end = scope.today.replace(day=1)
    run = services.create_run(scope, "上月", add_months(end, -1), end, end)
    services.publish_run(scope, run)
    on = add_months(prepayment.from_on, 5)
    made = services.hand_over(scope, room, buyer, on, {})
    assert ledger.balance_of(scope, seller) == D("1925.00") == D(made.statement["prepaid"])
    owed = scope.session.scalars(
        select(Bill).where(Bill.room_id == room.id, Bill.state == BillState.OPEN)
    ).all()
    assert [(bill.payer_id, bill.amount) for bill in owed] == [(buyer.id, D("300.00"))]
    assert balances(scope, DEFERRED, PREPAID) == (0, D("1925.00"))


def test_undoing_a_hand_over_brings_back_what_was_paid_ahead(scope, place, fixed):
    prepayment = ahead(scope, place, fixed)
    assert services.recognise_prepayments(scope) == D("1650.00")
    buyer = Person(name="新业主")
    scope.session.add(buyer)
    scope.session.flush()
    room, seller = scope.get(Room, place.room_ids[0]), prepayment.payer_id
    end = scope.today.replace(day=1)
    services.publish_run(scope, services.create_run(scope, "上月", add_months(end, -1), end, end))
    before = balances(scope, DEFERRED, PREPAID, RECEIVABLE, "6001.fixed")
    made = services.hand_over(scope, room, buyer, add_months(prepayment.from_on, 5), {})
    services.undo_hand_over(scope, made, "签错了")
    query = select(Prepayment).where(Prepayment.state == PrepaymentState.RUNNING)
    again = scope.session.scalars(query).one()
    kept = ("room_id", "rule_id", "payer_id", "from_on", "to_on", "amount")
    assert [getattr(again, name) for name in kept] == [getattr(prepayment, name) for name in kept]
    open_bills = select(Bill).where(Bill.room_id == room.id, Bill.state == BillState.OPEN)
    assert scope.session.scalars(open_bills).all() == []
    assert services.recognise_prepayments(scope) == D("1650.00")
    assert balances(scope, DEFERRED, PREPAID, RECEIVABLE, "6001.fixed") == before
    assert ledger.balance_of(scope, seller) == 0
    line = select(BillLine).where(BillLine.bill_id == again.bill_id)
    assert scope.session.scalars(line).one().evidence["offer"]["get"] == 12
    services.create_run(scope, "本月", end, add_months(end, 1), scope.today)
    drafts = select(Bill).where(Bill.room_id == room.id, Bill.state == BillState.DRAFT)
    assert scope.session.scalars(drafts).all() == []


# --- bills of several months ----------------------------------------------------------------------


def quarter(scope, place, fixed):
    """Three months, published on the first of them; 300 a month for each of the rooms."""
    start = add_months(scope.today.replace(day=1), -3)
    run = services.create_run(scope, "一季", start, add_months(start, 3), scope.today)
    publish_on(scope, run, start)
    scope.session.expire_all()
    return run, start, 300 * len(place.room_ids)


def test_a_quarter_is_income_month_by_month_whoever_pays_when(scope, place, fixed):
    run, start, monthly = quarter(scope, place, fixed)
    codes = ("6001.fixed", DEFERRED)
    # 900 are demanded of each room; the first month's 300 are income, no more.
    assert balances(scope, RECEIVABLE, *codes) == (3 * monthly, monthly, 2 * monthly)
    assert run.earned_to_on == add_months(start, 1)
    assert services.recognise_prepayments(scope, start) == 0
    assert services.recognise_prepayments(scope, add_months(start, 1)) == monthly
    bill, other = (
        scope.session.scalars(select(Bill).where(Bill.room_id == room)).one()
        for room in place.room_ids[:2]
    )
    services.pay_bills(scope, bill, PaymentChannel.CASH, "quarter-01")
    services.withdraw_bill(scope, other, "重复")
    left = monthly - 300
    assert balances(scope, *codes) == (2 * left, left)
    assert services.recognise_prepayments(scope) == left
    assert services.recognise_prepayments(scope) == 0
    assert (balances(scope, *codes), run.earned_to_on) == ((3 * left, 0), None)
    services.roll_back_run(scope, run, "算错")
    assert balances(scope, *codes) == (900, 0)
    services.reverse_bill(scope, bill, "算错")
    assert balances(scope, RECEIVABLE, *codes) == (0, 0, 0)


def test_a_quarter_that_is_rolled_back_leaves_no_liability(scope, place, fixed):
    run, start, _ = quarter(scope, place, fixed)
    services.roll_back_run(scope, run, "算错")
    assert balances(scope, RECEIVABLE, "6001.fixed", DEFERRED) == (0, 0, 0)
    assert services.recognise_prepayments(scope, add_months(start, 1)) == 0


def test_one_month_and_months_gone_by_are_income_at_once(scope, place, fixed):
    month = scope.today.replace(day=1)
    for start, end in (
        (add_months(month, 2), add_months(month, 3)),
        (add_months(month, -4), month),
    ):
        run = services.create_run(scope, f"{start}", start, end, scope.today)
        services.publish_run(scope, run)
        assert run.earned_to_on is None
    assert balances(scope, "6001.fixed", DEFERRED) == (5 * 300 * len(place.room_ids), 0)


def test_the_books_and_the_arithmetic_share_a_line_alike(scope):
    """300 for a quarter is 100 a month; odd days and fen as `recognised_by` says."""
    cases = (
        (D("300.00"), date(2026, 1, 1), date(2026, 4, 1), date(2026, 2, 1), D("100.00")),
        (D("100.00"), date(2026, 1, 1), date(2026, 4, 1), date(2026, 3, 1), D("66.67")),
        (D("310.00"), date(2026, 1, 16), date(2026, 4, 16), date(2026, 2, 1), None),
        (D("0.05"), date(2026, 2, 10), date(2026, 5, 20), date(2026, 4, 1), None),
    )
    share = text(
        f"select {run_sql.EARNED} from (select cast(:fen as bigint) as amount,"
        " cast(:from_on as date) as from_on, cast(:to_on as date) as to_on) l"
    )
    for amount, from_on, to_on, on, wanted in cases:
        keys = {"fen": int(amount * 100), "from_on": from_on, "to_on": to_on, "earned_to": on}
        found = D(scope.session.scalar(share, keys)) / 100
        assert found == recognised_by(amount, from_on, to_on, on), (amount, from_on, on)
        assert wanted is None or found == wanted


# --- vacant rooms ---------------------------------------------------------------------------------


def declare(installation, scope, place, from_on, to_on=None):
    room = scope.get(Room, place.room_ids[0])
    vacancy = services.declare_vacancy(scope, room.id, from_on, "水电表六个月未走字", to_on)
    scope.session.commit()
    with installation.scope(place.actor("*"), community=place.community_id) as own:
        services.approve_vacancy(own, own.get(Vacancy, vacancy.id))
    scope.session.expire_all()
    return vacancy


def month(scope, place, first):
    run = services.create_run(scope, f"{first:%Y-%m}", first, add_months(first, 1), first)
    query = select(BillLine).join(Bill, Bill.id == BillLine.bill_id)
    of_room = (Bill.room_id == place.room_ids[0], Bill.run_id == run.id)
    return scope.session.scalars(query.where(*of_room).order_by(BillLine.from_on)).all()


def test_a_vacant_room_pays_less_after_six_months_and_says_why(installation, scope, place, fixed):
    rule(scope, fixed, RuleKind.VACANCY, share=D("0.3"), wait_months=6, most_months=12)
    declare(installation, scope, place, date(2025, 1, 1))
    amounts = {
        first: [line.amount for line in month(scope, place, first)]
        for first in (date(2025, 6, 1), date(2025, 7, 1), date(2026, 6, 1), date(2026, 7, 1))
    }
    assert list(amounts.values()) == [[D(300)], [D(210)], [D(210)], [D(300)]]
    july = scope.session.scalars(select(BillLine).where(BillLine.amount == D(210))).first()
    notes = services.explain_bill(scope, july.bill)[0].notes
    assert any("30" in note and "合同第九条" in note and "未走字" in note for note in notes)


def test_who_moves_in_pays_in_full_from_that_day(installation, scope, place, fixed):
    rule(scope, fixed, RuleKind.VACANCY, share=D("0.3"), wait_months=0)
    vacancy = declare(installation, scope, place, date(2025, 1, 1))
    services.end_vacancy(scope, vacancy, date(2025, 3, 16))
    march = [(line.to_on.day, line.amount) for line in month(scope, place, date(2025, 3, 1))]
    assert march == [(16, D("101.61")), (1, D("154.84"))]
    assert [line.amount for line in month(scope, place, date(2025, 4, 1))] == [D(300)]
    factors = scope.session.scalars(
        select(Charge.factor).where(Charge.room_id == place.room_ids[0]).order_by(Charge.from_on)
    )
    assert [D(each) for each in factors] == [1, D("0.7"), 1]


def test_a_vacancy_needs_proof_a_rule_and_another_person(installation, scope, place, fixed):
    room = scope.get(Room, place.room_ids[0])
    with pytest.raises(Invalid):
        services.declare_vacancy(scope, room.id, date(2025, 1, 1), " ")
    with pytest.raises(Conflict):
        declare(installation, scope, place, date(2025, 1, 1))
    with installation.scope(place.actor("*"), community=place.community_id) as own:
        mine = services.declare_vacancy(own, place.room_ids[0], date(2025, 1, 1), "照片")
        with pytest.raises(OwnRequest):
            services.approve_vacancy(own, mine)
        own.session.rollback()
    assert scope.session.scalars(select(Discount)).all() == []
