"""A bill with everything that its page says of it, in three statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Uuid, and_, cast, literal, null, select, union_all
from sqlalchemy.orm import aliased, joinedload

from dougong.db import Scope
from dougong_fees.models import Bill, BillPayment, Waiver
from dougong_fees.services.explain import (
    LineExplanation,
    charged,
    explain_lines,
    explain_trace,
)
from dougong_fees.services.late import late_fee_of
from dougong_fees.services.prompt import less_by


@dataclass(frozen=True)
class WholeBill:
    """A bill explained, and what became of it. payable: what settles it today, in yuan.

    late_fee: what has grown until today and was not demanded.
    """

    lines: Sequence[LineExplanation]
    payments: Sequence[BillPayment]
    waivers: Sequence[Waiver]
    late_fee: Decimal
    payable: Decimal


def whole_bill(scope: Scope, bill: Bill) -> WholeBill:
    """Return all that is said of a bill; whoever calls has asked whether it may be seen."""
    found = charged(scope, bill)
    payments, waivers, demands = _became(scope, bill)
    return WholeBill(
        explain_trace(bill) or explain_lines(found),
        payments,
        waivers,
        late_fee_of(scope, bill, found.lines, payments, waivers, demands),
        bill.amount - bill.paid - bill.waived - less_by(found.early, scope.today),
    )


def _became(scope: Scope, bill: Bill) -> tuple[list[BillPayment], list[Waiver], list[Bill]]:
    """Return what was paid and waived of a bill, and the late fees demanded on it, oldest first.

    One statement: the ids of all three below each other, then each beside its row.
    """
    demand, none = aliased(Bill), cast(null(), Uuid())
    place = literal(bill.community_id, Uuid())
    ids = union_all(
        select(BillPayment.id.label("payment"), none.label("waiver"), none.label("demand")).where(
            BillPayment.bill_id == bill.id
        ),
        select(none, Waiver.id, none).where(Waiver.bill_id == bill.id),
        select(none, none, demand.id).where(demand.parent_id == bill.id),
    ).subquery()

    def beside(model: Any, id: Any) -> Any:
        return and_(model.community_id == place, model.id == id)

    rows = scope.session.execute(
        select(BillPayment, Waiver, demand)
        .select_from(ids)
        .outerjoin(BillPayment, beside(BillPayment, ids.c.payment))
        .outerjoin(Waiver, beside(Waiver, ids.c.waiver))
        .outerjoin(demand, beside(demand, ids.c.demand))
        .options(joinedload(BillPayment.payment))
        .order_by(ids.c.payment, ids.c.waiver, ids.c.demand)
    ).all()
    return (
        [payment for payment, _, _ in rows if payment is not None],
        [waiver for _, waiver, _ in rows if waiver is not None],
        [each for _, _, each in rows if each is not None],
    )
