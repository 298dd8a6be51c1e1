"""What an owner or occupant sees and pays in the portal: his own bills, and nobody else's."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from sqlalchemy import and_, any_, exists, func, literal, or_, select, union
from sqlalchemy.orm import aliased, joinedload

from dougong.db import Scope
from dougong.documents import Document
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Family, Ownership, Person
from dougong_fees.domain.states import SEEN
from dougong_fees.models import Bill
from dougong_fees.services.bills import open_bills_order
from dougong_fees.services.explain import LineExplanation, explain_bill
from dougong_fees.services.printing import print_bill
from dougong_ledger import services as ledger
from dougong_ledger.models import Payment, PaymentOrder
from dougong_ledger.services.receipts import receipt_of

PORTAL = "fees.portal"
TOP_UP_LIMIT = Decimal(5000)


def my_person(scope: Scope) -> UUID:
    """Return who the actor is in this community; raises NotFound for one who is nobody here."""
    person_id = scope.actor.persons.get(scope.community_id) if scope.community_id else None
    if person_id is None:
        raise NotFound(N_("You are not registered as an owner or occupant here."))
    return person_id


def my_bills(scope: Scope, person_id: UUID):
    """Return the query of the published bills that a person may see.

    His own, those of a relative for whom he may pay, and those of a co-owner on the last day of
    the bill's period: who bought later does not see the former owner's bills, nor the reverse.
    """
    today = scope.today
    relatives = select(Family.person_id).where(
        Family.relative_id == person_id,
        Family.may_pay,
        Family.from_on <= today,
        or_(Family.to_on.is_(None), Family.to_on > today),
    )
    mine, theirs = aliased(Ownership), aliased(Ownership)
    together = exists(
        select(1).where(
            _owns_at_end(mine),
            mine.person_id == person_id,
            _owns_at_end(theirs),
            theirs.person_id == Bill.payer_id,
        )
    )
    return select(Bill).where(
        Bill.state.in_(SEEN),
        Bill.payer_id == any_(_payers(person_id, relatives)),
        or_(Bill.payer_id == person_id, Bill.payer_id.in_(relatives), together),
    )


def _payers(person_id: UUID, relatives: Any) -> Any:
    """Return everybody whose bills a person might see, in an array: it is looked up once.

    Without it every bill of the community would be asked who owned its room.
    """
    mine, theirs = aliased(Ownership), aliased(Ownership)
    owners = (
        select(theirs.person_id)
        .join(mine, (mine.community_id == theirs.community_id) & (mine.room_id == theirs.room_id))
        .where(mine.person_id == person_id)
    )
    everybody = union(select(literal(person_id)), relatives, owners)
    return func.array(everybody.scalar_subquery())


def _owns_at_end(owner):
    last = Bill.to_on - 1
    return and_(
        owner.community_id == Bill.community_id,
        owner.room_id == Bill.room_id,
        owner.from_on <= last,
        or_(owner.to_on.is_(None), owner.to_on > last),
    )


def my_bill(scope: Scope, bill_id: UUID) -> Bill:
    """Return one of the actor's bills; raises NotFound for anybody else's."""
    query = my_bills(scope, my_person(scope)).where(Bill.id == bill_id)
    query = query.options(joinedload(Bill.room), joinedload(Bill.payer))
    found = scope.session.scalars(query).one_or_none()
    if found is None:
        raise NotFound(N_("There is no such bill here."))
    return found


def my_order(scope: Scope, order_id: UUID) -> PaymentOrder:
    """Return one of the actor's payment orders; raises NotFound for anybody else's."""
    order = scope.get(PaymentOrder, order_id)
    if order.payer_id != my_person(scope):
        raise NotFound(N_("There is no such payment here."))
    return order


@service("bill.order_mine", title=("Pay", "缴费"), permission=PORTAL, is_public=False)
def order_mine(scope: Scope, bill_ids: Sequence[UUID], idempotency_key: str) -> PaymentOrder:
    """Open a payment order for some of the actor's bills, to be paid from his own wallet."""
    bills = [my_bill(scope, bill_id) for bill_id in dict.fromkeys(bill_ids)]
    return open_bills_order(scope, bills, my_person(scope), idempotency_key)


@service("bill.pay_mine", title=("Pay", "缴费"), permission=PORTAL, is_public=False)
def pay_mine(scope: Scope, order_id: UUID) -> Payment:
    """Pay one of the actor's orders from his wallet; return the payment, the first if repeated."""
    return ledger.pay_with_wallet(scope, my_order(scope, order_id))


@service("bill.explain_mine", title=("Explain", "查看计算过程"), permission=PORTAL, is_public=False)
def explain_mine(scope: Scope, bill_id: UUID) -> list[LineExplanation]:
    """Return the explanation of every line of one of the actor's bills."""
    return explain_bill(scope, my_bill(scope, bill_id))


@service("bill.print_bill_mine", title=("Print", "打印账单"), permission=PORTAL, is_public=False)
def print_my_bill(scope: Scope, bill_id: UUID) -> Document:
    """Return one of the actor's bills as PDF; raises NotFound for anybody else's."""
    return print_bill(scope, my_bill(scope, bill_id))


@service("bill.top_up_mine", title=("Top up", "充值"), permission=PORTAL, is_public=False)
def top_up_mine(scope: Scope, amount: str, idempotency_key: str) -> Payment:
    """Put demonstration money into the actor's own wallet. amount: yuan, as typed."""
    try:
        yuan = Decimal(amount.strip())
    except InvalidOperation:
        yuan = Decimal(0)
    if not yuan.is_finite() or not 0 < yuan <= TOP_UP_LIMIT:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"amount": gettext("Between 0.01 and %(most)s yuan.", most=TOP_UP_LIMIT)},
        )
    return ledger.top_up(scope, scope.get(Person, my_person(scope)), yuan, idempotency_key)


@service("bill.print_mine", title=("Print", "打印收据"), permission=PORTAL, is_public=False)
def print_mine(scope: Scope, order_id: UUID) -> Document:
    """Return the receipt of one of the actor's paid orders as PDF; raises NotFound without one."""
    order = my_order(scope, order_id)
    payment = scope.session.scalars(
        select(Payment).where(Payment.order_id == order.id)
    ).one_or_none()
    receipt = receipt_of(scope, payment) if payment else None
    if receipt is None:
        raise NotFound(N_("There is no receipt for this."))
    return ledger.print_receipt(scope, receipt)
