"""Rows of a file become records: mapped, read, resolved, checked, written; problems by row.

Everything is set-based: a file of thousands of rows takes a statement per relation and unique key,
and one per table to write, with the audit trigger, policies and constraints of every other write.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import inspect as sa_inspect

from dougong import services
from dougong.db.scope import Scope
from dougong.i18n import N_, gettext, use_locale
from dougong.services.inputs import invalid_from, record_input, writable_columns
from dougong.web.admin.cells import CellError, bare_name, folded, room_code, text_of, value_of
from dougong.web.admin.resolving import Asked, batches, resolve
from dougong.web.admin.uploads import Line
from dougong.web.admin.views import Column, RecordView
from dougong.web.admin.writing import Entry, Writer

PIECE = 500
Tell = Callable[[int], None]
# How the columns of other systems' exports are called, by attribute.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "code": ("编号", "代码", "编码", "房号", "房屋编号", "房间号", "楼栋编号", "楼号", "单元编号"),
    "name": ("名称", "姓名", "业主姓名", "客户名称", "楼栋名称", "单元名称", "住户姓名"),
    "phone": ("手机号", "手机", "手机号码", "电话", "联系电话", "联系方式", "业主电话"),
    "id_number": ("证件号", "身份证", "身份证号", "身份证号码", "证件号码"),
    "building": ("楼栋", "楼号", "楼栋号", "楼栋编号", "栋号", "幢号", "楼宇"),
    "unit": ("单元", "单元号", "单元编号"),
    "room": ("房屋", "房号", "房屋编号", "房间号", "房间", "室号"),
    "person": ("业主", "姓名", "业主姓名", "住户", "人员", "客户"),
    "built_area": ("建筑面积", "面积", "产权面积", "收费面积"),
    "inner_area": ("套内面积", "室内面积", "使用面积"),
    "floor": ("楼层", "层", "所在楼层", "层数"),
    "floors": ("层数", "总层数", "楼层数"),
    "note": ("备注", "说明"),
    "old_code": ("原系统编号", "旧编号", "原编号"),
    "from_on": ("起始日", "开始日期", "起始日期", "交付日期", "入住日期", "交房日期"),
    "to_on": ("终止日", "结束日期", "截止日期", "搬离日期"),
    "share": ("份额", "产权份额", "产权比例"),
}


@dataclass(frozen=True)
class Field:
    """One attribute that a file may fill. key: the attribute; relations are given by name."""

    key: str
    label: str
    column: Column
    is_needed: bool
    names: frozenset[str]
    exact: frozenset[str]


@dataclass
class Outcome:
    """What an import did, or would have done."""

    total: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    entries: list[Entry] = field(default_factory=list)

    @property
    def refused(self) -> list[Entry]:
        """Return the rows with problems."""
        return [entry for entry in self.entries if entry.problems]

    @property
    def counts(self) -> dict[str, int]:
        """Return the numbers alone, as an import keeps them."""
        numbers = {key: getattr(self, key) for key in ("created", "changed", "unchanged")}
        return {**numbers, "total": self.total, "refused": len(self.refused)}

    def add(self, entries: Sequence[Entry]) -> None:
        """Count what became of more rows."""
        self.total += len(entries)
        self.entries += entries
        for entry in entries:
            if not entry.problems:
                setattr(self, entry.done, getattr(self, entry.done) + 1)


@dataclass(frozen=True)
class Plan:
    """How a file is read. columns: attribute → position in the row. match: the attribute by which
    a row finds the record that it changes; empty when every row is new. place: where building and
    unit stand, when rooms are written as 301 beside them and are known here as 1-2-301."""

    columns: Mapping[str, int]
    match: str = ""
    place: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the plan as it is kept."""
        return {"columns": dict(self.columns), "match": self.match, "place": list(self.place)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Plan":
        """Return the plan that was kept."""
        columns = dict(kept.get("columns", {}))
        return cls(columns, kept.get("match", ""), tuple(kept.get("place", ())))


def fields_of(scope: Scope, view: type[RecordView]) -> list[Field]:
    """Return what a file may fill in: what the view's form offers."""
    known = writable_columns(view.model)
    columns = {column.attribute: column for column in view.seen_columns(scope).values()}
    made = []
    for key in view.form_keys():
        column = columns.get(key)
        if key not in known or column is None or column.kind in ("data", "id"):
            continue
        if column.attribute in scope.restrictions(view.model):
            continue
        _, is_nullable, has_default = known[key]
        made.append(field_of(column, not (is_nullable or has_default)))
    return made


def field_of(column: Column, is_needed: bool) -> Field:
    """Return the field of a column, with every name that a file may give it."""
    exact = {column.key, column.attribute}
    for locale in ("zh_Hans_CN", "en"):
        with use_locale(locale):
            exact.add(str(column.label))
    exact = {header_key(name) for name in exact}
    names = exact | {header_key(name) for name in SYNONYMS.get(column.key, ())}
    return Field(
        column.attribute,
        str(column.label),
        column,
        is_needed,
        frozenset(names),
        frozenset(exact),
    )


def header_key(text: Any) -> str:
    """Return a head without case, spaces, unit and marks: 「建筑面积（㎡）*」 is 建筑面积."""
    plain = folded(text).replace("*", "").replace("_", " ")
    return "".join(plain.partition("(")[0].split())


def guess(fields: Sequence[Field], header: Sequence[Any]) -> dict[str, int]:
    """Return which position fills which attribute: exact labels first, then other names."""
    heads = [header_key(cell) if cell is not None else "" for cell in header]
    found: dict[str, int] = {}
    for kind in ("exact", "names"):
        for each in (f for f in fields if f.key not in found):
            names = getattr(each, kind)
            fitting = (at for at, head in enumerate(heads) if head and head in names)
            at = next((at for at in fitting if at not in found.values()), None)
            if at is not None:
                found[each.key] = at
    return found


def places_of(header: Sequence[Any]) -> tuple[int, ...]:
    """Return where a file says building and unit, in this order; empty without a building."""
    heads = [header_key(cell) if cell is not None else "" for cell in header]
    known = [{header_key(name) for name in SYNONYMS[key]} for key in ("building", "unit")]
    found = [next((at for at, head in enumerate(heads) if head in names), None) for names in known]
    return tuple(at for at in found if at is not None) if found[0] is not None else ()


def find_header(fields: Sequence[Field], lines: Sequence[Line]) -> int:
    """Return which line is the head: of the first ten, the one that most columns know.

    Workbooks of property offices often start with a title over merged cells.
    """
    scores = [len(guess(fields, line.cells)) for line in lines[:10]]
    best = max(scores, default=0)
    return scores.index(best) if best else 0


def match_keys(fields: Sequence[Field]) -> list[Field]:
    """Return the fields by which a row may find its record: names, serials, personal numbers."""
    from dougong.web.admin.resolving import NAMES

    def fits(each: Field) -> bool:
        encrypted = each.column.encrypted
        return each.key in NAMES if encrypted is None else encrypted.search is not None

    return [each for each in fields if fits(each)]


class RecordImport:
    """One file on its way into one model.

    seed: makes the ids of new records, the same for the same file, so that it cannot be imported
    twice. Call ``run`` in a savepoint; whoever opened it decides whether what it wrote stays.
    """

    def __init__(
        self,
        scope: Scope,
        model: Any,
        fields: Sequence[Field],
        plan: Plan,
        *,
        seed: tuple[int, str] | None = None,
    ) -> None:
        self.scope, self.model, self.plan, self.seed = scope, model, plan, seed
        self.fields = [each for each in fields if each.key in plan.columns]
        self.writer = Writer(scope, model, self.fields, plan.match)

    def run(self, lines: Sequence[Line], tell: Tell = lambda done: None) -> Outcome:
        """Write what can be written; return what was done and what was refused, by row.

        tell: called with the number of lines that are through, once for every piece.
        """
        outcome = Outcome()
        for piece in batches(lines, PIECE):
            entries = self.read(piece)
            self.writer.match(entries)
            for entry in entries:
                if not entry.problems:
                    check_entry(self.model, entry, self.fields)
            self.write(entries)
            outcome.add(entries)
            tell(outcome.total)
        return outcome

    def read(self, lines: Sequence[Line]) -> list[Entry]:
        """Return the rows' values, relations resolved; what cannot be read is refused."""
        entries = [self._read(line) for line in lines]
        self._relations(entries)
        return entries

    def write(self, entries: Sequence[Entry]) -> None:
        """Write checked entries."""
        name = services.permission_of(self.model, "import")
        permission = services.permission_of(self.model, "create")
        with services.entered(self.scope, name, permission):
            self.writer.write(entries)

    def _read(self, line: Line) -> Entry:
        entry = Entry(line.number)
        if self.seed is not None:
            entry.new_id = row_id(*self.seed, line.number)
        for each in self.fields:
            try:
                self._read_cell(line, each, entry)
            except CellError as problem:
                entry.refuse(each.label, str(problem))
        return entry

    def _read_cell(self, line: Line, each: Field, entry: Entry) -> None:
        cell = line[self.plan.columns[each.key]]
        if each.column.kind == "relation":
            if text := text_of(cell):
                entry.names[each.key] = self._joined(line, each, text)
            return
        value = value_of(each.column.kind, cell, each.column.members, self.scope.zone)
        if value is not None:
            is_code = each.key == "code"
            entry.values[each.key] = self._joined(line, each, value) if is_code else value

    def _joined(self, line: Line, each: Field, text: str) -> str:
        """Return a room's number with its building and unit before it, where the plan says so."""
        if not self.plan.place or each.key not in ("code", "room_id") or "-" in text:
            return text
        parts = [bare_name(text_of(line[at])) for at in self.plan.place]
        return room_code("-".join([*(part for part in parts if part not in ("", "0")), text]))

    def _relations(self, entries: Sequence[Entry]) -> None:
        """Fill in the ids of named records, column by column, in the form's order."""
        for each in self.fields:
            if each.column.kind != "relation":
                continue
            rows = [entry for entry in entries if each.key in entry.names]
            asked = [Asked(entry.names[each.key], entry.values) for entry in rows]
            answers = resolve(self.scope, each.column.target, asked, each.label)
            for entry, answer in zip(rows, answers, strict=True):
                if isinstance(answer, CellError):
                    entry.refuse(each.label, str(answer))
                else:
                    entry.values[each.key] = answer


def check_entry(model: Any, entry: Entry, fields: Sequence[Field] = ()) -> None:
    """Check a row as every form and API call is checked; note what is wrong."""
    mode = "change" if entry.found_id is not None else "create"
    try:
        made = record_input(model, mode).model_validate(entry.values)
    except ValidationError as error:
        labels = {each.key: each.label for each in fields}
        for key, message in invalid_from(error).fields.items():
            entry.refuse(labels.get(key) or label_of(model, key), message)
        return
    entry.values = {k: getattr(made, k) for k in made.model_fields_set}


def label_of(model: Any, key: str) -> str:
    """Return an attribute's label."""
    column = sa_inspect(model).columns.get(key)
    return str(column.info.get("label") or key) if column is not None else key


def row_id(made_at: int, digest: str, number: int) -> UUID:
    """Return the id of the record that a row makes: the same row of the same file, the same id."""
    random = hashlib.sha256(f"{digest}|{number}".encode()).digest()
    return UUID(
        int=(made_at * 1000 << 80)
        | (7 << 76)
        | (int.from_bytes(random[:2]) & 0xFFF) << 64
        | (2 << 62)
        | int.from_bytes(random[2:10]) & 0x3FFF_FFFF_FFFF_FFFF
    )


def summary(counts: Mapping[str, int]) -> str:
    """Return one sentence on what an import does. counts: as of ``Outcome``."""
    numbers = {k: counts.get(k, 0) for k in ("created", "changed", "unchanged", "refused")}
    return gettext(
        N_("%(created)s new, %(changed)s changed, %(unchanged)s unchanged, %(refused)s refused."),
        **numbers,
    )
