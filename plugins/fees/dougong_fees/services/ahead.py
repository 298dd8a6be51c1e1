"""What owners do ahead on the phone: pay months, put money by, declare that a room is empty."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import IO
from uuid import UUID

from sqlalchemy import or_, select, true
from sqlalchemy.orm import joinedload

from dougong.db import Scope
from dougong.errors import Conflict, Invalid, NotFound
from dougong.files import attach
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Ownership, Room
from dougong_fees.domain.amounts import round_amount
from dougong_fees.domain.periods import add_months
from dougong_fees.domain.states import WaiverState
from dougong_fees.models import (
    Bill,
    BillKind,
    BillLine,
    Charge,
    ChargeMethod,
    FeeItem,
    FeeRule,
    Prepayment,
    PrepaymentState,
    RuleKind,
    Vacancy,
)
from dougong_fees.services.bills import withdraw_bill
from dougong_fees.services.mine import PORTAL, TOP_UP_LIMIT, my_bill, my_person
from dougong_fees.services.prepayments import offer_prepayment
from dougong_fees.services.vacancies import declare_vacancy
from dougong_ledger import services as ledger
from dougong_ledger.domain import is_amount
from dougong_ledger.models import PaymentOrder

# Nobody is asked for the next months while more than so many are paid.
ENOUGH = 3
MOST_PHOTOS = 6


@dataclass(frozen=True)
class Offer:
    """Months of one fee that an owner may pay ahead for a room, from ``from_on`` on.

    about: yuan by what the room was last billed; None before it was billed.
    """

    room_id: UUID
    room: str
    item: str
    rule: FeeRule
    from_on: date
    to_on: date
    about: Decimal | None


def my_rooms(scope: Scope) -> list[Room]:
    """Return the rooms that the actor owns today."""
    query = (
        select(Room)
        .join(Ownership, Ownership.room_id == Room.id)
        .where(Ownership.person_id == my_person(scope), *_in_force(Ownership, scope.today))
    )
    return list(scope.session.scalars(query.order_by(Room.sort_key)))


def _in_force(dated: type, on: date) -> tuple:
    return (dated.from_on <= on, or_(dated.to_on.is_(None), dated.to_on > on))


def my_offers(scope: Scope) -> list[Offer]:
    """Return the months that the actor may pay ahead today, by room and fee. One statement.

    They begin where his bills end; what has more than three months paid is not offered.
    """
    last = (
        select(BillLine)
        .where(
            BillLine.community_id == Charge.community_id,
            BillLine.charge_id == Charge.id,
            BillLine.is_withdrawn.is_(False),
        )
        .order_by(BillLine.from_on.desc())
        .limit(1)
        .lateral()
    )
    query = (
        select(
            Room.id, Room.code, FeeItem.name, FeeItem.rounding, FeeRule,
            Charge.from_on.label("charged_on"),
            last.c.to_on, last.c.amount, last.c.months_numerator, last.c.months_denominator,
        )
        .join(Ownership, Ownership.room_id == Room.id)
        .join(Charge, Charge.room_id == Room.id)
        .join(FeeItem, FeeItem.id == Charge.fee_item_id)
        .join(FeeRule, FeeRule.fee_item_id == FeeItem.id)
        .outerjoin(last, true())
        .where(
            Ownership.person_id == my_person(scope),
            *_in_force(Ownership, scope.today),
            or_(Charge.to_on.is_(None), Charge.to_on > scope.today),
            FeeRule.kind == RuleKind.PREPAID,
            *_in_force(FeeRule, scope.today),
            FeeItem.method != ChargeMethod.USAGE,
            FeeItem.commodity.is_(None),
        )
        .order_by(Room.sort_key, FeeItem.code, FeeRule.get_months, Charge.from_on.desc())
    )  # fmt: skip
    month = scope.today.replace(day=1)
    found: dict[tuple[UUID, UUID], Offer] = {}
    for row in scope.session.execute(query):
        from_on = max(row.charged_on, row.to_on or month)
        if from_on <= add_months(month, ENOUGH):
            found.setdefault((row.id, row.FeeRule.id), _offer(row, from_on))
    return list(found.values())


def _offer(row, from_on: date) -> Offer:
    rule, about = row.FeeRule, None
    if row.months_numerator:
        monthly = Fraction(row.amount) * row.months_denominator / row.months_numerator
        about = round_amount(monthly * (rule.pay_months or 1), row.rounding)
    to_on = add_months(from_on, rule.get_months or 1)
    return Offer(row.id, row.code, row.name, rule, from_on, to_on, about)


def my_prepayments(scope: Scope, room_ids: Sequence[UUID]) -> list[Prepayment]:
    """Return the prepayments of some rooms that run, with their bills."""
    query = select(Prepayment).where(
        Prepayment.room_id.in_(room_ids),
        Prepayment.state == PrepaymentState.RUNNING,
        Prepayment.to_on > scope.today,
    )
    whole = (joinedload(Prepayment.bill), joinedload(Prepayment.room))
    query = query.options(*whole, joinedload(Prepayment.fee_item))
    return list(scope.session.scalars(query.order_by(Prepayment.from_on, Prepayment.id)))


@service("prepayment.start_mine", title=("Pay months ahead", "预缴"), permission=PORTAL,
         is_public=False)  # fmt: skip
def start_mine(scope: Scope, room_id: UUID, rule_id: UUID) -> Prepayment:
    """Demand months that the actor pays ahead for his own room; he pays the bill like any other.

    Tapped twice, it returns the one that is not paid yet. Raises NotFound for what is not offered
    to him, Conflict where a part of the months is billed or has another payer.
    """
    rooms = [room.id for room in my_rooms(scope)]
    for running in my_prepayments(scope, rooms):
        is_it = (running.room_id, running.rule_id) == (room_id, rule_id)
        if is_it and running.bill.balance:
            return running
    for offer in my_offers(scope):
        if (offer.room_id, offer.rule.id) == (room_id, rule_id):
            return offer_prepayment(scope, scope.get(Room, room_id), offer.rule, offer.from_on)
    raise NotFound(N_("These months cannot be paid ahead here."))


@service("prepayment.cancel_mine", title=("Not now", "暂不预缴"), permission=PORTAL,
         is_public=False)  # fmt: skip
def cancel_mine(scope: Scope, bill_id: UUID) -> Bill:
    """Withdraw the bill of months ahead that the actor asked for and has not paid."""
    bill = my_bill(scope, bill_id)
    if bill.kind is not BillKind.PREPAID or bill.paid:
        raise Conflict(N_("Only months ahead that are not paid yet are given back here."))
    return withdraw_bill(scope, bill, gettext("Not wanted any more"))


@service("wallet.save_mine", title=("Put money by", "预存"), permission=PORTAL, is_public=False)
def save_mine(scope: Scope, amount: str, idempotency_key: str) -> PaymentOrder:
    """Open the order that puts money into the actor's own wallet, through a payment channel.

    amount: yuan, as typed. What is put by is a liability and pays bills when the owner says so.
    """
    try:
        yuan = Decimal(amount.strip())
    except InvalidOperation:
        yuan = Decimal(0)
    if not yuan.is_finite() or not is_amount(yuan) or yuan > TOP_UP_LIMIT:
        problem = gettext("Between 0.01 and %(most)s yuan.", most=TOP_UP_LIMIT)
        raise Invalid(N_("Some fields are not right yet."), fields={"amount": problem})
    person_id, title = my_person(scope), gettext("Prepaid money")
    item = ledger.OrderItem("ledger.wallet", person_id, title, yuan)
    return ledger.open_order(scope, "ledger", title, [item], idempotency_key, person_id)


# --- empty rooms ----------------------------------------------------------------------------------


def my_vacancies(scope: Scope, room_ids: Sequence[UUID]) -> list[Vacancy]:
    """Return what was declared of some rooms, newest first."""
    query = select(Vacancy).where(Vacancy.room_id.in_(room_ids)).order_by(Vacancy.id.desc())
    return list(scope.session.scalars(query.options(joinedload(Vacancy.room))))


def vacancy_rules(scope: Scope, room_ids: Sequence[UUID]) -> list[FeeRule]:
    """Return the rules by which some rooms would pay less while they are empty."""
    query = (
        select(FeeRule)
        .join(Charge, Charge.fee_item_id == FeeRule.fee_item_id)
        .where(
            Charge.room_id.in_(room_ids),
            *_in_force(Charge, scope.today),
            FeeRule.kind == RuleKind.VACANCY,
            *_in_force(FeeRule, scope.today),
        )
        .distinct()
        .options(joinedload(FeeRule.fee_item))
    )
    return list(scope.session.scalars(query))


@service("vacancy.declare_mine", title=("Declare vacant", "空置申报"), permission=PORTAL,
         is_public=False)  # fmt: skip
def declare_mine(
    scope: Scope,
    room_id: UUID,
    from_on: date,
    proof: str,
    photos: Sequence[tuple[str, IO[bytes]]],
    to_on: date | None = None,
) -> Vacancy:
    """Declare that the actor's own room is empty; it counts once the desk has approved it.

    photos: name and content, at least one. Raises NotFound for a room that is not his, Invalid
    without proof, Conflict while another declaration of the room waits.
    """
    if room_id not in {room.id for room in my_rooms(scope)}:
        raise NotFound(N_("You do not own this room."))
    if not 1 <= len(photos) <= MOST_PHOTOS:
        problem = gettext("Add a photo of the meters, or of what else shows it; six at most.")
        raise Invalid(N_("Some fields are not right yet."), fields={"photos": problem})
    waiting = select(Vacancy.id).where(
        Vacancy.room_id == room_id, Vacancy.state == WaiverState.REQUESTED
    )
    if scope.session.scalars(waiting).first() is not None:
        raise Conflict(N_("A declaration of this room waits for the office already."))
    vacancy = declare_vacancy(scope, room_id, from_on, proof, to_on)
    vacancy.declared_by_id = my_person(scope)
    scope.session.flush()
    for name, stream in photos:
        attach(scope, vacancy, name[-120:], stream)
    return vacancy
