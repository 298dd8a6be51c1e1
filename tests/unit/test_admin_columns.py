"""What pages make of a model's columns."""

from sqlalchemy import BigInteger, Date, Text
from sqlalchemy.dialects.postgresql import JSONB

from dougong.db.columns import Money
from dougong.web.admin.columns import _kind


def test_a_column_is_shown_by_its_type():
    shown = {Text: "text", JSONB: "data", BigInteger: "number", Date: "day", Money: "money"}
    assert {kind: _kind(kind()) for kind in shown} == shown
