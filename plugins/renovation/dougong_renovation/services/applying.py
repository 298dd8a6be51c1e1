"""What applicants do: apply, hand in papers, sign, report the end, withdraw; and look."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import IO, Any
from uuid import UUID

from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import joinedload

from dougong.db import Scope, member_label
from dougong.errors import NotFound
from dougong.files import Attachment, Opened, attach, attachments_of, read_attachment
from dougong.i18n import N_, gettext
from dougong.services import entered, given_phone, service
from dougong_renovation.domain.states import BEFORE_PERMIT, OVER
from dougong_renovation.domain.works import DocumentKind, Work, forbidden, needed
from dougong_renovation.errors import WrongState
from dougong_renovation.models import Application, Document
from dougong_renovation.services.people import PORTAL, holders_of, me, my_rooms, owns
from dougong_renovation.services.rules import longest
from dougong_renovation.services.stepping import invalid, need, take, write_down


@dataclass(frozen=True)
class Plan:
    """What somebody wants to do in a room, and when. works: values of Work."""

    works: Iterable[str]
    starts_on: date
    ends_on: date
    text: str = ""
    contractor: str = ""
    contact_phone: str = ""


@service("application.submit", title=("Apply", "装修申报"), permission=PORTAL)
def submit_application(
    scope: Scope,
    room_id: UUID,
    works: list[str],
    starts_on: date,
    ends_on: date,
    text: str = "",
    contractor: str = "",
    contact_phone: str = "",
) -> Application:
    """Apply for the renovation of a room of the actor's own.

    works: values of Work. Raises Invalid for a foreign room, works that the law forbids, days that
    do not fit, and WrongState while another renovation of the room is not over.
    """
    person = me(scope)
    if room_id not in {room.id for room in my_rooms(scope)}:
        raise invalid("room_id", gettext("This room is not yours."))
    need(contact_phone=contact_phone)
    plan = Plan(works, starts_on, ends_on, text, contractor, contact_phone)
    return submit_for(scope, room_id, person, plan)


@service("application.create", title=("Apply for somebody", "代为申报"))
def create_application(
    scope: Scope,
    room_id: UUID,
    person_id: UUID,
    works: list[str],
    starts_on: date,
    ends_on: date,
    text: str = "",
    contractor: str = "",
    contact_phone: str = "",
    id: UUID | None = None,
) -> Application:
    """Apply in the name of somebody who owns or lives in a room, at the counter or by phone.

    He sees it as his own. Raises Invalid for anybody else, and what `submit_application` does.
    """
    if person_id not in {person.id for person in holders_of(scope, room_id)}:
        raise invalid("person_id", gettext("This person neither owns the room nor lives there."))
    need(contact_phone=contact_phone)
    plan = Plan(works, starts_on, ends_on, text, contractor, contact_phone)
    return submit_for(scope, room_id, person_id, plan, id)


def submit_for(
    scope: Scope, room_id: UUID, person_id: UUID, plan: Plan, id: UUID | None = None
) -> Application:
    """Write an application of somebody's; raises what `submit_application` does."""
    kinds = _works(plan.works)
    _check_days(scope, plan.starts_on, plan.ends_on)
    _one_at_a_time(scope, room_id)
    application = Application(
        number=_next_number(scope),
        room_id=room_id,
        person_id=person_id,
        works=[kind.value for kind in kinds],
        text=plan.text.strip()[:1000],
        contractor=plan.contractor.strip()[:120] or None,
        contact_phone=given_phone("contact_phone", plan.contact_phone),
        starts_on=plan.starts_on,
        ends_on=plan.ends_on,
        submitted_at=scope.now,
        **({"id": id} if id else {}),
    )
    scope.session.add(application)
    write_down(scope, application, "submit")
    scope.emit("renovation.application_submitted", application_id=application.id)
    return application


def _works(given: Iterable[str]) -> list[Work]:
    known = {work.value for work in Work}
    chosen = {Work(value) for value in given if value in known}
    if not chosen:
        raise invalid("works", gettext("Choose what will be done."))
    if barred := forbidden(chosen):
        words = "、".join(member_label(work) for work in barred)
        raise invalid("works", gettext("The law forbids this: %(works)s.", works=words))
    return [work for work in Work if work in chosen]


def _check_days(scope: Scope, starts_on: date, ends_on: date) -> None:
    if starts_on < scope.today:
        raise invalid("starts_on", gettext("This day is over."))
    if ends_on < starts_on:
        raise invalid("ends_on", gettext("It cannot end before it begins."))
    if ends_on - starts_on > longest(scope):
        days = longest(scope).days
        raise invalid("ends_on", gettext("At most %(days)s days; it can be extended.", days=days))


def _one_at_a_time(scope: Scope, room_id: UUID) -> None:
    query = select(Application.number).where(
        Application.room_id == room_id, Application.state.not_in(OVER)
    )
    number = scope.session.scalars(query.limit(1)).first()
    if number is not None:
        raise WrongState(
            N_("Renovation no. %(number)s of this room is not over yet."), number=number
        )


def _next_number(scope: Scope) -> int:
    """Return the community's next number; the lock is held until the transaction ends."""
    scope.session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"renovation.application {scope.community_id}"},
    )
    return (scope.session.scalar(select(func.max(Application.number))) or 0) + 1


# --- papers -----------------------------------------------------------------------------------


def hand_in(
    scope: Scope, application_id: UUID, kind: DocumentKind, name: str, stream: IO[bytes]
) -> Attachment:
    """Add a paper to an application of the actor's own; raises what `dougong.files.attach` does."""
    with entered(scope, "renovation.document.hand_in", PORTAL):
        application = my_application(scope, application_id)
        if application.state not in BEFORE_PERMIT:
            raise WrongState(N_("Papers are handed in before the permit."))
        return add_document(scope, application, kind, name, stream)


def take_in(
    scope: Scope, application: Application, kind: DocumentKind, name: str, stream: IO[bytes]
) -> Attachment:
    """Add a paper that an applicant brought to the desk; raises what `hand_in` does."""
    with entered(scope, "renovation.document.create", "renovation.document.create"):
        if application.state not in BEFORE_PERMIT:
            raise WrongState(N_("Papers are handed in before the permit."))
        return add_document(scope, application, kind, name, stream)


def add_document(
    scope: Scope, application: Application, kind: DocumentKind, name: str, stream: IO[bytes]
) -> Attachment:
    """Add a paper with its file to an application that the caller has checked."""
    document = Document(application_id=application.id, kind=kind, handed_in_at=scope.now)
    scope.session.add(document)
    scope.session.flush()
    return attach(scope, document, name[-120:], stream)


def documents_of(scope: Scope, application: Application) -> Sequence[Document]:
    """Return the papers of an application, in the order in which they came."""
    return scope.session.scalars(documents_query(application)).all()


def documents_query(application: Application) -> Select[Document]:
    """Return the query of the papers of an application, in the order in which they came."""
    query = select(Document).where(Document.application_id == application.id)
    return query.order_by(Document.id)


def missing_documents(
    scope: Scope, application: Application, documents: Iterable[Any] | None = None
) -> list[DocumentKind]:
    """Return the kinds of papers that an application needs and does not have.

    documents: its papers, when the caller has read them already.
    """
    is_owner = owns(scope, application.person_id, application.room_id)
    known = documents_of(scope, application) if documents is None else documents
    return missing_from(application, known, is_owner=is_owner)


def missing_from(
    application: Application, documents: Iterable[Any], *, is_owner: bool
) -> list[DocumentKind]:
    """Return what ``missing_documents`` does, from rows that were read before."""
    wanted = needed(
        application.kinds,
        has_contractor=bool(application.contractor),
        is_owner=is_owner,
    )
    has = {document.kind for document in documents}
    return [kind for kind in DocumentKind if kind in wanted and kind not in has]


def open_document(scope: Scope, application_id: UUID, document_id: UUID) -> Opened:
    """Return the file of a paper of the actor's own application; raises NotFound."""
    application = my_application(scope, application_id)
    for document in documents_of(scope, application):
        if document.id == document_id:
            for attachment in attachments_of(scope, document):
                return read_attachment(scope, attachment)
    raise NotFound(N_("There is no such record here (%(kind)s)."), kind="document")


# --- steps ------------------------------------------------------------------------------------


@service("application.submit_again", title=("Hand in again", "重新提交"), permission=PORTAL)
def submit_again(scope: Scope, application_id: UUID) -> Application:
    """Hand a returned application in again. Raises NotFound, WrongState."""
    return take(scope, my_application(scope, application_id), "submit_again")


@service("application.sign", title=("Sign the agreement", "签署协议"), permission=PORTAL)
def sign_agreement(scope: Scope, application_id: UUID, has_read: bool = False) -> Application:
    """Sign the agreement on an application of the actor's own, which binds him to its terms.

    Raises Invalid unless he says that he has read it, NotFound, WrongState.
    """
    application = my_application(scope, application_id)
    if not has_read:
        raise invalid("has_read", gettext("Please read the agreement and tick that you did."))
    take(scope, application, "sign")
    application.signed_at = scope.now
    return application


@service("application.report_finished", title=("Report the end", "申请验收"), permission=PORTAL)
def report_finished(scope: Scope, application_id: UUID) -> Application:
    """Say that the work is done and can be accepted. Raises NotFound, WrongState."""
    application = take(scope, my_application(scope, application_id), "report_finished")
    application.finished_at = scope.now
    return application


@service("application.withdraw", title=("Withdraw", "撤回申报"), permission=PORTAL)
def withdraw_application(scope: Scope, application_id: UUID) -> Application:
    """Withdraw an application before the permit; a deposit that was taken is then settled.

    Raises NotFound, WrongState.
    """
    return take(scope, my_application(scope, application_id), "withdraw")


def my_applications(scope: Scope, limit: int = 50) -> Sequence[Application]:
    """Return what the actor has applied for, newest first."""
    query = select(Application).where(Application.person_id == me(scope))
    query = query.options(joinedload(Application.room))
    return scope.session.scalars(query.order_by(Application.number.desc()).limit(limit)).all()


def my_application(scope: Scope, application_id: UUID) -> Application:
    """Return an application of the actor's own, locked; another's is NotFound."""
    query = select(Application).where(
        Application.id == application_id, Application.person_id == me(scope)
    )
    query = query.options(joinedload(Application.room))
    found = scope.session.scalars(query.with_for_update(of=Application)).first()
    if found is None:
        raise NotFound(N_("You have applied for no such renovation."))
    return found
