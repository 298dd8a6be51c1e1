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
    """One check by law. name: in English and Chinese. valid_from: since when the source holds."""

    statute: Statute
    name: tuple[str, str]
    rule: str
    lead_days: int
    valid_from: date
    source: str


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    return tomllib.loads(DATA.read_text(encoding="utf-8"))


def kinds() -> list[dict[str, Any]]:
    """Return the kinds that a community starts with, as columns; names in both languages."""
    return [{"statute": None, "needs_registration": False, **kind} for kind in _data()["kind"]]


def checks(statute: Statute, on: date) -> list[LegalCheck]:
    """Return the checks that the law wanted of a kind on a day."""
    return [
        LegalCheck(
            statute,
            (entry["name"]["en"], entry["name"]["zh"]),
            entry["rule"],
            entry["lead_days"],
            entry["valid_from"],
            entry["source"],
        )
        for entry in _data()["check"]
        if entry["statute"] == statute and entry["valid_from"] <= on
    ]


def first_due(check: LegalCheck, commissioned_on: date) -> date:
    """Return when a check is due for the first time: one interval after the first day of use."""
    until = commissioned_on + timedelta(days=366 * 10)
    return due_days(check.rule, commissioned_on, commissioned_on, until)[0]
