"""A single demand that other plugins ask for: paid work, a permit. It says line by line why."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import Invalid
from dougong.i18n import N_
from dougong.services import service
from dougong.tenancy.models import Person, Room
from dougong_fees.domain.states import BillState
from dougong_fees.models import Bill, BillKind
from dougong_ledger import services as ledger
from dougong_ledger.domain import RECEIVABLE, AccountKind, Posting, is_amount

ACCOUNT = "6051"
DUE_DAYS = 15


@service("bill.demand_single", title=("Single demand", "单次收费"), is_public=False)
def demand_single(
    scope: Scope,
    room_id: UUID,
    payer_id: UUID,
    title: str,
    lines: Sequence[dict[str, Any]],
    key: str,
) -> Bill:
    """Return a published bill for something done once; the same key again returns the first.

    lines: ``name``, ``quantity`` and ``unit_price`` (yuan, as text). Each is rounded once to the
    fen, half up; the bill is their sum. Raises Invalid for a sum that is no amount.
    """
    known = select(Bill).where(Bill.kind == BillKind.SINGLE, Bill.trace["key"].astext == key)
    if found := scope.session.scalars(known.where(Bill.room_id == room_id)).first():
        return found
    room, payer = scope.get(Room, room_id), scope.get(Person, payer_id)
    kept = [_line(line) for line in lines]
    amount = sum((Decimal(line["amount"]) for line in kept), Decimal(0))
    if amount <= 0 or not is_amount(amount):
        raise Invalid(N_("The lines add up to nothing that can be demanded."))
    today = scope.today
    bill = Bill(
        kind=BillKind.SINGLE,
        title=title[:80],
        room_id=room.id,
        payer_id=payer.id,
        from_on=today,
        to_on=today + timedelta(days=1),
        due_on=today + timedelta(days=DUE_DAYS),
        amount=amount,
        state=BillState.OPEN,
        trace={"key": key, "account": ACCOUNT, "lines": kept},
    )
    scope.session.add(bill)
    scope.session.flush()
    ledger.ensure_account(scope, ACCOUNT, AccountKind.INCOME, "其他业务收入")
    posting = Posting(RECEIVABLE, ACCOUNT, amount, bill.title, room.id, payer.id)
    ledger.post(scope, "fees.single", bill.id, bill.title, [posting])
    scope.emit("fees.bill_published", bill_id=bill.id)
    return bill


def _line(line: dict[str, Any]) -> dict[str, str]:
    quantity, price = Decimal(line["quantity"]), Decimal(line["unit_price"])
    amount = (quantity * price).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
    return {
        "name": str(line["name"])[:120],
        "quantity": f"{quantity.normalize():f}",
        "unit_price": f"{price:.2f}",
        "amount": f"{amount:.2f}",
    }
