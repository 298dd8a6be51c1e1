"""The rules of repairs: states, clocks and assignment."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dougong_repairs.domain import assignment, clocks, states
from dougong_repairs.domain.assignment import Job, Worker
from dougong_repairs.domain.clocks import WorkingTime, add_working, working_between
from dougong_repairs.domain.kinds import Category, OrderState, Urgency
from dougong_repairs.domain.states import OPEN, STEPS, Part
from dougong_repairs.services.deadlines import announced_days

SHANGHAI = ZoneInfo("Asia/Shanghai")
OFFICE = WorkingTime(time(8), time(18), frozenset(range(5)), SHANGHAI, announced_days())
instants = st.datetimes(datetime(2025, 12, 1), datetime(2026, 11, 30)).map(
    lambda d: d.replace(microsecond=0, tzinfo=UTC)
)
spans = st.integers(0, 20 * 36_000)
calendars = st.sampled_from([OFFICE, None])


# --- states -----------------------------------------------------------------------------------


def test_every_state_can_be_reached_and_left_and_the_end_is_the_end():
    reached = {s.target for s in STEPS.values()} | {OrderState.REPORTED}
    assert reached >= set(OrderState) - {OrderState.REPORTED}
    left = set().union(*(s.sources for s in STEPS.values()))
    assert set(OrderState) - left == {OrderState.CANCELLED}


@pytest.mark.parametrize("state", sorted(OPEN), ids=str)
def test_somebody_can_always_go_on_with_an_open_order(state):
    assert states.possible(state, {Part.DISPATCHER})


def test_an_owner_neither_dispatches_nor_finishes():
    for state in OrderState:
        taken = states.possible(state, {Part.OWNER})
        assert set(taken) <= {"urge", "rate", "reopen", "cancel"}


def test_nobody_without_a_part_takes_a_step():
    assert not any(states.possible(state, ()) for state in OrderState)


def test_only_an_order_that_is_done_is_closed():
    closing = [v for v, s in STEPS.items() if s.target is OrderState.CLOSED]
    assert all(STEPS[v].sources == {OrderState.DONE} for v in closing)


@given(instants, st.timedeltas(timedelta(0), timedelta(days=30)))
def test_an_order_is_reopened_within_seven_days_only(done_at, passed):
    allowed = states.may_reopen(OrderState.CLOSED, done_at, done_at + passed)
    assert allowed == (passed <= timedelta(days=7))


# --- clocks -----------------------------------------------------------------------------------


@given(instants, spans, calendars)
def test_working_time_added_is_the_working_time_between(begin, seconds, calendar):
    end = add_working(begin, seconds, calendar)
    assert end >= begin
    assert working_between(begin, end, calendar) == seconds


@given(instants, spans, spans, calendars)
def test_working_time_adds_up(begin, one, other, calendar):
    middle = add_working(begin, one, calendar)
    end = add_working(middle, other, calendar)
    assert working_between(begin, end, calendar) == one + other


@given(instants, instants, instants, calendars)
def test_working_time_is_additive_and_signed(a, b, c, calendar):
    between = [working_between(x, y, calendar) for x, y in ((a, b), (b, c), (a, c))]
    assert abs(between[0] + between[1] - between[2]) <= 1
    assert working_between(b, a, calendar) == -between[0]


@given(instants, st.integers(1, 3000), spans, spans, calendars)
def test_a_clock_that_stood_still_loses_nothing(now, minutes, before, pause, calendar):
    clock = clocks.start(now, minutes, calendar)
    stopped = add_working(now, min(before, minutes * 60 - 1), calendar)
    remaining = clocks.left(clock, stopped, calendar)
    later = add_working(stopped, pause, calendar)
    resumed = clocks.run_on(clock, remaining, later, calendar)
    assert clocks.left(resumed, later, calendar)[0] == remaining[0]
    assert working_between(clock.due_at, resumed.due_at, calendar) == pause


@given(instants, st.integers(1, 6000), calendars)
def test_the_warning_comes_before_the_end(now, minutes, calendar):
    clock = clocks.start(now, minutes, calendar)
    assert now <= clock.warn_at <= clock.due_at


def test_an_evening_report_is_due_after_the_weekend_and_an_emergency_is_not():
    friday = datetime(2026, 11, 27, 17, 30, tzinfo=SHANGHAI)
    assert add_working(friday, 3600, OFFICE) == datetime(2026, 11, 30, 8, 30, tzinfo=SHANGHAI)
    assert add_working(friday, 3600, None) == datetime(2026, 11, 27, 18, 30, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("day", "is_working"),
    [
        (date(2026, 2, 16), False),
        (date(2026, 2, 28), True),
        (date(2026, 10, 10), True),
        (date(2026, 10, 5), False),
        (date(2026, 11, 28), False),
        (date(2026, 11, 27), True),
    ],
    ids=str,
)
def test_holidays_and_shifted_workdays_are_as_announced(day, is_working):
    assert OFFICE.is_working(day) is is_working


def test_a_calendar_without_work_is_refused():
    never = WorkingTime(time(8), time(8), frozenset(range(7)), SHANGHAI)
    with pytest.raises(ValueError, match="no working time"):
        add_working(datetime(2026, 1, 1, tzinfo=UTC), 1, never)


# --- assignment -------------------------------------------------------------------------------

places = st.one_of(st.none(), st.tuples(st.integers(0, 800), st.integers(0, 800)))
some_skills = st.dictionaries(st.sampled_from(Category), st.integers(1, 3), max_size=5)
workers = st.lists(
    st.builds(
        Worker,
        key=st.uuids().map(str),
        name=st.just("师傅"),
        skills=some_skills,
        load=st.integers(0, 4),
        capacity=st.integers(1, 4),
        done_today=st.integers(0, 9),
        is_on_shift=st.booleans(),
        at=places,
    ),
    max_size=5,
)
jobs = st.lists(
    st.builds(
        Job,
        key=st.uuids().map(str),
        category=st.sampled_from(Category),
        urgency=st.sampled_from(Urgency),
        at=places,
    ),
    max_size=7,
)


@given(workers, jobs)
def test_an_assignment_keeps_to_skill_shift_and_room(workers, jobs):
    choices = assignment.assign(workers, jobs)
    by_worker, by_job = {w.key: w for w in workers}, {j.key: j for j in jobs}
    assert len({c.job for c in choices}) == len(choices)
    for choice in choices:
        worker = by_worker[choice.worker]
        assert worker.is_on_shift
        assert worker.skills[by_job[choice.job].category] >= 1
        assert {t.kind for t in choice.terms} == {"skill", "load", "distance", "fairness"}
    for worker in workers:
        given_to_him = sum(c.worker == worker.key for c in choices)
        assert given_to_him <= max(0, worker.capacity - worker.load)


def brute(costs, used=frozenset(), row=0):
    if row == len(costs):
        return 0
    return min(
        cost + brute(costs, used | {at}, row + 1)
        for at, cost in enumerate(costs[row])
        if at not in used
    )


@given(
    st.integers(1, 4).flatmap(
        lambda rows: st.lists(
            st.lists(st.integers(0, 50), min_size=5, max_size=5), min_size=rows, max_size=rows
        )
    )
)
def test_the_assignment_is_the_cheapest_of_all(costs):
    chosen = assignment._least(costs)
    assert len(set(chosen)) == len(costs)
    assert sum(costs[row][at] for row, at in enumerate(chosen)) == brute(costs)


def test_an_emergency_gets_the_near_and_trained_technician():
    near = Worker("near", "近", {Category.PLUMBING: 3}, capacity=1, at=(0, 0))
    far = Worker("far", "远", {Category.PLUMBING: 2}, capacity=1, at=(800, 0))
    trivial = Job("drip", Category.PLUMBING, Urgency.LOW, (0, 0))
    flood = Job("flood", Category.PLUMBING, Urgency.EMERGENCY, (0, 0))
    found = {c.job: c.worker for c in assignment.assign([far, near], [trivial, flood])}
    assert found == {"flood": "near", "drip": "far"}


def test_work_is_shared_among_equals():
    pair = [Worker(k, k, {Category.OTHER: 2}, at=(0, 0)) for k in "ab"]
    batch = [Job(str(n), Category.OTHER, Urgency.NORMAL, (0, 0)) for n in range(4)]
    given_to = [c.worker for c in assignment.assign(pair, batch)]
    assert sorted(given_to) == ["a", "a", "b", "b"]
