"""Formulas and tiers in a run: published tariffs as worked examples, and Python beside SQL."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from dougong.errors import Invalid
from dougong.services import change, create
from dougong.tenancy.models import Occupancy, Person, Room
from dougong_fees import services
from dougong_fees.domain.amounts import (
    Tier,
    head_count_extra,
    line_amount,
    round_amount,
    stretched,
    tier_parts,
)
from dougong_fees.domain.formula import parse, reckon
from dougong_fees.domain.periods import add_months
from dougong_fees.models import (
    Bill,
    BillLine,
    Charge,
    ChargeMethod,
    Commodity,
    FeeItem,
    FeePrice,
    PriceTier,
    TierSpan,
)
from dougong_fees.services.formulas import try_formula

from .test_runs import NOVEMBER, OCTOBER, Usage, lines, make_run

D = Decimal
# Beijing, kWh a month; docs/how-to/tariffs.md has this and others in full.
BEIJING_POWER = (("0", "240", "0.4883"), ("240", "400", "0.5383"), ("400", None, "0.7883"))


def tariff(scope, place, commodity, steps, span, **price):
    item = FeeItem(
        code=commodity,
        name=commodity,
        method=ChargeMethod.USAGE,
        commodity=Commodity(commodity),
        tier_span=span,
    )
    scope.session.add(item)
    scope.session.flush()
    version = FeePrice(fee_item_id=item.id, from_on=date(2020, 1, 1), unit_price=D(0), **price)
    scope.session.add(version)
    scope.session.flush()
    for above, up_to, unit_price in steps:
        scope.session.add(
            PriceTier(
                price_id=version.id,
                above=D(above),
                up_to=up_to and D(up_to),
                unit_price=D(unit_price),
            )
        )
    charge = Charge(room_id=place.room_ids[0], fee_item_id=item.id, from_on=date(2020, 1, 1))
    scope.session.add(charge)
    scope.session.flush()
    return item


def household(scope, room_id, count):
    for number in range(count):
        person = Person(name=f"住户{number}")
        scope.session.add(person)
        scope.session.flush()
        since = date(2020, 1, 1)
        scope.session.add(Occupancy(room_id=room_id, person_id=person.id, from_on=since))
    scope.session.flush()


@pytest.fixture
def used(scope, place, monkeypatch):
    """What the first room used, by the first day of the period."""
    known: dict = {}
    ask = type(scope).ask

    def answer(self, hook, /, **arguments):
        if hook != "usage_for_period":
            return ask(self, hook, **arguments)
        quantity = known.get(arguments["from_on"])
        return [[] if quantity is None else [Usage(place.room_ids[0], D(quantity))]]

    monkeypatch.setattr(type(scope), "ask", answer)
    return known


def billed(scope, from_on, months=1):
    """Run the months from a day on; return quantity, price and amount of their lines."""
    make_run(scope, from_on, add_months(from_on, months))
    found = scope.session.scalars(
        select(BillLine).where(BillLine.from_on == from_on).order_by(BillLine.part)
    )
    return [(line.quantity, line.unit_price, line.amount) for line in found]


def test_two_bills_in_one_month_share_its_tiers(scope, place, used):
    tariff(scope, place, "electricity", BEIJING_POWER, TierSpan.MONTH)
    used[OCTOBER], used[date(2026, 10, 16)] = 230, 20
    make_run(scope, OCTOBER, date(2026, 10, 16))
    make_run(scope, date(2026, 10, 16), NOVEMBER)
    found = [line for line in lines(scope) if line.from_on == date(2026, 10, 16)]
    assert [(line.quantity, line.unit_price) for line in found] == [
        (10, D("0.4883")),
        (10, D("0.5383")),
    ]


amounts = st.decimals("0.001", 900, places=3)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sizes=st.lists(amounts, min_size=1, max_size=4),
    prices=st.lists(st.decimals(0, 20, places=4), min_size=5, max_size=5),
    earlier=st.none() | amounts,
    quantity=amounts,
    people=st.integers(0, 4),
    counted_from=st.integers(1, 4),
    per_person=st.booleans(),
    span=st.sampled_from(list(TierSpan)),
)
def test_the_run_splits_tiers_as_the_rules_do(
    scope, place, used, sizes, prices, earlier, quantity, people, counted_from, per_person, span
):
    bounds = [sum(sizes[:n], D(0)) for n in range(len(sizes) + 1)]
    steps = [
        (low, bounds[n + 1] if n < len(sizes) else None, prices[n]) for n, low in enumerate(bounds)
    ]
    with scope.session.begin_nested() as trial:
        extra = {"head_count_from": counted_from, "head_count_extra": D("7.5")}
        tariff(scope, place, "water", steps, span, **extra, is_extra_per_person=per_person)
        household(scope, place.room_ids[0], people)
        used.clear()
        before = D(0)
        if earlier is not None:
            used[date(2026, 9, 1)] = earlier
            billed(scope, date(2026, 9, 1))
            before = earlier if span is TierSpan.YEAR else D(0)
        used[OCTOBER] = quantity
        found = billed(scope, OCTOBER)
        trial.rollback()
    more = head_count_extra(people, counted_from, D("7.5"), per_person=per_person)
    tiers = stretched([Tier(*step) for step in steps], 1, more)
    parts = tier_parts(before, quantity, tiers)
    assert found == [(q, t.unit_price, line_amount(q, t.unit_price)) for t, q in parts]
    assert sum(q for q, _, _ in found) == quantity


@pytest.mark.parametrize(
    "steps",
    [(("0", "10", "5"),), (("0", "10", "5"), ("20", None, "6")), (("5", None, "5"),)],
    ids=["no end", "a hole", "no beginning"],
)
def test_tiers_with_a_gap_bill_nothing_and_are_listed(scope, place, used, steps):
    tariff(scope, place, "water", steps, TierSpan.YEAR)
    used[OCTOBER] = 15
    run = make_run(scope)
    assert (run.bills, [p["problem"] for p in run.problems]) == (0, ["tier_gap"])


# --- formulas -------------------------------------------------------------------------------------

LIFT = "if floor <= 2 then 5 else min(area * price[yuan/m2], 30) + persons * 2[yuan/person]"


def formula_item(scope, place, formula, price="0.3", **values):
    item = FeeItem(
        code="lift", name="电梯费", method=ChargeMethod.FORMULA, formula=formula, **values
    )
    scope.session.add(item)
    scope.session.flush()
    scope.session.add(FeePrice(fee_item_id=item.id, from_on=date(2020, 1, 1), unit_price=D(price)))
    scope.session.add_all(
        Charge(room_id=room, fee_item_id=item.id, from_on=date(2026, 1, 1))
        for room in place.room_ids
    )
    scope.session.flush()
    return item


def test_a_run_bills_a_formula_as_python_reckons_it(scope, place, used):
    rooms = [scope.session.get_one(Room, (scope.community_id, r)) for r in place.room_ids]
    for number, room in enumerate(rooms):
        room.floor, room.built_area = number + 1, D("33.33") + number * 30
    household(scope, rooms[3].id, 3)
    formula_item(scope, place, LIFT)
    run = make_run(scope, date(2026, 10, 10), NOVEMBER)
    assert (run.lines, run.problems) == (4, [])
    for number, room in enumerate(rooms):
        (line,) = lines(scope, room.id)
        facts = {"area": room.built_area, "floor": room.floor, "price": D("0.3")}
        worth = reckon(parse(LIFT), {**facts, "persons": 3 if number == 3 else 0})
        months = D(line.months_numerator) / D(line.months_denominator)
        assert line.amount == round_amount(worth * 22 / 31) and months < 1
    bill = scope.session.scalars(select(Bill).where(Bill.room_id == rooms[3].id)).one()
    (told,) = services.explain_bill(scope, bill)
    assert "36" in told.formula and any("123.33" in note for note in told.notes)


def test_a_formula_without_a_value_is_listed_and_never_billed_as_zero(scope, place, used):
    rooms = [scope.session.get_one(Room, (scope.community_id, r)) for r in place.room_ids]
    formula_item(scope, place, "100[yuan] / (floor - 3[floor]) * 1[floor]")
    for room, floor in zip(rooms, (5, 3, None, 1), strict=True):
        room.floor = floor
    scope.session.flush()
    run = make_run(scope)
    assert (run.bills, run.amount) == (1, D("50.00"))
    assert {(p["room"], p["problem"]) for p in run.problems} == {
        (rooms[1].code, "no_value"),
        (rooms[2].code, "no_value"),
        (rooms[3].code, "negative"),
    }


def test_a_formula_sees_the_usage_of_the_period(scope, place, used):
    words = "max(usage * price[yuan/m3], 12) + 3"
    formula_item(scope, place, words, "2.5", commodity=Commodity.WATER)
    used[OCTOBER] = 9
    run = make_run(scope)
    assert (run.bills, run.amount) == (1, D("25.50"))
    assert {p["problem"] for p in run.problems} == {"no_meter"}
    (line,) = lines(scope)
    assert line.evidence["serial"] == "W-1" and line.quantity == 9


def test_a_wrong_formula_is_refused_when_it_is_saved(scope, place):
    values = {"code": "x", "name": "x", "method": "formula"}
    for formula in ("area * 2", "area * 2[yuan/m2] +", "1[yuan] / (floor - floor) * 1[floor]"):
        with pytest.raises(Invalid) as refused, scope.session.begin_nested():
            create(scope, FeeItem, {**values, "formula": formula})
        assert "formula" in refused.value.fields
    item = create(scope, FeeItem, {**values, "formula": "area * 2[yuan/m2]"})
    with pytest.raises(Invalid), scope.session.begin_nested():
        change(scope, item, {"formula": "usage * 2[yuan/m3]"})
    tried = try_formula(scope, scope.get(FeeItem, item.id))
    assert len(tried) == 3
    assert all(s.amount == line_amount(s.facts["area"], D(2)) for s in tried)
