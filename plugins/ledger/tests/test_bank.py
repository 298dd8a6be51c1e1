"""Bank statements: read as banks write them, matched when it is certain, else kept aside."""

import io
from decimal import Decimal

import openpyxl
import pytest
from sqlalchemy import select

from dougong.errors import Conflict, Invalid
from dougong.tenancy.models import Person
from dougong_ledger import services
from dougong_ledger.domain import BANK, SUSPENSE
from dougong_ledger.matching import order_number
from dougong_ledger.models import BankLine, PaymentOrder

HEAD = "交易时间,收入,支出,余额,对方户名,对方账号,流水号,摘要"


def order(scope, place, amount, key, person=0):
    who = place.person_ids[person]
    item = services.OrderItem("ledger.wallet", who, "充值", Decimal(amount))
    return services.open_order(scope, "ledger", "充值", [item], key, who)


def statement(*lines, above=""):
    return (above + "\n".join([HEAD, *lines])).encode("gb18030")


def test_lines_pay_orders_by_number_and_by_payer_and_the_rest_waits(scope, place):
    by_number = order(scope, place, "100.00", "bank-order-1")
    by_payer = order(scope, place, "55.50", "bank-order-2")
    name = scope.get(Person, place.person_ids[0]).name
    content = statement(
        f'2026-11-20 09:01:02,"1,100.00",,9,陌生人,6222,S0,{order_number(by_number.id)}',
        f"2026-11-20 09:01:02,100.00,,9,陌生人,6222,S1,物业费{order_number(by_number.id)}",
        f"2026/11/20,55.50,,9,{name},6222,S2,转账",
        "20261120,7.00,,9,不知是谁,6222,S3,转账",
        "2026-11-20,,300.00,9,供电公司,6222,S4,电费",
        "合计,162.50,300.00,,,,,",
        above="中国建设银行账户明细,,,,,,,\n账号,4200,,,,,,\n",
    )
    outcome = services.import_statement(scope, "流水.csv", content)
    assert (outcome.matched, outcome.suspense, outcome.outgoing) == (2, 2, 1)
    assert [row for row, _ in outcome.problems] == [9]
    trial = services.trial_balance(scope)
    assert trial.balance(BANK) == Decimal("1262.50")
    assert trial.balance(SUSPENSE) == Decimal("1107.00") and trial.is_balanced
    assert services.balance_of(scope, place.person_ids[0]) == Decimal("155.50")
    assert by_payer.state == "paid"
    again = services.import_statement(scope, "流水.csv", content)
    assert (again.known, again.matched, again.suspense) == (5, 0, 0)


def test_two_orders_of_one_payer_over_one_amount_fit_nothing_for_certain(scope, place):
    for number in (1, 2):
        order(scope, place, "20.00", f"ambiguous-{number}")
    name = scope.get(Person, place.person_ids[0]).name
    outcome = services.import_statement(
        scope, "x.csv", statement(f"2026-11-20,20.00,,9,{name},6222,A1,转账")
    )
    assert (outcome.matched, outcome.suspense) == (0, 1)


def test_money_that_waits_is_assigned_to_an_order_once(scope, place):
    services.import_statement(scope, "x.csv", statement("2026-11-20,30.00,,9,某,6222,W1,转账"))
    line = scope.session.scalars(select(BankLine)).one()
    wrong, right = (
        order(scope, place, "31.00", "assign-wrong"),
        order(scope, place, "30.00", "assign-it"),
    )
    with pytest.raises(Conflict, match="another amount"):
        services.assign_line(scope, line, wrong)
    services.assign_line(scope, line, right)
    trial = services.trial_balance(scope)
    assert (trial.balance(SUSPENSE), trial.balance(BANK)) == (0, Decimal("30.00"))
    with pytest.raises(Conflict, match="settled already"):
        services.assign_line(scope, line, scope.get(PaymentOrder, wrong.id))


def test_a_workbook_with_other_headings_is_read_with_a_mapping(scope, place):
    book = openpyxl.Workbook()
    for row in (
        ["记账日", "入账金额", "谁"],
        ["2026-11-20", 12.5, "甲"],
        ["2026-11-20", 12.5, "甲"],
    ):
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    with pytest.raises(Invalid):
        services.import_statement(scope, "x.xlsx", out.getvalue())
    mapping = {"on": "记账日", "amount": "入账金额", "payer": "谁"}
    outcome = services.import_statement(scope, "x.xlsx", out.getvalue(), mapping)
    assert outcome.suspense == 2
    line = scope.session.scalars(select(BankLine)).first()
    assert (line.payer, line.amount) == ("甲", Decimal("12.50"))
    assert services.import_statement(scope, "x.xlsx", out.getvalue(), mapping).known == 2


@pytest.mark.parametrize("content", [b"PK\x03\x04nonsense", b"\x00\x01", "名称\n甲".encode()])
def test_what_is_no_statement_is_refused(scope, content):
    with pytest.raises(Invalid):
        services.import_statement(scope, "x", content)
