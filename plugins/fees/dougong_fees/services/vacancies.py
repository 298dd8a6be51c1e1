"""Vacant rooms: declared with proof, approved by another, then charged less as the rules say."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import or_, select

from dougong.db import Scope, uuid7
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.messages import notify
from dougong.services import Approval, service
from dougong.tenancy.models import Room
from dougong_fees.domain.periods import add_months
from dougong_fees.domain.states import WAIVER_STEPS, WaiverState
from dougong_fees.models import Charge, Discount, DiscountKind, FeeRule, RuleKind, Vacancy
from dougong_fees.services.discounts import end_discount, let_count


@service("vacancy.create", title=("Declare vacant", "空置申报"))
def declare_vacancy(
    scope: Scope,
    room_id: UUID,
    from_on: date,
    proof: str,
    to_on: date | None = None,
    id: UUID | None = None,
) -> Vacancy:
    """Declare that a room is empty from a day on, until a day; return what waits for approval.

    proof: what shows it; photos and papers are attached to the record. Raises Invalid without one
    or for a period that makes no sense.
    """
    fields = {}
    if to_on is not None and to_on <= from_on:
        fields["to_on"] = gettext("The last day lies before the first.")
    if not proof.strip():
        fields["proof"] = gettext("Say what shows that the room is empty, such as unmoved meters.")
    if fields:
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    vacancy = Vacancy(
        id=id or uuid7(),
        room_id=scope.get(Room, room_id).id,
        from_on=from_on,
        to_on=to_on,
        proof=proof.strip()[:200],
        requested_by=scope.actor.user_id,
    )
    scope.session.add(vacancy)
    scope.session.flush()
    return vacancy


@service(
    "vacancy.approve",
    title=("Approve", "批准"),
    approves=Approval(
        asked_by="requested_by",
        waiting=(WaiverState.REQUESTED,),
        about="proof",
        refuse="vacancy.refuse",
    ),
)
def approve_vacancy(scope: Scope, vacancy: Vacancy) -> list[Discount]:
    """Let a vacancy count: each fee with a rule for vacant rooms is cut in the days that it allows.

    Raises Conflict when no rule concerns the room,
    when it overlaps another, and for days that are billed already.
    """
    vacancy = _decided(scope, vacancy, WaiverState.APPROVED)
    vacancy.approved_by = scope.actor.user_id
    scope.session.flush()
    made = [
        discount
        for rule in scope.session.scalars(_rules(vacancy)).all()
        if (discount := _discount(vacancy, rule)) is not None
    ]
    if not made:
        raise Conflict(N_("No rule for vacant rooms concerns this room in these days."))
    for discount in made:
        scope.session.add(discount)
        scope.session.flush()
        let_count(scope, discount)
    _tell(scope, vacancy)
    return made


def _tell(scope: Scope, vacancy: Vacancy) -> None:
    """Tell an owner who declared it himself how it was decided."""
    if vacancy.declared_by is None:
        return
    context = {
        "room": vacancy.room.code,
        "day": vacancy.from_on.isoformat(),
        "is_approved": vacancy.state is WaiverState.APPROVED,
    }
    notify(scope, vacancy.declared_by, "fees:vacancy_decided", context, link="fees/my/vacancy")


def _rules(vacancy: Vacancy):
    """Return the query of the rules for vacant rooms of the fees that a room is charged."""
    charged = select(Charge.fee_item_id).where(
        Charge.room_id == vacancy.room_id,
        or_(Charge.to_on.is_(None), Charge.to_on > vacancy.from_on),
    )
    query = select(FeeRule).where(
        FeeRule.kind == RuleKind.VACANCY,
        FeeRule.fee_item_id.in_(charged),
        or_(FeeRule.to_on.is_(None), FeeRule.to_on > vacancy.from_on),
    )
    if vacancy.to_on is not None:
        query = query.where(FeeRule.from_on < vacancy.to_on)
    return query.order_by(FeeRule.fee_item_id, FeeRule.from_on)


def _discount(vacancy: Vacancy, rule: FeeRule) -> Discount | None:
    """Return the discount that a rule gives a vacancy; None when it was too short for it."""
    begins = add_months(vacancy.from_on, rule.wait_months or 0)
    first = max(begins, rule.from_on)
    most = None if rule.most_months is None else add_months(begins, rule.most_months)
    ends = [day for day in (vacancy.to_on, rule.to_on, most) if day is not None]
    last = min(ends, default=None)
    if last is not None and last <= first:
        return None
    return Discount(
        room_id=vacancy.room_id,
        fee_item_id=rule.fee_item_id,
        kind=DiscountKind.VACANCY,
        share=rule.share or Decimal(0),
        from_on=first,
        to_on=last,
        basis=f"{rule.basis}；{vacancy.proof}"[:200],
        vacancy_id=vacancy.id,
        state=WaiverState.APPROVED,
        requested_by=vacancy.requested_by,
        approved_by=vacancy.approved_by,
    )


@service("vacancy.refuse", title=("Refuse", "拒绝"))
def refuse_vacancy(scope: Scope, vacancy: Vacancy) -> Vacancy:
    """Refuse a vacancy that waits for approval; the room is charged as before."""
    vacancy = _decided(scope, vacancy, WaiverState.REFUSED)
    _tell(scope, vacancy)
    return vacancy


@service("vacancy.end", title=("Moved in", "结束空置"))
def end_vacancy(scope: Scope, vacancy: Vacancy, on: date) -> Vacancy:
    """End a vacancy because somebody moves in on a day; from then on the room pays in full.

    Raises Conflict when it does not run, and for days that are billed already.
    """
    vacancy = scope.get(Vacancy, vacancy.id, lock=True)
    runs = vacancy.to_on is None or on < vacancy.to_on
    if vacancy.state is not WaiverState.APPROVED or not vacancy.from_on < on or not runs:
        raise Conflict(N_("The room is not declared vacant on this day."))
    vacancy.to_on = on
    query = select(Discount).where(Discount.vacancy_id == vacancy.id)
    for discount in scope.session.scalars(query).all():
        if discount.to_on is None or discount.to_on > on:
            end_discount(scope, discount, on)
    return vacancy


def _decided(scope: Scope, vacancy: Vacancy, target: WaiverState) -> Vacancy:
    vacancy = scope.get(Vacancy, vacancy.id, lock=True)
    if target not in WAIVER_STEPS[vacancy.state]:
        raise Conflict(N_("This vacancy was decided before."))
    vacancy.state = target
    scope.session.flush()
    return vacancy
