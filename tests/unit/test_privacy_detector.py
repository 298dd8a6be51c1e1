"""Numbers of people in free text are found; numbers of things are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dougong.privacy.detector import find_personal, is_card_number, is_identity_number, warnings_for
from dougong.tenancy.models import Person, Room

FOUND = {
    "业主电话13812345678": ["phone"],
    "打 138 1234 5678 联系": ["phone"],
    "138-1234-5678": ["phone"],
    "身份证11010519491231002X": ["id_number"],
    "11010519491231002x，电话19912345678": ["id_number", "phone"],
    "": [],
    "表号 1234567890123": [],
    "订单20261124138123456789": [],
    "110105194912310021": [],
    "12812345678": [],
    "金额13812345.67元": [],
}


@pytest.mark.parametrize("words", FOUND)
def test_what_is_found_in_a_text(words):
    assert [spot.kind for spot in find_personal(words)] == FOUND[words]


def test_a_spot_says_where():
    (spot,) = find_personal("电话13812345678。")
    assert (spot.start, spot.end) == (2, 13)


@given(digits=st.from_regex(r"[1-9]\d{16}", fullmatch=True))
def test_one_check_character_in_eleven_is_right(digits):
    right = [c for c in "0123456789X" if is_identity_number(digits + c)]
    assert len(right) == 1


def test_only_free_text_is_warned_about():
    words = "电话13812345678"
    assert set(warnings_for(Person, {"note": words, "name": words})) == {"note"}
    assert warnings_for(Room, {"code": "13812345678", "old_code": words}) == {}
    assert warnings_for(Person, {"note": None, "phone": words}) == {}


CARDS = {
    "sixteen digits": ("卡号4111111111111111", True),
    "a wrong check digit": ("卡号4111111111111112", False),
    "a meter's number": ("表号 100200300400", False),
}


@pytest.mark.parametrize("case", CARDS)
def test_a_bank_card_is_told_from_other_long_numbers_by_its_check_digit(case):
    words, expected = CARDS[case]
    assert [s.kind for s in find_personal(words)] == (["bank_card"] if expected else [])


def test_of_ten_check_digits_one_is_right():
    right = [d for d in range(10) if is_card_number(f"621700001234567{d}")]
    assert len(right) == 1
    text = f"退到6217 0000 1234 567{right[0]}，谢谢"
    assert [s.kind for s in find_personal(text)] == ["bank_card"]
