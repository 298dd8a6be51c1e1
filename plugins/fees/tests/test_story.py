"""Whatever people do with bills, in whatever order, the books stay right."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import count, pairwise

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import func, select

from dougong.db.scope import Actor
from dougong.errors import Conflict
from dougong.tenancy.models import Person, Room
from dougong.testing.factories import make_place
from dougong_fees import services
from dougong_fees.domain.states import OWED, BillState, RunState
from dougong_fees.models import (
    Bill,
    BillKind,
    BillLine,
    BillPayment,
    BillRun,
    DiscountKind,
    FeeRule,
    Prepayment,
    PrepaymentState,
    RuleKind,
)
from dougong_fees.services.bills import overdue, owing
from dougong_fees.services.deferred import DEFERRED
from dougong_fees.services.earning import income_of_bill as income
from dougong_ledger import services as ledger
from dougong_ledger.domain import (
    CASH,
    PREPAID,
    RECEIVABLE,
    WAIVED,
    PaymentChannel,
    PeriodState,
    gaps,
)
from dougong_ledger.models import BookPeriod, Payment, Receipt, Wallet, WalletMovement

from .conftest import add_item

STANDING = (*OWED, BillState.PAID)
MONTHS = [date(2026, month, 1) for month in (7, 8, 9, 10)]
numbers = st.integers(0, 30)
keys = count(1)


def choose(found, number):
    return found[number % len(found)] if found else None


def _discounted(scope, room, item, kind, share, from_on):
    discount = services.request_discount(scope, room, item, kind, share, from_on, "协议")
    services.approve_discount(scope, discount)


class Story(RuleBasedStateMachine):
    """People bill, pay early or late or months ahead, refund, waive, withdraw, roll back and close.

    Most of it is refused at times.
    """

    installation = None

    @initialize()
    def begin(self):
        self.place = make_place(self.installation, rooms=2)
        self.transaction = self.installation.scope(
            Actor.system(), community=self.place.community_id
        )
        self.scope = self.transaction.__enter__()
        item = add_item(self.scope, self.place, late_fee_rate=Decimal("0.0005"))
        self.due_on = self.scope.today + timedelta(days=5)
        terms = {"fee_item_id": item.id, "from_on": MONTHS[0], "basis": "合同"}
        early = {"kind": RuleKind.PROMPT, "share": Decimal("0.03"), "days_before": 2}
        self.ahead = FeeRule(kind=RuleKind.PREPAID, pay_months=11, get_months=12, **terms)
        self.scope.session.add_all([FeeRule(**early, **terms), self.ahead])
        self.scope.session.flush()
        person = self.scope.get(Person, self.place.person_ids[0])
        ledger.top_up(self.scope, person, Decimal(2000), f"story-{next(keys):06}")

    def teardown(self):
        if hasattr(self, "transaction"):
            self.scope.session.rollback()
            self.transaction.__exit__(None, None, None)

    def all(self, model, *conditions):
        query = select(model).where(*conditions).order_by(model.id)
        return self.scope.session.scalars(query.execution_options(populate_existing=True)).all()

    def attempt(self, function, *arguments, **named):
        """Do something that the state of things may not allow; then nothing may have changed."""
        try:
            with self.scope.session.begin_nested():
                function(self.scope, *arguments, **named)
        except Conflict:
            pass
        self.scope.session.expire_all()

    @rule(first=st.sampled_from(range(3)))
    def bill(self, first):
        self.attempt(services.create_run, "出账", MONTHS[first], MONTHS[first + 1], self.due_on)

    @rule(number=numbers)
    def publish(self, number):
        run = choose(self.all(BillRun, BillRun.state == RunState.DRAFT), number)
        if run:
            self.attempt(services.publish_run, run)

    @rule(number=numbers)
    def reckon_again(self, number):
        run = choose(self.all(BillRun), number)
        if run:
            self.attempt(services.prepare_run, run)

    @rule(number=numbers)
    def roll_back(self, number):
        run = choose(self.all(BillRun), number)
        if run:
            self.attempt(services.roll_back_run, run, "重算")

    @rule(number=numbers, channel=st.sampled_from([PaymentChannel.CASH, PaymentChannel.WALLET]))
    def pay(self, number, channel):
        bill = choose(self.all(Bill), number)
        if bill:
            self.attempt(services.pay_bills, bill, channel, f"story-{next(keys):06}")

    @rule(number=numbers, cents=st.integers(1, 30_000))
    def refund(self, number, cents):
        payment = choose(self.all(Payment, Payment.channel != PaymentChannel.DEMO), number)
        if payment:
            amount, key = Decimal(cents) / 100, f"story-{next(keys):06}"
            self.attempt(ledger.refund_payment, payment, amount, "退款", key)

    @rule(number=numbers, cents=st.integers(1, 10_000))
    def waive(self, number, cents):
        bill = choose(self.all(Bill), number)
        if bill:
            self.attempt(services.request_waiver, bill, Decimal(cents) / 100, "减免")

    @rule(number=numbers, days=st.integers(1, 60))
    def demand_late_fee(self, number, days):
        bill = choose(self.all(Bill), number)
        if bill:
            self.attempt(services.demand_late_fee, bill, bill.due_on + timedelta(days=days))

    @rule(number=numbers)
    def withdraw(self, number):
        bill = choose(self.all(Bill), number)
        if bill:
            self.attempt(services.withdraw_bill, bill, "撤回")

    @rule(number=numbers)
    def reverse(self, number):
        bill = choose(self.all(Bill), number)
        if bill:
            self.attempt(services.reverse_bill, bill, "冲销")

    @rule(cents=st.integers(1, 50_000))
    def pay_out(self, cents):
        wallet = choose(self.all(Wallet), 0)
        amount, key = Decimal(cents) / 100, f"story-{next(keys):06}"
        self.attempt(ledger.pay_out, wallet, amount, PaymentChannel.CASH, "退还", key)

    @rule(room=st.integers(0, 1), first=st.sampled_from(range(4)))
    def pay_ahead(self, room, first):
        room = self.scope.get(Room, self.place.room_ids[room])
        self.attempt(services.offer_prepayment, room, self.ahead, MONTHS[first])

    @rule(number=numbers, late=st.booleans())
    def take_for_months_ahead(self, number, late):
        """Pay for months ahead at the desk, or let the offer run out."""
        bill = choose(self.all(Bill, Bill.kind == BillKind.PREPAID, Bill.state.in_(OWED)), number)
        if bill and late:
            bill.due_on = self.scope.today - timedelta(days=1)
            self.attempt(services.lapse_prepayments)
        elif bill:
            self.attempt(services.pay_bills, bill, PaymentChannel.CASH, f"story-{next(keys):06}")

    @rule(number=numbers)
    def recognise(self, number):
        self.attempt(services.recognise_prepayments, MONTHS[number % len(MONTHS)])

    @rule(number=numbers, days=st.integers(0, 200))
    def end_early(self, number, days):
        prepayment = choose(self.all(Prepayment), number)
        if prepayment:
            on = prepayment.from_on + timedelta(days=days)
            self.attempt(services.end_prepayment, prepayment, on, "搬走")

    @rule(number=numbers, share=st.sampled_from(["0.1", "0.333333", "1"]))
    def discount(self, number, share):
        room = self.scope.get(Room, self.place.room_ids[number % 2])
        about = (self.ahead.fee_item, DiscountKind.AGREED, Decimal(share), MONTHS[number % 4])
        self.attempt(_discounted, room, *about)

    @rule(most=st.sampled_from([1, 4, 1000]))
    def add_up(self, most):
        ledger.add_up(self.scope, most=most)
        assert ledger.check_totals(self.scope) == 0

    @invariant()
    def the_books_are_right(self):
        if not hasattr(self, "scope"):
            return
        total = self.scope.session.scalar
        trial = ledger.trial_balance(self.scope)
        assert trial.is_balanced
        owed = total(select(func.sum(Bill.balance)).where(Bill.state.in_(OWED))) or 0
        assert trial.balance(RECEIVABLE) == owed
        ever = self.scope.today + timedelta(days=9999)
        by_index, by_state = (
            self.scope.session.scalars(select(Bill.id).where(*conditions(ever))).all()
            for conditions in (owing, overdue)
        )
        assert set(by_index) == set(by_state)
        assert all(a.balance >= 0 for a in trial.accounts if a.code not in (WAIVED, CASH))
        self.the_month_ends_with_what_is_owed(owed)
        in_wallets = total(select(func.sum(Wallet.balance)))
        assert (
            trial.balance(PREPAID) == in_wallets == total(select(func.sum(WalletMovement.amount)))
        )
        still_owed = func.sum(Prepayment.amount - Prepayment.recognised)
        running = Prepayment.state == PrepaymentState.RUNNING
        prepaid = total(select(still_owed).where(running)) or 0
        assert trial.balance(DEFERRED) == prepaid + self.billed_for_months_to_come()
        self.each_bill_is_the_sum_of_its_parts()
        self.no_day_is_billed_twice()
        assert gaps(self.scope.session.scalars(select(Receipt.number))) == []

    def billed_for_months_to_come(self):
        """Return what bills of several months demand for months that have not come, in yuan."""
        query = (
            select(Bill)
            .join(BillRun, BillRun.id == Bill.run_id)
            .where(BillRun.earned_to_on.is_not(None), Bill.state.in_(STANDING))
        )
        parts = [p for bill in self.scope.session.scalars(query) for p in income(self.scope, bill)]
        return sum((amount for code, amount in parts if code == DEFERRED), Decimal(0))

    def the_month_ends_with_what_is_owed(self, owed):
        end = ledger.month_end(self.scope, self.scope.today.replace(day=1))
        for item in end.items:
            assert item.opening + item.billed - item.received - item.waived == item.closing
            assert item.closing >= 0 == item.opening
        assert end.total("closing") == owed

    @rule(number=numbers)
    def close_or_open(self, number):
        """Close a month before this one, or let another person open it again."""
        month = MONTHS[number % len(MONTHS)]
        found = self.all(BookPeriod, BookPeriod.month_on == month)
        if not found or found[0].state is PeriodState.REOPENED:
            self.attempt(ledger.close_month, month)
        elif found[0].state is PeriodState.CLOSED:
            self.attempt(ledger.ask_reopening, found[0], "漏记")
        else:
            self.attempt(ledger.reopen_month, found[0])

    def each_bill_is_the_sum_of_its_parts(self):
        parts = dict(self.rows(BillLine.bill_id, func.sum(BillLine.amount)))
        settled = dict(self.rows(BillPayment.bill_id, func.sum(BillPayment.amount)))
        for bill in self.all(Bill):
            if bill.kind in (BillKind.FEES, BillKind.PREPAID):
                assert parts[bill.id] == bill.amount
            assert settled.get(bill.id, 0) == bill.paid
            assert bill.state is not BillState.WITHDRAWN or bill.paid == 0
        billed = self.rows(
            BillLine.charge_id,
            func.count(func.distinct(BillLine.from_on)),
            func.count(),
            where=~BillLine.is_withdrawn,
        )
        assert all(months == lines for _, months, lines in billed)

    def no_day_is_billed_twice(self):
        query = select(BillLine.charge_id, BillLine.from_on, BillLine.to_on)
        lines = self.scope.session.execute(
            query.where(~BillLine.is_withdrawn).order_by(BillLine.charge_id, BillLine.from_on)
        ).all()
        for one, other in pairwise(lines):
            assert one.charge_id != other.charge_id or one.to_on <= other.from_on

    def rows(self, key, *sums, where=True):
        query = select(key, *sums).group_by(key)
        query = query if where is True else query.where(where)
        return [tuple(row) for row in self.scope.session.execute(query)]


@pytest.mark.usefixtures("installation")
def test_the_books_stay_right_whatever_happens(installation):
    machine = type("Story", (Story,), {"installation": installation})
    machine.TestCase.settings = settings(
        max_examples=12,
        stateful_step_count=22,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    machine.TestCase("runTest").runTest()
