"""The page about the kernel's size tells the truth."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import size  # noqa: E402

PAGE = (ROOT / "docs/explanation/size.md").read_text("utf-8")
TOLD = {
    name: (int(work), int(proof))
    for name, work, proof in re.findall(r"^\| ([\w ]+) \| (\d+) \| (\d+) \|$", PAGE, re.M)
    if name != "together"
}


@pytest.mark.parametrize(
    ("areas", "slack"),
    [((*size.KERNEL, size.REST), 0.05), (size.APART, 0.10)],
    ids=["kernel", "apart"],
)
def test_the_page_tells_the_sizes_of_today(areas, slack):
    counted, written = size.sizes(areas), {area: TOLD[area] for area in areas}
    for kind in (0, 1):
        real, told = (sum(pair[kind] for pair in each.values()) for each in (counted, written))
        assert abs(real - told) <= slack * real, (
            "run python tools/size.py --write, and read the page"
        )


def test_every_folder_of_the_kernel_is_counted():
    folders = {path.parent.name for path in size.CORE.glob("*/__init__.py")}
    assert folders - {"migrations"} <= {*size.KERNEL, *size.APART}


def test_a_docstring_is_no_line_and_a_statement_is_one(tmp_path):
    path = tmp_path / "x.py"
    path.write_text(
        '"""A module."""\n\n\ndef f():\n    """Say."""\n    a = 1; return (\n        a)\n'
    )
    assert size.logical_lines(path) == 3
