"""The seal of a company is drawn with every character of its name, and nothing slips into it."""

import re

import pytest

from dougong.documents import seal


@pytest.mark.parametrize(
    "name", ["晨曦物业", "上海晨曦物业服务有限公司翠湖花园第一分公司", "䶮喆瑨㛃物业"]
)
def test_every_character_of_the_name_stands_on_the_ring(name):
    letters = re.findall(r'rotate\(([-.\d]+) 100 100\)">(.)</text>', seal(name, "收款专用章"))
    assert "".join(letter for _, letter in letters) == name
    angles = [float(angle) for angle, _ in letters]
    assert angles == sorted(angles)
    assert angles[0] == pytest.approx(-angles[-1], abs=0.02)
    assert angles[-1] - angles[0] <= 250


def test_a_long_name_is_set_smaller():
    sizes = [
        float(re.search(r'text x="100" y="30" font-size="([.\d]+)"', seal("物" * n, "章"))[1])
        for n in (8, 16, 24, 40)
    ]
    assert sizes[0] == sizes[1] > sizes[2] > sizes[3]


def test_a_name_is_no_markup():
    assert "<script" not in seal("<script>", '"><b>')
