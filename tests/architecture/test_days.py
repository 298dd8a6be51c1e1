"""A day is the place's: the database's own, `current_date`, is the day in UTC."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Counts per day of the whole installation, which are compared with themselves alone.
UTC_DAYS = {"core/dougong/plugins/watching.py"}


def test_no_statement_asks_for_the_day_in_utc():
    files = [*ROOT.glob("core/dougong/**/*.py"), *ROOT.glob("plugins/*/dougong_*/**/*.py")]
    assert len(files) > 400
    asking = {
        path.relative_to(ROOT).as_posix()
        for path in files
        if re.search(r"current_date|localtimestamp|now\(\)\s*::\s*date", path.read_text(), re.I)
    }
    assert asking == UTC_DAYS
