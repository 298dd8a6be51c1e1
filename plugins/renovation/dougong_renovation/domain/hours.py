"""Hours in which work may be heard, and days on which it may not."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time

SPAN = re.compile(r"^(\d{1,2}:\d{2})\s*[-–~至]\s*(\d{1,2}:\d{2})$")
BETWEEN = re.compile(r"[,，;；、\s]*[,，;；、\n][,，;；、\s]*")
SATURDAY = 5


@dataclass(frozen=True)
class WorkHours:
    """Spans of local time, half-open, in which noise is allowed; and what days are quiet.

    announced: false for a public holiday, which is quiet; true for a weekend day that is worked,
    which is not; empty where holidays make no difference.
    """

    spans: tuple[tuple[time, time], ...]
    quiet_weekends: bool = True
    quiet_days: frozenset[date] = frozenset()
    announced: Mapping[date, bool] = field(default_factory=dict)

    def allow(self, at: datetime) -> bool:
        """Tell whether noise is allowed at a local instant."""
        if self.is_quiet_day(at.date()):
            return False
        return any(start <= at.time() < end for start, end in self.spans)

    def is_quiet_day(self, day: date) -> bool:
        """Tell whether no noise is allowed on a day at all."""
        if day in self.quiet_days or not self.announced.get(day, True):
            return True
        is_worked = self.announced.get(day, day.weekday() < SATURDAY)
        return self.quiet_weekends and not is_worked

    def __str__(self) -> str:
        return "、".join(f"{start:%H:%M}–{end:%H:%M}" for start, end in self.spans)


def parse_spans(words: str) -> tuple[tuple[time, time], ...]:
    """Return the spans of ``08:00-12:00, 14:00-18:00``, in order.

    Raises ValueError for what is no span of a day, or overlaps another.
    """
    spans = sorted(_span(part) for part in _parts(words))
    for (_, end), (start, _) in zip(spans, spans[1:], strict=False):
        if start < end:
            raise ValueError(words)
    return tuple(spans)


def parse_days(words: str) -> frozenset[date]:
    """Return the days of ``2027-02-06, 2027-06-07``; raises ValueError for anything else."""
    return frozenset(date.fromisoformat(part) for part in _parts(words))


def _parts(words: str) -> Iterable[str]:
    return [part.strip() for part in BETWEEN.split(words.strip()) if part.strip()]


def _span(words: str) -> tuple[time, time]:
    found = SPAN.match(words)
    if found is None:
        raise ValueError(words)
    start, end = (time.fromisoformat(part.zfill(5)) for part in found.groups())
    if end <= start:
        raise ValueError(words)
    return start, end
