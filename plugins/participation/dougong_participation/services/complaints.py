"""Complaints and suggestions: filed, taken up, answered, rated, reopened, closed."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Select, func, select, text, update

from dougong.db import Scope, member_label
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.messages import notify
from dougong.services import service
from dougong_participation import domain
from dougong_participation.domain import ComplaintState
from dougong_participation.errors import WrongState
from dougong_participation.models import (
    Complaint,
    ComplaintKind,
    ComplaintReply,
    ComplaintSource,
    Topic,
)
from dougong_participation.services.people import me, my_rooms

ANSWER_HOURS = 48


@service("complaint.create", title=("Take down a complaint", "登记投诉"))
def create_complaint(
    scope: Scope,
    title: str,
    text: str,
    kind: ComplaintKind = ComplaintKind.COMPLAINT,
    topic: Topic = Topic.OTHER,
    source: ComplaintSource = ComplaintSource.DESK,
    person_id: UUID | None = None,
    room_id: UUID | None = None,
    id: UUID | None = None,
) -> Complaint:
    """Take down what someone complains of or suggests, with a number and a promise of time.

    The answer is due after the setting ``participation.answer_hours``.
    """
    now = scope.now
    hours = int(scope.setting("participation.answer_hours", ANSWER_HOURS))
    complaint = Complaint(
        number=_next_number(scope),
        kind=kind,
        topic=topic,
        title=title,
        text=text,
        source=source,
        person_id=person_id,
        room_id=room_id,
        filed_at=now,
        due_at=now + timedelta(hours=hours),
        **({"id": id} if id else {}),
    )
    scope.session.add(complaint)
    scope.session.flush()
    scope.emit("complaint_filed", complaint_id=complaint.id)
    return complaint


def _next_number(scope: Scope) -> int:
    """Return the community's next number; the lock is held until the transaction ends."""
    scope.session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"participation.complaint {scope.community_id}"},
    )
    return (scope.session.scalar(select(func.max(Complaint.number))) or 0) + 1


@service("complaint.file", title=("Complain", "提交"), permission="participation.portal")
def file_complaint(
    scope: Scope,
    title: str,
    text: str,
    kind: ComplaintKind = ComplaintKind.COMPLAINT,
    topic: Topic = Topic.OTHER,
    room_id: UUID | None = None,
) -> Complaint:
    """File what the actor complains of or suggests; raises Invalid for a room that is not his."""
    person, rooms = me(scope), my_rooms(scope)
    if room_id is None and rooms:
        room_id = rooms[0].id
    if room_id is not None and room_id not in {room.id for room in rooms}:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"room_id": gettext("This room is not yours.")},
        )
    _need(title=title, text=text)
    return create_complaint(
        scope, title.strip(), text.strip(), kind, topic, ComplaintSource.PORTAL, person, room_id
    )


def _need(**values: str) -> None:
    missing = {name: gettext("This is needed.") for name, v in values.items() if not v.strip()}
    if missing:
        raise Invalid(N_("Some fields are not right yet."), fields=missing)


@service("complaint.take", title=("Take up", "受理"))
def take_complaint(scope: Scope, complaint: Complaint) -> Complaint:
    """Take a complaint up, so that others know who works on it. Raises WrongState."""
    _move(complaint, "take")
    complaint.handler = scope.actor.name[:120]
    return complaint


@service("complaint.answer", title=("Answer", "答复"))
def answer_complaint(scope: Scope, complaint: Complaint, answer: str) -> Complaint:
    """Answer the one who complained; the same again adds to the answer. Raises WrongState."""
    _need(answer=answer)
    _move(complaint, "answer")
    complaint.handler = complaint.handler or scope.actor.name[:120]
    complaint.answered_at = scope.now
    _say(scope, complaint, answer, is_staff=True)
    _tell(scope, complaint, answer)
    scope.emit("complaint_answered", complaint_id=complaint.id)
    return complaint


@service("complaint.close", title=("Close", "办结"))
def close_complaint(scope: Scope, complaint: Complaint) -> Complaint:
    """Close an answered complaint that nobody rates. Raises WrongState."""
    _move(complaint, "close")
    complaint.closed_at = scope.now
    return complaint


@service(
    "complaint.close_answered",
    title=("Close the answered", "自动办结"),
    permission="participation.complaint.close",
    is_public=False,
)
def close_answered(scope: Scope) -> int:
    """Close what was answered seven days ago and not reopened; return how many. Runs daily."""
    done = scope.session.execute(
        update(Complaint)
        .where(
            Complaint.state == ComplaintState.ANSWERED,
            Complaint.answered_at < scope.now - domain.REOPENED_WITHIN,
        )
        .values(state=ComplaintState.CLOSED, closed_at=scope.now)
        .execution_options(synchronize_session=False)
    )
    return done.rowcount


@service("complaint.reply", title=("Add", "补充"), permission="participation.portal")
def reply_to_complaint(scope: Scope, complaint_id: UUID, words: str) -> Complaint:
    """Add to a complaint of the actor's own. Raises NotFound, WrongState once it is closed."""
    complaint = my_complaint(scope, complaint_id)
    _need(words=words)
    if complaint.state is ComplaintState.CLOSED:
        raise WrongState(N_("It is closed. File a new one if something is missing."))
    _say(scope, complaint, words, is_staff=False)
    return complaint


@service("complaint.rate", title=("Rate", "评价"), permission="participation.portal")
def rate_complaint(scope: Scope, complaint_id: UUID, rating: int, note: str = "") -> Complaint:
    """Rate the answer to a complaint of the actor's own, 1 (bad) to 5, which closes it.

    Raises NotFound, WrongState, Invalid.
    """
    complaint = my_complaint(scope, complaint_id)
    if rating not in domain.RATINGS:
        raise Invalid(
            N_("Some fields are not right yet."), fields={"rating": gettext("From 1 to 5.")}
        )
    _move(complaint, "rate")
    complaint.rating, complaint.rating_note = rating, note.strip()[:500] or None
    complaint.closed_at = scope.now
    return complaint


@service("complaint.reopen", title=("Reopen", "重新打开"), permission="participation.portal")
def reopen_complaint(scope: Scope, complaint_id: UUID, words: str) -> Complaint:
    """Say that an answer did not solve it, within seven days of the answer.

    The promise of time starts anew. Raises NotFound, WrongState.
    """
    complaint = my_complaint(scope, complaint_id)
    _need(words=words)
    if not domain.may_reopen(complaint.state, complaint.answered_at, scope.now):
        raise WrongState(N_("It can be reopened within seven days of the answer only."))
    _move(complaint, "reopen")
    hours = int(scope.setting("participation.answer_hours", ANSWER_HOURS))
    complaint.due_at = scope.now + timedelta(hours=hours)
    complaint.closed_at, complaint.rating, complaint.rating_note = None, None, None
    complaint.times_reopened += 1
    _say(scope, complaint, words, is_staff=False)
    return complaint


def my_complaints(scope: Scope, limit: int = 100) -> Sequence[Complaint]:
    """Return what the actor has filed, newest first."""
    query = select(Complaint).where(Complaint.person_id == me(scope))
    return scope.session.scalars(query.order_by(Complaint.number.desc()).limit(limit)).all()


def my_complaint(scope: Scope, complaint_id: UUID) -> Complaint:
    """Return a complaint of the actor's own, locked; another's is NotFound."""
    query = select(Complaint).where(Complaint.id == complaint_id, Complaint.person_id == me(scope))
    found = scope.session.scalars(query.with_for_update(of=Complaint)).first()
    if found is None:
        raise NotFound(N_("You have filed no such complaint."))
    return found


def replies_query(complaint: Complaint) -> Select[ComplaintReply]:
    """Return the query of what was said about a complaint, in order."""
    query = select(ComplaintReply).where(ComplaintReply.complaint_id == complaint.id)
    return query.order_by(ComplaintReply.replied_at)


def replies(scope: Scope, complaint: Complaint) -> Sequence[ComplaintReply]:
    """Return what was said about a complaint, in order."""
    return scope.session.scalars(replies_query(complaint)).all()


def _move(complaint: Complaint, verb: str) -> None:
    following = domain.next_state(complaint.state, verb)
    if following is None:
        raise WrongState(
            N_("This cannot be done while the complaint is: %(state)s."),
            state=member_label(complaint.state),
        )
    complaint.state = following


def _tell(scope: Scope, complaint: Complaint, answer: str) -> None:
    """Send the answer to the one who complained, by whatever channel reaches him."""
    if complaint.person is None:
        return
    notify(
        scope,
        complaint.person,
        "participation:complaint_answered",
        {
            "kind": member_label(complaint.kind),
            "title": complaint.title,
            "number": complaint.number,
            "answer": answer.strip(),
        },
        link=f"participation/my/complaints/{complaint.id}",
    )


def _say(scope: Scope, complaint: Complaint, words: str, *, is_staff: bool) -> None:
    scope.session.add(
        ComplaintReply(
            complaint_id=complaint.id,
            replied_at=scope.now,
            author=scope.actor.name[:120],
            is_staff=is_staff,
            text=words.strip(),
        )
    )
    scope.session.flush()
