from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dougong.documents import chinese_amount

DIGITS = {name: value for value, name in enumerate("零壹贰叁肆伍陆柒捌玖")}
UNITS = {"拾": 10, "佰": 100, "仟": 1000}


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "零元整"),
        ("0.01", "壹分"),
        ("0.10", "壹角整"),
        ("0.53", "伍角叁分"),
        ("1", "壹元整"),
        ("1.05", "壹元零伍分"),
        ("10", "壹拾元整"),
        ("10.10", "壹拾元壹角整"),
        ("325.04", "叁佰贰拾伍元零肆分"),
        ("1001", "壹仟零壹元整"),
        ("1010.00", "壹仟零壹拾元整"),
        ("1409.50", "壹仟肆佰零玖元伍角整"),
        ("1680.32", "壹仟陆佰捌拾元叁角贰分"),
        ("6007.14", "陆仟零柒元壹角肆分"),
        ("16409.02", "壹万陆仟肆佰零玖元零贰分"),
        ("100000", "壹拾万元整"),
        ("100500", "壹拾万零伍佰元整"),
        ("107000.53", "壹拾万柒仟元伍角叁分"),
        ("10000001", "壹仟万零壹元整"),
        ("100000000", "壹亿元整"),
        ("100010000", "壹亿零壹万元整"),
        ("120000005.20", "壹亿贰仟万零伍元贰角整"),
        ("1000000000000", "壹万亿元整"),
        ("-3.20", "负叁元贰角整"),
    ],
)
def test_amounts_are_written_as_the_rule_for_bills_says(amount, text):
    assert chinese_amount(Decimal(amount)) == text


@given(st.integers(-(10**17), 10**17))
def test_every_amount_reads_back_as_itself(fen):
    amount = Decimal(fen) / 100
    assert read_amount(chinese_amount(amount)) == amount


@given(st.integers(0, 10**17))
def test_a_zero_is_never_said_twice_in_a_row_nor_before_a_unit(fen):
    text = chinese_amount(Decimal(fen) / 100)
    assert "零零" not in text
    assert not any(f"零{unit}" in text for unit in ("拾", "佰", "仟", "万", "亿", "角", "分", "整"))
    assert "零元" not in text or text == "零元整"


@pytest.mark.parametrize("amount", ["0.001", "1.005", "1E16", "-1E16"])
def test_amounts_without_a_name_are_refused(amount):
    with pytest.raises(ValueError, match="yuan"):
        chinese_amount(Decimal(amount))


def read_amount(text: str) -> Decimal:
    """Return the amount that capital numerals state; written apart from the code under test."""
    sign = -1 if text.startswith("负") else 1
    text = text.removeprefix("负").removesuffix("整")
    whole, _, rest = text.rpartition("元")
    fen = 0
    digit = 0
    for character in rest:
        if character in DIGITS:
            digit = DIGITS[character]
        else:
            fen += digit * {"角": 10, "分": 1}[character]
    return sign * (Decimal(read_whole(whole)) + Decimal(fen) / 100)


def read_whole(text: str) -> int:
    for name, size in (("亿", 10**8), ("万", 10**4)):
        head, found, tail = text.rpartition(name)
        if found:
            return read_whole(head) * size + read_whole(tail)
    total = digit = 0
    for character in text:
        if character in DIGITS:
            digit = DIGITS[character]
        else:
            total += digit * UNITS[character]
            digit = 0
    return total + digit
