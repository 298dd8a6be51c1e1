"""Usage as bills ask for it: the parts make the whole, over replacements, rollovers, estimates."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dougong.errors import Conflict, Invalid
from dougong_meters.models import Meter, Reading, ReadingKind
from dougong_meters.services import (
    collect,
    estimate_reading,
    record_reading,
    replace_meter,
    usage_for_period,
)

FIRST = date(2025, 1, 1)
STEP = timedelta(days=30)
# What happens at the end of a month: the counter went on, the meter was changed or only estimated.
month = st.tuples(
    st.integers(0, 3000), st.sampled_from(["read", "read", "replaced", "estimated", "too_high"])
)


def hang(scope, place, **values):
    meter = Meter(
        serial=uuid4().hex, commodity="water", room_id=place.room_ids[0],
        building_id=place.building_ids[0],
        **{"installed_on": FIRST, "install_value": Decimal(8500), "digits": 4, **values},
    )  # fmt: skip
    scope.session.add(meter)
    scope.session.flush()
    return meter


def midnight(scope, on):
    return datetime.combine(on, time(), scope.zone)


def live(scope, meter, months):
    """Let a meter and its successors count; return the ends of the periods and what was used."""
    shows, used, ends = Decimal(8500), Decimal(0), []
    for number, (moved, event) in enumerate(months, 1):
        on = FIRST + STEP * number
        used, shows, is_over = used + moved, shows + moved, shows + moved >= 10_000
        shows %= 10_000
        if event == "replaced" and not is_over:
            meter = replace_meter(scope, meter, on - timedelta(days=10), shows, uuid4().hex)
            shows = Decimal(0)
        elif event in ("estimated", "too_high") and not is_over and number < len(months):
            guess = shows + (400 if event == "too_high" and shows < 8000 else 0)
            scope.session.add(
                Reading(meter_id=meter.id, value=guess, kind=ReadingKind.ESTIMATE,
                        read_at=midnight(scope, on))
            )  # fmt: skip
            scope.session.flush()
            ends.append(on)
            continue
        kind = ReadingKind.ROLLOVER if is_over else ReadingKind.NORMAL
        scope.session.add(
            Reading(meter_id=meter.id, value=shows, kind=kind, read_at=midnight(scope, on))
        )
        scope.session.flush()
        ends.append(on)
    return ends, used


def total(scope, place, start, end):
    found = usage_for_period(scope, [place.room_ids[0]], start, end, "water")
    assert [u.problem for u in found if u.problem] == []
    assert all(u.quantity >= 0 for u in found)
    return sum((u.quantity for u in found), Decimal(0))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(month, min_size=2, max_size=8))
def test_the_months_make_the_year_whatever_happens_to_the_meter(scope, place, months):
    nested = scope.session.begin_nested()
    try:
        meter = hang(scope, place)
        ends, used = live(scope, meter, months)
        starts = [FIRST, *ends]
        parts = [total(scope, place, a, b) for a, b in zip(starts, ends, strict=False)]
        whole = total(scope, place, FIRST, ends[-1])
        assert sum(parts) == whole
        is_settled = not any(e == "too_high" for _, e in months)
        assert whole == used if is_settled else whole >= used
    finally:
        nested.rollback()
        scope.session.expunge_all()


def test_what_was_estimated_too_high_is_made_up_for_by_the_next_reading(scope, place):
    meter = hang(scope, place, install_value=Decimal(0), digits=None)
    days = [FIRST + timedelta(days=30 * n) for n in range(6)]
    for day, value in zip(days[1:4], (10, 20, 30), strict=True):
        record_reading(scope, meter, Decimal(value), midnight(scope, day))
    guessed = estimate_reading(scope, meter, "nobody at home", midnight(scope, days[4]))
    assert (guessed.kind, guessed.value) == (ReadingKind.ESTIMATE, Decimal("40.00"))
    record_reading(scope, meter, Decimal(35), midnight(scope, days[5]))
    after = days[5] + timedelta(days=30)
    record_reading(scope, meter, Decimal(48), midnight(scope, after))
    spans = zip(days[3:6], [*days[4:6], after], strict=True)
    assert [total(scope, place, a, b) for a, b in spans] == [10, 0, 8]


def test_an_estimate_says_so_and_a_meter_that_was_read_later_takes_none(scope, place):
    meter = hang(scope, place, install_value=Decimal(0))
    for number, value in ((1, 10), (2, 20)):
        record_reading(scope, meter, Decimal(value), midnight(scope, FIRST + STEP * number))
    estimate_reading(scope, meter, "no access", midnight(scope, FIRST + STEP * 3))
    (used,) = usage_for_period(
        scope, [place.room_ids[0]], FIRST + STEP * 2, FIRST + STEP * 3, "water"
    )
    assert used.is_estimated and used.quantity == 10
    with pytest.raises(Conflict):
        estimate_reading(scope, meter, "no access", midnight(scope, FIRST + STEP))


def test_nothing_is_estimated_from_a_single_reading(scope, place):
    meter = hang(scope, place)
    with pytest.raises(Invalid):
        estimate_reading(scope, meter, "no access")


def test_a_collected_counter_that_starts_again_is_a_rollover_and_a_fall_is_not(scope, place):
    at = midnight(scope, FIRST + STEP)
    rolled = hang(scope, place, last_value=Decimal(9990))
    fell = hang(scope, place, last_value=Decimal(5000))
    collect(scope, [(rolled.id, Decimal(12), at), (fell.id, Decimal(12), at)])
    found = {r.meter_id: (r.kind.value, r.state.value) for r in scope.session.query(Reading).all()}
    assert found == {rolled.id: ("rollover", "accepted"), fell.id: ("normal", "suspect")}
