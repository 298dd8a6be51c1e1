"""The meter driver in the documentation is whole and keeps what every driver promises."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/write-a-meter-driver.md"
BLOCK = re.compile(r"^```\w+\n# (\S+)\n(.*?)^```$", re.M | re.S)
# What costs the most; the drivers that ship are held to it.
NOT_HERE = "not (two_hundred or starting or health or acknowledgement or restarted)"


def files():
    return dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))


def test_the_driver_in_the_documentation_passes_the_conformance_kit(tmp_path):
    for name, text in files().items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout[-4000:]
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed >= 20
    broken = tmp_path / "ascii_meter.py"
    broken.write_text(broken.read_text().replace("if is_whole and is_ours", "if is_whole"))
    assert run(tmp_path, "the_answer_of_another_device").returncode == 1


def run(folder, only=NOT_HERE):
    """Run the page's own test in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", only, "."],
        cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_the_page_shows_every_file_of_the_driver():
    assert list(files()) == [
        "profiles/valve_meter.toml", "ascii_meter.py", "ascii_simulator.py", "test_ascii_meter.py",
    ]  # fmt: skip
