from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dougong.messages.domain import BACK_OFF, next_try, quiet_until

SHANGHAI = ZoneInfo("Asia/Shanghai")
NIGHT = "22:00-07:00"


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "hours", "until"),
    [
        ("2026-11-24 21:59:59", NIGHT, None),
        ("2026-11-24 22:00", NIGHT, "2026-11-25 07:00"),
        ("2026-11-25 00:30", NIGHT, "2026-11-25 07:00"),
        ("2026-11-25 07:00", NIGHT, None),
        ("2026-11-24 13:00", "12:00-14:00", "2026-11-24 14:00"),
        ("2026-11-24 14:00", "12:00-14:00", None),
        ("2026-11-24 13:00", "", None),
        ("2026-11-24 12:00", "12:00-12:00", None),
    ],
)
def test_quiet_hours_end_at_the_community_s_clock(now, hours, until):
    expected = at(until) if until else None
    assert quiet_until(at(now), SHANGHAI, hours) == expected


def test_a_span_that_is_none_is_refused():
    with pytest.raises(ValueError, match="not a span"):
        quiet_until(at("2026-11-24 12:00"), SHANGHAI, "22-7")


def test_the_pause_grows_and_then_we_give_up():
    now = datetime(2026, 11, 24, tzinfo=UTC)
    pauses = [next_try(now, n, None) - now for n in range(1, len(BACK_OFF) + 1)]
    assert pauses == sorted(pauses) == list(BACK_OFF)
    assert next_try(now, len(BACK_OFF) + 1, None) is None


def test_a_longer_pause_that_the_channel_asks_for_is_honoured():
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert next_try(now, 1, timedelta(hours=1)) == now + timedelta(hours=1)
    assert next_try(now, 2, timedelta(seconds=1)) == now + timedelta(minutes=5)
