"""Category and urgency of what was reported: chosen by people, else judged."""

from dataclasses import dataclass

from dougong.db import Scope
from dougong_repairs.domain.kinds import Category, Urgency


@dataclass(frozen=True)
class Judged:
    """Category and urgency of a report, how sure (percent, None when people said it), and why."""

    category: Category
    urgency: Urgency
    confidence: int | None
    reason: str


def judged(scope: Scope, text: str, category: Category | None, urgency: Urgency | None) -> Judged:
    """Return category and urgency of a report."""
    return Judged(category or Category.OTHER, urgency or Urgency.NORMAL, None, "")
