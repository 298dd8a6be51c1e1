"""What the law wants of kinds of equipment: dated data with its source, in ``data/kinds.toml``."""

import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from dougong_equipment.domain.kinds import Statute
from dougong_equipment.domain.recurrence import due_days

DATA = Path(__file__).parents[1] / "data" / "kinds.toml"
# A legal date is on the calendar early enough for the first warning, at thirty days.
HORIZON_DAYS = 45


@dataclass(frozen=True)
class LegalCheck:
    """One check by law. name: in English and Chinese. valid_from: since when the source holds.

    instead_of: the English name of the general rule that a local one replaces, empty for those.
    """

    statute: Statute
    name: tuple[str, str]
    rule: str
    lead_days: int
    valid_from: date
    source: str
    instead_of: str = ""


@dataclass(frozen=True)
class Upkeep:
    """How lifts are maintained here. regime: of the data; days: the longest interval.

    notice: what admits the community to it; without one only the general rule holds.
    """

    regime: str = ""
    days: int = 15
    notice: str = ""


HALF_MONTHLY = Upkeep()


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    return tomllib.loads(DATA.read_text(encoding="utf-8"))


def kinds() -> list[dict[str, Any]]:
    """Return the kinds that a community starts with, as columns; names in both languages."""
    return [{"statute": None, "needs_registration": False, **kind} for kind in _data()["kind"]]


def checks(statute: Statute, on: date, upkeep: Upkeep = HALF_MONTHLY) -> list[LegalCheck]:
    """Return the checks that the law wanted of a kind on a day, local rules in place of general."""
    regime = upkeep.regime if upkeep.notice.strip() else ""
    found = [
        _check(entry, upkeep)
        for entry in _data()["check"]
        if entry["statute"] == statute
        and entry["valid_from"] <= on
        and entry.get("regime", "") in ("", regime)
    ]
    replaced = {check.instead_of for check in found}
    return [check for check in found if check.name[0] not in replaced]


def _check(entry: dict[str, Any], upkeep: Upkeep) -> LegalCheck:
    is_local = "regime" in entry
    return LegalCheck(
        Statute(entry["statute"]),
        (entry["name"]["en"], entry["name"]["zh"]),
        entry["rule"].format(days=upkeep.days),
        entry["lead_days"],
        entry["valid_from"],
        f"{entry['source']}；{upkeep.notice.strip()}" if is_local else entry["source"],
        entry.get("instead_of", ""),
    )


def variants(name: str) -> set[str]:
    """Return what the checks are called that stand for one another, this one among them.

    name: of a plan, in either language.
    """
    groups: dict[str, set[str]] = {}
    for entry in _data()["check"]:
        key = entry.get("instead_of", entry["name"]["en"])
        groups.setdefault(key, set()).update(entry["name"].values())
    return next((names for names in groups.values() if name in names), {name})


def first_due(check: LegalCheck, commissioned_on: date) -> date:
    """Return when a check is due for the first time: one interval after the first day of use."""
    until = commissioned_on + timedelta(days=366 * 10)
    return due_days(check.rule, commissioned_on, commissioned_on, until)[0]
