"""What people ask about their own data, and by when it must be answered."""

from datetime import timedelta

from sqlalchemy import select

from dougong.db.scope import Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_
from dougong.privacy.erasure import erase_person
from dougong.privacy.models import PrivacyRequest, RequestKind, RequestState
from dougong.services import service
from dougong.tenancy.models import Person

# Source: GB/T 35273-2020, 8.7: answered within thirty days.
ANSWER_DAYS = 30
# From the twentieth day on whoever answers is reminded, and once more when it is late.
REMIND_DAYS = 20


@service("privacy_request.create", title=("Take a request", "登记请求"))
def create_request(
    scope: Scope, person: Person, kind: RequestKind, note: str = ""
) -> PrivacyRequest:
    """Note what a person asked for; it is due in thirty days.

    Raises Conflict while the same is still open for the same person.
    """
    known = select(PrivacyRequest.id).where(
        PrivacyRequest.person_id == person.id,
        PrivacyRequest.kind == kind,
        PrivacyRequest.state == RequestState.OPEN,
    )
    if scope.session.scalars(known).first() is not None:
        raise Conflict(N_("The same request of this person is still open."))
    made = PrivacyRequest(
        person_id=person.id,
        kind=kind,
        note=note.strip() or None,
        asked_on=scope.today,
        due_on=scope.today + timedelta(days=ANSWER_DAYS),
    )
    scope.session.add(made)
    scope.session.flush()
    return made


@service("privacy_request.answer", title=("Mark as answered", "标记为已答复"))
def answer_request(scope: Scope, privacy_request: PrivacyRequest) -> PrivacyRequest:
    """Note that a request was met. Raises Conflict when it is closed, or is for erasure."""
    _check_open(privacy_request)
    if privacy_request.kind is RequestKind.ERASURE:
        raise Conflict(N_("Erase the person: that answers the request."))
    return _close(scope, privacy_request, RequestState.ANSWERED)


@service("privacy_request.erase", title=("Erase the person now", "立即删除个人信息"), step_up=True)
def erase_requested(scope: Scope, privacy_request: PrivacyRequest) -> PrivacyRequest:
    """Erase the person who asked for it, everywhere; it cannot be taken back.

    Needs the permission to erase as well. Raises Conflict when the request is closed or for
    something else, or when something holds the erasure up.
    """
    _check_open(privacy_request)
    if privacy_request.kind is not RequestKind.ERASURE:
        raise Conflict(N_("This request is not for erasure."))
    # Done when it returns, in transactions of its own; should closing fail, it is safe to repeat.
    erase_person(
        scope.installation,
        scope.actor,
        privacy_request.community_id,
        privacy_request.person_id,
        "subject_request",
    )
    return _close(scope, privacy_request, RequestState.ANSWERED)


@service("privacy_request.refuse", title=("Refuse with a reason", "说明理由并拒绝"))
def refuse_request(scope: Scope, privacy_request: PrivacyRequest, reason: str) -> PrivacyRequest:
    """Close a request with the reason that the person is told. Raises Conflict, Invalid."""
    _check_open(privacy_request)
    if not reason.strip():
        raise Invalid(N_("Say why it is refused."))
    privacy_request.answer = reason.strip()
    return _close(scope, privacy_request, RequestState.REFUSED)


def _check_open(request: PrivacyRequest) -> None:
    if request.state is not RequestState.OPEN:
        raise Conflict(N_("This request is closed already."))


def _close(scope: Scope, request: PrivacyRequest, state: RequestState) -> PrivacyRequest:
    request.state, request.answered_at = state, scope.now
    scope.session.flush()
    return request
