"""Heat maps: levels by rank, equal values alike, a scale that says what a colour means."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from dougong.web.heat import LEVELS, Spot, heat_map

values = st.lists(st.integers(0, 50).map(Decimal) | st.none(), min_size=1, max_size=60)


def spots(found):
    return [Spot(f"r{n // 8}", f"c{n % 8}", str(n), value) for n, value in enumerate(found)]


@given(values)
def test_more_is_never_paler_and_equal_values_are_alike(found):
    made = heat_map(spots(found))
    shades = [s for _, cells in made.rows for cell in cells for s in cell]
    assert sorted(s.spot.name for s in shades) == sorted(map(str, range(len(found))))
    for shade in shades:
        assert (shade.level == 0) is (shade.spot.value is None)
        assert 0 <= shade.level <= LEVELS
    known = sorted((s.spot.value, s.level) for s in shades if s.level)
    assert [level for _, level in known] == sorted(level for _, level in known)
    assert len(dict(known)) == len(set(known))


def test_one_burst_pipe_does_not_pale_the_others():
    made = heat_map(spots([Decimal(n) for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 9000)]))
    assert [level for level, _, _ in made.scale] == [1, 2, 3, 4, 5]
    assert made.scale[-1] == (5, Decimal(9), Decimal(9000))
    assert made.columns == tuple(f"c{n}" for n in range(8)) and [r for r, _ in made.rows] == [
        "r0", "r1",
    ]  # fmt: skip


def test_rows_that_have_nothing_keep_their_place():
    made = heat_map([Spot("2", "a", "", Decimal(1))], rows=("3", "2", "1"))
    assert [(row, [len(cell) for cell in cells]) for row, cells in made.rows] == [
        ("3", [0]), ("2", [1]), ("1", [0]),
    ]  # fmt: skip


def test_the_name_of_a_row_leads_where_it_is_told():
    made = heat_map([Spot("2", "a", "", Decimal(1))], links={"2": "/there"})
    assert made.links == {"2": "/there"} and heat_map([Spot("2", "a", "", None)]).links == {}
