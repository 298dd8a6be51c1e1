"""Programs' input is read strictly: exact amounts, instants with a zone, nothing guessed."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from dougong.web.api.inputs import strict_type
from dougong.web.api.representation import plain


class Kind(StrEnum):
    WATER = "water"


def read(kind, text):
    adapter = TypeAdapter(strict_type(kind), config=ConfigDict(strict=True))
    return adapter.validate_json(text)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Decimal, '"12.30"', Decimal("12.30")),
        (Decimal | None, "null", None),
        (Decimal | None, '"-0.5"', Decimal("-0.5")),
        (Annotated[Decimal, Field(decimal_places=2)], '"1.25"', Decimal("1.25")),
        (Sequence[Decimal], '["1", "2.5"]', [Decimal(1), Decimal("2.5")]),
        (list[tuple[Kind, int]], '[["water", 3]]', [(Kind.WATER, 3)]),
        (dict[str, date], '{"a": "2026-02-28"}', {"a": date(2026, 2, 28)}),
        (datetime, '"2026-01-01T08:00:00+08:00"', datetime(2026, 1, 1, tzinfo=UTC)),
        (str | int, "3", 3),
    ],
)
def test_what_fits_is_read(kind, text, value):
    assert read(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Decimal, "12.3"),
        (Decimal, "12"),
        (Decimal, '"1e5"'),
        (Decimal, '"NaN"'),
        (Decimal, '"+1"'),
        (Decimal, '" 1"'),
        (Decimal, '"1_000"'),
        (Decimal, '"٣"'),
        (Decimal, '"1\\n"'),
        (Decimal, f'"{"9" * 16}"'),
        (Annotated[Decimal, Field(decimal_places=2)], '"1.255"'),
        (Sequence[Decimal], '["1", 2]'),
        (int, '"3"'),
        (int, str(2**63)),
        (bool, '"yes"'),
        (bool, "1"),
        (Kind, '"WATER"'),
        (date, "0"),
        (date, '"1899-12-31"'),
        (date, '"2026-02-30"'),
        (date, '"2026-02-28T00:00:00Z"'),
        (datetime, '"2026-01-01T08:00:00"'),
        (datetime, '"9999-12-31T23:59:59-12:00"'),
        (datetime, "1767225600"),
        (str, '"a\\u0000"'),
        (str, "3"),
        (str, '"' + "x" * 20_001 + '"'),
    ],
)
def test_what_does_not_fit_is_refused(kind, text):
    with pytest.raises(ValidationError):
        read(kind, text)


@pytest.mark.parametrize("kind", [bytes, list[bytes], bytes | None])
def test_what_json_cannot_carry_is_told(kind):
    with pytest.raises(TypeError):
        strict_type(kind)


@given(st.decimals(-(10**13), 10**13, places=4))
def test_an_amount_survives_the_way_out_and_in(value):
    assert read(Decimal, f'"{plain(value)}"') == value


@given(st.datetimes(datetime(1901, 1, 1), datetime(2199, 1, 1), timezones=st.timezones()))
def test_an_instant_survives_the_way_out_and_in(value):
    assert read(datetime, f'"{plain(value)}"') == value.astimezone(UTC)
