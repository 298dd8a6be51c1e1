"""The published tariffs in the documentation, entered and billed as the page says."""

import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from dougong_fees import services
from dougong_fees.models import Bill, TierSpan

from .test_tariffs import billed, household, tariff, used  # noqa: F401

PAGE = Path(__file__).parents[3] / "docs/how-to/tariffs.md"
BLOCKS = [
    tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.S)
]
CASES = [(block, family) for block in BLOCKS for family in block["household"]]


def enter(scope, place, block):
    price = {}
    if "head_count_from" in block:
        price = {
            "head_count_from": block["head_count_from"],
            "head_count_extra": Decimal(block["head_count_extra"]),
            "is_extra_per_person": block["per_person"],
        }
    steps = [(above, up_to or None, cost) for above, up_to, cost in block["tiers"]]
    return tariff(scope, place, block["commodity"], steps, TierSpan(block["span"]), **price)


@pytest.mark.parametrize(
    ("block", "family"),
    CASES,
    ids=[f"{b['city']} {b['commodity']} {f['people']} people" for b, f in CASES],
)
def test_the_page_is_right_to_the_fen(scope, place, used, block, family):  # noqa: F811
    enter(scope, place, block)
    household(scope, place.room_ids[0], family["people"])
    for bill in family["bills"]:
        used[bill["from"]] = bill["used"]
        lines = billed(scope, bill["from"], bill["months"])
        told = [f"{q.normalize():f} × {p.normalize():f} = {amount:.2f}" for q, p, amount in lines]
        assert told == bill["lines"]


def test_the_bill_of_a_large_household_says_how_its_tiers_grew(scope, place, used):  # noqa: F811
    block = BLOCKS[0]
    enter(scope, place, block)
    household(scope, place.room_ids[0], 7)
    (bill,) = [each for each in block["household"] if each["people"] == 7][0]["bills"]
    used[bill["from"]] = bill["used"]
    billed(scope, bill["from"], bill["months"])
    found = scope.session.scalars(select(Bill)).one()
    notes = [note for line in services.explain_bill(scope, found) for note in line.notes]
    assert any("60" in note and "7" in note and "240" in note for note in notes)


def test_the_page_holds_three_tariffs():
    assert [(block["city"], block["commodity"]) for block in BLOCKS] == [
        ("Beijing", "water"),
        ("Beijing", "electricity"),
        ("Shanghai", "electricity"),
    ]
