"""Discounts for paying early: offered with a bill, granted by the payment, gone with its refund."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select

from dougong.db import Scope
from dougong.i18n import gettext
from dougong_fees.domain.prepaid import early_discount
from dougong_fees.domain.states import BillState, WaiverState
from dougong_fees.models import Bill, BillKind, BillLine, FeeItem, FeeRule, RuleKind, Waiver
from dougong_ledger import services as ledger
from dougong_ledger.domain import RECEIVABLE, WAIVED, Posting
from dougong_ledger.models import Payment, PaymentOrder

LAPSED = "fees.waiver.lapsed"


@dataclass(frozen=True)
class EarlyPart:
    """What one fee item of a bill costs less when all of the bill is paid by a day, that included.

    billed, amount: yuan of the item and of what is left off. share: of the item, 0.05 for 5 %.
    """

    item: str
    billed: Decimal
    share: Decimal
    amount: Decimal
    until_on: date
    basis: str


def early_parts(scope: Scope, bills: Iterable[Bill]) -> Mapping[UUID, list[EarlyPart]]:
    """Return what bills would cost less by item, in one statement; also after the day is over.

    A bill of which something was paid or waived, or that a run did not make, is not discounted.
    """
    bills = [bill for bill in bills if _may_be_early(bill)]
    return early_parts_from(bills, scope.session.execute(early_query(bills)) if bills else ())


def early_query(bills: Iterable[Bill]):
    """Return the query of what ``early_parts_from`` reads."""
    return _query([bill.id for bill in bills if _may_be_early(bill)])


def early_parts_from(bills: Iterable[Bill], rows: Iterable[Any]) -> Mapping[UUID, list[EarlyPart]]:
    """Return what ``early_parts`` does, from rows that were read before."""
    wanted = {bill.id: bill for bill in bills}
    found: dict[UUID, list[EarlyPart]] = defaultdict(list)
    for row in rows:
        part = _part(wanted[row.bill_id], row.name, row.FeeRule, row.amount)
        if part.amount > 0:
            found[row.bill_id].append(part)
    return found


def _may_be_early(bill: Bill) -> bool:
    return bill.kind is BillKind.FEES and _is_untouched(bill)


def parts_of_lines(bill: Bill, rows: Iterable[tuple[BillLine, FeeRule | None]]) -> list[EarlyPart]:
    """Return the same of one bill whose lines are read: each line beside a rule that holds for it.

    rows: of ``charged``, which names the rules that were in force.
    """
    if not _may_be_early(bill):
        return []
    billed: dict[tuple[str, UUID], Decimal] = defaultdict(Decimal)
    rules: dict[UUID, FeeRule] = {}
    for line, rule in rows:
        if rule is not None and not line.is_withdrawn:
            billed[line.fee_item.name, rule.id] += line.amount
            rules[rule.id] = rule
    found = [_part(bill, name, rules[id], sum_) for (name, id), sum_ in sorted(billed.items())]
    return [part for part in found if part.amount > 0]


def _part(bill: Bill, item: str, rule: FeeRule, billed: Decimal) -> EarlyPart:
    less = early_discount([(billed, rule.share or Decimal(0))])
    until = bill.due_on - timedelta(days=rule.days_before or 0)
    return EarlyPart(item, billed, rule.share or less, less, until, rule.basis)


def _is_untouched(bill: Bill) -> bool:
    return bill.state is BillState.OPEN and not bill.paid and not bill.waived


def in_force() -> Any:
    """Return the condition for rules that were in force when the period of a line's bill began."""
    return and_(
        FeeRule.community_id == BillLine.community_id,
        FeeRule.fee_item_id == BillLine.fee_item_id,
        FeeRule.kind == RuleKind.PROMPT,
        FeeRule.from_on <= Bill.from_on,
        or_(FeeRule.to_on.is_(None), FeeRule.to_on > Bill.from_on),
    )


def _query(bill_ids: list[UUID]):
    """Return the query of the rules that were in force when the period of each bill began."""
    mine = and_(Bill.community_id == BillLine.community_id, Bill.id == BillLine.bill_id)
    item = and_(FeeItem.community_id == FeeRule.community_id, FeeItem.id == FeeRule.fee_item_id)
    return (
        select(BillLine.bill_id, FeeItem.name, FeeRule, func.sum(BillLine.amount).label("amount"))
        .join(Bill, mine)
        .join(FeeRule, in_force())
        .join(FeeItem, item)
        .where(BillLine.bill_id.in_(bill_ids), BillLine.is_withdrawn.is_(False))
        .group_by(BillLine.bill_id, FeeItem.name, FeeRule)
        .order_by(BillLine.bill_id, FeeItem.name)
    )


def less_by(parts: Iterable[EarlyPart], on: date) -> Decimal:
    """Return what is left off when all of a bill is paid on a day, in yuan."""
    return sum((part.amount for part in parts if on <= part.until_on), Decimal(0))


def payable(scope: Scope, bills: Iterable[Bill]) -> dict[UUID, Decimal]:
    """Return what settles each bill today: what is left, less what paying early leaves off."""
    bills = list(bills)
    return payable_from(scope, bills, early_parts(scope, bills))


def payable_from(
    scope: Scope, bills: Iterable[Bill], parts: Mapping[UUID, Sequence[EarlyPart]]
) -> dict[UUID, Decimal]:
    """Return what ``payable`` does, from what was read before."""
    bills = list(bills)
    left = {b.id: b.amount - b.paid - b.waived for b in bills}
    return {b.id: left[b.id] - less_by(parts.get(b.id, ()), scope.today) for b in bills}


def grant(scope: Scope, bill: Bill, payment: Payment, amount: Decimal) -> None:
    """Waive what is left off when ``amount`` is just what paying early costs; else do nothing.

    The day that counts is the one on which the payment's order was opened: who began in time paid
    in time, however long his bank takes.
    """
    parts = early_parts(scope, [bill]).get(bill.id, [])
    if not parts:
        return
    order = scope.get(PaymentOrder, payment.order_id)
    on = order.opened_at.astimezone(scope.zone).date()
    less = less_by(parts, on)
    if not less or amount != bill.amount - less:
        return
    basis = "；".join(dict.fromkeys(part.basis for part in parts if on <= part.until_on))
    reason = gettext("Paid early: %(basis)s", basis=basis)[:200]
    waiver = Waiver(
        bill_id=bill.id,
        amount=less,
        reason=reason,
        state=WaiverState.APPROVED,
        payment_id=payment.id,
        made_at=scope.now,
    )
    scope.session.add(waiver)
    scope.session.flush()
    bill.waived += less
    posting = Posting(WAIVED, RECEIVABLE, less, reason, bill.room_id, bill.payer_id)
    ledger.post(scope, "fees.waiver", waiver.id, reason, [posting])


def granted(scope: Scope, bill: Bill, payment: Payment) -> list[Waiver]:
    """Return what was left off a bill because of a payment and still counts."""
    query = select(Waiver).where(
        Waiver.bill_id == bill.id,
        Waiver.payment_id == payment.id,
        Waiver.state == WaiverState.APPROVED,
    )
    return list(scope.session.scalars(query))


def lapse(scope: Scope, bill: Bill, waivers: Iterable[Waiver], reason: str) -> None:
    """Post that what was left off a bill is owed again; the caller has lowered ``waived``."""
    for waiver in waivers:
        waiver.state, waiver.lapsed_at = WaiverState.LAPSED, scope.now
        posting = Posting(RECEIVABLE, WAIVED, waiver.amount, reason, bill.room_id, bill.payer_id)
        ledger.post(scope, LAPSED, waiver.id, reason, [posting])
