"""Instalments add up, limitation counts in calendar years, masks give nobody away."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dougong_arrears.domain import (
    AGES,
    AgreementState,
    equal_parts,
    limitation_on,
    masked_room,
    state_of,
    unpaid_parts,
)

D = Decimal
amounts = st.decimals(min_value="0.36", max_value="1000000", places=2)


@given(amounts, st.integers(2, 36), st.dates(date(2020, 1, 1), date(2040, 1, 1)))
def test_instalments_add_up_to_the_fen_and_rise_by_months(amount, count, first):
    parts = equal_parts(amount, count, first)
    assert sum(p.amount for p in parts) == amount
    assert max(p.amount for p in parts) - min(p.amount for p in parts) <= D("0.01")
    assert [p.due_on for p in parts] == sorted({p.due_on for p in parts})
    assert parts[0].due_on == first


@given(amounts, st.integers(2, 36), st.decimals(min_value=0, max_value=1_000_000, places=2))
def test_what_is_paid_and_what_is_left_add_up(amount, count, paid):
    left = unpaid_parts(equal_parts(amount, count, date(2027, 1, 31)), paid)
    assert sum(rest for _, rest in left) == max(amount - paid, D(0))


def test_a_month_end_is_kept_where_the_month_has_it():
    days = [p.due_on for p in equal_parts(D(300), 3, date(2027, 1, 31))]
    assert days == [date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 31)]


def test_too_little_is_not_split():
    with pytest.raises(ValueError):
        equal_parts(D("0.01"), 2, date(2027, 1, 1))
    with pytest.raises(ValueError):
        equal_parts(D(100), 1, date(2027, 1, 1))


def test_an_agreement_breaks_only_after_the_days_of_grace():
    parts = equal_parts(D(300), 3, date(2027, 1, 10))
    states = {
        day: state_of(parts, D(0), date(2027, 1, 10) + timedelta(days=day), 5) for day in (0, 5, 6)
    }
    assert states == {
        0: AgreementState.ACTIVE,
        5: AgreementState.ACTIVE,
        6: AgreementState.DEFAULTED,
    }
    assert state_of(parts, D(100), date(2027, 2, 15), 5) is AgreementState.ACTIVE
    assert state_of(parts, D("99.99"), date(2027, 2, 1), 5) is AgreementState.DEFAULTED
    assert state_of(parts, D(300), date(2030, 1, 1), 5) is AgreementState.KEPT


def test_limitation_is_three_calendar_years():
    assert limitation_on(date(2023, 5, 20)) == date(2026, 5, 20)
    assert limitation_on(date(2024, 2, 29)) == date(2027, 2, 28)


def test_ages_leave_no_gap():
    assert [low for low, _ in AGES[1:]] == [high for _, high in AGES[:-1]]


def test_a_mask_keeps_the_building_only():
    assert masked_room("3-1-501") == "3-***"
    assert masked_room("501") == "***"
