"""What happens on the site: passes, inspections, violations, and what neighbours say."""

import secrets
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import joinedload

from dougong.db import Scope, member_label
from dougong.errors import NotFound
from dougong.files import attachments_of
from dougong.i18n import N_, gettext
from dougong.services import given_phone, service
from dougong.tenancy.models import Room
from dougong_renovation.domain.states import OVER, UNDERWAY, WORKING, ApplicationState
from dougong_renovation.errors import WrongState
from dougong_renovation.models import (
    Application,
    Inspection,
    InspectionKind,
    Violation,
    ViolationKind,
    ViolationState,
    WorkerPass,
)
from dougong_renovation.services.applying import my_application
from dougong_renovation.services.people import PORTAL, is_beside, my_rooms
from dougong_renovation.services.rules import work_hours
from dougong_renovation.services.stepping import invalid, need, tell

PASSES_FROM = frozenset({ApplicationState.SIGNED}) | WORKING
MOST_PASSES = 30


@service("worker_pass.create", title=("Issue a pass", "办理出入证"))
def issue_pass(
    scope: Scope,
    application_id: UUID,
    name: str,
    id_number: str,
    trade: str = "",
    phone: str | None = None,
    id: UUID | None = None,
) -> WorkerPass:
    """Issue a worker's pass with a code that cannot be guessed.

    Raises WrongState unless the renovation is signed or underway, Invalid for a wrong identity
    number or one who has a pass there already.
    """
    application = scope.get(Application, application_id, lock=True)
    return _issue(scope, application, name, id_number, trade, phone, id)


@service("worker_pass.ask", title=("Ask for a pass", "申请出入证"), permission=PORTAL)
def ask_for_pass(
    scope: Scope,
    application_id: UUID,
    name: str,
    id_number: str,
    trade: str = "",
    phone: str | None = None,
) -> WorkerPass:
    """Register a worker for a renovation of the actor's own; raises what `issue_pass` does."""
    application = my_application(scope, application_id)
    return _issue(scope, application, name, id_number, trade, phone)


def _issue(
    scope: Scope,
    application: Application,
    name: str,
    id_number: str,
    trade: str,
    phone: str | None,
    id: UUID | None = None,
) -> WorkerPass:
    need(name=name, id_number=id_number)
    if application.state not in PASSES_FROM:
        raise WrongState(N_("Passes are issued once the agreement is signed."))
    number = id_number.strip().upper()
    if not is_identity_number(number):
        raise invalid("id_number", gettext("This is no identity number: check its digits."))
    known = passes_of(scope, application)
    if any(p.id_number == number and p.revoked_at is None for p in known):
        raise invalid("id_number", gettext("This worker has a pass already."))
    if len(known) >= MOST_PASSES:
        raise invalid("name", gettext("At most %(count)s passes.", count=MOST_PASSES))
    issued = WorkerPass(
        application_id=application.id,
        name=name.strip()[:60],
        trade=trade.strip()[:40],
        id_number=number,
        phone=given_phone("phone", phone),
        code=secrets.token_urlsafe(12),
        issued_at=scope.now,
        **({"id": id} if id else {}),
    )
    scope.session.add(issued)
    scope.session.flush()
    scope.emit("renovation.worker_pass_issued", worker_pass_id=issued.id)
    return issued


WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def is_identity_number(number: str) -> bool:
    """Tell whether 18 characters are a resident identity number by their check character.

    Source: GB 11643-1999, ISO 7064 MOD 11-2.
    """
    if len(number) != len(WEIGHTS) + 1 or not (number[:-1].isascii() and number[:-1].isdigit()):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number[:-1], WEIGHTS, strict=True))
    return "10X98765432"[total % 11] == number[-1]


@service("worker_pass.revoke", title=("Revoke", "吊销"))
def revoke_pass(scope: Scope, worker_pass: WorkerPass) -> WorkerPass:
    """Revoke a pass; its code says so from now on. Raises WrongState when it is revoked."""
    if worker_pass.revoked_at is not None:
        raise WrongState(N_("This pass is revoked already."))
    worker_pass.revoked_at = scope.now
    scope.emit("renovation.worker_pass_revoked", worker_pass_id=worker_pass.id)
    return worker_pass


def passes_of(scope: Scope, application: Application) -> Sequence[WorkerPass]:
    """Return the passes of a renovation, in the order in which they were issued."""
    query = select(WorkerPass).where(WorkerPass.application_id == application.id)
    return scope.session.scalars(query.order_by(WorkerPass.id)).all()


def pass_of(scope: Scope, code: str) -> WorkerPass:
    """Return the pass with a code; raises NotFound."""
    found = scope.session.scalars(select(WorkerPass).where(WorkerPass.code == code)).first()
    if found is None:
        raise NotFound(N_("There is no such pass."))
    return found


def refusal(scope: Scope, worker_pass: WorkerPass) -> str:
    """Return why a pass does not let its bearer in now, an empty text when it does."""
    application = worker_pass.application
    if worker_pass.revoked_at is not None:
        return gettext("The pass has been revoked.")
    if application.state is not UNDERWAY:
        return gettext("The renovation is: %(state)s.", state=member_label(application.state))
    if application.valid_until_on is None or application.valid_until_on < scope.today:
        return gettext("The permit ended on %(day)s.", day=str(application.valid_until_on))
    return ""


# --- inspections and violations ---------------------------------------------------------------


@service("inspection.create", title=("Record an inspection", "登记巡查"))
def record_inspection(
    scope: Scope,
    application_id: UUID,
    kind: InspectionKind = InspectionKind.ROUTINE,
    is_passed: bool = True,
    note: str | None = None,
    id: UUID | None = None,
) -> Inspection:
    """Record an inspection; photos are attached to it. Raises Invalid, WrongState.

    What did not pass needs words.
    """
    application = scope.get(Application, application_id)
    if application.state not in WORKING | {ApplicationState.FINISHED}:
        raise WrongState(N_("There is no work to inspect."))
    if not is_passed:
        need(note=note)
    inspection = Inspection(
        application_id=application.id,
        kind=kind,
        is_passed=is_passed,
        note=(note or "").strip()[:1000] or None,
        inspected_at=scope.now,
        inspector=scope.actor.name[:120],
        **({"id": id} if id else {}),
    )
    scope.session.add(inspection)
    scope.session.flush()
    return inspection


def inspections_of(scope: Scope, application: Application) -> Sequence[Inspection]:
    """Return the inspections of a renovation, newest first."""
    query = select(Inspection).where(Inspection.application_id == application.id)
    return scope.session.scalars(query.order_by(Inspection.id.desc())).all()


@service("violation.create", title=("Record a violation", "登记违规"))
def record_violation(
    scope: Scope,
    application_id: UUID,
    kind: ViolationKind,
    text: str,
    due_on: date | None = None,
    id: UUID | None = None,
) -> Violation:
    """Record what was not agreed, with the day until which it is rectified, and tell the owner.

    Raises Invalid, WrongState once the renovation is over.
    """
    application = scope.get(Application, application_id)
    violation = _violation(scope, application, kind, text, ViolationState.OPEN, due_on, id)
    _tell_violation(scope, application, violation)
    return violation


def _violation(
    scope: Scope,
    application: Application,
    kind: ViolationKind,
    text: str,
    state: ViolationState,
    due_on: date | None = None,
    id: UUID | None = None,
) -> Violation:
    need(text=text)
    if application.state in OVER:
        raise WrongState(N_("This renovation is over."))
    if due_on is not None and due_on < scope.today:
        raise invalid("due_on", gettext("This day is over."))
    violation = Violation(
        application_id=application.id,
        kind=kind,
        text=text.strip()[:1000],
        state=state,
        found_at=scope.now,
        is_quiet_time=not work_hours(scope).allow(scope.now.astimezone(scope.zone)),
        due_on=due_on,
        claim=Decimal(0),
        **({"id": id} if id else {}),
    )
    scope.session.add(violation)
    scope.session.flush()
    scope.emit("renovation.violation_found", violation_id=violation.id)
    return violation


def _tell_violation(scope: Scope, application: Application, violation: Violation) -> None:
    tell(
        scope,
        application,
        "violation_found",
        kind=member_label(violation.kind),
        text=violation.text,
        due=str(violation.due_on or ""),
    )


@service("violation.confirm", title=("Confirm", "核实成立"))
def confirm_violation(scope: Scope, violation: Violation, due_on: date | None = None) -> Violation:
    """Confirm what a neighbour reported; the owner is told. Raises WrongState."""
    _expect(violation, ViolationState.REPORTED)
    violation.state, violation.due_on = ViolationState.OPEN, due_on
    _tell_violation(scope, violation.application, violation)
    return violation


@service("violation.dismiss", title=("Dismiss", "不成立"))
def dismiss_violation(scope: Scope, violation: Violation) -> Violation:
    """Dismiss what turned out to be nothing; a claim goes with it. Raises WrongState."""
    _expect(violation, ViolationState.REPORTED, ViolationState.OPEN)
    violation.state, violation.claim = ViolationState.DISMISSED, Decimal(0)
    return violation


@service("violation.rectify", title=("Rectified", "整改完成"))
def rectify_violation(scope: Scope, violation: Violation) -> Violation:
    """Note that a violation has been put right; a claim for damage stays. Raises WrongState."""
    _expect(violation, ViolationState.OPEN)
    violation.state, violation.rectified_at = ViolationState.RECTIFIED, scope.now
    return violation


@service("violation.claim", title=("Claim damage", "主张赔偿"))
def claim_damage(scope: Scope, violation: Violation, amount: Decimal) -> Violation:
    """Claim what damage cost, which is deducted from the deposit at the end; 0 takes it back.

    It is compensation and needs a photo: a property service may fine nobody. Raises Invalid
    without a photo or when all claims exceed the deposit, WrongState after the settlement.
    """
    application = scope.get(Application, violation.application_id, lock=True)
    if application.state in OVER or violation.state is ViolationState.DISMISSED:
        raise WrongState(N_("This renovation is over."))
    if amount < 0 or amount != amount.quantize(Decimal("0.01")):
        raise invalid("amount", gettext("An amount has whole fen and is not below zero."))
    if amount and not attachments_of(scope, violation):
        raise invalid("amount", gettext("Attach a photo of the damage to the violation first."))
    others = scope.session.scalar(
        select(func.coalesce(func.sum(Violation.claim), 0)).where(
            Violation.application_id == application.id, Violation.id != violation.id
        )
    )
    if others + amount > application.deposit_amount:
        raise invalid("amount", gettext("All claims together exceed the deposit."))
    violation.claim = amount
    application.claimed = others + amount
    return violation


@service("violation.report_authority", title=("Report to the authority", "上报主管部门"))
def report_to_authority(scope: Scope, violation: Violation, authority: str) -> Violation:
    """Note that a violation was reported to an authority. Raises Invalid, WrongState.

    Source: order 110 of 2002, art. 17; Civil Code art. 942: what is not stopped is reported.
    """
    need(authority=authority)
    _expect(violation, ViolationState.OPEN)
    violation.reported_to, violation.reported_at = authority.strip()[:120], scope.now
    return violation


def _expect(violation: Violation, *states: ViolationState) -> None:
    if violation.state not in states:
        raise WrongState(
            N_("This cannot be done while the violation is: %(state)s."),
            state=member_label(violation.state),
        )


def violations_of(scope: Scope, application: Application) -> Sequence[Violation]:
    """Return the violations that stand, newest first; what was dismissed is left out."""
    hidden = (ViolationState.DISMISSED, ViolationState.REPORTED)
    query = select(Violation).where(
        Violation.application_id == application.id, Violation.state.not_in(hidden)
    )
    return scope.session.scalars(query.order_by(Violation.id.desc())).all()


# --- neighbours -------------------------------------------------------------------------------


def near_me(scope: Scope) -> Sequence[Application]:
    """Return the renovations underway beside, above or below the actor's rooms."""
    rooms = my_rooms(scope)
    if not rooms:
        return []
    beside = or_(*(is_beside(room) for room in rooms))
    query = (
        select(Application)
        .join(Room, Room.id == Application.room_id)
        .options(joinedload(Application.room))
        .where(Application.state.in_(WORKING), beside)
        .order_by(Application.number.desc())
        .limit(20)
    )
    return scope.session.scalars(query).all()


@service("violation.report", title=("Report a neighbour's work", "反映装修问题"), permission=PORTAL)
def report_violation(
    scope: Scope, application_id: UUID, kind: ViolationKind, text: str
) -> dict[str, Any]:
    """Report what a renovation beside one's rooms does wrong; staff confirm or dismiss it.

    Raises NotFound for a renovation elsewhere, Invalid.
    """
    found = next((a for a in near_me(scope) if a.id == application_id), None)
    if found is None:
        raise NotFound(N_("There is no such renovation beside your rooms."))
    violation = _violation(scope, found, kind, text, ViolationState.REPORTED)
    return {"is_quiet_time": violation.is_quiet_time}
