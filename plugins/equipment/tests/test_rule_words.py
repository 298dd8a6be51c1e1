"""Recurrence rules in words."""

import pytest

from dougong.i18n import use_locale
from dougong_equipment.rule_words import rule_words


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("FREQ=YEARLY;INTERVAL=3", "Every 3 years"),
        ("FREQ=DAILY;BYHOUR=9,14", "Every day at 09:00, 14:00"),
        ("FREQ=MONTHLY;BYMONTHDAY=15", "Every month on day 15"),
        ("FREQ=WEEKLY;BYDAY=MO", "FREQ=WEEKLY;BYDAY=MO"),
        (None, ""),
    ],
)
def test_a_rule_is_said_in_words_as_far_as_there_are_any(rule, said):
    with use_locale("en"):
        assert rule_words(rule) == said
