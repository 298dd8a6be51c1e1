"""A collector's work on one case: contacts, promises, next steps, phone numbers, disputes."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.privacy.models import RevealReason
from dougong.privacy.reveals import reveal
from dougong.services import service
from dougong.tenancy.models import Person, Room
from dougong_arrears.domain import (
    ContactKind,
    DisputeState,
    Interruption,
    NextStep,
    Outcome,
)
from dougong_arrears.errors import NothingOwed
from dougong_arrears.models import CollectionCase, Collector, Contact, Dispute, PaymentPromise
from dougong_fees.domain.states import OWED
from dougong_fees.models import Bill


def case_of(scope: Scope, room_id: UUID, payer_id: UUID) -> CollectionCase | None:
    """Return what is planned about a payer's arrears for a room, None when nothing is."""
    query = select(CollectionCase).where(
        CollectionCase.room_id == room_id, CollectionCase.payer_id == payer_id
    )
    return scope.session.scalars(query).one_or_none()


@service("contact.record", title=("Record a contact", "登记催缴记录"))
def record_contact(
    scope: Scope,
    room: Room,
    payer: Person,
    kind: ContactKind,
    outcome: Outcome,
    *,
    happened_on: date | None = None,
    note: str = "",
    interrupts: Interruption | None = None,
    promised: Decimal | None = None,
    promised_by: date | None = None,
) -> Contact:
    """Record that a payer was spoken to, and what he promised.

    interrupts: why the limitation period begins anew; evidence is attached to the record. promised:
    yuan by the day ``promised_by``. Raises Invalid for a day to come, a promise without amount or
    day, and an interruption by someone who was not reached.
    """
    on = happened_on or scope.today
    faults = {}
    if on > scope.today:
        faults["happened_on"] = gettext("This day has not come yet.")
    is_promise = promised is not None or promised_by is not None
    if is_promise and (promised is None or promised <= 0 or promised_by is None):
        faults["promised"] = gettext("A promise has an amount and a day.")
    if is_promise and promised_by is not None and promised_by < on:
        faults["promised_by"] = gettext("A promise is for a later day.")
    needs_reach = interrupts in (Interruption.DEMAND, Interruption.ACKNOWLEDGEMENT)
    if needs_reach and outcome is Outcome.NOT_REACHED:
        faults["interrupts"] = gettext("What did not reach the payer interrupts nothing.")
    if faults:
        raise Invalid(N_("Some fields are not right yet."), fields=faults)
    contact = Contact(
        room_id=room.id,
        payer_id=payer.id,
        kind=kind,
        outcome=outcome,
        interrupts=interrupts,
        happened_on=on,
        user_id=scope.actor.user_id,
    )
    contact.note = note.strip() or None
    scope.session.add(contact)
    if is_promise:
        scope.session.add(
            PaymentPromise(room_id=room.id, payer_id=payer.id, amount=promised, by_on=promised_by)
        )
    scope.session.flush()
    return contact


@service("collection_case.plan", title=("Plan the next step", "计划下一步"))
def plan_next(
    scope: Scope,
    room: Room,
    payer: Person,
    next_step: NextStep,
    next_on: date | None = None,
    collector: UUID | None = None,
) -> CollectionCase:
    """Say what is done next about a payer's arrears, when, and by whom.

    collector: instead of the one of the building. Raises NotFound for an unknown one.
    """
    case = case_of(scope, room.id, payer.id)
    if case is None:
        case = CollectionCase(room_id=room.id, payer_id=payer.id)
        scope.session.add(case)
    case.next_step, case.next_on = next_step, next_on
    if collector is not None:
        case.collector_id = scope.get(Collector, collector).id
    scope.session.flush()
    return case


@service(
    "contact.reveal_phone",
    title=("Show the phone number", "查看电话"),
    is_public=False,
)
def reveal_phone(scope: Scope, room: Room, payer: Person) -> str:
    """Return a payer's phone number; the collector's task is the reason, and is recorded.

    Raises NothingOwed when the task is over: nothing is owed for the room any more.
    """
    owing = select(Bill.id).where(
        Bill.room_id == room.id, Bill.payer_id == payer.id, Bill.state.in_(OWED), Bill.balance > 0
    )
    if scope.session.scalars(owing.limit(1)).first() is None:
        raise NothingOwed(N_("Nothing is owed here, so there is no reason to call."))
    note = gettext("Collecting arrears of %(room)s", room=room.code)
    return reveal(scope, payer, "phone", RevealReason.CALL, note)


@service("dispute.open", title=("Mark as disputed", "标记争议"))
def open_dispute(scope: Scope, bill: Bill, reason: str) -> Dispute:
    """Mark a bill as disputed: nobody is reminded of it until that is settled.

    Raises Invalid without a reason, NothingOwed for a bill that is not owed.
    """
    if not reason.strip():
        raise Invalid(
            N_("Some fields are not right yet."), fields={"reason": gettext("This is needed.")}
        )
    if bill.state not in OWED:
        raise NothingOwed(N_("Bill %(bill)s is no longer owed."), bill=bill.title)
    query = select(Dispute).where(Dispute.bill_id == bill.id, Dispute.state == DisputeState.OPEN)
    known = scope.session.scalars(query).one_or_none()
    if known is not None:
        return known
    dispute = Dispute(bill_id=bill.id, reason=reason.strip()[:500])
    scope.session.add(dispute)
    scope.session.flush()
    return dispute


@service("dispute.settle", title=("Settle", "争议已解决"))
def settle_dispute(scope: Scope, dispute: Dispute, outcome: str) -> Dispute:
    """Settle a dispute: reminders go on. Raises Conflict when it was settled before."""
    if dispute.state is DisputeState.SETTLED:
        raise Conflict(N_("This dispute was settled before."))
    dispute.state, dispute.settled_at = DisputeState.SETTLED, scope.now
    dispute.outcome = outcome.strip()[:200]
    scope.session.flush()
    return dispute
