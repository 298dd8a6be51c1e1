"""A room changes hands: readings, bills split by the day, prepaid money, deposits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select

from dougong.db import Scope, uuid7
from dougong.documents import Document, render
from dougong.errors import Conflict, Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Occupancy, OccupancyKind, Ownership, Person, Room
from dougong_fees.domain.states import OWED, SEEN, BillState
from dougong_fees.errors import BillTouched
from dougong_fees.models import (
    Bill,
    BillKind,
    BillRun,
    Charge,
    Commodity,
    HandOver,
    HandOverState,
    Prepayment,
)
from dougong_fees.services.bills import KIND, lock_bills, owed, reverse_bill, withdraw_bill
from dougong_fees.services.explain import period_text
from dougong_fees.services.prepayments import (
    bill_what_follows,
    close_prepayment,
    restore_prepayment,
    running_of,
)
from dougong_fees.services.runs import bill_room, publish_on
from dougong_ledger import services as ledger
from dougong_ledger.models import Deposit


@dataclass
class Work:
    """What one hand-over does, gathered for its statement.

    paid: yuan of the bills it reversed. ended: prepayments, and whether they were paid.
    """

    room: Room
    sellers: Sequence[UUID]
    buyer: Person
    on: date
    reason: str
    former: list[Bill] = field(default_factory=list)
    paid: Decimal = Decimal(0)
    runs: list[BillRun] = field(default_factory=list)
    ended: list[tuple[Prepayment, bool]] = field(default_factory=list)


@dataclass(frozen=True)
class RoomMeter:
    """A meter of a room and what it showed last."""

    meter_id: UUID
    serial: str
    commodity: str
    last: Decimal | None


def meters_of(scope: Scope, room: Room, on: date) -> list[RoomMeter]:
    """Return the meters of a room, as those say who count usage."""
    found: dict[UUID, RoomMeter] = {}
    for commodity in Commodity:
        answers = scope.ask(
            "usage_for_period",
            room_ids=[room.id],
            from_on=on.replace(day=1),
            to_on=on if on.day > 1 else on.replace(day=2),
            commodity=commodity.value,
        )
        for usage in (usage for answer in answers for usage in answer):
            last = usage.closing if usage.closing is not None else usage.opening
            found[usage.meter_id] = RoomMeter(usage.meter_id, usage.serial, commodity.value, last)
    return list(found.values())


@service("hand_over.make", title=("Hand over", "办理过户"))
def hand_over(
    scope: Scope,
    room: Room,
    buyer: Person,
    on: date,
    readings: Mapping[UUID, Decimal],
    releases_deposits: bool = False,
) -> HandOver:
    """Let a room change hands: from ``on`` the buyer owns it and pays for it.

    readings: by meter, what it showed at the beginning of that day. Bills that reach beyond it are
    reversed and billed again in two parts; what was paid of them is the sellers' prepaid money and
    pays their part; what they paid ahead ends in the same way. What they owe stays theirs.
    releases_deposits: into the seller's prepaid money. Raises Conflict where a draft covers the
    room, Invalid for a day to come or the same person.
    """
    owners = _owners(scope, room, buyer, on)
    work = Work(room, [o.person_id for o in owners], buyer, on, _reason(room))
    _record_readings(scope, work, readings)
    _end_prepayments(scope, work)
    work.former = _bills_beyond(scope, work)
    closed = _change_owner(scope, work, owners)
    charges = _end_agreed_charges(scope, work)
    work.paid = sum((bill.paid for bill in work.former), Decimal(0))
    before = [_line(bill) for bill in work.former]
    _bill_again(scope, work)
    deposits = _deposits(scope, work, releases_deposits)
    made = HandOver(
        id=uuid7(),
        room_id=room.id,
        seller_id=work.sellers[0],
        buyer_id=buyer.id,
        handed_over_on=on,
        made_by=scope.actor.user_id,
        statement={
            **_statement(scope, work, readings),
            "before": before,
            "deposits": deposits,
            "closed": closed,
            "charges": charges,
        },
    )
    scope.session.add(made)
    scope.session.flush()
    scope.emit("fees.room_handed_over", hand_over_id=made.id, room_id=room.id)
    return made


@service(
    "hand_over.preview",
    title=("Preview", "预览"),
    permission="fees.hand_over.make",
    is_public=False,
)
def preview_hand_over(
    scope: Scope,
    room: Room,
    buyer: Person,
    on: date,
    readings: Mapping[UUID, Decimal],
    releases_deposits: bool = False,
) -> Mapping[str, Any]:
    """Return the statement that `hand_over` would make; everything that it wrote is taken back."""
    trial = scope.session.begin_nested()
    try:
        return dict(hand_over(scope, room, buyer, on, readings, releases_deposits).statement)
    finally:
        trial.rollback()


def _reason(room: Room) -> str:
    return gettext("Hand-over of %(room)s", room=room.code)


def _owners(scope: Scope, room: Room, buyer: Person, on: date) -> list[Ownership]:
    """Return who owns the room until the day, the largest share first, locked."""
    if on > scope.today:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"on": gettext("A hand-over is recorded when its day has come.")},
        )
    query = select(Ownership).where(
        Ownership.room_id == room.id, or_(Ownership.to_on.is_(None), Ownership.to_on > on)
    )
    query = query.order_by(Ownership.share.desc(), Ownership.from_on, Ownership.person_id)
    owners = list(scope.session.scalars(query.with_for_update(of=Ownership)))
    if not owners:
        raise NotFound(N_("Nobody owns this room on that day."))
    if any(owner.from_on >= on for owner in owners):
        raise Conflict(N_("The room changed hands on or after that day already."))
    if buyer.id in {owner.person_id for owner in owners}:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"buyer": gettext("The new owner owns the room already.")},
        )
    return owners


def _record_readings(scope: Scope, work: Work, readings: Mapping[UUID, Decimal]) -> None:
    at = datetime.combine(work.on, time.min, scope.zone)
    for meter_id, value in readings.items():
        scope.call("meters.reading.record", meter=meter_id, value=value, read_at=at)


def _end_prepayments(scope: Scope, work: Work) -> None:
    """End what the sellers paid ahead: they pay until the day, the rest is their prepaid money."""
    for each in running_of(scope, work.room.id, work.on):
        if each.payer_id in work.sellers:
            was_paid = bool(each.bill.paid)
            used = close_prepayment(scope, each, max(work.on, each.from_on), work.reason)
            work.ended.append((each, was_paid))
            work.runs += [used] if used else []


def _bills_beyond(scope: Scope, work: Work) -> list[Bill]:
    """Return the sellers' bills that reach beyond the day, locked. Raises Conflict for a draft."""
    query = select(Bill.id).where(
        Bill.room_id == work.room.id,
        Bill.kind == BillKind.FEES,
        Bill.to_on > work.on,
        Bill.state != BillState.WITHDRAWN,
    )
    bills = list(lock_bills(scope, scope.session.scalars(query)).values())
    if any(bill.state is BillState.DRAFT for bill in bills):
        raise Conflict(N_("A draft of a bill run covers this room. Publish or drop it first."))
    mine = [b for b in bills if b.state in SEEN and b.payer_id in work.sellers and b.run_id]
    return sorted(mine, key=lambda bill: (bill.from_on, bill.id))


def _change_owner(scope: Scope, work: Work, owners: Sequence[Ownership]) -> list[list[str | None]]:
    """End the sellers' ownership and own occupancy, begin the buyer's; return what was ended."""
    closed = []
    for owner in owners:
        closed.append([str(owner.id), owner.to_on.isoformat() if owner.to_on else None])
        owner.to_on = work.on
    occupancies = select(Occupancy).where(
        Occupancy.room_id == work.room.id,
        Occupancy.kind.in_((OccupancyKind.OWNER, OccupancyKind.FAMILY)),
        Occupancy.from_on < work.on,
        or_(Occupancy.to_on.is_(None), Occupancy.to_on > work.on),
    )
    for occupancy in scope.session.scalars(occupancies):
        occupancy.to_on = work.on
    scope.session.flush()
    scope.session.add(Ownership(room_id=work.room.id, person_id=work.buyer.id, from_on=work.on))
    scope.session.flush()
    return closed


def _end_agreed_charges(scope: Scope, work: Work) -> list[str]:
    """Let charges that a seller agreed to pay go on without that; return the new ones' ids."""
    query = select(Charge).where(
        Charge.room_id == work.room.id,
        Charge.payer_id.in_(work.sellers),
        Charge.from_on < work.on,
        or_(Charge.to_on.is_(None), Charge.to_on > work.on),
    )
    made = []
    for charge in scope.session.scalars(query).all():
        new = Charge(
            id=uuid7(),
            room_id=charge.room_id,
            fee_item_id=charge.fee_item_id,
            from_on=work.on,
            to_on=charge.to_on,
            quantity=charge.quantity,
            factor=charge.factor,
            anchor_day=charge.anchor_day or charge.from_on.day,
        )
        charge.to_on = work.on
        scope.session.flush()
        scope.session.add(new)
        made.append(str(new.id))
    scope.session.flush()
    return made


def _bill_again(scope: Scope, work: Work) -> None:
    """Reverse the bills that reach beyond the day and bill their periods anew, cut at it."""
    sources = {bill.run_id: bill.run for bill in work.former}
    for bill in work.former:
        reverse_bill(scope, bill, work.reason)
    for run in sources.values():
        for from_on, to_on in ((run.from_on, work.on), (work.on, run.to_on)):
            start, end = max(from_on, run.from_on), min(to_on, run.to_on)
            if start < end:
                name = gettext("%(run)s (hand-over)", run=run.name)
                made = bill_room(scope, work.room, run, (start, end), name)
                publish_on(scope, made, scope.today)
                work.runs.append(made)
    for prepayment, _ in work.ended:
        work.runs += bill_what_follows(scope, prepayment)
    scope.session.expire_all()
    _pay_sellers_part(scope, work)


def _pay_sellers_part(scope: Scope, work: Work) -> None:
    """Let what the sellers had paid of the reversed bills pay their part of the new ones."""
    left = work.paid
    for bill in new_bills(scope, [run.id for run in work.runs]):
        share = min(left, owed(bill)) if bill.payer_id in work.sellers else Decimal(0)
        share = min(share, ledger.balance_of(scope, bill.payer_id))
        if share <= 0:
            continue
        item = ledger.OrderItem(KIND, bill.id, f"{bill.room.code} {bill.title}", share)
        key = f"hand-over-{bill.id}"
        order = ledger.open_order(scope, "fees", bill.title, [item], key, bill.payer_id)
        ledger.pay_with_wallet(scope, order)
        left -= share


def new_bills(scope: Scope, run_ids: Sequence[UUID]) -> list[Bill]:
    """Return the bills of a hand-over's runs, the earliest first."""
    query = select(Bill).where(Bill.run_id.in_(run_ids)).order_by(Bill.from_on, Bill.id)
    return list(scope.session.scalars(query))


def _deposits(scope: Scope, work: Work, releases: bool) -> list[dict[str, Any]]:
    query = select(Deposit).where(
        Deposit.room_id == work.room.id, Deposit.person_id.in_(work.sellers), Deposit.held > 0
    )
    found = []
    for deposit in scope.session.scalars(query.order_by(Deposit.id)).all():
        found.append({"title": deposit.title, "held": str(deposit.held), "released": releases})
        if releases:
            ledger.deposit_to_wallet(scope, deposit, work.reason, f"hand-over-{work.on}")
    return found


# --- the statement ----------------------------------------------------------------------------


def _line(bill: Bill) -> dict[str, str]:
    return {
        "title": bill.title,
        "payer": bill.payer.name,
        "period": period_text(bill.from_on, bill.to_on),
        "amount": str(bill.amount),
        "paid": str(bill.paid),
        "owed": str(owed(bill)),
    }


def _statement(scope: Scope, work: Work, readings: Mapping[UUID, Decimal]) -> dict[str, Any]:
    known = {meter.meter_id: meter for meter in meters_of(scope, work.room, work.on)}
    bills = new_bills(scope, [run.id for run in work.runs])
    open_bills = select(Bill).where(
        Bill.room_id == work.room.id, Bill.payer_id.in_(work.sellers), Bill.state.in_(OWED)
    )
    arrears = scope.session.scalars(open_bills.order_by(Bill.due_on, Bill.id)).all()
    prepaid = sum((ledger.balance_of(scope, each) for each in work.sellers), Decimal(0))
    return {
        "readings": [
            {
                "serial": known[meter_id].serial if meter_id in known else str(meter_id),
                "commodity": known[meter_id].commodity if meter_id in known else "",
                "value": str(value),
            }
            for meter_id, value in readings.items()
        ],
        "seller": [_line(bill) for bill in bills if bill.payer_id in work.sellers],
        "buyer": [_line(bill) for bill in bills if bill.payer_id == work.buyer.id],
        "arrears": [_line(bill) for bill in arrears],
        "arrears_total": str(sum((owed(bill) for bill in arrears), Decimal(0))),
        "prepaid": str(prepaid),
        "runs": [str(run.id) for run in work.runs],
        "sellers": [str(each) for each in work.sellers],
        "sources": [str(each) for each in {bill.run_id for bill in work.former}],
        "prepayments": [[str(each.id), was_paid] for each, was_paid in work.ended],
    }


@service("hand_over.print", title=("Print", "打印结清单"))
def print_hand_over(scope: Scope, record: HandOver) -> Document:
    """Return the statement of a hand-over as PDF, for both owners to sign."""
    return render(
        scope,
        "fees:hand_over",
        {
            "record": record,
            "room": record.room.code,
            "seller": record.seller.name,
            "buyer": record.buyer.name,
            "statement": in_yuan(record.statement),
        },
        filename=f"{gettext('Hand-over')}-{record.room.code}-{record.handed_over_on}.pdf",
    )


def in_yuan(statement: Mapping[str, Any]) -> dict[str, Any]:
    """Return a statement with its sums as Decimal yuan."""
    money = ("amount", "paid", "owed", "held", "arrears_total", "prepaid")

    def read(value: Any, name: str = "") -> Any:
        if isinstance(value, list):
            return [read(each) for each in value]
        if isinstance(value, dict):
            return {key: read(each, key) for key, each in value.items()}
        return Decimal(value) if name in money else value

    return read(dict(statement))


# --- taking it back ---------------------------------------------------------------------------


@service("hand_over.undo", title=("Undo", "撤销过户"))
def undo_hand_over(scope: Scope, record: HandOver, reason: str) -> HandOver:
    """Take a hand-over back: the sellers own the room again, its periods are billed to them again.

    What they had paid ahead runs on. What a new bill was paid is prepaid money; readings stay, they
    were true; deposits that were released stay released. Raises BillTouched when the buyer paid
    something, Conflict when it was undone before or the room has changed hands again.
    """
    record = scope.get(HandOver, record.id, lock=True)
    if record.state is HandOverState.UNDONE:
        raise Conflict(N_("This hand-over was undone before."))
    bought = scope.session.scalars(
        select(Ownership).where(
            Ownership.room_id == record.room_id, Ownership.from_on >= record.handed_over_on
        )
    ).all()
    if [(each.person_id, each.to_on) for each in bought] != [(record.buyer_id, None)]:
        raise Conflict(N_("The room has changed hands again since."))
    bills = new_bills(scope, [UUID(each) for each in record.statement["runs"]])
    if any(b.payer_id == record.buyer_id and (b.paid or b.waived) for b in bills):
        raise BillTouched(N_("The new owner has paid something of it already."))
    for bill in bills:
        if bill.state in SEEN:
            (reverse_bill if bill.paid or bill.waived else withdraw_bill)(scope, bill, reason)
    _give_back(scope, record, bought[0])
    for prepayment_id, was_paid in record.statement["prepayments"]:
        prepayment = scope.get(Prepayment, UUID(prepayment_id))
        restore_prepayment(scope, prepayment, was_paid=was_paid)
    for source in record.statement["sources"]:
        run = scope.get(BillRun, UUID(source))
        name = gettext("%(run)s (hand-over undone)", run=run.name)
        made = bill_room(scope, record.room, run, (run.from_on, run.to_on), name)
        publish_on(scope, made, scope.today)
    record.state = HandOverState.UNDONE
    scope.session.flush()
    return record


def _give_back(scope: Scope, record: HandOver, bought: Ownership) -> None:
    scope.session.delete(bought)
    scope.session.flush()
    for owner_id, to_on in record.statement["closed"]:
        owner = scope.get(Ownership, UUID(owner_id), lock=True)
        owner.to_on = date.fromisoformat(to_on) if to_on else None
    # The charges that went on without a payer were billed, so they stay: with the seller as payer.
    for charge_id in record.statement["charges"]:
        scope.get(Charge, UUID(charge_id)).payer_id = record.seller_id
    scope.session.flush()
