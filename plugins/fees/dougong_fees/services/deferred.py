"""Money for months to come: a liability in the books that becomes income month by month."""

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import and_, select

from dougong.db import Scope, insert_rows, uuid7
from dougong.i18n import gettext
from dougong.services import service
from dougong_fees.domain.prepaid import recognised_by
from dougong_fees.domain.states import BillState
from dougong_fees.models import Bill, FeeItem, Prepayment, PrepaymentMonth, PrepaymentState
from dougong_fees.services.earning import DEFERRED, earn_month, ensure_deferred
from dougong_ledger import services as ledger
from dougong_ledger.domain import AccountKind, Posting, next_month

RECOGNISED, STOPPED = "fees.prepayment.recognised", "fees.prepayment.stopped"


@service("prepayment.recognise", title=("Recognise income", "摊销确认收入"))
def recognise_prepayments(scope: Scope, month_on: date | None = None) -> Decimal:
    """Post what was billed and paid ahead for a month as its income; return the yuan.

    month_on: a day of the month, by default of the last one. What earlier months missed is made up
    for; repeated, it posts nothing. It is dated on the month's last day, or today if that month is
    closed. An unpaid prepayment earns nothing yet, a bill of several months does.
    """
    last_month = scope.today.replace(day=1) - timedelta(days=1)
    return recognise_month(scope, (month_on or last_month).replace(day=1))


def recognise_month(scope: Scope, first: date) -> Decimal:
    """Post the income of the month that begins on ``first``, for whoever closes it."""
    return recognise_prepaid(scope, first) + earn_month(scope, first)


def recognise_prepaid(scope: Scope, first: date) -> Decimal:
    """Post what prepayments earned by the end of the month that begins on ``first``."""
    end = next_month(first)
    found = []
    for row in scope.session.execute(_running(end)).all():
        each: Prepayment = row.Prepayment
        part = recognised_by(each.amount, each.from_on, each.to_on, end) - each.recognised
        if part > 0:
            found.append((each, row.account_code, row.name, part))
    if not found:
        return Decimal(0)
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for _, code, name, part in found:
        sums[ledger.ensure_account(scope, code, AccountKind.INCOME, name), name] += part
    ensure_deferred(scope)
    memo = gettext("Prepaid months become income: %(month)s", month=f"{first:%Y-%m}")
    postings = [Posting(DEFERRED, code, part, name) for (code, name), part in sorted(sums.items())]
    on = end - timedelta(days=1)
    entry = ledger.post(scope, RECOGNISED, uuid7(), memo, postings, on=on)
    insert_rows(
        scope,
        PrepaymentMonth,
        {
            "prepayment_id": [each.id for each, *_ in found],
            "month_on": [first] * len(found),
            "amount": [part for *_, part in found],
            "entry_id": [entry.id] * len(found),
        },
    )
    for each, _, _, part in found:
        each.recognised += part
    scope.session.flush()
    return sum((part for *_, part in found), Decimal(0))


def _running(end: date):
    """Return the query of paid prepayments that have begun before a day and are not used up."""
    bill = and_(Bill.community_id == Prepayment.community_id, Bill.id == Prepayment.bill_id)
    item = and_(
        FeeItem.community_id == Prepayment.community_id, FeeItem.id == Prepayment.fee_item_id
    )
    return (
        select(Prepayment, FeeItem.account_code, FeeItem.name)
        .join(Bill, bill)
        .join(FeeItem, item)
        .where(
            Prepayment.state == PrepaymentState.RUNNING,
            Prepayment.from_on < end,
            Prepayment.recognised < Prepayment.amount,
            Bill.state == BillState.PAID,
        )
        .order_by(Prepayment.id)
        .with_for_update(of=Prepayment)
    )


def stop(scope: Scope, bill: Bill, reason: str) -> None:
    """End the prepayment of a bill that is withdrawn: what was income of it is a liability again.

    The caller withdraws the bill, which takes the liability back.
    """
    query = select(Prepayment).where(Prepayment.bill_id == bill.id).with_for_update(of=Prepayment)
    prepayment = scope.session.scalars(query).one()
    if prepayment.recognised:
        code = prepayment.fee_item.account_code
        amount = prepayment.recognised
        posting = Posting(code, DEFERRED, amount, reason[:200], bill.room_id, bill.payer_id)
        ledger.post(scope, STOPPED, prepayment.id, reason, [posting])
    prepayment.recognised = Decimal(0)
    prepayment.state, prepayment.reason = PrepaymentState.ENDED, reason[:200]
    prepayment.ended_on = prepayment.ended_on or prepayment.from_on
    scope.session.flush()
