"""Quotations: paid work begins when its owner has accepted what it costs; then it is billed."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select

from dougong.db import Scope
from dougong.errors import Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.messages import notify
from dougong.services import service
from dougong_repairs.domain.kinds import PartKind
from dougong_repairs.domain.prices import is_price, line_total
from dougong_repairs.domain.states import OPEN
from dougong_repairs.errors import WrongState
from dougong_repairs.models import (
    Quotation,
    QuotationLine,
    QuotationState,
    WorkOrder,
    WorkOrderPart,
)
from dougong_repairs.services.owning import PORTAL, my_order
from dougong_repairs.services.people import WORK
from dougong_repairs.services.stepping import must_be_his, need, write_down
from dougong_repairs.services.warranties import warranty_of


@service("work_order.quote", title=("Add to the quotation", "报价"), permission=WORK)
def quote_order(
    scope: Scope,
    work_order: WorkOrder,
    name: str,
    unit_price: Decimal,
    quantity: Decimal = Decimal(1),
    kind: PartKind = PartKind.PART,
) -> Quotation:
    """Add a line to an order's quotation, which is made when there is none to add to.

    unit_price: yuan. Raises NotYours, WrongState once it was offered, Invalid.
    """
    need(name=name)
    must_be_his(scope, work_order)
    if quantity <= 0 or not is_price(unit_price) or not unit_price or not work_order.person_id:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"unit_price": gettext("A price above nothing, for an order with an owner.")},
        )
    quotation = latest_quotation(scope, work_order)
    if quotation is not None and quotation.state is QuotationState.OFFERED:
        raise WrongState(N_("The quotation waits for the owner already."))
    if quotation is None or quotation.state is not QuotationState.DRAFT:
        quotation = Quotation(work_order_id=work_order.id)
        scope.session.add(quotation)
        scope.session.flush()
    line = {"name": name.strip()[:120], "quantity": quantity, "unit_price": unit_price}
    scope.session.add(QuotationLine(quotation_id=quotation.id, kind=kind, **line))
    scope.session.flush()
    quotation.total = _total(lines_of(scope, quotation))
    return quotation


@service("work_order.offer", title=("Send the quotation", "发送报价"), permission=WORK)
def offer_order(scope: Scope, work_order: WorkOrder, outside_warranty: str = "") -> Quotation:
    """Send the quotation to the owner; work that costs waits until he accepts.

    outside_warranty: why it is charged although the developer's warranty runs; needed then.
    Raises WrongState without a draft, Invalid under warranty without a reason.
    """
    must_be_his(scope, work_order)
    quotation = latest_quotation(scope, work_order)
    if quotation is None or quotation.state is not QuotationState.DRAFT:
        raise WrongState(N_("There is no quotation to send. Add what it will cost first."))
    covered = warranty_of(scope, work_order)
    if covered and not outside_warranty.strip():
        words = {"part": covered[0].part, "day": covered[0].last_on}
        said = gettext("Under the developer's warranty until %(day)s: %(part)s.", **words)
        raise Invalid(N_("Some fields are not right yet."), fields={"outside_warranty": said})
    quotation.state, quotation.offered_at = QuotationState.OFFERED, scope.now
    quotation.outside_warranty = outside_warranty.strip()[:300] or None
    write_down(scope, work_order, "quote", f"¥{quotation.total:.2f}")
    return quotation


@service("work_order.accept_quote_mine", title=("Accept", "接受报价"), permission=PORTAL)
def accept_quote(scope: Scope, work_order_id: UUID, quotation_id: UUID) -> Quotation:
    """Accept what one's repair will cost. Raises NotFound, WrongState when it is decided."""
    order, quotation = _mine(scope, work_order_id, quotation_id)
    quotation.state, quotation.decided_at = QuotationState.ACCEPTED, scope.now
    for line in lines_of(scope, quotation):
        part = WorkOrderPart(
            work_order_id=order.id,
            name=line.name,
            quantity=line.quantity,
            unit_price=line.unit_price,
            kind=line.kind,
            is_charged=True,
        )
        scope.session.add(part)
    write_down(scope, order, "accept_quote", f"¥{quotation.total:.2f}")
    return quotation


@service("work_order.decline_quote_mine", title=("Decline", "拒绝报价"), permission=PORTAL)
def decline_quote(scope: Scope, work_order_id: UUID, quotation_id: UUID) -> Quotation:
    """Decline a quotation: nothing of it is done or charged. Raises NotFound, WrongState."""
    order, quotation = _mine(scope, work_order_id, quotation_id)
    quotation.state, quotation.decided_at = QuotationState.DECLINED, scope.now
    write_down(scope, order, "decline_quote")
    return quotation


def _mine(scope: Scope, work_order_id: UUID, quotation_id: UUID) -> tuple[WorkOrder, Quotation]:
    order = my_order(scope, work_order_id)
    quotation = scope.get(Quotation, quotation_id, lock=True)
    if quotation.work_order_id != order.id or quotation.state is QuotationState.DRAFT:
        raise NotFound(N_("There is no such quotation for you."))
    if quotation.state is not QuotationState.OFFERED or order.state not in OPEN:
        raise WrongState(N_("This quotation is decided already."))
    return order, quotation


def quotation_of(scope: Scope, order: WorkOrder) -> Quotation | None:
    """Return the last quotation that an order's owner may see."""
    found = latest_quotation(scope, order)
    return None if found is None or found.state is QuotationState.DRAFT else found


def latest_quotation(scope: Scope, order: WorkOrder) -> Quotation | None:
    """Return the last quotation of an order, a draft included."""
    query = select(Quotation).where(Quotation.work_order_id == order.id)
    return scope.session.scalars(query.order_by(Quotation.id.desc()).limit(1)).first()


def lines_of(scope: Scope, quotation: Quotation) -> Sequence[QuotationLine]:
    """Return the lines of a quotation, parts before labour."""
    query = select(QuotationLine).where(QuotationLine.quotation_id == quotation.id)
    return scope.session.scalars(query.order_by(QuotationLine.kind.desc(), QuotationLine.id)).all()


def _total(lines: Sequence[QuotationLine | WorkOrderPart]) -> Decimal:
    return sum((line_total(line.quantity, line.unit_price) for line in lines), Decimal(0))


def bill_order(scope: Scope, order: WorkOrder) -> UUID | None:
    """Have fees demand what an order's owner accepted; return the bill, None without one.

    Nothing where fees is off, or nothing is charged. Raises Invalid when more stands there than
    was accepted. Again it returns the first bill.
    """
    if order.bill_id is not None or "fees" not in scope.enabled:
        return order.bill_id
    query = select(WorkOrderPart).where(
        WorkOrderPart.work_order_id == order.id, WorkOrderPart.is_charged
    )
    parts = scope.session.scalars(query.order_by(WorkOrderPart.kind.desc(), WorkOrderPart.id)).all()
    if not parts or order.room_id is None or order.person_id is None:
        return None
    accepted = scope.session.scalar(
        select(func.sum(Quotation.total)).where(
            Quotation.work_order_id == order.id, Quotation.state == QuotationState.ACCEPTED
        )
    )
    if _total(parts) > (accepted or 0):
        raise Invalid(N_("More stands there than the owner has accepted."))
    bill = scope.call(
        "fees.bill.demand_single",
        room_id=order.room_id,
        payer_id=order.person_id,
        title=gettext("Repair no. %(number)s", number=order.number),
        lines=[
            {"name": p.name, "quantity": str(p.quantity), "unit_price": str(p.unit_price)}
            for p in parts
        ],
        key=f"repairs {order.id}",
    )
    order.bill_id = bill.id
    _tell(scope, order, f"{bill.amount:.2f}")
    return order.bill_id


def _tell(scope: Scope, order: WorkOrder, amount: str) -> None:
    if order.person is not None:
        notify(
            scope,
            order.person,
            "repairs:repair_billed",
            {"number": order.number, "amount": amount},
            link=f"fees/my/bills/{order.bill_id}",
        )
