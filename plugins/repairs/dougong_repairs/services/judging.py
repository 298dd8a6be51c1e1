"""Category and urgency of what was reported: chosen by people, else judged by the model."""

import re
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
MOST_QUOTED = 60
_TERM = "(?:danger=[^;=]+|words=[^;=]+|remembered|unclear)"
CODED = re.compile(f"{_TERM}(?:;{_TERM})*")
# What a community has put right, by its newest correction: read again only when there is a newer.
_memories: dict[UUID, tuple[datetime | None, tuple[Remembered, ...]]] = {}


@dataclass(frozen=True)
class Judged:
    """Category and urgency of a report, how sure (percent, None when people said it), and why.

    reason: as it is kept, without a language; ``triage_words`` says it.
    """

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
        coded_verdict(verdict),
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
    """Return why a text was judged as it was, for people, in the locale in force."""
    return triage_words(coded_verdict(verdict))


def coded_verdict(verdict: Verdict) -> str:
    """Return why a text was judged as it was as it is kept: the same for readers of any language.

    Only the words that are quoted from the text are in one, the reporter's.
    """
    terms = []
    if verdict.danger is not None:
        terms.append(f"danger={_quoted(verdict.danger[1])}")
    if verdict.is_remembered:
        terms.append("remembered")
    if verdict.evidence:
        terms.append(f"words={_quoted('、'.join(verdict.evidence))}")
    return ";".join(terms) or "unclear"


def _quoted(words: str) -> str:
    return re.sub("[;=]", " ", words)[:MOST_QUOTED]


def triage_words(stored: str | None) -> str:
    """Return a kept reason in the locale in force; what a person wrote is as he wrote it."""
    if not stored or not CODED.fullmatch(stored):
        return stored or ""
    terms = (part.partition("=") for part in stored.split(";"))
    return gettext("; ").join(_term_words(kind, words) for kind, _, words in terms)


def _term_words(kind: str, words: str) -> str:
    if kind == "danger":
        return gettext("words of danger: “%(words)s”", words=words)
    if kind == "words":
        return gettext("speaks of %(words)s", words=words)
    if kind == "remembered":
        return gettext("like a report that was put right")
    return gettext("nothing in it speaks clearly")
