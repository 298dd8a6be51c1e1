"""Figures, hits and panels: what participation shows on pages that are not its own."""

from collections.abc import Sequence
from datetime import datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select

from dougong.db import Scope, member_label
from dougong.hookspecs import Asks, Card, Comparison, Panel, SearchHit
from dougong.i18n import gettext
from dougong.tenancy.models import Person, Room
from dougong_participation.domain import ComplaintState
from dougong_participation.models import (
    AnswerSheet,
    Complaint,
    Feedback,
    Improvement,
    Notice,
    Questionnaire,
)
from dougong_participation.services import (
    examples_of,
    questionnaires_query,
    replies_query,
    unread_query,
    votes_query,
)
from dougong_participation.services.feedback import STAFF

UNANSWERED = (ComplaintState.OPEN, ComplaintState.IN_PROGRESS)


def dashboard(scope: Scope) -> Asks[Card]:
    """Return complaints that wait, how people rate the answers, and this month's feedback."""
    asked: dict[Any, Any] = {}
    if scope.may("participation.complaint.view"):
        asked |= {_waiting: _waiting_query(scope), _rating: _rating_query(scope)}
    if scope.may("participation.feedback.view"):
        asked[_feedback] = _feedback_query(scope)
    found = yield [*asked.values()]
    shown = [show(scope, *rows.one()) for show, rows in zip(asked, found, strict=True)]
    if scope.may(STAFF):
        url = "participation/feedback?page=dashboard"
        shown.append(Card(gettext("Feedback"), gettext("Tell us"), url=url, order=95))
    return shown


def comparison(scope: Scope) -> Asks[Comparison]:
    """Return the complaints that wait in each community of a group, late ones marked."""
    if not scope.may("participation.complaint.view"):
        return []
    late = func.count().filter(Complaint.due_at < scope.now)
    found = yield (
        select(Complaint.community_id, func.count().label("waiting"), late.label("late"))
        .where(Complaint.state.in_(UNANSWERED))
        .group_by(Complaint.community_id)
    )
    rows = found.all()
    counted = {c: "0" for c in scope.readable if "participation" in scope.places.get(c, {})}
    return [
        Comparison(
            gettext("Complaints to answer"),
            counted | {r.community_id: str(r.waiting) for r in rows},
            {r.community_id: "danger" for r in rows if r.late},
            "admin/participation/complaint/?state=open,in_progress",
            40,
        )
    ]


def _waiting_query(scope: Scope) -> Any:
    return select(func.count(), func.count().filter(Complaint.due_at < scope.now)).where(
        Complaint.state.in_(UNANSWERED)
    )


def _waiting(scope: Scope, waiting: int, late: int) -> Card:
    return Card(
        gettext("Complaints to answer"),
        str(waiting),
        note=gettext("%(count)s past their time", count=late) if late else "",
        tone="danger" if late else "plain" if waiting else "good",
        url="admin/participation/complaint/?state=open,in_progress",
        order=40,
    )


def _rating_query(scope: Scope) -> Any:
    return select(func.avg(Complaint.rating), func.count(Complaint.rating)).where(
        Complaint.rating.is_not(None), Complaint.closed_at >= _month_start(scope)
    )


def _rating(scope: Scope, mean: Any, count: int) -> Card:
    return Card(
        gettext("Satisfaction this month"),
        f"{mean:.1f}" if mean is not None else "–",
        note=gettext("%(count)s ratings", count=count),
        tone="plain" if mean is None else "good" if mean >= 4 else "warning",
        url=f"admin/participation/complaint/?rating.from=1&closed_at.from={_month_start(scope).date()}",
        order=41,
    )


def _feedback_query(scope: Scope) -> Any:
    query = select(func.count()).select_from(Feedback)
    return query.where(Feedback.given_at >= _month_start(scope))


def _feedback(scope: Scope, count: int) -> Card:
    return Card(
        gettext("Feedback this month"), str(count), url="admin/participation/feedback/", order=42
    )


def _month_start(scope: Scope) -> datetime:
    return datetime.combine(scope.today.replace(day=1), time(), scope.zone)


def portal(scope: Scope, person_id: UUID) -> Asks[Card]:
    """Return a person's unread notices, open complaints and unanswered questionnaires."""
    mine = select(
        func.count().filter(Complaint.state.in_(UNANSWERED)),
        func.count().filter(Complaint.state == ComplaintState.ANSWERED),
    ).where(Complaint.person_id == person_id)
    notices, complaints, votes, questionnaires = yield (
        unread_query(scope, person_id),
        mine,
        votes_query(scope, person_id),
        questionnaires_query(scope, person_id),
    )
    url = "participation/my/feedback?page=home"
    cards = [
        _my_notices(notices.scalar_one()),
        _my_complaints(*complaints.one()),
        Card(gettext("Feedback"), gettext("Tell us"), url=url, order=90),
    ]
    if to_vote := votes.scalar_one():
        value = gettext("%(count)s to vote on", count=to_vote)
        where = {"url": "participation/my/votes", "order": 15}
        cards.append(Card(gettext("Votes of the owners"), value, tone="warning", **where))
    asked = [q for q, is_answered in questionnaires if not is_answered]
    if asked:
        url = f"participation/my/questionnaires/{asked[0].id}"
        cards.append(Card(gettext("Questionnaire"), asked[0].title, url=url, order=35))
    return cards


def _my_notices(unread: int) -> Card:
    return Card(
        gettext("Notices"),
        gettext("%(count)s new", count=unread) if unread else gettext("all read"),
        tone="warning" if unread else "plain",
        url="participation/my/notices/",
        order=20,
    )


def _my_complaints(waiting: int, answered: int) -> Card:
    return Card(
        gettext("Complaints and suggestions"),
        gettext("%(count)s in progress", count=waiting) if waiting else gettext("none open"),
        note=gettext("%(count)s to rate", count=answered) if answered else "",
        tone="warning" if answered else "plain",
        url="participation/my/complaints",
        order=30,
    )


def search(scope: Scope, words: str, limit: int) -> list[SearchHit]:
    """Return complaints by number or title and notices by title."""
    hits = []
    if scope.may("participation.complaint.view"):
        hits += [
            SearchHit(
                str(complaint),
                f"admin/participation/complaint/{complaint.id}/",
                gettext("Complaint"),
                member_label(complaint.state),
            )
            for complaint in _complaints(scope, words, limit)
        ]
    if scope.may("participation.notice.view"):
        found = select(Notice).where(Notice.title.contains(words, autoescape=True))
        hits += [
            SearchHit(
                notice.title,
                f"admin/participation/notice/{notice.id}/",
                gettext("Notice"),
                member_label(notice.state),
            )
            for notice in scope.session.scalars(found.order_by(Notice.id.desc()).limit(limit))
        ]
    return hits[:limit]


def _complaints(scope: Scope, words: str, limit: int) -> Sequence[Complaint]:
    conditions: list[Any] = [Complaint.title.contains(words, autoescape=True)]
    if words.isascii() and words.isdigit() and len(words) < 10:
        conditions.append(Complaint.number == int(words))
    query = select(Complaint).where(or_(*conditions)).order_by(Complaint.id.desc())
    return scope.session.scalars(query.limit(limit)).all()


def _sheets(questionnaire: Questionnaire) -> Any:
    return select(func.count()).where(AnswerSheet.questionnaire_id == questionnaire.id)


def _results(questionnaire: Questionnaire, count: int) -> Panel:
    url = f"participation/questionnaire/{questionnaire.id}/results"
    return Panel(gettext("Results"), [(gettext("Answer sheets"), str(count))], url=url)


def _moment(scope: Scope, at: datetime) -> str:
    return f"{at.astimezone(scope.zone):%Y-%m-%d %H:%M}"


def panels(scope: Scope, record: Any) -> Asks[Panel]:
    """Return the complaints of a person or room, and what was said and answered, on its page."""
    if isinstance(record, Complaint):
        found = yield replies_query(record)
        said = [
            (f"{reply.author} · {_moment(scope, reply.replied_at)}", reply.text)
            for reply in found.scalars()
        ]
        return [Panel(gettext("Replies"), said)] if said else []
    if isinstance(record, Questionnaire):
        found = yield _sheets(record)
        return [_results(record, found.scalar_one())]
    if isinstance(record, Improvement):
        said = examples_of(scope, record)
        return [Panel(gettext("What many said, with examples"), said)] if said else []
    if not isinstance(record, Person | Room) or not scope.may("participation.complaint.view"):
        return []
    key = Complaint.person_id if isinstance(record, Person) else Complaint.room_id
    query = select(Complaint).where(key == record.id).order_by(Complaint.number.desc()).limit(5)
    found = yield query
    rows = [(str(c), member_label(c.state)) for c in found.scalars()]
    if not rows:
        return []
    name = "person" if isinstance(record, Person) else "room"
    url = f"admin/participation/complaint/?{name}={record.id}"
    return [Panel(gettext("Complaints and suggestions"), rows, url=url)]
