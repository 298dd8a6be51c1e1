"""The State Council's yearly days off and shifted workdays (法定节假日、调休), as data.

Source: the yearly notices of the General Office of the State Council; each year in `workdays.toml`.
"""

import tomllib
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

DAYS = Path(__file__).with_name("workdays.toml")


@lru_cache(maxsize=1)
def announced_days() -> dict[date, bool]:
    """Return the announced days: true for a shifted workday, false for a day off.

    What is not in it is as its weekday says; years that are not announced yet are empty.
    """
    days: dict[date, bool] = {}
    for year in tomllib.loads(DAYS.read_text(encoding="utf-8")).values():
        for first, last in (
            (date.fromisoformat(a), date.fromisoformat(b)) for a, b in year["free"]
        ):
            days |= {first + timedelta(n): False for n in range((last - first).days + 1)}
        days |= {date.fromisoformat(day): True for day in year["worked"]}
    return days
