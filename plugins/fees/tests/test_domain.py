"""The laws of fee arithmetic, and the figures that other systems get wrong."""

import re
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dougong_fees.domain.amounts import (
    Rounding,
    Tier,
    apportion,
    line_amount,
    oldest_first,
    round_amount,
    split_by_days,
    tier_parts,
)
from dougong_fees.domain.late import Clause, Owed, late_fee, without_pauses
from dougong_fees.domain.numbers import bill_named, bill_number
from dougong_fees.domain.periods import PeriodMethod, add_months, months
from dougong_fees.domain.states import BILL_STEPS, BillState, bill_state

days = st.dates(date(2020, 1, 1), date(2032, 12, 31))
anchors = st.integers(1, 31)
linear = st.sampled_from([m for m in PeriodMethod if m is not PeriodMethod.WHOLE_MONTHS])
methods = st.sampled_from(list(PeriodMethod))
money = st.decimals(min_value=0, max_value=100_000, places=2)
ANCHOR, CALENDAR = PeriodMethod.ANCHOR_MONTH, PeriodMethod.CALENDAR_MONTH


# --- periods ------------------------------------------------------------------------------------


@given(linear, st.lists(days, min_size=3, max_size=3).map(sorted), anchors)
def test_parts_of_a_period_add_up(method, three, anchor):
    a, b, c = three
    whole = months(method, a, c, anchor)
    assert months(method, a, b, anchor) + months(method, b, c, anchor) == whole


@given(methods, days, st.integers(0, 800), anchors)
def test_a_longer_period_never_has_fewer_months(method, start, length, anchor):
    end = start + timedelta(days=length)
    longer = months(method, start, end + timedelta(days=1), anchor)
    assert longer >= months(method, start, end, anchor) >= 0


@given(days, st.integers(0, 40))
def test_from_an_anchor_day_to_the_next_is_one_month(start, count):
    end = add_months(start, count)
    assert months(ANCHOR, start, end, start.day) == count


@given(st.integers(2020, 2031), st.integers(1, 12))
def test_a_whole_calendar_month_is_one(year, month):
    first = date(year, month, 1)
    assert months(CALENDAR, first, add_months(first, 1)) == 1


def test_fifteenth_to_fifteenth_is_one_month_and_a_day_less_is_less():
    start = date(2027, 1, 15)
    assert months(ANCHOR, start, date(2027, 2, 15), 15) == 1
    assert months(ANCHOR, start, date(2027, 2, 14), 15) == Fraction(30, 31)  # not 1.0127
    by_calendar = months(CALENDAR, start, date(2027, 2, 15))
    assert by_calendar == Fraction(17, 31) + Fraction(14, 28)
    assert round(float(by_calendar), 4) == 1.0484


def test_the_last_day_of_the_month_is_kept_over_february():
    ends = [date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)]
    assert [add_months(ends[0], n) for n in range(4)] == ends
    for a, b in zip(ends, ends[1:], strict=False):
        assert months(ANCHOR, a, b, 31) == 1


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        (date(2027, 1, 31), date(2027, 2, 28), 1),
        (date(2027, 1, 31), date(2027, 2, 27), 0),
        (date(2027, 1, 15), date(2027, 3, 14), 1),
        (date(2027, 1, 15), date(2027, 3, 15), 2),
        (date(2027, 1, 15), date(2027, 1, 15), 0),
    ],
    ids=["month end", "a day less", "almost two", "two", "empty"],
)
def test_whole_months_count_complete_ones_only(start, end, count):
    assert months(PeriodMethod.WHOLE_MONTHS, start, end, start.day) == count


def test_a_period_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValueError, match="before"):
        months(CALENDAR, date(2027, 2, 1), date(2027, 1, 1))


# --- amounts ------------------------------------------------------------------------------------


def test_half_a_fen_is_rounded_up_where_binary_floats_round_down():
    assert line_amount(Decimal("88.839"), Decimal(5)) == Decimal("444.20")
    assert round_amount(Decimal("444.195")) == Decimal("444.20")
    assert f"{444.195:.2f}" == "444.19"


@pytest.mark.parametrize(
    ("rounding", "amount"),
    [(Rounding.FEN, "12.35"), (Rounding.JIAO, "12.30"), (Rounding.YUAN, "12")],
)
def test_a_line_is_rounded_by_the_rule_of_its_item(rounding, amount):
    assert round_amount(Decimal("12.345"), rounding) == Decimal(amount)


@given(money, st.lists(money, min_size=1, max_size=40).filter(lambda k: sum(k) > 0))
def test_shares_add_up_to_the_pool_to_the_fen(total, keys):
    shares = apportion(total, keys)
    assert sum(shares) == total
    whole = sum(keys)
    for share, key in zip(shares, keys, strict=True):
        assert abs(Fraction(share) - Fraction(total) * Fraction(key) / Fraction(whole)) < Fraction(
            1, 100
        )


def test_a_thousand_kilowatt_hours_over_sixteen_rooms_cost_600_not_600_07():
    areas = [Decimal(a) for a in ("88.5", "102.3", "118.25", "136.4") * 4]
    shares = apportion(Decimal(1000) * Decimal("0.6"), areas)
    assert sum(shares) == Decimal("600.00")


TIERS = (
    Tier(Decimal(0), Decimal(180), Decimal("5")),
    Tier(Decimal(180), Decimal(260), Decimal("7")),
    Tier(Decimal(260), None, Decimal("9")),
)


def test_beijing_water_crosses_two_boundaries_in_one_bill():
    parts = tier_parts(Decimal(170), Decimal(100), TIERS)
    assert [(t.unit_price, q) for t, q in parts] == [(5, 10), (7, 80), (9, 10)]
    assert sum(line_amount(q, t.unit_price) for t, q in parts) == Decimal("700.00")


@given(money, money)
def test_the_parts_in_tiers_add_up_to_the_usage(before, quantity):
    assert sum(q for _, q in tier_parts(before, quantity, TIERS)) == quantity


@given(money, money, money)
def test_tiers_cost_the_same_in_one_bill_or_two(before, first, second):
    def exact(start, quantity):
        return sum(t.unit_price * q for t, q in tier_parts(start, quantity, TIERS))

    assert exact(before, first) + exact(before + first, second) == exact(before, first + second)


@given(money, st.lists(st.integers(1, 31), min_size=1, max_size=6))
def test_usage_split_by_days_adds_up(quantity, counts):
    assert sum(split_by_days(quantity, counts)) == quantity


# --- late fees ----------------------------------------------------------------------------------

CLAUSE = Clause(Decimal("0.0005"))


def test_two_unpaid_months_have_grown_by_2_40_not_5_45():
    on = date(2027, 5, 10)
    fees = [
        late_fee([Owed(date(2027, m, 1), Decimal(100))], date(2027, m, 1), on, CLAUSE)
        for m in (4, 5)
    ]
    assert fees == [Decimal("1.95"), Decimal("0.45")]
    assert sum(fees) == Decimal("2.40")


def test_an_unpaid_quarter_has_grown_by_2_85_not_16_35():
    due = date(2027, 4, 1)
    assert late_fee([Owed(due, Decimal(300))], due, date(2027, 4, 20), CLAUSE) == Decimal("2.85")


def test_nothing_grows_on_the_due_day_or_within_the_grace_days():
    due = date(2027, 4, 1)
    clause = Clause(Decimal("0.0005"), grace_days=5)
    assert late_fee([Owed(due, Decimal(300))], due, due, CLAUSE) == 0
    assert late_fee([Owed(due, Decimal(300))], due, date(2027, 4, 6), clause) == 0
    assert late_fee([Owed(due, Decimal(300))], due, date(2027, 4, 7), clause) == Decimal("0.90")


def test_no_late_fee_grows_in_a_pause_and_it_goes_on_after_it():
    due = date(2027, 4, 1)
    owed = [Owed(due, Decimal(100)), Owed(date(2027, 4, 21), Decimal(60))]
    pause = (date(2027, 4, 11), date(2027, 5, 1))
    rested = without_pauses(owed, [pause])
    assert late_fee(rested, due, date(2027, 5, 1), CLAUSE) == Decimal("0.50")
    assert late_fee(rested, due, date(2027, 5, 11), CLAUSE) == Decimal("0.80")
    for_ever = without_pauses(owed, [(date(2027, 4, 11), None), pause])
    assert late_fee(for_ever, due, date(2027, 9, 1), CLAUSE) == Decimal("0.50")
    assert without_pauses(owed, []) == owed


def test_a_late_fee_stops_at_its_cap():
    due = date(2020, 1, 1)
    assert late_fee([Owed(due, Decimal(100))], due, date(2032, 1, 1), CLAUSE) == Decimal("100.00")


def test_a_payment_stops_the_growth_of_its_part():
    due = date(2027, 4, 1)
    owed = [Owed(due, Decimal(300)), Owed(date(2027, 4, 11), Decimal(100))]
    assert late_fee(owed, due, date(2027, 4, 21), CLAUSE) == Decimal("2.00")


@given(money, st.integers(0, 400), st.integers(0, 400))
def test_a_late_fee_never_shrinks_and_never_exceeds_the_amount(amount, first, more):
    due = date(2027, 4, 1)
    owed = [Owed(due, amount)]
    early = late_fee(owed, due, due + timedelta(days=first), CLAUSE)
    later = late_fee(owed, due, due + timedelta(days=first + more), CLAUSE)
    assert 0 <= early <= later <= amount


def test_a_negative_rate_is_refused():
    with pytest.raises(ValueError, match="negative"):
        late_fee([], date(2027, 4, 1), date(2027, 4, 2), Clause(Decimal(-1)))


# --- states -------------------------------------------------------------------------------------


@given(money, money, money)
def test_a_bill_is_paid_exactly_when_nothing_is_left(amount, paid, waived):
    if paid + waived > amount:
        with pytest.raises(ValueError, match="more"):
            bill_state(amount, paid, waived)
    else:
        assert (bill_state(amount, paid, waived) is BillState.PAID) == (paid + waived == amount)


def test_a_withdrawn_bill_stays_withdrawn():
    assert BILL_STEPS[BillState.WITHDRAWN] == frozenset()
    assert set(BILL_STEPS) == set(BillState)


@given(st.decimals(0, 9000, places=2), st.lists(st.decimals(0, 900, places=2), max_size=6))
def test_prepaid_money_pays_debts_in_their_order(money, owed):
    shares = oldest_first(money, owed)
    assert sum(shares) == min(money, sum(owed))
    pairs = zip(shares, owed, strict=True)
    short = next((n for n, (share, amount) in enumerate(pairs) if share < amount), len(owed))
    assert not any(shares[short + 1 :])


@given(st.uuids(version=4), st.uuids(version=4))
def test_a_bill_is_named_by_what_stands_on_paper(bill_id, community_id):
    number = bill_number(bill_id)
    assert re.fullmatch(r"ZD[A-Z2-7]{26}", number)
    for typed in (number, number.lower(), f"{number[:9]} {number[9:]}\n"):
        assert bill_named(typed, community_id) == bill_id
    address = f"https://a.example/c/{community_id}/fees/my/{bill_id}"
    assert bill_named(address, community_id) == bill_id
    assert bill_named(address, bill_id) is None or bill_id == community_id
    assert bill_named(number[:-1], community_id) is None
