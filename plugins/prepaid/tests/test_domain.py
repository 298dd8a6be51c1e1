"""Arithmetic and protections of prepaid energy."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dougong_prepaid.domain import (
    CutReason,
    Objection,
    Protection,
    Rules,
    Situation,
    charge,
    equal_parts,
    share_free,
    too_much,
    why_not_cut,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = Rules(Decimal(10), timedelta(hours=24), 9, 16, timedelta(hours=3), "宿舍用电规定")
EMPTY = Situation(
    balance=Decimal(0),
    is_known=True,
    read_at=NOON - timedelta(hours=1),
    warned_at=NOON - timedelta(days=3),
    empty_at=NOON - timedelta(days=2),
    protection=Protection.NONE,
    is_exam=False,
    local=NOON,
)
parts = st.lists(
    st.integers(0, 500_000).map(lambda n: Decimal(n) / 10_000), min_size=1, max_size=12
)
prices = st.integers(0, 3_000_000).map(lambda n: Decimal(n) / 1_000_000)
quotas = st.integers(0, 10_000).map(lambda n: Decimal(n) / 100)


@given(parts, prices)
def test_many_small_charges_come_to_the_exact_amount(quantities, price):
    carried, total = Decimal(0), Decimal(0)
    for quantity in quantities:
        charged, carried = charge(carried, quantity, price)
        total += charged
        assert 0 <= carried < Decimal("0.01")
    assert total + carried == sum(quantities) * price


@given(parts, quotas)
def test_the_free_quota_is_used_first_and_never_exceeded(quantities, quota):
    used = Decimal(0)
    for quantity in quantities:
        free, billed = share_free(quantity, quota, used)
        assert free + billed == quantity
        used += free
    assert used == min(sum(quantities), quota)


@given(st.integers(1, 10**6), st.integers(1, 8))
def test_parts_come_to_the_whole(fen, count):
    amount = Decimal(fen) / 100
    found = equal_parts(amount, count)
    assert sum(found) == amount and max(found) - min(found) <= Decimal("0.01")


def test_an_empty_balance_is_cut_by_day_when_nothing_speaks_against_it():
    assert why_not_cut(EMPTY, RULES) is None


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ({"protection": Protection.MEDICAL}, Objection.PROTECTED),
        ({"protection": Protection.MINIMUM}, Objection.PROTECTED),
        ({"is_known": False}, Objection.UNKNOWN),
        ({"read_at": None}, Objection.UNKNOWN),
        ({"read_at": NOON - timedelta(hours=4)}, Objection.STALE),
        ({"balance": Decimal("0.01")}, Objection.NOT_EMPTY),
        ({"warned_at": None}, Objection.NOT_WARNED),
        ({"empty_at": NOON - timedelta(hours=23)}, Objection.GRACE),
        ({"empty_at": None}, Objection.GRACE),
        ({"local": NOON.replace(hour=3), "read_at": NOON.replace(hour=2)}, Objection.QUIET),
        ({"local": NOON.replace(hour=16), "read_at": NOON.replace(hour=15)}, Objection.QUIET),
        ({"is_exam": True}, Objection.EXAM),
    ],
    ids=lambda each: each.value if isinstance(each, Objection) else "",
)
def test_what_keeps_a_supply_on(change, objection):
    assert why_not_cut(replace(EMPTY, **change), RULES) is objection


def test_a_motor_that_starts_is_no_overload_and_a_kettle_is_seen_at_once():
    limit, step = Decimal(2), Decimal("0.8")
    assert too_much(Decimal("0.3"), Decimal(3), limit, Decimal(0)) is None
    assert too_much(Decimal("2.2"), Decimal("2.1"), limit, Decimal(0)) is CutReason.OVERLOAD
    assert too_much(Decimal("0.2"), Decimal("1.2"), limit, step) is CutReason.MALICIOUS
    assert too_much(None, Decimal(5), limit, step) is None
    assert too_much(Decimal("0.2"), Decimal("0.9"), limit, step) is None
