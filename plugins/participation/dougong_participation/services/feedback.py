"""Feedback, its monthly analysis, and the improvements that follow."""

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import literal, select, union_all
from sqlalchemy.dialects.postgresql import insert

from dougong.db import Scope, uuid7
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_participation.domain import frequent, month_before
from dougong_participation.domain.topics import frequent_phrases
from dougong_participation.errors import WrongState
from dougong_participation.models import (
    Complaint,
    ComplaintKind,
    Feedback,
    Improvement,
    ImprovementState,
    Topic,
)
from dougong_participation.services.people import me

FREQUENT_FROM = 3
# Whoever works in a community may see its rooms.
STAFF = "dougong.room.view"


@service("feedback.give", title=("Send feedback", "提交反馈"), permission="participation.portal")
def give_feedback(
    scope: Scope, text: str, topic: Topic = Topic.OTHER, page: str = "", is_nameless: bool = False
) -> Feedback:
    """Keep what the actor wrote with the feedback button; page: where he pressed it.

    is_nameless: do not keep who wrote it. Raises Invalid for an empty text.
    """
    person = me(scope)
    return _keep(scope, text, topic, page, None if is_nameless else person)


@service("feedback.give_as_staff", title=("Send feedback", "提交反馈"), permission=STAFF)
def give_feedback_as_staff(
    scope: Scope, text: str, topic: Topic = Topic.OTHER, page: str = ""
) -> Feedback:
    """Keep what somebody who works here wrote with the feedback button, without his name.

    Raises Invalid for an empty text.
    """
    return _keep(scope, text, topic, page, None)


def _keep(scope: Scope, text: str, topic: Topic, page: str, person_id: UUID | None) -> Feedback:
    if not text.strip():
        raise Invalid(
            N_("Some fields are not right yet."), fields={"text": gettext("This is needed.")}
        )
    given = Feedback(
        topic=topic,
        text=text.strip(),
        page=page[:200] or None,
        person_id=person_id,
        given_at=scope.now,
    )
    scope.session.add(given)
    scope.session.flush()
    return given


@service("feedback.acknowledge", title=("Mark as read", "标记已阅"))
def acknowledge_feedback(scope: Scope, feedback: Feedback) -> Feedback:
    """Mark a feedback as read by staff; the first time counts."""
    feedback.acknowledged_at = feedback.acknowledged_at or scope.now
    return feedback


@service("improvement.analyse", title=("Analyse last month", "分析上月高频问题"))
def analyse_month(scope: Scope, on: date | None = None) -> int:
    """Open an improvement for each frequent topic of the month before ``on``; return how many.

    A topic counts complaints and feedback together, praise apart. The same month again brings the
    figures up to date and opens nothing twice. Runs on the first day of a month.
    """
    from_on, to_on = month_before(on or scope.today)
    start, finish = (datetime.combine(day, time(), scope.zone) for day in (from_on, to_on))
    voices = _voices(scope, start, finish)
    least = int(scope.setting("participation.frequent_from", FREQUENT_FROM))
    found = frequent([voice.topic for voice in voices], least)
    for topic, count in found:
        findings = _findings([voice for voice in voices if voice.topic == topic])
        scope.session.execute(
            insert(Improvement)
            .values(
                id=uuid7(),
                community_id=scope.community_id,
                month_on=from_on,
                topic=Topic(topic),
                voices=count,
                findings=findings,
                state=ImprovementState.OPEN,
            )
            .on_conflict_do_update(
                index_elements=["community_id", "month_on", "topic"],
                set_={"voices": count, "findings": findings},
            )
        )
    return len(found)


def _voices(scope: Scope, start: datetime, finish: datetime) -> Sequence[Any]:
    """Return topic, text, kind of record and id of everything said in a span, praise apart."""
    complaints = select(
        Complaint.topic,
        (Complaint.title + "。" + Complaint.text).label("said"),
        literal("complaints").label("kind"),
        Complaint.id,
    ).where(
        Complaint.filed_at >= start,
        Complaint.filed_at < finish,
        Complaint.kind != ComplaintKind.PRAISE,
    )
    feedback = select(
        Feedback.topic, Feedback.text.label("said"), literal("feedback").label("kind"), Feedback.id
    ).where(Feedback.given_at >= start, Feedback.given_at < finish)
    return scope.session.execute(union_all(complaints, feedback)).all()


def _findings(voices: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the phrases that voices share, each with the ids of who said it."""
    return [
        {
            "words": words,
            "count": len(where),
            **{
                kind: [str(voices[n].id) for n in where if voices[n].kind == kind]
                for kind in ("complaints", "feedback")
            },
        }
        for words, where in frequent_phrases([voice.said for voice in voices])
    ]


def examples_of(scope: Scope, improvement: Improvement) -> list[tuple[str, str]]:
    """Return the phrases of an improvement with their counts, and two texts that said each.

    Read from the records of today: what was erased meanwhile is not shown. Two statements.
    """
    texts: dict[str, str] = {}
    for kind, model, shown in (
        ("complaints", Complaint, Complaint.title),
        ("feedback", Feedback, Feedback.text),
    ):
        ids = [UUID(id) for finding in improvement.findings for id in finding[kind][:2]]
        rows = scope.session.execute(select(model.id, shown).where(model.id.in_(ids)))
        texts |= {str(id): text[:40] for id, text in rows}
    return [
        (
            f"{finding['words']} × {finding['count']}",
            " / ".join(
                texts[id]
                for id in [*finding["complaints"][:2], *finding["feedback"][:2]]
                if id in texts
            ),
        )
        for finding in improvement.findings
    ]


@service("improvement.finish", title=("Finish", "完成"))
def finish_improvement(scope: Scope, improvement: Improvement, measure: str) -> Improvement:
    """Say what was done about a frequent problem. Raises WrongState when it is done already."""
    if improvement.state is ImprovementState.DONE:
        raise WrongState(N_("This improvement is done already."))
    improvement.state, improvement.done_on = ImprovementState.DONE, scope.today
    improvement.measure = measure
    return improvement
