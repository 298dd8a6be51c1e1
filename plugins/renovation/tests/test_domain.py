"""The state machine, the law's list of works, and quiet hours."""

from datetime import date, datetime, time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dougong.workdays import announced_days
from dougong_renovation.domain.hours import WorkHours, parse_days, parse_spans
from dougong_renovation.domain.states import OVER, STEPS, ApplicationState, Part, possible
from dougong_renovation.domain.works import (
    ALWAYS,
    RULES,
    DocumentKind,
    Work,
    forbidden,
    needed,
)
from dougong_renovation.services.site import is_identity_number
from dougong_renovation.words import VERBS

HOURS = WorkHours(parse_spans("08:00-12:00, 14:00-18:00"), quiet_days=frozenset({date(2027, 2, 8)}))


def test_every_state_is_reached_and_only_ends_lead_nowhere():
    reached = {step.target for step in STEPS.values()} | {ApplicationState.SUBMITTED}
    assert set(ApplicationState) <= reached
    left = {state for step in STEPS.values() for state in step.sources}
    dead = set(ApplicationState) - left
    assert dead == OVER - {ApplicationState.WITHDRAWN}


def test_an_owner_takes_no_step_of_the_desk():
    steps = {verb for state in ApplicationState for verb in possible(state, {Part.OWNER})}
    assert steps == {"submit_again", "sign", "report_finished", "withdraw"}


def test_every_step_has_its_words():
    assert set(VERBS) == set(STEPS) | {"submit"}


def test_every_work_has_its_rule_and_the_forbidden_ones_their_article():
    assert set(RULES) == set(Work)
    assert {RULES[work].article for work in forbidden(Work)} == {5}


def test_papers_follow_works_firm_and_tenancy():
    assert needed([Work.SURFACES], has_contractor=False, is_owner=True) == ALWAYS
    more = needed([Work.STRUCTURE, Work.GAS], has_contractor=True, is_owner=False)
    assert more - ALWAYS == {
        DocumentKind.DESIGN,
        DocumentKind.APPROVAL,
        DocumentKind.CONTRACTOR,
        DocumentKind.CONSENT,
    }


@pytest.mark.parametrize(
    ("at", "is_allowed"),
    [
        (datetime(2027, 2, 5, 8, 0), True),
        (datetime(2027, 2, 5, 7, 59), False),
        (datetime(2027, 2, 5, 12, 0), False),
        (datetime(2027, 2, 5, 17, 59, 59), True),
        (datetime(2027, 2, 6, 10, 0), False),
        (datetime(2027, 2, 8, 10, 0), False),
    ],
    ids=["begins", "before", "ends", "last", "saturday", "quiet day"],
)
def test_noise_is_allowed_in_the_hours_of_working_days_only(at, is_allowed):
    assert HOURS.allow(at) is is_allowed


@pytest.mark.parametrize("words", ["8-12", "12:00-08:00", "08:00-12:00,11:00-13:00", "25:00-26:00"])
def test_hours_that_make_no_sense_are_refused(words):
    with pytest.raises(ValueError, match=r"."):
        parse_spans(words)


minutes = st.integers(0, 24 * 60 - 1).map(lambda m: time(m // 60, m % 60))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(minutes, min_size=2, max_size=6, unique=True))
def test_spans_are_read_as_they_are_written(edges):
    edges = sorted(edges[: len(edges) // 2 * 2])
    spans = tuple(zip(edges[::2], edges[1::2], strict=True))
    words = "；".join(f"{a:%H:%M}-{b:%H:%M}" for a, b in reversed(spans))
    assert parse_spans(words) == spans


def test_days_are_read_and_nothing_else():
    assert parse_days("2027-02-06, 2027-06-07") == {date(2027, 2, 6), date(2027, 6, 7)}
    assert parse_days(" ") == frozenset()


@pytest.mark.parametrize(
    ("number", "is_right"),
    [
        ("11010519491231002X", True),
        ("110105194912310021", False),
        ("1101051949123100", False),
        ("１1010519491231002X", False),
    ],
    ids=["right", "wrong check", "short", "wide digit"],
)
def test_identity_numbers_are_checked(number, is_right):
    assert is_identity_number(number) is is_right


@pytest.mark.parametrize(
    ("day", "is_quiet"),
    [
        (date(2026, 10, 5), True),
        (date(2026, 10, 10), False),
        (date(2026, 10, 11), True),
        (date(2026, 10, 12), False),
    ],
    ids=["holiday", "shifted workday", "sunday", "monday"],
)
def test_public_holidays_are_quiet_and_shifted_workdays_are_not(day, is_quiet):
    hours = WorkHours(HOURS.spans, announced=announced_days())
    assert hours.is_quiet_day(day) is is_quiet
    assert WorkHours(HOURS.spans).is_quiet_day(day) is (day.weekday() >= 5)
    by_name = WorkHours(HOURS.spans, quiet_days=frozenset({day}), announced=announced_days())
    assert by_name.is_quiet_day(day)
