"""Any journal balances, because a posting has both sides."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dougong_ledger.domain import (
    CHART,
    AccountBalance,
    Posting,
    TrialBalance,
    gaps,
    receipt_code,
    state_after_refund,
)

codes = st.sampled_from([plan.code for plan in CHART])
amounts = st.decimals(min_value=Decimal("0.01"), max_value=Decimal(10) ** 9, places=2)
postings = st.lists(
    st.tuples(codes, codes, amounts)
    .filter(lambda p: p[0] != p[1])
    .map(lambda p: Posting(p[0], p[1], p[2])),
    max_size=30,
)


def trial(lines):
    return TrialBalance(
        [
            AccountBalance(
                plan.code,
                plan.chinese,
                plan.kind,
                sum((p.amount for p in lines if p.debit == plan.code), Decimal(0)),
                sum((p.amount for p in lines if p.credit == plan.code), Decimal(0)),
            )
            for plan in CHART
        ]
    )


@given(postings)
def test_any_postings_balance(lines):
    assert trial(lines).is_balanced


@given(postings)
def test_reversing_everything_leaves_nothing(lines):
    both = trial([*lines, *(p.reversed() for p in lines)])
    assert all(account.balance == 0 for account in both.accounts)


@pytest.mark.parametrize(
    ("debit", "credit", "amount"), [("1", "1", 5), ("1", "2", 0), ("1", "2", -1)]
)
def test_a_posting_moves_something_between_two_accounts(debit, credit, amount):
    with pytest.raises(ValueError, match="two accounts"):
        Posting(debit, credit, Decimal(amount))


@given(amounts, amounts)
def test_no_more_goes_back_than_was_paid(amount, refunded):
    if refunded > amount:
        with pytest.raises(ValueError, match="more"):
            state_after_refund(amount, refunded)
    else:
        assert state_after_refund(amount, refunded).value in ("partly_refunded", "refunded")


def test_receipt_numbers_are_fixed_in_width_and_gaps_are_seen():
    assert receipt_code("2026", 42) == "2026-000042"
    assert gaps([1, 2, 4]) == [3]
    assert gaps([]) == []
