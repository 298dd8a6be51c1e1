"""Category and urgency of what was reported: chosen by people, else judged by the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select

from dougong.db import Scope
from dougong.i18n import gettext
from dougong_repairs.domain.kinds import Category, Urgency
from dougong_repairs.domain.triage import Remembered, Verdict, judge, remember
from dougong_repairs.models import TriageCorrection, WorkOrder

MOST_REMEMBERED = 500
# What a community has put right, by its newest correction: read again only when there is a newer.
_memories: dict[UUID, tuple[datetime | None, tuple[Remembered, ...]]] = {}


@dataclass(frozen=True)
class Judged:
    """Category and urgency of a report, how sure (percent, None when people said it), and why."""

    category: Category
    urgency: Urgency
    confidence: int | None
    reason: str


def judged(scope: Scope, text: str, category: Category | None, urgency: Urgency | None) -> Judged:
    """Return category and urgency of a report; what people chose stands.

    But for danger: words that speak of it make an emergency of what nobody graded.
    """
    if category is not None and urgency is not None:
        return Judged(category, urgency, None, "")
    verdict = judge(text, memory_of(scope))
    return Judged(
        category or verdict.category,
        urgency or verdict.urgency,
        round(verdict.confidence * 100),
        explain_verdict(verdict),
    )


def memory_of(scope: Scope) -> Sequence[Remembered]:
    """Return the newest 500 texts that were put right here."""
    newest = scope.session.scalar(select(func.max(TriageCorrection.corrected_at)))
    known = _memories.get(scope.community_id) if scope.community_id else None
    if known is not None and known[0] == newest:
        return known[1]
    rows = scope.session.execute(
        select(WorkOrder.text, TriageCorrection.category, TriageCorrection.urgency)
        .join(
            TriageCorrection,
            (TriageCorrection.community_id == WorkOrder.community_id)
            & (TriageCorrection.work_order_id == WorkOrder.id),
        )
        .order_by(TriageCorrection.corrected_at.desc())
        .limit(MOST_REMEMBERED)
    )
    made = tuple(remember(text, category, urgency) for text, category, urgency in rows)
    if scope.community_id is not None:
        _memories[scope.community_id] = (newest, made)
    return made


def explain_verdict(verdict: Verdict) -> str:
    """Return why a text was judged as it was, for people."""
    reasons = []
    if verdict.danger is not None:
        reasons.append(gettext("words of danger: “%(words)s”", words=verdict.danger[1]))
    if verdict.is_remembered:
        reasons.append(gettext("like a report that was put right"))
    if verdict.evidence:
        words = "、".join(verdict.evidence)
        reasons.append(gettext("speaks of %(words)s", words=words))
    return "；".join(reasons) or gettext("nothing in it speaks clearly")
