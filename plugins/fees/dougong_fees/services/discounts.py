"""Discounts: asked for by one, approved by another, then part of what a room is charged."""

from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import or_, select

from dougong.db import Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import Approval, service
from dougong.tenancy.models import Room
from dougong_fees.domain.states import WAIVER_STEPS, WaiverState
from dougong_fees.models import BillLine, Charge, Discount, DiscountKind, FeeItem

PLACES = Decimal("0.000001")


@service("discount.request", title=("Ask for a discount", "申请优惠"))
def request_discount(
    scope: Scope,
    room: Room,
    fee_item: FeeItem,
    kind: DiscountKind,
    share: Decimal,
    from_on: date,
    basis: str,
    to_on: date | None = None,
) -> Discount:
    """Ask to leave a share of a fee off for a room from a day on, until a day.

    share: above zero, up to 1, so 0.3 charges 70 %. Nothing changes before it is approved. Raises
    Invalid for a share, period or basis that makes no sense.
    """
    fields = {}
    if not 0 < share <= 1 or share != share.quantize(PLACES):
        fields["share"] = gettext("Above zero and up to 1, so 0.3 charges 70 percent.")
    if to_on is not None and to_on <= from_on:
        fields["to_on"] = gettext("The last day lies before the first.")
    if not basis.strip():
        fields["basis"] = gettext("Name the rule, resolution or contract that allows it.")
    if fields:
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    discount = Discount(
        room_id=room.id,
        fee_item_id=fee_item.id,
        kind=kind,
        share=share,
        from_on=from_on,
        to_on=to_on,
        basis=basis.strip()[:200],
        requested_by=scope.actor.user_id,
    )
    scope.session.add(discount)
    scope.session.flush()
    return discount


@service(
    "discount.approve",
    title=("Approve", "批准"),
    approves=Approval(
        asked_by="requested_by",
        waiting=(WaiverState.REQUESTED,),
        about="basis",
        refuse="discount.refuse",
    ),
)
def approve_discount(scope: Scope, discount: Discount) -> Discount:
    """Let a discount count: the room's charges of the fee are cut at its days.

    Raises Conflict where the room is not charged the
    fee then, where another discount runs, and for days that are billed already: those are waived.
    """
    discount = _decided(scope, discount, WaiverState.APPROVED)
    let_count(scope, discount)
    discount.approved_by = scope.actor.user_id
    scope.session.flush()
    return discount


def let_count(scope: Scope, discount: Discount) -> None:
    """Cut the charges that an approved discount touches. Raises Conflict as approving it does."""
    charges = _charges(scope, discount)
    if not charges:
        raise Conflict(N_("The room is not charged this fee in these days."))
    _refuse_what_overlaps(scope, discount, charges)
    for charge in charges:
        _cut(scope, charge, discount)


@service("discount.end", title=("End", "终止优惠"))
def end_discount(scope: Scope, discount: Discount, on: date) -> Discount:
    """End a discount on a day before it would: from then on the fee is charged as before.

    Raises Conflict when it does not run then, and for days that are billed already.
    """
    discount = scope.get(Discount, discount.id, lock=True)
    runs = discount.to_on is None or on < discount.to_on
    if discount.state is not WaiverState.APPROVED or not runs:
        raise Conflict(N_("The discount does not run on this day."))
    query = select(Charge).where(
        Charge.discount_id == discount.id, or_(Charge.to_on.is_(None), Charge.to_on > on)
    )
    charges = list(scope.session.scalars(query.with_for_update(of=Charge)))
    _refuse_what_is_billed(scope, charges, on)
    for charge in charges:
        _restore(scope, charge, on)
    if on <= discount.from_on:
        discount.state = WaiverState.LAPSED
    else:
        discount.to_on = on
    scope.session.flush()
    return discount


def _restore(scope: Scope, charge: Charge, on: date) -> None:
    """Charge in full from a day on what a discount had cut."""
    factor = charge.factor if charge.factor_before is None else charge.factor_before
    if charge.from_on >= on:
        charge.factor, charge.discount_id, charge.factor_before = factor, None, None
        return
    end, charge.to_on = charge.to_on, on
    scope.session.flush()
    scope.session.add(_copy(charge, on, end, factor))
    scope.session.flush()


@service("discount.refuse", title=("Refuse", "拒绝"))
def refuse_discount(scope: Scope, discount: Discount) -> Discount:
    """Refuse a discount that waits for approval; the room is charged as before."""
    discount = _decided(scope, discount, WaiverState.REFUSED)
    scope.session.flush()
    return discount


def _decided(scope: Scope, discount: Discount, target: WaiverState) -> Discount:
    discount = scope.get(Discount, discount.id, lock=True)
    if target not in WAIVER_STEPS[discount.state]:
        raise Conflict(N_("This discount was decided before."))
    discount.state = target
    return discount


def _charges(scope: Scope, discount: Discount) -> list[Charge]:
    """Return the charges that a discount touches, locked, the earliest first."""
    query = select(Charge).where(
        Charge.room_id == discount.room_id,
        Charge.fee_item_id == discount.fee_item_id,
        or_(Charge.to_on.is_(None), Charge.to_on > discount.from_on),
    )
    if discount.to_on is not None:
        query = query.where(Charge.from_on < discount.to_on)
    return list(scope.session.scalars(query.order_by(Charge.from_on).with_for_update(of=Charge)))


def _refuse_what_is_billed(scope: Scope, charges: list[Charge], on: date) -> None:
    billed = select(BillLine.to_on).where(
        BillLine.charge_id.in_([charge.id for charge in charges]),
        BillLine.is_withdrawn.is_(False),
        BillLine.to_on > on,
    )
    last = scope.session.scalars(billed.order_by(BillLine.to_on.desc()).limit(1)).first()
    if last is not None:
        day = (last - timedelta(days=1)).isoformat()
        raise Conflict(
            N_("It is billed up to %(day)s already. Begin later, and waive what was billed."),
            day=day,
        )


def _refuse_what_overlaps(scope: Scope, discount: Discount, charges: list[Charge]) -> None:
    _refuse_what_is_billed(scope, charges, discount.from_on)
    running = select(Discount.id).where(
        Discount.room_id == discount.room_id,
        Discount.fee_item_id == discount.fee_item_id,
        Discount.id != discount.id,
        Discount.state == WaiverState.APPROVED,
        or_(Discount.to_on.is_(None), Discount.to_on > discount.from_on),
    )
    if discount.to_on is not None:
        running = running.where(Discount.from_on < discount.to_on)
    if scope.session.scalars(running).first() is not None:
        raise Conflict(N_("Another discount on this fee runs in these days."))


def _cut(scope: Scope, charge: Charge, discount: Discount) -> None:
    """Split a charge where the discount begins and ends; the part between costs less.

    The pieces keep the day that months are counted from, so that they cost what the whole did.
    """
    start, end, factor = charge.from_on, charge.to_on, charge.factor
    charge.anchor_day = charge.anchor_day or start.day
    first = max(start, discount.from_on)
    last = min((day for day in (end, discount.to_on) if day is not None), default=None)
    lower = (factor * (1 - discount.share)).quantize(PLACES)
    if first > start:
        charge.to_on = first
        scope.session.flush()
        cut = _copy(charge, first, last, lower)
        scope.session.add(cut)
    else:
        cut = charge
        charge.factor, charge.to_on = lower, last
    cut.discount_id, cut.factor_before = discount.id, factor
    scope.session.flush()
    if last is not None and last != end:
        scope.session.add(_copy(charge, last, end, factor))
        scope.session.flush()


def _copy(charge: Charge, from_on: date, to_on: date | None, factor: Decimal) -> Charge:
    return Charge(
        room_id=charge.room_id,
        fee_item_id=charge.fee_item_id,
        from_on=from_on,
        to_on=to_on,
        quantity=charge.quantity,
        factor=factor,
        anchor_day=charge.anchor_day,
        payer_id=charge.payer_id,
    )
