"""Feedback, its monthly analysis, and the improvements that follow."""

from datetime import date, datetime, time

from sqlalchemy import select, union_all
from sqlalchemy.dialects.postgresql import insert

from dougong.db import Scope, uuid7
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_participation.domain import frequent, month_before
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


@service("feedback.give", title=("Send feedback", "提交反馈"), permission="participation.portal")
def give_feedback(
    scope: Scope, text: str, topic: Topic = Topic.OTHER, page: str = "", is_nameless: bool = False
) -> Feedback:
    """Keep what the actor wrote with the feedback button; page: where he pressed it.

    is_nameless: do not keep who wrote it. Raises Invalid for an empty text.
    """
    person = me(scope)
    if not text.strip():
        raise Invalid(
            N_("Some fields are not right yet."), fields={"text": gettext("This is needed.")}
        )
    given = Feedback(
        topic=topic,
        text=text.strip(),
        page=page[:200] or None,
        person_id=None if is_nameless else person,
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
    voices = union_all(
        select(Complaint.topic).where(
            Complaint.filed_at >= start,
            Complaint.filed_at < finish,
            Complaint.kind != ComplaintKind.PRAISE,
        ),
        select(Feedback.topic).where(Feedback.given_at >= start, Feedback.given_at < finish),
    )
    least = int(scope.setting("participation.frequent_from", FREQUENT_FROM))
    found = frequent(scope.session.scalars(voices).all(), least)
    for topic, count in found:
        scope.session.execute(
            insert(Improvement)
            .values(
                id=uuid7(),
                community_id=scope.community_id,
                month_on=from_on,
                topic=Topic(topic),
                voices=count,
                state=ImprovementState.OPEN,
            )
            .on_conflict_do_update(
                index_elements=["community_id", "month_on", "topic"], set_={"voices": count}
            )
        )
    return len(found)


@service("improvement.finish", title=("Finish", "完成"))
def finish_improvement(scope: Scope, improvement: Improvement, measure: str) -> Improvement:
    """Say what was done about a frequent problem. Raises WrongState when it is done already."""
    if improvement.state is ImprovementState.DONE:
        raise WrongState(N_("This improvement is done already."))
    improvement.state, improvement.done_on = ImprovementState.DONE, scope.today
    improvement.measure = measure
    return improvement
