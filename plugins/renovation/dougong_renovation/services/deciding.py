"""What the desk decides: papers, agreement, deposit, permit, extension, stop, acceptance."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID, uuid5

from sqlalchemy import Select, exists, select

from dougong.db import Scope, member_label
from dougong.errors import Conflict
from dougong.i18n import N_, gettext
from dougong.messages import notify
from dougong.services import service
from dougong_renovation.domain.states import UNDERWAY
from dougong_renovation.errors import WrongState
from dougong_renovation.models import (
    Application,
    Inspection,
    InspectionKind,
    RefundWay,
    Violation,
    ViolationState,
)
from dougong_renovation.services.applying import missing_documents
from dougong_renovation.services.people import neighbours_of
from dougong_renovation.services.rules import hold, longest, usual_deposit, work_hours
from dougong_renovation.services.stepping import check, invalid, need, take, tell

WARNED_BEFORE = timedelta(days=3)


@service("application.send_back", title=("Send back", "退回补充"))
def send_back(scope: Scope, application: Application, what_is_missing: str) -> Application:
    """Send an application back for what is missing. Raises Invalid without words, WrongState."""
    need(what_is_missing=what_is_missing)
    return take(scope, application, "send_back", what_is_missing)


@service("application.refuse", title=("Refuse", "不予许可"))
def refuse_application(scope: Scope, application: Application, reason: str) -> Application:
    """Refuse an application with the reason. Raises Invalid without one, WrongState."""
    need(reason=reason)
    return take(scope, application, "refuse", reason)


@service("application.agree", title=("Agree", "审核通过"))
def agree_application(
    scope: Scope, application: Application, deposit: Decimal | None = None, terms: str = ""
) -> Application:
    """Agree to an application: its applicant signs next.

    deposit: yuan; the community's usual one when it is not said. terms: what goes beyond the usual
    agreement. Raises Conflict while papers are missing, Invalid for a deposit where the ledger is
    off, WrongState.
    """
    if missing := missing_documents(scope, application):
        kinds = "、".join(member_label(kind) for kind in missing)
        raise Conflict(N_("Papers are missing: %(kinds)s. Send it back for them."), kinds=kinds)
    amount = usual_deposit(scope) if deposit is None else deposit
    if amount < 0 or amount != amount.quantize(Decimal("0.01")):
        raise invalid("deposit", gettext("An amount has whole fen and is not below zero."))
    if amount and "ledger" not in scope.enabled:
        raise invalid(
            "deposit", gettext("Deposits are kept in the ledger, which is off here: agree with 0.")
        )
    application.deposit_amount, application.terms = amount, terms.strip()[:1000] or None
    return take(scope, application, "agree", terms)


@service("application.sign_paper", title=("Signed on paper", "线下已签"))
def sign_on_paper(scope: Scope, application: Application) -> Application:
    """Note that the applicant signed the printed agreement. Raises WrongState."""
    take(scope, application, "sign", gettext("Signed on paper"))
    application.signed_at = scope.now
    return application


@service("application.take_deposit", title=("Take the deposit", "收取押金"))
def take_deposit(scope: Scope, application: Application, channel: RefundWay) -> Application:
    """Take the agreed deposit into the ledger, once however often it is asked.

    Raises WrongState before the signature or when none is asked for, NotAllowed for who may take
    no deposits, Conflict where the ledger is off.
    """
    check(scope, application, "take_deposit")
    if not application.deposit_amount:
        raise WrongState(N_("No deposit is asked for."))
    if application.deposit_id is not None:
        return application
    _need_ledger(scope, "ledger.deposit.create")
    title = gettext("Renovation no. %(number)s", number=application.number)
    deposit = scope.call(
        "ledger.deposit.create",
        title=title,
        room_id=application.room_id,
        person_id=application.person_id,
        amount=application.deposit_amount,
        channel=channel.value,
        id=uuid5(application.id, "deposit"),
    )
    application.deposit_id = deposit.id
    return take(scope, application, "take_deposit", f"¥{application.deposit_amount:,.2f}")


def _need_ledger(scope: Scope, permission: str) -> None:
    if "ledger" not in scope.enabled:
        raise Conflict(N_("Deposits are kept in the ledger, which is off here."))
    scope.require(permission)


@service("application.permit", title=("Permit", "核发许可证"))
def permit_application(scope: Scope, application: Application) -> Application:
    """Permit the work: number, last day, and the neighbours are told. Raises WrongState.

    The deposit has to be there. The neighbours are those of `neighbours_of`.
    """
    check(scope, application, "permit")
    if application.deposit_amount and application.deposit_id is None:
        raise WrongState(N_("The deposit has to be taken first."))
    day = max(application.starts_on, scope.today)
    application.valid_until_on = day + (application.ends_on - application.starts_on)
    application.permit_number = f"{scope.today:%Y}-{application.number:04d}"
    application.permitted_at = scope.now
    application.neighbours_told = _tell_neighbours(scope, application)
    return take(scope, application, "permit", application.permit_number)


def _tell_neighbours(scope: Scope, application: Application) -> int:
    people = neighbours_of(scope, application.room, application.person_id)
    context = {
        "room": application.room.code,
        "from": str(max(application.starts_on, scope.today)),
        "until": str(application.valid_until_on),
        "hours": str(work_hours(scope)),
    }
    for person in people:
        key = f"renovation {application.id} {person.id}"
        notify(
            scope, person, "renovation:neighbour_told", context, key=key, link="renovation/my/near"
        )
    return len(people)


@service("application.extend", title=("Extend", "延期"))
def extend_permit(scope: Scope, application: Application, until_on: date) -> Application:
    """Extend a permit to a later day, at most the longest time from today. Raises Invalid."""
    check(scope, application, "extend")
    if application.valid_until_on is None or until_on <= application.valid_until_on:
        raise invalid("until_on", gettext("It is permitted until then already."))
    if until_on - scope.today > longest(scope):
        days = longest(scope).days
        raise invalid("until_on", gettext("At most %(days)s days from today.", days=days))
    application.valid_until_on = until_on
    return take(scope, application, "extend", str(until_on))


@service("application.stop", title=("Stop the work", "责令停工"))
def stop_work(scope: Scope, application: Application, reason: str) -> Application:
    """Stop the work; the passes are not valid meanwhile. Raises Invalid, WrongState.

    Source: order 110 of 2002, art. 17: the property service stops what breaks the agreement.
    """
    need(reason=reason)
    return take(scope, application, "stop", reason)


@service("application.go_on", title=("Let the work go on", "恢复施工"))
def let_go_on(scope: Scope, application: Application) -> Application:
    """Let stopped work go on. Raises WrongState, also while a violation is not rectified."""
    check(scope, application, "go_on")
    if _has_open_violations(scope, application):
        raise WrongState(N_("A violation has not been rectified yet."))
    return take(scope, application, "go_on")


@service("application.find_defects", title=("Not accepted", "验收不合格"))
def find_defects(scope: Scope, application: Application, defects: str) -> Application:
    """Refuse the acceptance for defects: the work goes on. Raises Invalid, WrongState."""
    need(defects=defects)
    return take(scope, application, "find_defects", defects)


@service("application.accept", title=("Accept", "验收合格"))
def accept_work(scope: Scope, application: Application) -> Application:
    """Accept the finished work; from then the days run until the deposit goes back.

    Raises WrongState while a violation is open, or without an inspection of the completion that
    was passed.
    """
    check(scope, application, "accept")
    if _has_open_violations(scope, application):
        raise WrongState(N_("A violation has not been rectified yet."))
    if not _was_passed(scope, application):
        raise WrongState(N_("Record the inspection of the completion first, and that it passed."))
    application.accepted_at = scope.now
    application.refund_from_on = scope.today + hold(scope)
    return take(scope, application, "accept")


def _was_passed(scope: Scope, application: Application) -> bool:
    """Tell whether the last inspection of the completion was passed."""
    query = (
        select(Inspection.is_passed)
        .where(
            Inspection.application_id == application.id,
            Inspection.kind == InspectionKind.COMPLETION,
        )
        .order_by(Inspection.inspected_at.desc(), Inspection.id.desc())
    )
    return bool(scope.session.scalars(query.limit(1)).first())


def _has_open_violations(scope: Scope, application: Application) -> bool:
    query = select(
        exists().where(
            Violation.application_id == application.id,
            Violation.state.in_((ViolationState.OPEN, ViolationState.REPORTED)),
        )
    )
    return bool(scope.session.scalar(query))


@service("application.settle", title=("Give the deposit back", "结清退押"), step_up=True)
def settle_application(scope: Scope, application: Application, channel: RefundWay) -> Application:
    """Deduct what was claimed for damage, give the rest of the deposit back, and end it.

    Each claim is deducted under the id of its violation, so that nothing happens twice. Raises
    WrongState before the day on which it may go back, or after a withdrawal without a deposit;
    NotAllowed for who may give no deposits back.
    """
    check(scope, application, "settle")
    if application.deposit_id is None and application.accepted_at is None:
        raise WrongState(N_("No deposit was taken: there is nothing to settle."))
    if application.refund_from_on is not None and scope.today < application.refund_from_on:
        raise WrongState(
            N_("The deposit goes back from %(day)s on."), day=str(application.refund_from_on)
        )
    if application.deposit_id is not None:
        _pay_back(scope, application, application.deposit_id, channel)
    application.settled_at = scope.now
    return take(scope, application, "settle", _settlement(application))


def _settlement(application: Application) -> str:
    return gettext(
        "Deposit ¥%(deposit)s, deducted ¥%(claimed)s, given back ¥%(back)s",
        deposit=f"{application.deposit_amount:,.2f}",
        claimed=f"{application.claimed:,.2f}",
        back=f"{application.given_back:,.2f}",
    )


def _pay_back(scope: Scope, application: Application, deposit_id: UUID, channel: RefundWay) -> None:
    _need_ledger(scope, "ledger.deposit.give_back")
    claims = claims_of(scope, application)
    for violation in claims:
        scope.call(
            "ledger.deposit.deduct",
            deposit=deposit_id,
            amount=violation.claim,
            reason=str(violation)[:200],
            idempotency_key=f"violation {violation.id}",
        )
    application.claimed = sum((violation.claim for violation in claims), Decimal(0))
    application.given_back = application.deposit_amount - application.claimed
    if application.given_back:
        scope.call(
            "ledger.deposit.give_back",
            deposit=deposit_id,
            amount=application.given_back,
            channel=channel.value,
            reason=gettext("Renovation no. %(number)s settled", number=application.number),
            idempotency_key=f"renovation {application.id}",
        )


def claims_of(scope: Scope, application: Application) -> Sequence[Violation]:
    """Return the violations of a renovation for which money is claimed."""
    return scope.session.scalars(claims_query(application)).all()


def claims_query(application: Application) -> Select[Violation]:
    """Return the query of the violations of a renovation for which money is claimed."""
    query = select(Violation).where(Violation.application_id == application.id, Violation.claim > 0)
    return query.order_by(Violation.id)


@service(
    "application.remind_ending",
    title=("Remind of ending permits", "许可到期提醒"),
    permission="renovation.application.extend",
    is_public=False,
)
def remind_ending(scope: Scope) -> int:
    """Tell applicants whose permit ends in three days; return how many. Runs daily."""
    query = select(Application).where(
        Application.state == UNDERWAY, Application.valid_until_on == scope.today + WARNED_BEFORE
    )
    ending = scope.session.scalars(query).all()
    for application in ending:
        tell(scope, application, "permit_ends", until=str(application.valid_until_on))
    return len(ending)
