"""What the kernel's sheets of the opening workbook hold, and how their rows become records.

Offices write rooms as 「1-2-301」 or 「1栋2单元301室」 and owners of a room as 「张三、李四」: both
are understood. People who are not on their own sheet are made from the rooms' owners and occupants.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from dougong.db.scope import Scope
from dougong.hookspecs import OpeningColumn, OpeningSheet
from dougong.i18n import N_, bilingual, gettext
from dougong.tenancy.models import (
    Building,
    OccupancyKind,
    Ownership,
    Person,
    PersonKind,
    Room,
    RoomKind,
    RoomState,
    Unit,
)
from dougong.web.admin.cells import CellError, folded, room_code
from dougong.web.admin.opening_people import (
    Messages,
    Row,
    load_occupancies,
    load_ownerships,
    load_people,
    write,
)
from dougong.web.admin.resolving import Asked, resolve
from dougong.web.admin.writing import Entry


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
                column("bed", bilingual("Bed", "床位号")),
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
