"""Paying months ahead for less: offered by a rule, paid like any bill, ended early when need be."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select

from dougong.db import Scope, uuid7
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Room
from dougong_fees.domain.amounts import round_amount
from dougong_fees.domain.periods import add_months, months
from dougong_fees.domain.prepaid import months_charged
from dougong_fees.domain.states import BillState, RunState
from dougong_fees.models import (
    Bill,
    BillKind,
    BillLine,
    BillRun,
    ChargeMethod,
    FeeRule,
    Prepayment,
    PrepaymentState,
    RuleKind,
)
from dougong_fees.services.bills import KIND, owed, reverse_bill, withdraw_bill
from dougong_fees.services.deferred import DEFERRED, ensure_deferred
from dougong_fees.services.explain import exact_per_month
from dougong_fees.services.runs import PUBLISHED, bill_room, publish_on, step
from dougong_ledger import services as ledger
from dougong_ledger.domain import RECEIVABLE, Posting

OPEN_DAYS = 7
COPIED = ("charge_id", "fee_item_id", "price_id", "from_on", "part", "quantity")
COPIED += ("unit_price", "addition", "factor")


@service("prepayment.offer", title=("Pay months ahead", "预缴"))
def offer_prepayment(scope: Scope, room: Room, rule: FeeRule, from_on: date) -> Prepayment:
    """Demand a rule's months of its fee at once; return the prepayment with its bill.

    from_on: the first day that it covers. Paid within a week or withdrawn by a job. Price changes
    that are known split it; later ones do not touch it. Raises Invalid for a fee by usage or a rule
    that is not in force today, Conflict where a part of the months is billed or not charged.
    """
    item = rule.fee_item
    fields = {}
    if rule.kind is not RuleKind.PREPAID or not _in_force(rule, scope.today):
        fields["rule"] = gettext("Choose a rule for months ahead that is in force today.")
    elif item.method is ChargeMethod.USAGE or item.commodity is not None:
        fields["rule"] = gettext("What depends on a meter is not paid ahead.")
    if fields:
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    to_on = add_months(from_on, rule.get_months or 0)
    name = gettext("%(item)s, %(months)s months ahead", item=item.name, months=rule.get_months)
    due_on = scope.today + timedelta(days=OPEN_DAYS)
    # Never added to the session: only what a draft for one room takes over from another run.
    like = BillRun(due_on=due_on, fee_item_id=item.id)
    run = bill_room(scope, room, like, (from_on, to_on), name)
    bill = _only_bill(scope, run, (from_on, to_on))
    _reprice(scope, bill, rule)
    _demand(scope, run, bill)
    prepayment = Prepayment(
        id=uuid7(),
        room_id=room.id,
        fee_item_id=item.id,
        rule_id=rule.id,
        bill_id=bill.id,
        payer_id=bill.payer_id,
        from_on=from_on,
        to_on=to_on,
        amount=bill.amount,
    )
    scope.session.add(prepayment)
    scope.session.flush()
    scope.emit("fees.bill_published", bill_id=bill.id)
    return prepayment


def _in_force(rule: FeeRule, on: date) -> bool:
    return rule.from_on <= on and (rule.to_on is None or on < rule.to_on)


def _only_bill(scope: Scope, run: BillRun, period: tuple[date, date]) -> Bill:
    """Return the one bill of a draft when it covers a period without a gap."""
    bills = scope.session.scalars(select(Bill).where(Bill.run_id == run.id)).all()
    if run.problems:
        raise Conflict(
            N_("It cannot be reckoned: %(problem)s."), problem=run.problems[0]["problem"]
        )
    if len(bills) != 1 or (bills[0].from_on, bills[0].to_on) != period or not bills[0].amount:
        raise Conflict(
            N_("Some of these months are billed already, not charged, or have another payer.")
        )
    return bills[0]


def _lines(scope: Scope, bill: Bill) -> Sequence[BillLine]:
    query = select(BillLine).where(BillLine.bill_id == bill.id)
    return scope.session.scalars(query.order_by(BillLine.from_on)).all()


def _reprice(scope: Scope, bill: Bill, rule: FeeRule) -> None:
    """Let a draft cost the paid months only; each line is rounded once."""
    pay, get = rule.pay_months or 1, rule.get_months or 1
    for line in _lines(scope, bill):
        covered = Fraction(line.months_numerator, line.months_denominator)
        _set_months(line, months_charged(covered, pay, get))
        offer = {"pay": pay, "get": get, "basis": rule.basis}
        line.evidence = {**(line.evidence or {}), "offer": offer}
    scope.session.flush()


def _set_months(line: BillLine, charged: Fraction) -> None:
    line.months_numerator, line.months_denominator = charged.numerator, charged.denominator
    exact = exact_per_month(line) * charged * Fraction(line.factor)
    line.amount = round_amount(exact, line.fee_item.rounding)


def _demand(scope: Scope, run: BillRun, bill: Bill) -> None:
    """Publish the bill of months ahead: owed, and a liability until they have passed."""
    bill.amount = sum((line.amount for line in _lines(scope, bill)), Decimal(0))
    bill.kind, bill.state, run.amount = BillKind.PREPAID, BillState.OPEN, bill.amount
    step(run, RunState.PUBLISHED)
    run.published_at = scope.now
    account = ensure_deferred(scope)
    about = (bill.title, bill.room_id, bill.payer_id)
    posting = Posting(RECEIVABLE, account, bill.amount, *about)
    ledger.post(scope, PUBLISHED, run.id, bill.title, [posting])
    scope.session.flush()


@service("prepayment.end", title=("End early", "提前终止"))
def end_prepayment(scope: Scope, prepayment: Prepayment, on: date, reason: str) -> Prepayment:
    """End a prepayment from a day on: the months before are billed, the rest is prepaid money.

    Income of it is taken back and billed anew for [from_on, on), by the rule in proportion or at
    the ordinary price, and paid from what was paid; what is left pays other bills or is paid out.
    The days after it that published runs cover are billed to whoever owns the room then. Raises
    Conflict for one that has ended, Invalid for a day outside of it.
    """
    prepayment = scope.get(Prepayment, prepayment.id, lock=True)
    close_prepayment(scope, prepayment, on, reason)
    bill_what_follows(scope, prepayment)
    return prepayment


def close_prepayment(scope: Scope, prepayment: Prepayment, on: date, reason: str) -> BillRun | None:
    """End a prepayment without billing the days that follow, as a hand-over does.

    Return the run that bills the months before ``on``, None when there were none or nothing of it
    was paid.
    """
    prepayment = scope.get(Prepayment, prepayment.id, lock=True)
    if prepayment.state is PrepaymentState.ENDED:
        raise Conflict(N_("This prepayment has ended."))
    if not prepayment.from_on <= on <= prepayment.to_on or not reason.strip():
        fields = {"on": gettext("A day of the prepaid months, with a reason.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    bill, prepayment.ended_on = scope.get(Bill, prepayment.bill_id), on
    was_paid = bill.paid
    lines = _lines(scope, bill)
    (reverse_bill if bill.paid or bill.waived else withdraw_bill)(scope, bill, reason)
    if not was_paid or on <= prepayment.from_on:
        return None
    return _bill_used(scope, prepayment, lines)


def _bill_used(scope: Scope, prepayment: Prepayment, lines: Sequence[BillLine]) -> BillRun:
    """Bill the months that were had, at the prices that they were sold at, and pay them."""
    until = prepayment.ended_on or prepayment.to_on
    name = gettext("%(item)s until it ended early", item=prepayment.fee_item.name)
    used = [made for line in lines if (made := _cut(prepayment, line, until))]
    run, bill = _bill_lines(scope, prepayment, used, until, name)
    publish_on(scope, run, scope.today)
    scope.session.expire(bill)
    _pay(scope, bill, f"ended-{bill.id}")
    return run


def _bill_lines(
    scope: Scope, prepayment: Prepayment, lines: Sequence[BillLine], until: date, name: str
) -> tuple[BillRun, Bill]:
    """Return the draft of a run and its one bill to a prepayment's payer, with lines for it."""
    values: dict[str, Any] = {"from_on": prepayment.from_on, "to_on": until}
    values |= {"room_id": prepayment.room_id, "due_on": scope.today}
    amount = sum((line.amount for line in lines), Decimal(0))
    run = BillRun(
        id=uuid7(),
        name=name[:80],
        fee_item_id=prepayment.fee_item_id,
        rooms=1,
        rooms_done=1,
        bills=1,
        lines=len(lines),
        amount=amount,
        prepared_by=scope.actor.user_id,
        **values,
    )
    bill = Bill(
        id=uuid7(),
        run_id=run.id,
        title=run.name,
        payer_id=prepayment.payer_id,
        amount=amount,
        **values,
    )
    for line in lines:
        line.bill_id = bill.id
    for rows in ([run], [bill], lines):
        scope.session.add_all(rows)
        scope.session.flush()
    return run, bill


def restore_prepayment(scope: Scope, prepayment: Prepayment, *, was_paid: bool) -> Prepayment:
    """Return a prepayment that runs on in place of one that ended by mistake.

    It demands the same months at the same amounts, and is paid from the payer's prepaid money where
    the first one was paid; what was income of it becomes so again with the next month. The caller
    has withdrawn what was billed since it ended.
    """
    ended = scope.get(Bill, prepayment.bill_id)
    lines = [_copy(line) for line in _lines(scope, ended)]
    run, bill = _bill_lines(scope, prepayment, lines, prepayment.to_on, ended.title)
    run.due_on = bill.due_on = scope.today + timedelta(days=OPEN_DAYS)
    _demand(scope, run, bill)
    copied = ("room_id", "fee_item_id", "rule_id", "payer_id", "from_on", "to_on")
    values = {name: getattr(prepayment, name) for name in copied}
    made = Prepayment(id=uuid7(), bill_id=bill.id, amount=bill.amount, **values)
    scope.session.add(made)
    scope.session.flush()
    scope.session.expire(bill)
    if was_paid:
        _pay(scope, bill, f"restored-{bill.id}")
    return made


def _copy(line: BillLine) -> BillLine:
    names = (*COPIED, "to_on", "months_numerator", "months_denominator", "amount", "evidence")
    return BillLine(**{name: getattr(line, name) for name in names})


def _cut(prepayment: Prepayment, line: BillLine, until: date) -> BillLine | None:
    """Return what a line is when it ends at a day; None for one that begins then or later."""
    end = min(line.to_on, until)
    if end <= line.from_on:
        return None
    rule, anchor = prepayment.rule, line.charge.anchor_day or line.charge.from_on.day
    had = months(line.fee_item.period_method, line.from_on, end, anchor)
    made = BillLine(**{name: getattr(line, name) for name in COPIED}, to_on=end)
    evidence = dict(line.evidence or {})
    if rule.is_full_price_on_return:
        evidence.pop("offer", None)
    else:
        had = months_charged(had, rule.pay_months or 1, rule.get_months or 1)
    made.fee_item, made.evidence = line.fee_item, evidence or None
    _set_months(made, had)
    return made


def _pay(scope: Scope, bill: Bill, key: str) -> None:
    share = min(owed(bill), ledger.balance_of(scope, bill.payer_id))
    if share <= 0:
        return
    item = ledger.OrderItem(KIND, bill.id, f"{bill.room.code} {bill.title}", share)
    order = ledger.open_order(scope, "fees", bill.title, [item], key, bill.payer_id)
    ledger.pay_with_wallet(scope, order)


def bill_what_follows(scope: Scope, prepayment: Prepayment) -> list[BillRun]:
    """Bill the room for the days after an end that published runs left out as prepaid.

    Return the runs that this took.
    """
    done = []
    start = prepayment.ended_on or prepayment.to_on
    query = select(BillRun).where(
        BillRun.state == RunState.PUBLISHED,
        BillRun.room_id.is_(None),
        BillRun.to_on > start,
        BillRun.from_on < prepayment.to_on,
        or_(BillRun.fee_item_id.is_(None), BillRun.fee_item_id == prepayment.fee_item_id),
        or_(BillRun.building_id.is_(None), BillRun.building_id == prepayment.room.building_id),
    )
    for covering in scope.session.scalars(query.order_by(BillRun.from_on)).all():
        like = BillRun(due_on=covering.due_on, fee_item_id=prepayment.fee_item_id)
        period = (max(start, covering.from_on), covering.to_on)
        name = gettext("%(item)s after it ended early", item=prepayment.fee_item.name)
        made = bill_room(scope, prepayment.room, like, period, name)
        publish_on(scope, made, scope.today)
        done.append(made)
    return done


@service("prepayment.lapse", title=("Withdraw unpaid offers", "撤回逾期未付预缴"), is_public=False)
def lapse_prepayments(scope: Scope) -> int:
    """Withdraw the bills of prepayments that nobody paid by their due day; return how many."""
    query = (
        select(Bill)
        .join(Prepayment, Prepayment.bill_id == Bill.id)
        .where(
            Prepayment.state == PrepaymentState.RUNNING,
            Bill.state == BillState.OPEN,
            Bill.due_on < scope.today,
        )
    )
    late = scope.session.scalars(query).all()
    for bill in late:
        withdraw_bill(scope, bill, gettext("Not paid by its due day"))
    return len(late)


def running_of(scope: Scope, room_id: UUID, beyond: date) -> Sequence[Prepayment]:
    """Return the prepayments of a room that reach beyond a day."""
    query = select(Prepayment).where(
        Prepayment.room_id == room_id,
        Prepayment.state == PrepaymentState.RUNNING,
        Prepayment.to_on > beyond,
    )
    return scope.session.scalars(query.order_by(Prepayment.id)).all()


__all__ = ["DEFERRED", "end_prepayment", "lapse_prepayments", "offer_prepayment"]
