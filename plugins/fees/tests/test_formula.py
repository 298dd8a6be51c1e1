"""Formulas: what may be written, what fits together, and that Python and PostgreSQL agree."""

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from dougong_fees.domain.amounts import round_amount
from dougong_fees.domain.formula import FormulaError, check, parse, reckon, to_sql

D = Decimal
FACTS = {"area": D("89.50"), "inner_area": D("71.2"), "floor": 7, "persons": 3, "kind": "flat"}


def value(words, **facts):
    formula = parse(words)
    check(formula, "water" if "usage" in formula.names() else None)
    return reckon(formula, {**FACTS, "price": D("2.35"), **facts})


@pytest.mark.parametrize(
    ("words", "yuan"),
    [
        ("area * 2.5[yuan/m2]", "223.75"),
        ("建筑面积 × 2.5［元/㎡］", "223.75"),
        ("area * price[yuan/m2] + 10", "220.325"),
        ("如果 楼层 > 6 则 12 否则 8", "12"),
        ('if kind = "shop" then 100 else 20[yuan]', "20"),
        ("max(20, min(area * 1[yuan/m2], 60))", "60"),
        ("round(area) * 2[元/平方米]", "180"),
        ("-(3 - 5) * 4", "8"),
        ("if floor > 3 and not persons = 3 then 1 else 2", "2"),
        ("persons * 10[元/人] / 3", "10"),
        ("(如果 人数≥3 则 5 否则 6) + 1", "6"),
    ],
)
def test_a_formula_comes_to_its_value(words, yuan):
    assert value(words) == D(yuan)


def test_half_a_fen_is_rounded_up_and_not_lost_in_binary():
    exact = value("area * 4.9355[yuan/m2]", area=D(90))
    assert (exact, round_amount(exact)) == (D("444.195"), D("444.20"))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("area * 2.5", "not_yuan"),
        ("area + usage", "units_differ"),
        ("area * 2[yuan/m2] + persons", "units_differ"),
        ("if area then 1 else 2", "not_a_condition"),
        ('area + "x"', "not_a_number"),
        ("height * 2", "unknown_fact"),
        ("area * 2[euro/m2]", "unknown_unit"),
        ("area[m2] * 2", "unit_of_fact"),
        ("if floor > 2 then 5", "missing"),
        ("min(3)", "arguments"),
        ("round(3, area)", "places"),
        ("__import__('os')", "unexpected"),
        ("1 + ", "unexpected"),
        ("", "unexpected"),
        ("1 2", "unexpected"),
        ("(" * 40 + "1" + ")" * 40, "too_deep"),
        ("1+" * 400 + "1", "too_long"),
        ("- " * 60 + "1", "too_deep"),
        ('kind < "shop"', "not_a_number"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_reason(words, code):
    with pytest.raises(FormulaError) as refused:
        value(words)
    assert refused.value.code == code


def test_what_is_not_known_has_no_value_and_is_never_zero():
    assert value("area * 1[yuan/m2] + 5", area=None) is None
    assert value("10[yuan] / (persons - persons) * 1[person]") is None
    assert value("min(4, area * 1[yuan/m2])", area=None) is None
    assert value("if area > 5 then 1 else 2", area=None) is None
    assert value("if floor > 5 or area > 5 then 1 else 2", area=None) == 1


# --- the same in the database ---------------------------------------------------------------------

numbers = st.decimals(0, 999, places=4).map(lambda d: f"{d:f}")
atoms = st.one_of(numbers, st.sampled_from(["area", "inner_area", "floor", "persons", "price"]))


def grown(inner):
    """Return larger formulas; units are left aside, which the reckoning does not look at."""
    pair = st.tuples(inner, inner)
    triple = st.tuples(inner, inner, inner)
    signs = st.sampled_from(["+", "-", "*", "/"])
    compared = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
    truth = st.builds(lambda p, s: f"{p[0]} {s} {p[1]}", pair, compared)
    truths = st.one_of(
        truth,
        st.builds(lambda a, b, w: f"{a} {w} {b}", truth, truth, st.sampled_from(["and", "or"])),
        truth.map(lambda t: f"not {t}"),
        st.sampled_from(['kind = "shop"', 'kind != "flat"']),
    )
    return st.one_of(
        st.builds(lambda p, s: f"({p[0]} {s} {p[1]})", pair, signs),
        st.builds(lambda t, p: f"(if {t} then {p[0]} else {p[1]})", truths, pair),
        triple.map(lambda t: f"min({t[0]}, {t[1]}, {t[2]})"),
        pair.map(lambda p: f"max({p[0]}, {p[1]})"),
        st.builds(lambda x, n: f"round({x}, {n})", inner, st.integers(0, 6)),
        inner.map(lambda x: f"ceil({x})"),
        inner.map(lambda x: f"floor_of(-{x})"),
    )


formulas = st.recursive(atoms, grown, max_leaves=7).filter(lambda f: len(f) <= 400)
areas = st.none() | st.decimals(0, 500, places=2)
rooms = st.fixed_dictionaries(
    {
        "area": areas,
        "inner_area": areas,
        "floor": st.none() | st.integers(-2, 40),
        "persons": st.integers(0, 9),
        "price": st.decimals(0, 50, places=6),
        "kind": st.sampled_from(["flat", "shop"]),
    }
)
TYPES = {"kind": "text"}


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(words=formulas, room=rooms)
def test_python_and_the_database_agree_on_every_formula_and_room(scope, words, room):
    try:
        formula = parse(words)
        columns = {n: f"cast(:{n} as {TYPES.get(n, 'numeric')})" for n in room}
        expression = to_sql(formula, columns)
    except FormulaError as error:
        assert error.code in ("too_deep", "too_long")
        return
    here = reckon(formula, room)
    there = scope.session.execute(text(f"select {expression}"), room).scalar_one()
    assert there is here is None or D(there) == here
    if here is not None:
        rounded = scope.session.execute(text(f"select round({expression}, 2)"), room).scalar_one()
        assert rounded == round_amount(here)
