"""Amounts of money in capital Chinese numerals (大写金额), as cheques and receipts want them."""

from decimal import Decimal

DIGITS = "零壹贰叁肆伍陆柒捌玖"
PLACES = ("", "拾", "佰", "仟")
LIMIT = Decimal(10) ** 16


def chinese_amount(amount: Decimal) -> str:
    """Return ``amount`` yuan in capital numerals: 107000.53 → 壹拾万柒仟元伍角叁分.

    A zero inside the number is said once; where only the digit of 万 or 元 is zero it is left out,
    which the rule allows. 整 closes an amount without 分. A negative amount begins with 负.
    Raises ValueError for a part of a fen, and from ten thousand million million yuan on.
    Source: 正确填写票据和结算凭证的基本规定 (annex 1 of 支付结算办法), items 2 to 4.
    """
    fen_in_all = abs(amount) * 100
    if fen_in_all != fen_in_all.to_integral_value():
        raise ValueError(f"{amount} yuan is not a whole number of fen")
    if abs(amount) >= LIMIT:
        raise ValueError(f"{amount} yuan has no name in capital numerals")
    yuan, rest = divmod(int(fen_in_all), 100)
    jiao, fen = divmod(rest, 10)
    text = "负" if amount < 0 else ""
    if yuan or not rest:
        text += (_whole(yuan) or "零") + "元"
    if jiao:
        text += f"{DIGITS[jiao]}角"
    elif fen and yuan:
        text += "零"
    return text + (f"{DIGITS[fen]}分" if fen else "整")


def _whole(number: int) -> str:
    """Return a whole number in capital numerals, an empty text for 0."""
    for size, name in ((10**8, "亿"), (10**4, "万")):
        if number >= size:
            high, low = divmod(number, size)
            gap = "零" if 0 < low < size // 10 else ""
            return f"{_whole(high)}{name}{gap}{_whole(low)}"
    text, zero = "", False
    for place in (3, 2, 1, 0):
        digit = number // 10**place % 10
        if digit:
            text += ("零" if zero and text else "") + DIGITS[digit] + PLACES[place]
        zero = digit == 0
    return text
