"""What a payer sees of his reminders and agreements in the portal, and what he may choose."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.documents import Document
from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.services import service
from dougong_arrears.models import Agreement, Reminder, ReminderChoice
from dougong_arrears.services.agreements import order_next, print_agreement
from dougong_fees.services.mine import my_person
from dougong_ledger.models import PaymentOrder

PORTAL = "arrears.portal"


def my_choice(scope: Scope) -> ReminderChoice | None:
    """Return what the actor chose about reminders, None when he never did."""
    query = select(ReminderChoice).where(ReminderChoice.person_id == my_person(scope))
    return scope.session.scalars(query).one_or_none()


def agreements_of(scope: Scope, person_id: UUID) -> Sequence[Agreement]:
    """Return a payer's instalment agreements, newest first."""
    query = select(Agreement).where(Agreement.payer_id == person_id)
    return scope.session.scalars(query.order_by(Agreement.id.desc()).limit(10)).all()


def my_reminders(scope: Scope) -> Sequence[Reminder]:
    """Return what the actor was reminded of lately."""
    query = select(Reminder).where(Reminder.payer_id == my_person(scope))
    return scope.session.scalars(query.order_by(Reminder.id.desc()).limit(12)).all()


@service("reminder_choice.choose", title=("Choose", "设置提醒"), permission=PORTAL, is_public=False)
def choose_reminders(scope: Scope, wants_due_soon: bool) -> ReminderChoice:
    """Choose whether one is told before something is due. What is overdue is always told."""
    choice = my_choice(scope)
    if choice is None:
        choice = ReminderChoice(person_id=my_person(scope))
        scope.session.add(choice)
    choice.wants_due_soon = wants_due_soon
    scope.session.flush()
    return choice


@service("instalment.order_mine", title=("Pay", "缴纳本期"), permission=PORTAL, is_public=False)
def order_my_instalment(scope: Scope, agreement_id: UUID, idempotency_key: str) -> PaymentOrder:
    """Return the order for the next instalment of one's own agreement, the first when repeated.

    Raises NotFound for anybody else's, AgreementEnded when everything is paid.
    """
    agreement, person_id = my_agreement(scope, agreement_id), my_person(scope)
    query = select(PaymentOrder).where(PaymentOrder.idempotency_key == idempotency_key)
    known = scope.session.scalars(query).one_or_none()
    if known is not None and known.payer_id == person_id:
        return known
    return order_next(scope, agreement, idempotency_key, person_id)


def my_agreement(scope: Scope, agreement_id: UUID) -> Agreement:
    """Return one of the actor's agreements; raises NotFound for anybody else's."""
    agreement = scope.get(Agreement, agreement_id)
    if agreement.payer_id != my_person(scope):
        raise NotFound(N_("There is no such agreement here."))
    return agreement


@service("agreement.print_mine", title=("Print", "打印协议"), permission=PORTAL, is_public=False)
def print_my_agreement(scope: Scope, agreement_id: UUID) -> Document:
    """Return one of the actor's agreements as PDF; raises NotFound for anybody else's."""
    return print_agreement(scope, my_agreement(scope, agreement_id))
