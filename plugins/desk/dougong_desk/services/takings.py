"""Taking money at the counter: what may be paid, by which means, on one slip."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import Conflict, Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Room
from dougong_desk.domain import ZERO, Part, ShiftState, Tender, change, split
from dougong_desk.models import Draft, Shift, Taking, TakingPayment
from dougong_desk.services.shifts import cashier_of, require_shift
from dougong_ledger import services as ledger
from dougong_ledger.domain import PaymentChannel, is_amount
from dougong_ledger.hookspecs import Due
from dougong_ledger.models import Payment
from dougong_ledger.services.orders import check_key

# What has a drawer or a slip at the counter; a wallet is prepaid money, without change.
MEANS = (
    PaymentChannel.CASH,
    PaymentChannel.POS,
    PaymentChannel.BANK_TRANSFER,
    PaymentChannel.WALLET,
)
MOST_TENDERS = 4


def dues_of(scope: Scope, room_ids: Sequence[UUID]) -> list[Due]:
    """Return what may be paid for some rooms, the oldest first, of every plugin that is on."""
    answers = scope.ask("room_dues", room_ids=list(room_ids))
    dues = [due for answer in answers for due in answer]
    return sorted(dues, key=lambda due: (due.due_on or scope.today, due.subject_id))


@service("taking.take", title=("Take payment", "收款"))
def take_payment(
    scope: Scope,
    room_ids: list[UUID],
    chosen: list[UUID],
    tenders: list[Tender],
    idempotency_key: str,
) -> Taking:
    """Take money for what is owed for some rooms; return the slip, the first one when repeated.

    chosen: ids of the dues that are paid, the oldest first; when less is put down than they come
    to, the last ones stay owed. tenders: at most four; only cash may be more than is owed, the rest
    is change. Each tender, plugin and payer gets a payment and a receipt of its own, all in one
    transaction. Raises NoShift, NotFound for what is owed no more, Invalid for wrong tenders.
    """
    check_key(idempotency_key)
    shift = require_shift(scope)
    known = scope.session.scalars(
        select(Taking).where(Taking.idempotency_key == idempotency_key)
    ).one_or_none()
    if known is not None:
        return known
    lines = _chosen(scope, room_ids, chosen)
    _check(tenders, sum((due.amount for due in lines), ZERO))
    parts = split([due.amount for due in lines], [tender.amount for tender in tenders])
    received = sum((tender.amount for tender in tenders), ZERO)
    taking = Taking(
        shift_id=shift.id,
        room_id=room_ids[0],
        amount=sum((part.amount for part in parts), ZERO),
        received=received,
        idempotency_key=idempotency_key,
    )
    scope.session.add(taking)
    scope.session.flush()
    for number, (tender, group) in enumerate(_groups(parts, lines)):
        payment = _pay(scope, lines, group, tenders[tender], f"desk-{taking.id}-{number}")
        scope.session.add(TakingPayment(taking_id=taking.id, payment_id=payment.id))
    scope.session.flush()
    return taking


def _chosen(scope: Scope, room_ids: Sequence[UUID], chosen: Sequence[UUID]) -> list[Due]:
    if not room_ids or not chosen:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"chosen": gettext("Choose something to pay.")},
        )
    wanted = set(chosen)
    lines = [due for due in dues_of(scope, room_ids) if due.subject_id in wanted]
    if len(lines) < len(wanted):
        raise NotFound(N_("This is no longer owed, or not that much of it. Reload the page."))
    return lines


def _check(tenders: Sequence[Tender], owed: Decimal) -> None:
    problem = None
    if not 0 < len(tenders) <= MOST_TENDERS:
        problem = gettext("Between one and %(most)s means of payment.", most=MOST_TENDERS)
    elif not all(is_amount(tender.amount) for tender in tenders):
        problem = gettext("An amount is more than zero and has whole fen.")
    elif any(tender.means not in MEANS for tender in tenders):
        problem = gettext("Choose how the money came.")
    else:
        cash = sum((t.amount for t in tenders if t.means == PaymentChannel.CASH), ZERO)
        if change([owed], [t.amount for t in tenders]) > cash:
            problem = gettext("Only cash can be more than is owed.")
    if problem:
        raise Invalid(N_("Some fields are not right yet."), fields={"tenders": problem})


def _groups(parts: Sequence[Part], lines: Sequence[Due]) -> list[tuple[int, list[Part]]]:
    """Return the parts that make one payment each: of one tender, plugin and payer."""

    def belongs(part: Part) -> tuple[int, str, str]:
        due = lines[part.line]
        return (part.tender, due.plugin, str(due.payer_id))

    groups = groupby(sorted(parts, key=belongs), key=belongs)
    return [(key[0], list(group)) for key, group in groups]


def _pay(
    scope: Scope, lines: Sequence[Due], parts: Sequence[Part], tender: Tender, key: str
) -> Payment:
    dues = [lines[part.line] for part in parts]
    items = [
        ledger.OrderItem(due.kind, due.subject_id, due.title, part.amount)
        for due, part in zip(dues, parts, strict=True)
    ]
    title = items[0].title if len(items) == 1 else gettext("%(count)s bills", count=len(items))
    order = ledger.open_order(scope, dues[0].plugin, title, items, key, dues[0].payer_id)
    channel = PaymentChannel(tender.means)
    if channel is PaymentChannel.WALLET:
        return ledger.pay_with_wallet(scope, order)
    return ledger.record_cash(scope, order, channel, tender.reference)


def payments_of(scope: Scope, taking: Taking) -> list[Payment]:
    """Return the payments on a slip, in the order in which they were taken."""
    query = (
        select(Payment)
        .join(TakingPayment, TakingPayment.payment_id == Payment.id)
        .where(TakingPayment.taking_id == taking.id)
        .order_by(Payment.id)
    )
    found = list(scope.session.scalars(query))
    if not found:
        raise Conflict(N_("This slip has no payments."))
    return found


def rooms_named(scope: Scope, ids: Sequence[UUID]) -> list[Room]:
    """Return rooms in the given order; raises NotFound when one is not there."""
    query = select(Room).where(Room.id.in_(ids))
    found = {room.id: room for room in scope.session.scalars(query)}
    if len(found) < len(set(ids)):
        raise NotFound(N_("There is no such room here."))
    return [found[each] for each in dict.fromkeys(ids)]


@dataclass(frozen=True)
class Counter:
    """What lies before a cashier: the rooms, the own open shift, and the draft taken up again."""

    rooms: Sequence[Room]
    shift: Shift | None
    draft: Draft | None


def at_counter(scope: Scope, ids: Sequence[UUID], draft_id: UUID | None) -> Counter:
    """Return rooms in the given order, the actor's shift and a draft. One statement.

    Raises NotFound when a room or the draft is not there.
    """
    here = Room.community_id
    mine = (Shift.cashier_id == cashier_of(scope)) & (Shift.state == ShiftState.OPEN)
    rows = scope.session.execute(
        select(Room, Shift, Draft)
        .outerjoin(Shift, (Shift.community_id == here) & mine)
        .outerjoin(Draft, (Draft.community_id == here) & (Draft.id == draft_id))
        .where(Room.id.in_(ids))
    ).all()
    found = {row.Room.id: row.Room for row in rows}
    if not found or len(found) < len(set(ids)):
        raise NotFound(N_("There is no such room here."))
    if draft_id is not None and rows[0].Draft is None:
        raise NotFound(N_("There is no such page."))
    return Counter([found[each] for each in dict.fromkeys(ids)], rows[0].Shift, rows[0].Draft)
