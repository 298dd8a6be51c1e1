"""Figures, hits and panels: what renovation shows on pages that are not its own."""

from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select

from dougong.db import Scope, member_label
from dougong.hookspecs import Asks, Card, Panel, SearchHit
from dougong.i18n import gettext
from dougong.tenancy.models import Room
from dougong_renovation.domain.states import (
    ACCEPTED,
    AGREED,
    FINISHED,
    OVER,
    RETURNED,
    SUBMITTED,
    WORKING,
)
from dougong_renovation.models import Application, Violation, ViolationState
from dougong_renovation.services import (
    claims_query,
    documents_query,
    missing_from,
    owns_query,
    steps_query,
)
from dougong_renovation.words import verb_words

VIEW = "renovation.application.view"
ADMIN = "admin/renovation/application/"
TO_DECIDE = (SUBMITTED, FINISHED)


def dashboard(scope: Scope) -> Asks[Card]:
    """Return what waits for the desk, what is underway, and deposits that may go back."""
    if not scope.may(VIEW):
        return []
    counts, violations = yield _counts(scope), _open_violations()
    waiting, underway, ended, back = counts.one()
    open_ones = violations.scalar_one()
    return [
        Card(
            gettext("Renovations to decide on"),
            str(waiting),
            tone="warning" if waiting else "good",
            url=f"{ADMIN}?state=submitted,finished",
            order=60,
        ),
        Card(
            gettext("Renovations underway"),
            str(underway),
            note=gettext("%(count)s past their permit", count=ended) if ended else "",
            tone="danger" if ended else "plain",
            url=f"{ADMIN}?state=underway,stopped",
            order=61,
        ),
        Card(
            gettext("Violations to rectify"),
            str(open_ones),
            tone="danger" if open_ones else "good",
            url="admin/renovation/violation/?state=open,reported",
            order=62,
        ),
        Card(
            gettext("Renovation deposits to give back"),
            str(back),
            tone="warning" if back else "plain",
            url=f"{ADMIN}?state=accepted&refund_from_on.to={scope.today}",
            order=63,
        ),
    ]


def _counts(scope: Scope) -> Any:
    state = Application.state
    back = Application.refund_from_on <= scope.today
    return select(
        func.count().filter(state.in_(TO_DECIDE)),
        func.count().filter(state.in_(WORKING)),
        func.count().filter(state.in_(WORKING), Application.valid_until_on < scope.today),
        func.count().filter(state == ACCEPTED, back),
    ).select_from(Application)


def _open_violations() -> Any:
    stands = Violation.state.in_((ViolationState.OPEN, ViolationState.REPORTED))
    return select(func.count()).where(stands)


def portal(scope: Scope, person_id: UUID) -> Asks[Card]:
    """Return where a person's renovation stands, or the way to apply for one."""
    query = select(Application.state).where(
        Application.person_id == person_id, Application.state.not_in(OVER)
    )
    found = yield query.order_by(Application.number.desc()).limit(1)
    state = found.scalars().first()
    asks = state in (RETURNED, AGREED)
    return [
        Card(
            gettext("Renovation"),
            member_label(state) if state else gettext("Apply"),
            tone="warning" if asks else "plain",
            url="renovation/my/",
            order=60,
        )
    ]


def search(scope: Scope, words: str, limit: int) -> list[SearchHit]:
    """Return renovations by number of the permit, firm, or room."""
    if not scope.may(VIEW):
        return []
    query = (
        select(Application)
        .join(Room, Room.id == Application.room_id)
        .where(
            or_(
                Room.code == words,
                Application.permit_number == words,
                Application.contractor.contains(words, autoescape=True),
            )
        )
        .order_by(Application.number.desc())
        .limit(limit)
    )
    return [
        SearchHit(
            str(found), f"{ADMIN}{found.id}/", gettext("Renovation"), member_label(found.state)
        )
        for found in scope.session.scalars(query)
    ]


def panels(scope: Scope, record: Any) -> Asks[Panel]:
    """Return works, missing papers and the story on a renovation's page; a room's renovations."""
    if not scope.may(VIEW):
        return []
    if isinstance(record, Application):
        return (yield from _of_application(scope, record))
    if not isinstance(record, Room):
        return []
    query = select(Application.number, Application.starts_on, Application.state)
    query = query.where(Application.room_id == record.id).order_by(Application.number.desc())
    found = yield query.limit(5)
    rows = [(f"{one.number} · {one.starts_on}", member_label(one.state)) for one in found]
    return [Panel(gettext("Renovations"), rows, url=f"{ADMIN}?room={record.id}")] if rows else []


def _of_application(scope: Scope, application: Application) -> Asks[Panel]:
    steps, claimed, papers, owned = yield (
        steps_query(application),
        claims_query(application),
        documents_query(application),
        owns_query(scope, application.person_id, application.room_id),
    )
    works = [(member_label(work), "") for work in application.kinds]
    panels = [Panel(gettext("Works"), works)]
    missing = missing_from(application, papers.scalars(), is_owner=owned.scalar_one())
    missing = missing if application.state in TO_DECIDE else []
    if missing:
        rows = [(member_label(kind), gettext("missing")) for kind in missing]
        panels.append(
            Panel(
                gettext("Papers that are missing"), rows, url=f"renovation/desk/{application.id}/"
            )
        )
    told = [
        (
            f"{step.taken_at.astimezone(scope.zone):%Y-%m-%d %H:%M} {verb_words(step.verb)}",
            " · ".join(filter(None, (step.author, step.note))),
        )
        for step in steps.scalars()
    ]
    panels.append(Panel(gettext("What happened"), told))
    if claims := claimed.scalars().all():
        rows = [(str(violation), f"¥{violation.claim:,.2f}") for violation in claims]
        panels.append(Panel(gettext("Claims against the deposit"), rows))
    return panels + (_papers(application) if application.permit_number else [])


def _papers(application: Application) -> list[Panel]:
    """Return the papers to print of a permitted renovation."""
    told = gettext("%(count)s told", count=application.neighbours_told)
    papers = (
        ("permit", gettext("Permit"), application.permit_number or ""),
        ("passes", gettext("Passes for workers"), gettext("Print")),
        ("notice", gettext("Notice to the neighbours"), told),
    )
    address = f"renovation/{application.id}"
    return [
        Panel(title, [(words, "PDF")], url=f"{address}/{kind}.pdf") for kind, title, words in papers
    ]
