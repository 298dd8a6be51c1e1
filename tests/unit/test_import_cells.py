"""What people write into cells, read as they mean it."""

from datetime import date
from decimal import Decimal

import pytest

from dougong.web.admin.cells import CellError, day_of, person_parts, room_code
from dougong.web.admin.opening_people import shares_of


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("张三 13800000000", ("张三", "13800000000", "")),
        ("张三（+86 138-0000-0000）", ("张三", "13800000000", "")),
        ("张三(8613800000000)", ("张三", "13800000000", "")),
        ("住户86 13900000086", ("住户86", "13900000086", "")),
        ("11010119900101123x", ("", "", "11010119900101123X")),
    ],
)
def test_names_and_numbers_of_people_are_told_apart(text, parts):
    assert person_parts(text) == parts


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-1-5", date(2026, 1, 5)),
        ("2026/01/05 00:00", date(2026, 1, 5)),
        ("2026.1.5", date(2026, 1, 5)),
        ("2026年1月5日", date(2026, 1, 5)),
        ("20260105", date(2026, 1, 5)),
        ("46027", date(2026, 1, 5)),
        ("2026年1月", date(2026, 1, 1)),
    ],
)
def test_days_are_read_as_people_write_them(text, day):
    assert day_of(text) == day


@pytest.mark.parametrize("text", ["2026-13-01", "昨天", "1", "2026-01-051", "99999999"])
def test_what_is_no_day_is_refused(text):
    with pytest.raises(CellError):
        day_of(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1栋2单元301室", "1-2-301"),
        ("1-2-301", "1-2-301"),
        ("12号楼 3单元 1502", "12-3-1502"),
        ("A座1001", "A-1001"),
        ("1—2—301", "1-2-301"),
        ("商铺3", "商铺3"),
    ],
)
def test_room_numbers_are_read_as_people_write_them(text, code):
    assert room_code(text) == code


def test_shares_add_up_to_the_whole():
    for owners in range(1, 60):
        assert sum(shares_of("", owners)) == 1
    assert shares_of("1/3、2/3", 2) == [Decimal("0.333334"), Decimal("0.666666")]
