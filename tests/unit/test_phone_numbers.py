import pytest

from dougong.services.phones import phone_number

GOOD = (
    "13800138000", "138 0013 8000", "138-0013-8000", "+8613800138000", "0086-13800138000",
    "010-62345678", "(010)62345678", "0755-8234567", "0571-87654321-803", "0571-87654321转803",
    "82345678", "400-800-1234", "95598", "110", "+85223456789", "+1 (212) 555-0100",
    "0044 20 7946 0958",
)  # fmt: skip
BAD = (
    "坏号码", "1380013800", "138001380000", "12800138000", "abc", "00000000", "1", "+8612",
    "13800138000/13900139000", "+86", "0000-1234567", "电话13800138000", "13800138000张三", "--",
    "010", "1" * 60,
)  # fmt: skip


@pytest.mark.parametrize("written", GOOD)
def test_numbers_are_kept_as_people_write_them(written):
    assert phone_number(f" {written} ") == written


def test_wide_digits_become_narrow_so_that_search_finds_them():
    assert phone_number("１３８００１３８０００") == "13800138000"


@pytest.mark.parametrize("written", BAD)
def test_what_nobody_can_call_is_refused(written):
    with pytest.raises(ValueError, match="phone number"):
        phone_number(written)
