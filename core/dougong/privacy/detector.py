"""Finds numbers of people in free text, so that a form can warn before they are kept.

Telephone, identity and bank card numbers. Plates are left alone: notes about parking are full of
them, and a plate has a field of its own only where the parking plugin is on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, String
from sqlalchemy import inspect as sa_inspect

from dougong.i18n import N_, gettext

PHONE = re.compile(r"(?<!\d)1[3-9]\d(?:[ -]?\d{4}){2}(?!\d)")
IDENTITY = re.compile(r"(?<!\d)\d{17}[\dXx](?![\dA-Za-z])")
CARD = re.compile(r"(?<!\d)[3-6]\d{3}(?:[ -]?\d{4}){2,3}(?:[ -]?\d{1,3})?(?!\d)")
CARD_DIGITS = range(16, 20)
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECKS = "10X98765432"
# A text column shorter than this holds a code, a number or a name.
SENTENCE = 100


@dataclass(frozen=True)
class Spot:
    """Where a text holds a personal number. kind: ``phone``, ``id_number`` or ``bank_card``."""

    kind: str
    start: int
    end: int


def is_identity_number(digits: str) -> bool:
    """Tell whether 18 characters are an identity number with a right check character.

    Source: GB 11643-1999, ISO 7064:1983 MOD 11-2.
    """
    if not re.fullmatch(r"\d{17}[\dXx]", digits):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits[:17], WEIGHTS, strict=True))
    return CHECKS[total % 11] == digits[17].upper()


def is_card_number(digits: str) -> bool:
    """Tell whether 16 to 19 digits are a card number with a right check digit.

    Source: ISO/IEC 7812-1, annex B (Luhn).
    """
    if len(digits) not in CARD_DIGITS or not digits.isdecimal():
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def find_personal(words: str) -> list[Spot]:
    """Return the phone, identity and bank card numbers in ``words``, in order."""
    spots = [
        Spot("id_number", m.start(), m.end())
        for m in IDENTITY.finditer(words)
        if is_identity_number(m.group())
    ]
    taken = [range(s.start, s.end) for s in spots]
    cards = [
        Spot("bank_card", m.start(), m.end())
        for m in CARD.finditer(words)
        if is_card_number(re.sub(r"[ -]", "", m.group()))
        and not any(m.start() in span for span in taken)
    ]
    spots += cards
    taken += [range(s.start, s.end) for s in cards]
    spots += [
        Spot("phone", m.start(), m.end())
        for m in PHONE.finditer(words)
        if not any(m.start() in span for span in taken)
    ]
    return sorted(spots, key=lambda s: s.start)


def is_free_text(column: Column[Any]) -> bool:
    """Tell whether people write sentences into a column, rather than a number or a name."""
    if "personal" in column.info or not isinstance(column.type, String):
        return False
    return "free_text" in column.info or (column.type.length or SENTENCE) >= SENTENCE


def warnings_for(model: Any, values: Mapping[str, Any]) -> dict[str, str]:
    """Return a warning per free-text attribute whose value holds a personal number."""
    found: dict[str, str] = {}
    for attribute in sa_inspect(model).column_attrs:
        value = values.get(attribute.key)
        if not isinstance(value, str) or not is_free_text(attribute.columns[0]):
            continue
        kinds = {spot.kind for spot in find_personal(value)}
        if "id_number" in kinds:
            message = gettext(N_("This text holds an identity number; keep it in its field."))
            found[attribute.key] = message
        elif "bank_card" in kinds:
            found[attribute.key] = gettext(N_("This text holds a bank card number; take it out."))
        elif "phone" in kinds:
            message = gettext(N_("This text holds a phone number; keep it in its field."))
            found[attribute.key] = message
    return found


def warnings_of(record: Any) -> dict[str, str]:
    """Return the warnings for a record as it is now; see `warnings_for`."""
    names = sa_inspect(type(record)).column_attrs.keys()
    return warnings_for(type(record), {name: getattr(record, name) for name in names})
