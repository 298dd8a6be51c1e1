"""What people write into cells, as values: dates of any spelling, 是 and 否, 1,234.50 元, names.

Nothing here knows a record; a column's own limits are checked afterwards by ``record_input``.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

from dougong.db.columns import member_label
from dougong.i18n import N_, gettext, use_locale
from dougong.web.admin.workbooks import unguard

ERRORS = {"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!"}
YES = {"是", "有", "y", "yes", "true", "1", "√", "✓", "✔", "对", "真"}
NO = {"否", "无", "n", "no", "false", "0", "×", "✗", "x", "错", "假"}
DAY_PARTS = re.compile(r"(\d{4})\D{1,2}(\d{1,2})(?:\D{1,2}(\d{1,2}))?\D?")
MASK = re.compile(r"\*{4,}")
EPOCH = date(1899, 12, 30)
SERIALS = range(10_000, 80_000)
UNITS = re.compile(r"(元|㎡|m2|平方米|平米|¥|￥|,|%)", re.IGNORECASE)


class CellError(ValueError):
    """A cell does not say what its column needs; the message is for people."""


def text_of(cell: Any) -> str:
    """Return a cell as text, as an export would have been given it."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    text = str(cell).strip()
    if text.upper() in ERRORS or text.startswith("="):
        raise CellError(gettext(N_("This is a formula without a value. Paste its value instead.")))
    return unguard(text)


def value_of(kind: str, cell: Any, members: type[Enum] | None, zone: ZoneInfo) -> Any:
    """Return a cell's value for a column of ``kind``, None for an empty cell.

    Raises CellError in words of the column's kind.
    """
    text = text_of(cell)
    if not text:
        return None
    if members is not None:
        return member_of(members, text)
    reader = READERS.get(kind)
    if kind == "instant":
        return instant_of(text, zone)
    if kind == "encrypted" and MASK.search(text):
        raise CellError(gettext(N_("This is masked (****). Give the whole value or none.")))
    return reader(text) if reader else text


def member_of(members: type[Enum], text: str) -> Enum:
    """Return the member whose value or label in either language is ``text``."""
    wanted = folded(text)
    for member in members:
        if wanted in {folded(name) for name in member_names(member)}:
            return member
    raise CellError(
        gettext(
            N_("Choose one of %(expected)s."),
            expected="、".join(member_label(member) for member in members),
        )
    )


def member_names(member: Enum) -> Iterable[str]:
    """Return every way to write an enum member."""
    yield str(member.value)
    yield member.name
    for locale in ("zh_Hans_CN", "en"):
        with use_locale(locale):
            yield member_label(member)


def flag_of(text: str) -> bool:
    """Return True for 是 and its like, False for 否 and its like."""
    wanted = folded(text)
    if wanted in YES:
        return True
    if wanted in NO:
        return False
    raise CellError(gettext(N_("Say yes or no.")))


def number_of(text: str) -> Decimal:
    """Return a number written with separators, a currency or a unit: 1,234.50 元."""
    plain = UNITS.sub("", unicodedata.normalize("NFKC", text)).replace(" ", "")
    try:
        number = Decimal(plain)
    except InvalidOperation:
        raise CellError(gettext(N_("This is not a number."))) from None
    if not number.is_finite() or abs(number) >= Decimal(10) ** 18 or len(plain) > 40:
        raise CellError(gettext(N_("This is not a number.")))
    return number


def day_of(text: str) -> date:
    """Return a day: 2026-11-24, 2026/11/24, 2026.11.24, 2026年11月24日, 20261124, or a serial."""
    plain = unicodedata.normalize("NFKC", text).strip()
    try:
        if plain.isdecimal() and len(plain) == 8:
            return date(int(plain[:4]), int(plain[4:6]), int(plain[6:]))
        if plain.isdecimal() and int(plain) in SERIALS:
            return EPOCH + timedelta(days=int(plain))
        found = DAY_PARTS.match(plain)
        if found and (found.end() == len(plain) or plain[found.end() - 1] in " T"):
            year, month, day = found.groups()
            return date(int(year), int(month), int(day or 1))
    except ValueError:
        pass
    raise CellError(gettext(N_("This is not a date (2026-11-24).")))


def instant_of(text: str, zone: ZoneInfo) -> datetime:
    """Return an instant, read in the community's zone unless the text names another."""
    plain = unicodedata.normalize("NFKC", text).strip().replace("/", "-").replace("T", " ")
    try:
        found = datetime.fromisoformat(plain)
    except ValueError:
        head, _, tail = plain.partition(" ")
        try:
            found = datetime.combine(
                day_of(head), datetime.strptime(tail or "0:00", "%H:%M").time()
            )
        except ValueError:
            raise CellError(gettext(N_("This is not a date and time."))) from None
    return found if found.tzinfo else found.replace(tzinfo=zone)


READERS: dict[str, Callable[[str], Any]] = {
    "flag": flag_of,
    "number": number_of,
    "money": number_of,
    "day": day_of,
}

# --- names ------------------------------------------------------------------------------------

ROOM = re.compile(
    r"(?P<building>[0-9A-Za-z]+)(?:栋|幢|座|号楼|楼)"
    r"(?:(?P<unit>[0-9A-Za-z]+)单元)?"
    r"(?:[0-9A-Za-z]+层)?(?P<room>[0-9A-Za-z]+)(?:室|房|号房|号)?"
)
SUFFIXES = ("号楼", "单元", "栋", "幢", "座", "楼", "室", "房", "号")
DASHES = re.compile(r"\s*[-‐-―—－_/#]\s*")
SEVERAL = re.compile(r"\s*[、，,;；/]\s*|\s*\n\s*")
PHONE = re.compile(r"(?<![0-9A-Za-z])(?:\+86[- ]?|86-?)?(1\d{10}|0\d{2,3}-?\d{7,8})(?![0-9A-Za-z])")
GROUPED = re.compile(r"(?<!\d)(1\d{2})[- ](\d{4})[- ](\d{4})(?!\d)")
IDENTITY = re.compile(r"(?<![0-9A-Za-z])(\d{17}[0-9Xx]|[0-9A-HJ-NPQRTUWXY]{18})(?![0-9A-Za-z])")


def folded(text: str) -> str:
    """Return the form under which two spellings of a name are the same."""
    return unicodedata.normalize("NFKC", str(text)).casefold().strip()


def spellings(text: str) -> list[str]:
    """Return what a name may be stored as, the likeliest first.

    「1栋2单元301室」 is ``1-2-301``; 「3号楼」 is ``3``.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    found = [text.strip(), plain, DASHES.sub("-", plain)]
    found += [room_code(text), bare_name(text)]
    return list(dict.fromkeys(found))


def bare_name(text: str) -> str:
    """Return a building's or unit's number alone: ``3`` for 「3号楼」, ``2`` for 「2单元」."""
    squeezed = "".join(unicodedata.normalize("NFKC", text).split())
    for suffix in SUFFIXES:
        if squeezed.endswith(suffix) and len(squeezed) > len(suffix):
            return squeezed.removesuffix(suffix)
    return squeezed


def room_code(text: str) -> str:
    """Return a room's number as it is stored: ``1-2-301`` for 「1栋2单元301室」."""
    plain = "".join(unicodedata.normalize("NFKC", text).split())
    room = ROOM.fullmatch(plain)
    if room is None:
        return DASHES.sub("-", plain)
    return "-".join(part for part in (room["building"], room["unit"], room["room"]) if part)


def several(text: str) -> list[str]:
    """Return the names in 「张三、李四」, in order."""
    return [part for part in SEVERAL.split(text.strip()) if part]


def person_parts(text: str) -> tuple[str, str, str]:
    """Return name, phone and identity number in 「张三 13800000000」; what is missing is empty."""
    plain = GROUPED.sub(r"\1\2\3", unicodedata.normalize("NFKC", text))
    identity = IDENTITY.search(plain)
    rest = IDENTITY.sub(" ", plain)
    phone = PHONE.search(rest)
    name = " ".join(re.sub(r"[()\[\]:,;]", " ", PHONE.sub(" ", rest)).split())
    return name, phone[1] if phone else "", identity[1].upper() if identity else ""
