"""Reminders: who is told of what today, and telling them at most once per bill and level."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, and_, case, exists, literal, null, or_, select

from dougong.db import Scope, insert_rows
from dougong.messages import notify
from dougong.services import service
from dougong.tenancy.models import Person, Room
from dougong_arrears.domain import AgreementState, DisputeState, Wording
from dougong_arrears.models import (
    Agreement,
    AgreementBill,
    Dispute,
    Reminder,
    ReminderChoice,
    ReminderLevel,
)
from dougong_fees.domain.states import OWED
from dougong_fees.models import Bill
from dougong_ledger.domain import OrderState
from dougong_ledger.models import PaymentOrder, PaymentOrderItem

BATCH = 5_000
NAMED = 5


@dataclass(frozen=True)
class DueBill:
    """A bill of which its payer is to be reminded. owed: yuan."""

    bill_id: UUID
    title: str
    due_on: date
    owed: Decimal
    room_id: UUID
    room: str


@dataclass(frozen=True)
class Due:
    """One message that is to be sent: a payer, a level, and the bills that it names."""

    level: ReminderLevel
    payer_id: UUID
    payer: str
    bills: Sequence[DueBill]

    @property
    def owed(self) -> Decimal:
        return sum((bill.owed for bill in self.bills), Decimal(0))


def is_disputed() -> Any:
    """Return the condition for bills with an open dispute."""
    return exists().where(
        Dispute.community_id == Bill.community_id,
        Dispute.bill_id == Bill.id,
        Dispute.state == DisputeState.OPEN,
    )


def is_agreed() -> Any:
    """Return the condition for bills that an agreement in force covers."""
    return exists().where(
        AgreementBill.community_id == Bill.community_id,
        AgreementBill.bill_id == Bill.id,
        Agreement.community_id == AgreementBill.community_id,
        Agreement.id == AgreementBill.agreement_id,
        Agreement.state == AgreementState.ACTIVE,
    )


def is_being_paid(scope: Scope) -> Any:
    """Return the condition for bills with a payment in flight."""
    return exists().where(
        PaymentOrderItem.community_id == Bill.community_id,
        PaymentOrderItem.subject_id == Bill.id,
        PaymentOrder.community_id == PaymentOrderItem.community_id,
        PaymentOrder.id == PaymentOrderItem.order_id,
        PaymentOrder.state == OrderState.OPEN,
        PaymentOrder.expires_at > scope.now,
    )


def due_reminders(scope: Scope, limit: int = BATCH) -> list[Due]:
    """Return the messages that are due today, by level and payer, for at most ``limit`` bills.

    A bill is named by the highest level that it has reached, once. Disputed bills, bills under an
    agreement and bills with a payment in flight are left out.
    """
    query = select(ReminderLevel).where(ReminderLevel.is_active).order_by(ReminderLevel.days.desc())
    levels = scope.session.scalars(query).all()
    if not levels:
        return []
    by_id = {level.id: level for level in levels}
    groups: dict[tuple[UUID, UUID], list[Any]] = defaultdict(list)
    for row in scope.session.execute(_owing(scope, levels).limit(limit)):
        groups[row.level_id, row.payer_id].append(row)
    return [
        Due(
            by_id[level_id],
            payer_id,
            rows[0].payer,
            [DueBill(r.bill_id, r.title, r.due_on, r.balance, r.room_id, r.room) for r in rows],
        )
        for (level_id, payer_id), rows in groups.items()
    ]


def _owing(scope: Scope, levels: Sequence[ReminderLevel]) -> Any:
    """Return the query of the bills to remind of, with the level that each has reached."""
    today = scope.today
    level = case(
        *(
            (Bill.due_on <= today - timedelta(days=each.days), literal(each.id, Uuid))
            for each in levels
        ),
        else_=null(),
    )
    refused = exists().where(
        ReminderChoice.community_id == Bill.community_id,
        ReminderChoice.person_id == Bill.payer_id,
        ReminderChoice.wants_due_soon.is_(False),
    )
    told = exists().where(
        Reminder.community_id == Bill.community_id,
        Reminder.bill_id == Bill.id,
        Reminder.level_id == level,
    )
    return (
        select(
            level.label("level_id"),
            Bill.id.label("bill_id"),
            Bill.title,
            Bill.due_on,
            Bill.balance,
            Bill.payer_id,
            Bill.room_id,
            Room.code.label("room"),
            Person.name.label("payer"),
        )
        .join(Room, and_(Room.community_id == Bill.community_id, Room.id == Bill.room_id))
        .join(Person, and_(Person.community_id == Bill.community_id, Person.id == Bill.payer_id))
        .where(
            Bill.state.in_(OWED),
            Bill.balance > 0,
            Bill.due_on <= today - timedelta(days=levels[-1].days),
            ~told,
            ~is_disputed(),
            ~is_agreed(),
            ~is_being_paid(scope),
            or_(Bill.due_on < today, ~refused),
        )
        .order_by(Bill.due_on, Room.sort_key, Bill.id)
    )


@service("reminder.preview", title=("Preview", "预览"), is_public=False)
def preview_reminders(scope: Scope, limit: int = BATCH) -> list[Due]:
    """Return who would be told of what, were reminders sent now; sends nothing."""
    return due_reminders(scope, limit)


@service("reminder.send", title=("Send the reminders", "发送提醒"))
def send_now(scope: Scope) -> int:
    """Have a worker send what is due; return the number of messages that are due now."""
    scope.enqueue("arrears.reminder.send_due", is_asked=True)
    return len(due_reminders(scope))


@service(
    "reminder.send_due",
    title=("Send the reminders", "发送提醒"),
    permission="arrears.reminder.send",
    is_public=False,
)
def send_due(scope: Scope, is_asked: bool = False) -> int:
    """Tell every payer what is due, in one message per level; return how many were written.

    A message waits for the end of quiet hours outside of the inbox. Unless ``is_asked`` the
    setting ``arrears.sends_reminders`` can keep it from running.
    """
    if not is_asked and not scope.setting("arrears.sends_reminders", True):
        return 0
    due = due_reminders(scope)
    people = _people(scope, {each.payer_id for each in due})
    for number, each in enumerate(due, 1):
        _send(scope, people[each.payer_id], each)
        if number % 100 == 0:
            scope.progress(number, len(due), "")
    return len(due)


def _people(scope: Scope, ids: set[UUID]) -> dict[UUID, Person]:
    found = scope.session.scalars(select(Person).where(Person.id.in_(ids)))
    return {person.id: person for person in found}


def _send(scope: Scope, person: Person, due: Due) -> None:
    first = min(bill.due_on for bill in due.bills)
    message = notify(
        scope,
        person,
        f"arrears:{Wording(due.level.wording).value}",
        {
            "name": person.name,
            "amount": f"{due.owed:,.2f}",
            "count": len(due.bills),
            "bills": bills_text(due.bills),
            "due_on": first.isoformat(),
            "days": abs((scope.today - first).days),
        },
        link="fees/my/",
    )
    count = len(due.bills)
    insert_rows(
        scope,
        Reminder,
        {
            "level_id": [due.level.id] * count,
            "bill_id": [bill.bill_id for bill in due.bills],
            "room_id": [bill.room_id for bill in due.bills],
            "payer_id": [due.payer_id] * count,
            "amount": [bill.owed for bill in due.bills],
            "message_id": [message.id] * count,
        },
    )


def bills_text(bills: Sequence[DueBill]) -> str:
    """Return the bills of a message, one a line, the oldest first; the rest as dots."""
    lines = [f"{bill.room} {bill.title} ¥{bill.owed:,.2f}" for bill in bills[:NAMED]]
    return "\n".join(lines + (["…"] if len(bills) > NAMED else []))


LEVELS = (
    ("到期前提醒", -3, Wording.DUE_SOON),
    ("逾期提醒", 3, Wording.OVERDUE),
    ("二次催缴", 15, Wording.OVERDUE_AGAIN),
    ("最后催缴", 45, Wording.FINAL_DEMAND),
)


def ensure_levels(scope: Scope) -> None:
    """Write the usual levels into a community that has none."""
    if scope.session.scalars(select(ReminderLevel.id).limit(1)).first() is None:
        scope.session.add_all(
            ReminderLevel(name=name, days=days, wording=wording) for name, days, wording in LEVELS
        )
        scope.session.flush()
