"""Why each personal column is kept, from manifests; what is undeclared; the notice page."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Column, LargeBinary, String, Table, Text

from dougong.db.base import KERNEL_SCHEMA, METADATA
from dougong.i18n import N_, gettext, ngettext

KERNEL_FILE = Path(__file__).with_name("kernel.toml")
PERIOD = re.compile(r"^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?$")
SEARCH_SUFFIX = re.compile(r"_(index|tail)$")
# Columns that name or describe a person more often than not. The label counts as well as the name.
LOOKS_PERSONAL = re.compile(
    r"(^|_)(phone|mobile|telephone|e?mail|wechat|id_number|id_card|identity_number|passport|"
    r"birthday|birth_date|born_on|home_address|face|fingerprint|photo_of|next_of_kin|"
    r"emergency_contact)(_|$)"
    r"|手机|电话|身份证|证件号|护照|出生日期|生日|人脸|指纹|微信|邮箱|家庭住址|紧急联系"
)
BASES = {
    "consent": N_("your consent"),
    "contract": N_("the contract with you"),
    "statutory_duty": N_("a duty by law"),
    "vital_interest": N_("life or health in an emergency"),
    "public_interest": N_("the public interest"),
}


@dataclass(frozen=True)
class Declaration:
    """One personal column: whose, why, on what basis, and how long (ISO 8601 duration)."""

    plugin: str
    schema: str
    table: str
    column: str
    purpose: str
    basis: str
    retention: str
    is_sensitive: bool = False

    @property
    def key(self) -> str:
        return f"{self.schema}.{self.table}.{self.column}"


@dataclass(frozen=True)
class Undeclared:
    """A column that is personal, or looks so, and whose purpose nobody declared."""

    column: str
    reason: str

    def __str__(self) -> str:
        return f"{self.column}: {self.reason}"


@dataclass(frozen=True)
class NoticeEntry:
    """One line of the notice that tells people what is kept of them, in the locale in force."""

    plugin: str
    what: str
    purpose: str
    basis: str
    retention: str
    is_sensitive: bool
    is_encrypted: bool


@cache
def kernel_declarations() -> tuple[Declaration, ...]:
    """Return what the kernel declares for its own tables."""
    raw = tomllib.loads(KERNEL_FILE.read_text(encoding="utf-8"))["personal"]
    return tuple(_declaration("dougong", KERNEL_SCHEMA, name, d) for name, d in raw.items())


def _declaration(plugin: str, schema: str, name: str, said: Mapping[str, Any]) -> Declaration:
    table, _, column = name.partition(".")
    return Declaration(
        plugin,
        schema,
        table,
        column,
        said["purpose"],
        said["basis"],
        said["retention"],
        said.get("is_sensitive", False),
    )


def declarations(plugins: Any) -> dict[str, Declaration]:
    """Return the declarations of kernel and found plugins by ``schema.table.column``."""
    found = {d.key: d for d in kernel_declarations()}
    for plugin, entry in plugins.found.items():
        for name, said in entry.manifest.personal.items():
            made = _declaration(plugin, entry.manifest.schema, name, said.model_dump())
            found[made.key] = made
    return found


def undeclared_personal(plugins: Any, tables: Iterable[Table] | None = None) -> list[Undeclared]:
    """Return every personal column of the loaded models without a declared purpose.

    A column is personal when it is encrypted or its ``info`` says so; a plain one whose name or
    label looks personal needs a declaration as well. Declarations of no column count too.
    """
    declared, findings, seen = declarations(plugins), [], set()
    known = list(METADATA.sorted_tables if tables is None else tables)
    for table in known:
        for column in table.columns:
            key = f"{table.schema}.{table.name}.{column.name}"
            seen.add(key)
            reason = _why_personal(column)
            if reason and key not in declared:
                findings.append(Undeclared(key, reason))
    schemas = {table.schema for table in known}
    if tables is None:
        findings += [
            Undeclared(d.key, "is declared, and there is no such column")
            for d in declared.values()
            if d.key not in seen and d.schema in schemas
        ]
    return sorted(findings, key=lambda f: f.column)


def _why_personal(column: Column[Any]) -> str:
    if "encrypted" in column.info:
        return "is encrypted and says no purpose"
    if "personal" in column.info:
        return "is personal and says no purpose"
    if SEARCH_SUFFIX.search(column.name) and isinstance(column.type, LargeBinary):
        return ""
    if not isinstance(column.type, String | Text):
        return ""
    label = str(column.info.get("label") or "")
    if LOOKS_PERSONAL.search(column.name) or LOOKS_PERSONAL.search(label):
        return "looks personal, is plain, and says no purpose"
    return ""


def notice(plugins: Any, enabled: Iterable[str] | None = None) -> list[NoticeEntry]:
    """Return what the notice page says, for the plugins that are on (all by default)."""
    wanted = None if enabled is None else {*enabled, "dougong"}
    return [
        _notice_entry(said, column)
        for said, column in _with_columns(declarations(plugins).values())
        if wanted is None or said.plugin in wanted
    ]


def _with_columns(said: Iterable[Declaration]) -> Iterator[tuple[Declaration, Column[Any]]]:
    for each in sorted(said, key=lambda d: (d.plugin != "dougong", d.key)):
        table = METADATA.tables.get(f"{each.schema}.{each.table}")
        column = table.c.get(each.column) if table is not None else None
        if column is not None:
            yield each, column


def _notice_entry(said: Declaration, column: Column[Any]) -> NoticeEntry:
    return NoticeEntry(
        said.plugin,
        str(column.info.get("label") or gettext(N_("Technical data"))),
        gettext(said.purpose),
        gettext(BASES[said.basis]),
        retention_text(said.retention),
        said.is_sensitive,
        "encrypted" in column.info,
    )


def retention_text(duration: str) -> str:
    """Return a duration in words: P3Y is ``3 years``."""
    years, months, days = period_of(duration)
    parts = []
    if years:
        parts.append(ngettext("%(num)s year", "%(num)s years", years))
    if months:
        parts.append(ngettext("%(num)s month", "%(num)s months", months))
    if days:
        parts.append(ngettext("%(num)s day", "%(num)s days", days))
    return " ".join(parts)


def period_of(duration: str) -> tuple[int, int, int]:
    """Return years, months and days of an ISO 8601 duration; raises ValueError."""
    match = PERIOD.match(duration)
    if match is None or duration == "P":
        raise ValueError(f"{duration!r} is not a duration such as P3Y")
    years, months, days = (int(part or 0) for part in match.groups())
    return years, months, days


def before(day: date, duration: str) -> date:
    """Return the day that lies ``duration`` before ``day``, at most the last of its month."""
    years, months, days = period_of(duration)
    count = day.year * 12 + day.month - 1 - years * 12 - months
    year, month = divmod(count, 12)
    last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - date.resolution).day
    return date(year, month + 1, min(day.day, last)) - days * date.resolution
