from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dougong_participation.domain import (
    ComplaintState,
    frequent,
    may_reopen,
    month_before,
    next_state,
    shares,
)
from dougong_participation.domain.topics import frequent_phrases

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        (ComplaintState.OPEN, {"take", "answer"}),
        (ComplaintState.IN_PROGRESS, {"answer"}),
        (ComplaintState.ANSWERED, {"answer", "rate", "close", "reopen"}),
        (ComplaintState.CLOSED, {"reopen"}),
    ],
)
def test_each_state_allows_its_verbs_only(state, verbs):
    every = ("take", "answer", "rate", "close", "reopen")
    assert {verb for verb in every if next_state(state, verb)} == verbs


def test_an_answer_can_be_contested_for_seven_days():
    week = timedelta(days=7)
    assert may_reopen(ComplaintState.CLOSED, NOW - week, NOW)
    assert not may_reopen(ComplaintState.CLOSED, NOW - week - timedelta(seconds=1), NOW)
    assert not may_reopen(ComplaintState.OPEN, None, NOW)


def test_the_month_before_january_is_december():
    assert month_before(date(2026, 1, 31)) == (date(2025, 12, 1), date(2026, 1, 1))
    assert month_before(date(2028, 3, 1)) == (date(2028, 2, 1), date(2028, 3, 1))


def test_frequent_topics_come_in_order_and_rare_ones_not_at_all():
    topics = ["noise", *["cleaning"] * 3, *["parking"] * 5]
    assert frequent(topics, 3) == [("parking", 5), ("cleaning", 3)]


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 10_000), min_size=1, max_size=8))
def test_shares_add_up_to_a_hundred(counts):
    made = shares(counts)
    assert sum(made.values()) == (100 if sum(counts.values()) else 0)
    total = sum(counts.values())
    assert all(abs(made[k] - counts[k] * 100 / (total or 1)) < 1 for k in counts)


def test_what_many_say_in_the_same_words_is_found_with_who_said_it():
    texts = [
        "3 栋电梯又停了，等了半小时",
        "希望修一下灯",
        "电梯又停了！！老人下不来",
        "昨天电梯又停了，电梯又停了",
    ]
    [(words, where), *rest] = frequent_phrases(texts)
    assert (words, where) == ("电梯又停", [0, 2, 3])
    assert not any("电梯" in other for other, _ in rest)
    assert frequent_phrases(texts[:2]) == []


@given(st.lists(st.text(alphabet="电梯停水漏灯路坏", max_size=12), max_size=8))
def test_a_frequent_phrase_stands_in_every_text_that_it_names(texts):
    for words, where in frequent_phrases(texts):
        assert len(where) >= 2
        assert where == [n for n, text in enumerate(texts) if words in text]
