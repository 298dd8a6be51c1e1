from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from dougong import texts
from dougong.errors import Invalid
from dougong.i18n import use_locale

ZONE = "Asia/Shanghai"


class Secretive:
    """A record with more in it than its name."""

    phone = "13800138000"

    def __str__(self) -> str:
        return "张三"


def test_values_are_filled_in_with_the_formats_of_the_trade():
    source = "{{ who }} 欠 {{ owed|money }}，请于 {{ due|day }} 前缴清（{{ at|instant }}）"
    values = {
        "who": "张三",
        "owed": Decimal("1234.5"),
        "due": date(2026, 11, 30),
        "at": datetime(2026, 11, 24, 7, 30, tzinfo=UTC),
    }
    with use_locale("zh"):
        assert (
            texts.fill(source, values, zone=ZONE)
            == "张三 欠 ¥1,234.50，请于 2026年11月30日 前缴清（2026-11-24 15:30）"
        )


def test_a_condition_may_choose_the_wording():
    source = "{% if times > 2 %}再次{% endif %}提醒"
    assert texts.fill(source, {"times": 3}, zone=ZONE) == "再次提醒"
    assert texts.fill(source, {"times": 1}, zone=ZONE) == "提醒"


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(9) %}x{% endfor %}",
        "{{ who.upper() }}",
        "{{ ''.__class__.__mro__ }}{{ range(3) }}",
        "{% set a = 1 %}{{ a }}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{{ 'a' * 999999999 }}",
        "{{ '%s' % who }}",
        "{{ 1 ~ 2 }}",
        "{{ who|map('upper') }}",
        "{{ who|format }}",
        "{{ who|safe }}",
        "{{ who[::2] }}",
        "{% filter upper %}x{% endfilter %}",
        "{{ unclosed",
        "x" * 20_001,
    ],
)
def test_a_text_that_does_more_than_fill_in_values_is_refused(source):
    with pytest.raises(Invalid):
        texts.fill(source, {"who": "张三"}, zone=ZONE)


@pytest.mark.parametrize("source", ["{{ who.phone }}", "{{ who.__class__ }}", "{{ unknown }}"])
def test_a_record_is_only_its_name_to_a_text(source):
    with pytest.raises(Invalid):
        texts.fill(source, {"who": Secretive()}, zone=ZONE)
    assert texts.fill("{{ who }}", {"who": Secretive()}, zone=ZONE) == "张三"


def test_values_are_escaped_where_the_text_goes_into_html():
    filled = texts.fill("<b>{{ who }}</b>", {"who": "<script>"}, zone=ZONE, escape=True)
    assert filled == "<b>&lt;script&gt;</b>"
