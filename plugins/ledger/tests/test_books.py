"""Months are closed and opened again by two people, deposits are held, vouchers are exported."""

import csv
import io
from datetime import date, timedelta
from decimal import Decimal

import openpyxl
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from dougong.capabilities import NotDeclared
from dougong.db import uuid7
from dougong.errors import Conflict, Invalid, NotAllowed
from dougong.i18n import use_locale
from dougong.web.admin.columns import show
from dougong.web.admin.exporting import value_of
from dougong_ledger import services, vouchers
from dougong_ledger.admin import JournalEntryView
from dougong_ledger.domain import CASH, DEPOSIT, INCOME, PaymentChannel, PeriodState, Posting
from dougong_ledger.errors import BooksClosed
from dougong_ledger.models import BookPeriod, Deposit, DepositMovement, JournalEntry

D = Decimal


def last_month(scope):
    return (scope.today.replace(day=1) - timedelta(days=1)).replace(day=1)


def post(scope, on, amount="7.00"):
    return services.post(scope, "test", uuid7(), "试记", [Posting(CASH, INCOME, D(amount))], on=on)


def test_nothing_is_posted_into_a_closed_month(scope, place):
    month = last_month(scope)
    assert post(scope, month).posted_on == month
    period = services.close_month(scope, month)
    assert (period.state, period.month_on) == (PeriodState.CLOSED, month)
    assert post(scope, month).posted_on == scope.today, "it goes into the current month"
    with pytest.raises(Conflict):
        services.close_month(scope, month)
    with pytest.raises(Invalid):
        services.close_month(scope, scope.today)


def test_when_the_current_month_is_closed_too_it_is_told(scope, place):
    scope.session.add(BookPeriod(month_on=scope.today.replace(day=1), snapshot={"items": []}))
    scope.session.flush()
    with pytest.raises(BooksClosed):
        post(scope, None)


def test_the_figures_of_a_closed_month_are_frozen(scope, place):
    month = last_month(scope)
    post(scope, month, "12.34")
    period = services.close_month(scope, month)
    before = {a["code"]: a["debit"] for a in period.snapshot["accounts"]}
    post(scope, None, "99.00")
    assert before[CASH] == "12.34"
    scope.session.expire_all()
    assert scope.get(BookPeriod, period.id).snapshot["accounts"][0]["debit"] == "12.34"


def test_a_month_is_opened_again_by_another_person(installation, place):
    clerk, boss = place.actor("*"), place.actor("*")
    with installation.scope(clerk, community=place.community_id) as scope:
        period = services.close_month(scope, last_month(scope))
        with pytest.raises(Conflict):
            services.reopen_month(scope, period)
        with pytest.raises(Invalid):
            services.ask_reopening(scope, period, " ")
        services.ask_reopening(scope, period, "漏记一笔")
        with pytest.raises(NotAllowed):
            services.reopen_month(scope, period)
        period_id, month = period.id, period.month_on
    with installation.scope(boss, community=place.community_id) as scope:
        services.reopen_month(scope, scope.get(BookPeriod, period_id))
        assert post(scope, month).posted_on == month
        assert services.close_month(scope, month).id == period_id


def test_who_may_not_close_a_month_does_not(installation, place):
    reader = place.actor("*.view")
    with (
        pytest.raises(NotAllowed),
        installation.scope(reader, community=place.community_id) as scope,
    ):
        services.close_month(scope, last_month(scope))


# --- deposits -------------------------------------------------------------------------------------


@pytest.fixture
def deposit(scope, place):
    return take(scope, place)


def take(scope, place, amount="2000.00"):
    about = ("装修押金", place.room_ids[0], place.person_ids[0])
    return services.take_deposit(scope, *about, D(amount), PaymentChannel.CASH, place.group_id)


def balance(scope, code):
    trial = services.trial_balance(scope)
    assert trial.is_balanced
    return trial.balance(code)


def test_a_deposit_is_a_liability_until_it_goes_back(scope, place, deposit):
    assert take(scope, place).id == deposit.id, "the same key takes it once"
    with pytest.raises(Conflict):
        take(scope, place, "1.00")
    assert (balance(scope, DEPOSIT), balance(scope, CASH)) == (D(2000), D(2000))
    for _ in range(2):
        services.deduct_deposit(scope, deposit, D("350.00"), "损坏电梯轿厢", "deduct-01")
        services.give_back_deposit(
            scope, deposit, D("1000.00"), PaymentChannel.CASH, "部分退还", "return-01"
        )
    scope.session.expire_all()
    assert (deposit.given_back, deposit.deducted, deposit.held) == (1000, 350, 650)
    assert (balance(scope, DEPOSIT), balance(scope, INCOME)) == (D(650), D(350))
    kinds = [m.kind.value for m in scope.session.scalars(select(DepositMovement))]
    assert sorted(kinds) == ["deducted", "given_back", "taken"]


def test_no_more_goes_back_than_is_held(scope, deposit):
    with pytest.raises(Conflict):
        services.give_back_deposit(
            scope, deposit, D("2000.01"), PaymentChannel.CASH, "退", "return-02"
        )
    with pytest.raises(Invalid):
        services.deduct_deposit(scope, deposit, D(1), " ", "deduct-02")
    with pytest.raises(Invalid):
        services.give_back_deposit(scope, deposit, D(1), PaymentChannel.WALLET, "退", "return-03")
    with pytest.raises(DBAPIError), scope.session.begin_nested():
        scope.session.execute(text("update ledger.deposit set given_back = amount + 1"))
    assert scope.session.scalars(select(Deposit.held)).one() == D(2000)


# --- kinds of entries -----------------------------------------------------------------------------


def test_kinds_are_named_in_both_languages_on_pages_and_in_vouchers(scope, place):
    entry = services.post(scope, "ledger.payments", uuid7(), "", [Posting(CASH, INCOME, D(7))])
    with use_locale("en"):
        assert services.kind_title(scope, entry.kind) == "Payments of a day"
    with use_locale("zh_Hans_CN"):
        column = JournalEntryView.all_columns()["kind"]
        assert show(scope, column, entry) == value_of(scope, column, entry) == "当日收款"
        lines = services.vouchers(scope, scope.today, scope.today + timedelta(days=1))
        assert {line.memo for line in lines} == {"当日收款"}


def test_a_kind_that_its_plugin_does_not_declare_is_refused(scope, place):
    with pytest.raises(NotDeclared, match=r'"ledger.gift" = \{ en'):
        services.post(scope, "ledger.gift", uuid7(), "", [])


# --- vouchers -------------------------------------------------------------------------------------


def test_vouchers_balance_and_open_in_a_spreadsheet(scope, place, deposit):
    services.deduct_deposit(scope, deposit, D("350.00"), "=HYPERLINK(1)", "deduct-03")
    first = scope.today.replace(day=1)
    lines = list(services.vouchers(scope, first, date(first.year + 1, 1, 1)))
    entries = {line.voucher for line in lines}
    assert entries == {1, 2}
    assert len(scope.session.scalars(select(JournalEntry)).all()) == 2
    for number in entries:
        mine = [line for line in lines if line.voucher == number]
        assert sum(x.debit for x in mine) == sum(x.credit for x in mine) > 0
    book = openpyxl.load_workbook(io.BytesIO(vouchers.workbook(lines)))
    rows = list(book.active.values)
    assert rows[0] == vouchers.HEAD and len(rows) == len(lines) + 1
    assert isinstance(rows[1][7], int | float) and rows[1][0].date() == scope.today
    table = list(csv.reader(io.StringIO(vouchers.table(lines).decode("utf-8-sig"))))
    assert len(table) == len(rows)
    assert any(cell.startswith("'=HYP") for row in table for cell in row)
