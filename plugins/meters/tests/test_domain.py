"""Usage is exact over replacements and rollovers, and never guessed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dougong_meters.domain import (
    Segment,
    Verdict,
    estimate,
    judge,
    segment_usage,
    usage,
    usual_per_day,
)

values = st.integers(0, 9_999_900).map(lambda cents: Decimal(cents) / 100)


@given(st.lists(values, min_size=2, max_size=12).map(sorted))
def test_the_parts_of_a_row_of_readings_sum_to_the_whole(readings):
    parts = [Segment(a, b) for a, b in zip(readings, readings[1:], strict=False)]
    assert usage(parts) == segment_usage(Segment(readings[0], readings[-1]))


@given(values, values)
def test_a_rollover_never_gives_negative_usage(opening, closing):
    rolled = Segment(opening, min(closing, opening), digits=5, rolled_over=True)
    assert segment_usage(rolled) >= 0


def test_a_counter_that_goes_back_is_refused():
    with pytest.raises(ValueError, match="went back"):
        segment_usage(Segment(Decimal(10), Decimal(9)))


def test_the_multiplier_of_a_transformer_meter_counts():
    segment = Segment(Decimal("100.5"), Decimal("110.5"), multiplier=Decimal(40))
    assert segment_usage(segment) == Decimal(400)


@pytest.mark.parametrize(
    ("previous", "value", "usual", "verdict"),
    [
        (100, 110, None, Verdict.PLAUSIBLE),
        (100, 90, None, Verdict.BACKWARDS),
        (100, 900, 1, Verdict.TOO_HIGH),
        (100, 100, 1, Verdict.ZERO),
        (99995, 3, 1, Verdict.PLAUSIBLE),
    ],
    ids=["first", "backwards", "too high", "zero", "rollover"],
)
def test_readings_are_judged_beside_the_ones_before(previous, value, usual, verdict):
    usual = None if usual is None else Decimal(usual)
    assert judge(Decimal(previous), Decimal(value), Decimal(30), usual, digits=5) is verdict


START = datetime(2026, 1, 1, tzinfo=UTC)


def readings(*counters):
    """Return counters ten days apart, newest first."""
    found = [(Decimal(c), START + timedelta(days=10 * n)) for n, c in enumerate(counters)]
    return found[::-1]


def test_an_estimate_goes_on_as_before_and_is_rounded_down():
    at = START + timedelta(days=27)
    assert estimate(readings(100, 110, 130), at) == Decimal("140.50")


def test_a_rollover_counts_in_what_is_usual():
    assert usual_per_day(readings(99960, 99990, 20), digits=5) == 3


@pytest.mark.parametrize(
    "known",
    [readings(100), readings(100, 90), readings(99970, 99990)],
    ids=["one", "fell", "would-roll-over"],
)
def test_nothing_is_guessed_without_ground(known):
    assert estimate(known, START + timedelta(days=40), digits=5) is None
