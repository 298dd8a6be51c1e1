"""What the kernel's sheets of the opening workbook hold, and how their rows become records.

Offices write rooms as 「1-2-301」 or 「1栋2单元301室」 and owners of a room as 「张三、李四」: both
are understood. People who are not on their own sheet are made from the rooms' owners and occupants.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from dougong.db import uuid7
from dougong.db.scope import Scope
from dougong.hookspecs import OpeningColumn, OpeningSheet
from dougong.i18n import N_, bilingual, gettext
from dougong.tenancy.models import (
    Building,
    Occupancy,
    OccupancyKind,
    Ownership,
    Person,
    PersonKind,
    Room,
    RoomKind,
    RoomState,
    Unit,
)
from dougong.web.admin.cells import CellError, folded, number_of, room_code, several
from dougong.web.admin.importing import check_entry
from dougong.web.admin.resolving import Asked, known_people, resolve
from dougong.web.admin.writing import Entry, Writer

Row = Mapping[str, Any]
Messages = dict[int, str]


def kernel_sheets() -> list[OpeningSheet]:
    """Return the sheets that every community has."""
    column = OpeningColumn
    return [
        OpeningSheet(
            bilingual("Buildings", "楼栋"), ("code", "name", "floors"), Building, order=10
        ),
        OpeningSheet(bilingual("Units", "单元"), ("building", "code", "name"), Unit, order=20),
        OpeningSheet(
            bilingual("Rooms", "房屋"),
            (
                column("code", bilingual("Room number", "房号"), is_needed=True, note=ROOM_NOTE),
                column("building_id", BUILDING, "relation", target=Building, note=FROM_NUMBER),
                column("unit_id", UNIT, "relation", target=Unit, note=FROM_NUMBER),
                column("floor", bilingual("Floor", "楼层"), "number"),
                column("room_kind", bilingual("Room kind", "用途"), "state", members=RoomKind),
                column("state", bilingual("State", "状态"), "state", members=RoomState),
                column("built_area", bilingual("Built area (m²)", "建筑面积（㎡）"), "number"),
                column("inner_area", bilingual("Inner area (m²)", "套内面积（㎡）"), "number"),
                column("old_code", bilingual("Code in the old system", "原系统编号")),
            ),
            load=load_rooms,
            order=30,
        ),
        OpeningSheet(
            bilingual("People", "人员"),
            (
                column("name", bilingual("Full name", "姓名"), is_needed=True),
                column("kind", bilingual("Person or company", "类型"), "state", members=PersonKind),
                column("phone", PHONE, "encrypted"),
                column("id_number", bilingual("Identity number", "证件号"), "encrypted"),
                column("is_protected", bilingual("Protected household", "重点照护"), "flag"),
                column("note", bilingual("Note", "备注")),
            ),
            load=load_people,
            order=40,
        ),
        OpeningSheet(
            bilingual("Ownerships", "产权"),
            (
                column("room_id", ROOM, "relation", True, target=Room),
                column("names", bilingual("Owners", "业主"), is_needed=True, note=NAMES_NOTE),
                column("phones", PHONE, note=PHONES_NOTE),
                column("shares", bilingual("Shares", "份额"), note=SHARES_NOTE),
                column("from_on", FROM, "day", note=FROM_NOTE),
                column("to_on", UNTIL, "day"),
            ),
            load=load_ownerships,
            order=50,
        ),
        OpeningSheet(
            bilingual("Occupancies", "入住"),
            (
                column("room_id", ROOM, "relation", True, target=Room),
                column("names", bilingual("Occupants", "住户"), is_needed=True, note=NAMES_NOTE),
                column("phones", PHONE, note=PHONES_NOTE),
                column("kind", bilingual("Kind", "类型"), "state", members=OccupancyKind),
                column("pays_fees", bilingual("Agreed to pay the fees", "约定缴费"), "flag"),
                column("from_on", FROM, "day", note=FROM_NOTE),
                column("to_on", UNTIL, "day"),
            ),
            load=load_occupancies,
            order=60,
        ),
        OpeningSheet(
            bilingual("Totals", "核对"),
            (
                column("item", bilingual("Total of", "项目"), "state", True, members=None),
                column("total", bilingual("In the old system", "原系统合计"), "number", True),
            ),
            load=check_totals,
            order=1_000,
            note=TOTALS_NOTE,
        ),
    ]


ROOM, BUILDING = bilingual("Room", "房屋"), bilingual("Building", "楼栋")
UNIT, PHONE = bilingual("Unit", "单元"), bilingual("Phone", "手机号")
FROM, UNTIL = bilingual("From", "起始日"), bilingual("Until", "终止日")
ROOM_NOTE = bilingual("1-2-301 or 1栋2单元301室", "写作 1-2-301 或 1栋2单元301室")
FROM_NUMBER = bilingual("Empty: taken from the room number", "可留空，由房号推出")
NAMES_NOTE = bilingual("Several names as 张三、李四", "多人写作 张三、李四")
PHONES_NOTE = bilingual("In the order of the names", "多个号码与姓名顺序一致")
SHARES_NOTE = bilingual(
    "50%、50% or 1/2、1/2; empty: equal", "写作 50%、50% 或 1/2、1/2；留空为均分"
)
FROM_NOTE = bilingual("Empty: 1 January of this year", "留空为今年 1 月 1 日")
TOTALS_NOTE = bilingual(
    "Totals of the old system, compared with what is here after the import.",
    "填写原系统的合计数，导入后逐项核对。",
)


# --- rooms ------------------------------------------------------------------------------------


def load_rooms(scope: Scope, rows: Sequence[Row]) -> Messages:
    """Write rooms; building and unit follow from the number where they are not given."""
    entries = [Entry(at, dict(row)) for at, row in enumerate(rows)]
    for entry in entries:
        entry.values["code"] = room_code(entry.values["code"])
    parts = {entry.number: entry.values["code"].split("-") for entry in entries}
    _derive(scope, entries, "building_id", Building, BUILDING, {n: p[0] for n, p in parts.items()})
    units = {n: p[1] for n, p in parts.items() if len(p) == 3}
    _derive(scope, entries, "unit_id", Unit, UNIT, units)
    return write(scope, Room, entries)


def _derive(
    scope: Scope,
    entries: Sequence[Entry],
    key: str,
    target: Any,
    label: Any,
    names: Mapping[int, str],
) -> None:
    wanted = [e for e in entries if key not in e.values and e.number in names and not e.problems]
    asked = [Asked(names[e.number], e.values) for e in wanted]
    for entry, answer in zip(wanted, resolve(scope, target, asked, str(label)), strict=True):
        if isinstance(answer, CellError):
            entry.refuse(str(label), str(answer))
        else:
            entry.values[key] = answer


def write(scope: Scope, model: Any, entries: Sequence[Entry]) -> Messages:
    """Check and write entries, numbered by position; return what is wrong by position."""
    for entry in entries:
        if not entry.problems:
            check_entry(model, entry)
    Writer(scope, model).write(entries)
    return {entry.number: entry.reason for entry in entries if entry.problems}


# --- people -----------------------------------------------------------------------------------


def load_people(scope: Scope, rows: Sequence[Row]) -> Messages:
    """Write people; the same name with the same phone is refused."""
    entries = [Entry(at, dict(row)) for at, row in enumerate(rows)]
    keys = [_who(row) for row in rows]
    known = known_people(scope, keys)
    seen: dict[tuple[str, str, str], int] = {}
    for entry, key in zip(entries, keys, strict=True):
        entry.values.setdefault("kind", _kind(entry.values["name"]))
        if not key[1] and not key[2]:
            continue
        if known.find(*key):
            entry.refuse("", gettext(N_("This person is here already.")))
        elif key in seen:
            entry.refuse("", gettext(N_("The same person stands twice on this sheet.")))
        seen.setdefault(key, entry.number)
    return write(scope, Person, entries)


def _who(row: Row) -> tuple[str, str, str]:
    return row["name"], row.get("phone") or "", row.get("id_number") or ""


def _kind(name: str) -> PersonKind:
    return PersonKind.COMPANY if "公司" in name or "有限" in name else PersonKind.PERSON


@dataclass
class Household:
    """One row of owners or occupants: who, by name and phone."""

    number: int
    names: list[str]
    phones: list[str]
    problem: str = ""
    ids: list[UUID] = field(default_factory=list)

    @property
    def people(self) -> list[tuple[str, str, str]]:
        return [(n, p, "") for n, p in zip(self.names, self.phones, strict=True)]


def households(scope: Scope, rows: Sequence[Row]) -> list[Household]:
    """Return who stands in each row, found or newly made."""
    made = [_household(at, row) for at, row in enumerate(rows)]
    wanted = [person for one in made if not one.problem for person in one.people]
    known, times = known_people(scope, wanted), Counter(wanted)
    new: dict[tuple[str, str, str], UUID] = {}
    for one in made:
        for person in one.people if not one.problem else ():
            found = known.find(*person)
            if len(found) > 1:
                message = N_("Several people are called “%(name)s”. Add the phone number.")
                one.problem = gettext(message, name=person[0])
            elif not found and not person[1] and times[person] > 1:
                message = N_("Several rows name “%(name)s” without a phone: one person or two?")
                one.problem = gettext(message, name=person[0])
            else:
                one.ids.append(next(iter(found), None) or new.setdefault(person, uuid7()))
    used = {id for one in made if not one.problem for id in one.ids}
    _make_people(scope, made, {k: v for k, v in new.items() if v in used})
    return made


def _household(at: int, row: Row) -> Household:
    names = several(row["names"])
    phones = several(row.get("phones") or "")
    one = Household(at, names, [*phones, *[""] * (len(names) - len(phones))])
    if not names:
        one.problem = gettext(N_("This is needed."))
    elif len(phones) > len(names):
        one.problem = gettext(N_("There are more phone numbers than names."))
    return one


def _make_people(
    scope: Scope, rows: Sequence[Household], new: Mapping[tuple[str, str, str], UUID]
) -> None:
    entries = []
    for at, ((name, phone, _), id) in enumerate(new.items()):
        values = {"name": name, "kind": _kind(name), **({"phone": phone} if phone else {})}
        entries.append(Entry(at, {**values, "id": id}))
    wrong = write(scope, Person, entries)
    refused = {id: wrong[at] for at, id in enumerate(new.values()) if at in wrong}
    for one in rows:
        one.problem = one.problem or next((refused[i] for i in one.ids if i in refused), "")


# --- owners and occupants ---------------------------------------------------------------------


def load_ownerships(scope: Scope, rows: Sequence[Row]) -> Messages:
    """Write who owns which room, each owner of a row with a share."""
    messages: Messages = {}
    entries: list[Entry] = []
    for one, row in zip(households(scope, rows), rows, strict=True):
        shares: list[Decimal] = []
        try:
            shares = [] if one.problem else shares_of(row.get("shares") or "", len(one.names))
        except CellError as error:
            one.problem = str(error)
        if one.problem:
            messages[one.number] = one.problem
            continue
        for person_id, share in zip(one.ids, shares, strict=True):
            entries.append(_held(scope, one, row, person_id, share=share))
    return messages | write(scope, Ownership, entries)


def load_occupancies(scope: Scope, rows: Sequence[Row]) -> Messages:
    """Write who lives in which room."""
    messages: Messages = {}
    entries: list[Entry] = []
    for one, row in zip(households(scope, rows), rows, strict=True):
        if one.problem:
            messages[one.number] = one.problem
            continue
        further = {k: row[k] for k in ("kind", "pays_fees") if k in row}
        entries += [_held(scope, one, row, person_id, **further) for person_id in one.ids]
    return messages | write(scope, Occupancy, entries)


def _held(scope: Scope, one: Household, row: Row, person_id: UUID, **further: Any) -> Entry:
    values = {
        "room_id": row["room_id"],
        "person_id": person_id,
        "from_on": row.get("from_on") or date(scope.today.year, 1, 1),
        **({"to_on": row["to_on"]} if "to_on" in row else {}),
        **further,
    }
    return Entry(one.number, values)


def shares_of(text: str, owners: int) -> list[Decimal]:
    """Return each owner's share, to six places; the first takes what rounding leaves.

    Nothing said means equal shares.

    Raises CellError for another number of shares than owners, or more than the whole.
    """
    parts = [part.strip() for part in text.replace(";", "、").split("、") if part.strip()]
    exact = [_share(part) for part in parts] or [Fraction(1, owners)] * owners
    if len(exact) != owners:
        raise CellError(gettext(N_("There are not as many shares as owners.")))
    if sum(exact) > 1 or min(exact) <= 0:
        raise CellError(gettext(N_("Shares are above nothing and together at most the whole.")))
    shares = [Decimal(int(share * 10**6)) / 10**6 for share in exact]
    if sum(exact) == 1:
        shares[0] += 1 - sum(shares)
    return shares


def _share(text: str) -> Fraction:
    """Return 1/2, 50%, 0.5 or 50 as a part of the whole."""
    above, is_fraction, below = text.partition("/")
    if is_fraction:
        if not (above.strip().isdecimal() and below.strip().isdecimal() and int(below)):
            raise CellError(gettext(N_("This is not a number.")))
        return Fraction(int(above), int(below))
    number = number_of(text)
    return Fraction(number) / (100 if "%" in text or number > 1 else 1)


# --- totals -----------------------------------------------------------------------------------

TOTALS: Mapping[str, tuple[Any, Any]] = {
    "buildings": (bilingual("Number of buildings", "楼栋数"), func.count(Building.id)),
    "rooms": (bilingual("Number of rooms", "房屋数"), func.count(Room.id)),
    "area": (bilingual("Sum of built areas (m²)", "建筑面积合计（㎡）"), func.sum(Room.built_area)),
    "people": (bilingual("Number of people", "人员数"), func.count(Person.id)),
    "ownerships": (bilingual("Number of ownerships", "产权记录数"), func.count(Ownership.id)),
}


def total_labels() -> Iterable[str]:
    """Return what can be compared with the old system."""
    return [str(label) for label, _ in TOTALS.values()]


def check_totals(scope: Scope, rows: Sequence[Row]) -> Messages:
    """Compare the old system's totals with what is here now."""
    known = {folded(str(label)): total for label, total in TOTALS.values()}
    messages: Messages = {}
    for at, row in enumerate(rows):
        total = known.get(folded(row["item"]))
        if total is None:
            messages[at] = gettext(N_("There is no such total."))
            continue
        here = Decimal(scope.session.execute(select(total)).scalar_one() or 0)
        if here != row["total"]:
            text = N_("The old system says %(there)s, here are %(here)s.")
            messages[at] = gettext(text, there=row["total"], here=here)
    return messages
