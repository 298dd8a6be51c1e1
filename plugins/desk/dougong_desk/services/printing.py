"""What comes out of the printer: the slip of a payment, the report of a shift."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.db.columns import member_label
from dougong.documents import Document, render
from dougong.i18n import gettext
from dougong.services import service
from dougong_desk.domain import ZERO, ShiftState
from dougong_desk.models import Shift, Taking, VoidRequest
from dougong_desk.services.shifts import Takings, drawer
from dougong_desk.services.takings import payments_of
from dougong_ledger.domain import PaymentChannel
from dougong_ledger.models import Receipt

# An 80 mm roll is cut where the slip ends: what stands above and below the lines, and a line.
FRAME_MM, LINE_MM = 96, 11


@service("taking.print", title=("Print the slip", "打印小票"))
def print_slip(scope: Scope, taking: Taking) -> Document:
    """Return the slip of a payment for an 80 mm printer, with the numbers of its receipts."""
    facts = _facts(scope, taking)
    height = FRAME_MM + LINE_MM * (len(facts["lines"]) + len(facts["means"]))
    name = f"{gettext('Slip')}-{facts['codes'][0]}.pdf"
    return render(scope, "desk:slip", {**facts, "height_mm": height}, filename=name)


@service("taking.print_form", title=("Print the form", "打印针式收据"))
def print_form(scope: Scope, taking: Taking) -> Document:
    """Return the receipt of a payment on continuous paper 241 mm wide, for a needle printer.

    The copies are made by the paper. What does not fit goes onto the next form; the sum stands on
    the last.
    """
    facts = _facts(scope, taking)
    facts["height_mm"] = scope.setting("desk.form_height_mm", "93.1")
    return render(
        scope, "desk:form", facts, filename=f"{gettext('Receipt')}-{facts['codes'][0]}.pdf"
    )


def _facts(scope: Scope, taking: Taking) -> dict[str, Any]:
    """Return what stands on the paper of a payment, whatever its size."""
    payments = payments_of(scope, taking)
    receipts = _receipts(scope, [payment.id for payment in payments])
    return {
        "codes": [receipt.code for receipt in receipts],
        "payer": receipts[0].payer_name,
        "room": taking.room.code,
        "lines": [
            {"title": line["title"], "amount": Decimal(line["amount"])}
            for receipt in receipts
            for line in receipt.lines
        ],
        "means": [(member_label(p.channel), p.amount, p.reference or "") for p in payments],
        "amount": taking.amount,
        "received": taking.received,
        "change": taking.received - taking.amount,
        "cashier": taking.shift.cashier_name,
        "taken_at": taking.taken_at,
        "is_void": any(payment.refunded for payment in payments),
    }


def _receipts(scope: Scope, payment_ids: Iterable[UUID]) -> list[Receipt]:
    """Return the first receipt of each payment: what was handed out on the day."""
    query = select(Receipt).where(Receipt.payment_id.in_(list(payment_ids)))
    first: dict[UUID, Receipt] = {}
    for receipt in scope.session.scalars(query.order_by(Receipt.id)):
        first.setdefault(receipt.payment_id, receipt)
    return list(first.values())


@service("shift.print", title=("Shift report", "交班报表"))
def print_shift(scope: Scope, shift: Shift) -> Document:
    """Return a shift's report: takings by means, the count, differences, voids, signatures."""
    takings: Iterable[Takings]
    if shift.state is ShiftState.OPEN:
        takings = drawer(scope, shift).takings
    else:
        takings = [
            Takings(
                PaymentChannel(t["channel"]), t["count"], Decimal(t["taken"]), Decimal(t["back"])
            )
            for t in shift.takings
        ]
    voids = scope.session.scalars(select(VoidRequest).where(VoidRequest.shift_id == shift.id)).all()
    pieces = sorted((shift.pieces or {}).items(), key=lambda each: -Decimal(each[0]))
    return render(
        scope,
        "desk:shift",
        {
            "shift": shift,
            "state": member_label(shift.state),
            "takings": [
                (member_label(t.channel), t.count, t.taken, t.given_back, t.net) for t in takings
            ],
            "total": sum((t.net for t in takings), ZERO),
            "pieces": [(value, count, Decimal(value) * count) for value, count in pieces if count],
            "voids": [
                (v.payment.amount, v.reason, v.asked_name, v.decided_name, member_label(v.state))
                for v in voids
            ],
            "difference": (shift.counted or ZERO) - (shift.expected or ZERO),
            "pos_difference": (shift.pos_slips or ZERO) - (shift.pos_booked or ZERO),
        },
        filename=f"{gettext('Shift report')}-{shift.opened_at:%Y%m%d}.pdf",
    )
