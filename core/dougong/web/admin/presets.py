"""What is known of other systems' files: their layouts, and what was chosen for a head before.

HC小区 is the system that communities most often come from. Its asset template has the sheets
「楼栋单元」「房屋信息」「业主信息」; the opening workbook takes it as it is. Source: the columns
that its importers read (java110/MicroCommunity: 资产导入, 业主导入, 费用导入).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from dougong.db import uuid7
from dougong.db.scope import Scope
from dougong.exchange import ImportMapping
from dougong.i18n import LazyText, bilingual
from dougong.web.admin.cells import bare_name, folded, room_code, text_of
from dougong.web.admin.importing import Field, Plan, guess, header_key, places_of
from dougong.web.admin.uploads import Line, Table


@dataclass(frozen=True)
class Preset:
    """A layout of another system. heads: by attribute, what its columns are called there.

    joins: its room numbers are only unique within their unit.
    """

    key: str
    title: LazyText
    view: str
    heads: Mapping[str, str]
    joins: bool = False

    def fits(self, header: Sequence[Any]) -> bool:
        """Tell whether a file's head is this layout's: every column of it is there."""
        known = {header_key(cell) for cell in header if cell is not None}
        return {header_key(head) for head in self.heads.values()} <= known

    def columns(self, fields: Sequence[Field], header: Sequence[Any]) -> dict[str, int]:
        """Return which position fills which attribute."""
        places = {header_key(cell): at for at, cell in enumerate(header) if cell is not None}
        offered = {each.key for each in fields}
        return {
            key: places[header_key(head)]
            for key, head in self.heads.items()
            if key in offered and header_key(head) in places
        }


PRESETS = (
    Preset(
        "hc_rooms",
        bilingual("HC小区: rooms", "HC小区·房屋信息"),
        "dougong.room",
        {
            "code": "房屋编号",
            "building_id": "楼栋编号",
            "unit_id": "单元编号",
            "floor": "房屋楼层",
            "built_area": "建筑面积",
            "inner_area": "室内面积",
        },
        joins=True,
    ),
    Preset(
        "hc_units",
        bilingual("HC小区: units", "HC小区·楼栋单元"),
        "dougong.unit",
        {"building_id": "楼栋号", "code": "单元编号"},
    ),
    Preset(
        "hc_owners",
        bilingual("HC小区: owners", "HC小区·业主信息"),
        "dougong.person",
        {"name": "业主名称", "phone": "业主手机号", "id_number": "业主身份证"},
    ),
    Preset(
        "hc_owner_list",
        bilingual("HC小区: list of owners", "HC小区·业主导入"),
        "dougong.person",
        {"name": "姓名", "phone": "手机号", "id_number": "身份证号", "note": "备注"},
    ),
    Preset(
        "hc_fees",
        bilingual("HC小区: fees of rooms", "HC小区·房屋费用"),
        "fees.charge",
        {"fee_item_id": "费用名称", "room_id": "房屋编号", "from_on": "开始时间"},
        joins=True,
    ),
)


def preset_of(view: str, header: Sequence[Any]) -> Preset | None:
    """Return the known layout that a file's head is, None for any other."""
    return next((p for p in PRESETS if p.view == view and p.fits(header)), None)


def proposed(
    scope: Scope, view: str, fields: Sequence[Field], header: Sequence[Any], lines: Sequence[Line]
) -> tuple[Plan, str]:
    """Return a plan for a file, and where it comes from: ``remembered``, a preset's title or ""."""
    known = remembered(scope, view, fields, header)
    if known is not None:
        return known, "remembered"
    preset = preset_of(view, header)
    if preset is not None:
        columns = guess(fields, header) | preset.columns(fields, header)
        return Plan(columns, place=places_of(header) if preset.joins else ()), str(preset.title)
    columns = guess(fields, header)
    return Plan(columns, place=places_of(header) if _repeats(columns, lines) else ()), ""


def _repeats(columns: Mapping[str, int], lines: Sequence[Line]) -> bool:
    """Tell whether room numbers come again in other buildings: then they need both parts."""
    if "code" not in columns or "building_id" not in columns:
        return False
    numbers = [str(line[columns["code"]]) for line in lines]
    return len(set(numbers)) < len(numbers) and not any("-" in number for number in numbers)


# --- remembered -----------------------------------------------------------------------------------


def head_of(header: Sequence[Any]) -> str:
    """Return what makes two heads the same: their names in order, whatever the spelling."""
    names = [header_key(cell) if cell is not None else "" for cell in header]
    return hashlib.sha256(json.dumps(names, ensure_ascii=False).encode()).hexdigest()


def remembered(
    scope: Scope, view: str, fields: Sequence[Field], header: Sequence[Any]
) -> Plan | None:
    """Return the plan with which a file of this head was imported last in the community."""
    if scope.community_id is None:
        return None
    query = select(ImportMapping).where(
        ImportMapping.view == view, ImportMapping.head == head_of(header)
    )
    known = scope.session.scalars(query).first()
    if known is None:
        return None
    offered = {each.key for each in fields}
    plan = Plan.from_json(known.plan)
    return replace(plan, columns={k: at for k, at in plan.columns.items() if k in offered})


def remember(scope: Scope, view: str, header: Sequence[Any], plan: Plan) -> None:
    """Keep a plan for the next file with this head."""
    head = head_of(header)
    query = select(ImportMapping).where(ImportMapping.view == view, ImportMapping.head == head)
    known = scope.session.scalars(query).first()
    if known is None:
        known = ImportMapping(id=uuid7(), view=view, head=head)
        scope.session.add(known)
    known.plan, known.used_at = plan.as_json(), scope.now
    scope.session.flush()


# --- HC小区's workbook as an opening workbook -----------------------------------------------------

HC_UNITS, HC_ROOMS, HC_OWNERS = "楼栋单元", "房屋信息", "业主信息"
# What its exports hold where nothing was known.
HC_NOBODY = {"19999999999", "10000000000000000001"}


def opening_tables(tables: Sequence[Table]) -> list[Table]:
    """Return a workbook's sheets; one of HC小区 becomes ours, rows keep their numbers."""
    by_name = {folded(table.name): table for table in tables}
    units, rooms = by_name.get(folded(HC_UNITS)), by_name.get(folded(HC_ROOMS))
    if units is None or rooms is None:
        return list(tables)
    owners = by_name.get(folded(HC_OWNERS), Table(HC_OWNERS))
    people = {str(row["业主编号"]): row for row in _rows(owners)}
    known = {folded(name) for name in (HC_UNITS, HC_ROOMS, HC_OWNERS)}
    rest = [table for table in tables if folded(table.name) not in known]
    return [*_ground(units), _rooms(rooms), _people(people), _owned(rooms, people), *rest]


@dataclass(frozen=True)
class _Row:
    """A row by the names of its columns, other spellings included."""

    number: int
    cells: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        value = self.cells.get(header_key(name))
        return None if value is None or str(value) in HC_NOBODY else value

    def first(self, *names: str) -> Any:
        """Return the first cell that is filled, of several names for one column."""
        return next((self[name] for name in names if self[name] is not None), None)


def _rows(table: Table) -> Iterator[_Row]:
    if not table.lines:
        return
    head = [header_key(cell) if cell is not None else "" for cell in table.lines[0].cells]
    for line in table.lines[1:]:
        yield _Row(line.number, {name: line[at] for at, name in enumerate(head) if name})


def _table(name: str, head: Sequence[str], rows: Sequence[tuple[int, Sequence[Any]]]) -> Table:
    return Table(
        name, [Line(1, list(head)), *(Line(number, list(cells)) for number, cells in rows)]
    )


def _ground(units: Table) -> list[Table]:
    """Return the sheets of buildings and of units out of the one that has both."""
    buildings: dict[str, tuple[int, Sequence[Any]]] = {}
    stairs = []
    for row in _rows(units):
        code = bare_name(text_of(row.first("楼栋号", "楼栋编号")))
        floors = row.first("总楼层", "总层数")
        buildings.setdefault(code, (row.number, (code, f"{code}栋", floors)))
        unit = bare_name(text_of(row.first("单元编号", "单元号")))
        if unit and unit != "0":
            stairs.append((row.number, (code, unit, f"{unit}单元")))
    return [
        _table("楼栋", ("编号", "名称", "层数"), list(buildings.values())),
        _table("单元", ("楼栋", "编号", "名称"), stairs),
    ]


def _code(row: _Row) -> str:
    unit = bare_name(text_of(row.first("单元编号", "单元号")))
    parts = (row.first("楼栋编号", "楼栋号"), "" if unit == "0" else unit, row["房屋编号"])
    return room_code("-".join(bare_name(text_of(part)) for part in parts if part))


def _rooms(rooms: Table) -> Table:
    found = [
        (
            row.number,
            (
                _code(row),
                row.first("房屋楼层", "楼层"),
                row["建筑面积"],
                row.first("室内面积", "套内面积"),
                row["房屋编号"],
            ),
        )
        for row in _rows(rooms)
    ]
    return _table("房屋", ("房号", "楼层", "建筑面积", "套内面积", "原系统编号"), found)


def _phone(row: _Row) -> Any:
    return row.first("业主手机号", "手机号", "联系方式", "联系电话", "电话", "业主电话")


def _people(people: Mapping[str, _Row]) -> Table:
    found = [
        (
            row.number,
            (
                row.first("业主名称", "姓名"),
                _phone(row),
                row.first("业主身份证", "身份证", "身份证号", "证件号"),
            ),
        )
        for row in people.values()
    ]
    return _table("人员", ("姓名", "手机号", "证件号"), found)


def _owned(rooms: Table, people: Mapping[str, _Row]) -> Table:
    found = []
    for row in _rows(rooms):
        owner = people.get(str(row["业主编号"]))
        if owner is not None:
            name = owner.first("业主名称", "姓名")
            found.append((row.number, (_code(row), name, _phone(owner))))
    return _table("产权", ("房屋", "业主", "手机号"), found)
