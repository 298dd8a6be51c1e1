"""Shifts: opened with a float, closed with a count, handed over, signed off by another."""

from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import aliased

from dougong.db import Scope
from dougong.errors import Conflict, Invalid, NotAllowed
from dougong.i18n import N_, gettext
from dougong.services import Approval, service
from dougong_desk.domain import ZERO, ShiftState, counted
from dougong_desk.errors import DifferenceUnexplained, NoShift
from dougong_desk.models import Shift
from dougong_ledger import services as ledger
from dougong_ledger.domain import BANK, CASH, AccountKind, PaymentChannel, Posting, yuan
from dougong_ledger.models import JournalEntry
from dougong_ledger.services.journal import lock_books

# 待处理财产损溢: what is over or short waits here until it is decided who bears it.
DIFFERENCES = ("1901", AccountKind.ASSET, "待处理财产损溢")
NOBODY = UUID(int=0)
# A shift's own entries move its float and its difference; they are no takings.
CASH_MOVED = text(
    """
    select coalesce(sum(case when d.code = :cash then l.amount else -l.amount end), 0)
    from ledger.journal_entry e
    join ledger.journal_line l on l.community_id = e.community_id and l.entry_id = e.id
    join ledger.account d on d.community_id = l.community_id and d.id = l.debit_id
    join ledger.account c on c.community_id = l.community_id and c.id = l.credit_id
    where e.community_id = :community and e.posted_by = :cashier and e.id > :after
      and e.kind not like 'desk.shift.%' and (d.code = :cash or c.code = :cash)
    """
)
TAKINGS = text(
    """
    select channel, sum(count) as count, sum(taken) as taken, sum(given_back) as given_back from (
        select p.channel, 1 as count, p.amount as taken, 0 as given_back
        from ledger.journal_entry e
        join ledger.payment p on p.community_id = e.community_id and p.id = e.source_id
        where e.community_id = :community and e.posted_by = :cashier and e.id > :after
          and e.kind = 'ledger.payment'
        union all
        select p.channel, 0, 0, r.amount
        from ledger.journal_entry e
        join ledger.refund r on r.community_id = e.community_id and r.id = e.source_id
        join ledger.payment p on p.community_id = r.community_id and p.id = r.payment_id
        where e.community_id = :community and e.posted_by = :cashier and e.id > :after
          and e.kind = 'ledger.refund'
    ) moved group by channel order by channel
    """
)


@dataclass(frozen=True)
class Takings:
    """What came and went by one means during a shift, in yuan."""

    channel: PaymentChannel
    count: int
    taken: Decimal
    given_back: Decimal

    @property
    def net(self) -> Decimal:
        return self.taken - self.given_back


@dataclass(frozen=True)
class Drawer:
    """What an open shift has taken so far, and what its drawer should hold.

    paid_out: cash that came or went by other ways than payments, such as deposits. In yuan.
    """

    takings: tuple[Takings, ...]
    expected: Decimal
    paid_out: Decimal

    def net(self, channel: PaymentChannel) -> Decimal:
        """Return what came by one means less what went back by it."""
        return sum((t.net for t in self.takings if t.channel is channel), ZERO)


def cashier_of(scope: Scope) -> UUID:
    """Return the login that works at the counter; raises NotAllowed for jobs and the system."""
    if scope.actor.user_id is None or scope.community_id is None:
        raise NotAllowed(N_("A person works at the counter of one community."))
    return scope.actor.user_id


def my_shift(scope: Scope, *, lock: bool = False) -> Shift | None:
    """Return the actor's open shift, locked against its being closed when asked for."""
    mine = (Shift.cashier_id == cashier_of(scope), Shift.state == ShiftState.OPEN)
    query = select(Shift).where(*mine)
    if lock:
        query = query.with_for_update(read=True, of=Shift)
    return scope.session.scalars(query).one_or_none()


def require_shift(scope: Scope) -> Shift:
    """Return the actor's open shift, which stays open until the transaction ends."""
    shift = my_shift(scope, lock=True)
    if shift is None:
        raise NoShift(N_("Open your shift first, with the float that lies in the drawer."))
    return shift


def waiting_floats(scope: Scope) -> list[Shift]:
    """Return the closed shifts whose drawer nobody has taken over yet, the latest first."""
    follower = aliased(Shift)
    query = (
        select(Shift)
        .outerjoin(follower, follower.taken_from_id == Shift.id)
        .where(Shift.state != ShiftState.OPEN, Shift.kept > 0, follower.id.is_(None))
        .order_by(Shift.closed_at.desc())
        .limit(10)
    )
    return list(scope.session.scalars(query))


@service("shift.open", title=("Open a shift", "接班"))
def open_shift(
    scope: Scope,
    opening_float: Decimal,
    taken_from_id: UUID | None = None,
    float_reason: str | None = None,
) -> Shift:
    """Open the actor's shift with the cash that he counted into his drawer.

    opening_float: yuan. taken_from_id: the closed shift whose drawer it is. Raises Conflict when he
    has one open, DifferenceUnexplained when he counts other than was handed over and says nothing.
    """
    cashier = cashier_of(scope)
    if not 0 <= opening_float < 10**9 or opening_float != opening_float.quantize(ZERO):
        fields = {"opening_float": gettext("Zero or more yuan, with whole fen.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    if my_shift(scope) is not None:
        raise Conflict(N_("Your shift is open already."))
    given = scope.get(Shift, taken_from_id, lock=True) if taken_from_id else None
    reason = (float_reason or "").strip()[:200] or None
    if given is not None:
        _check_hand_over(scope, given, opening_float, reason)
    shift = Shift(
        cashier_id=cashier,
        cashier_name=scope.actor.name,
        opening_float=opening_float,
        float_reason=reason,
        taken_from_id=given.id if given else None,
        opened_at=scope.now,
        after_entry_id=_last_counted_entry(scope, cashier),
    )
    scope.session.add(shift)
    scope.session.flush()
    if given is not None and given.kept is not None:
        _book(scope, "desk.shift.opened", shift, opening_float - given.kept, reason or "")
    return shift


def _check_hand_over(
    scope: Scope, given: Shift, opening_float: Decimal, reason: str | None
) -> None:
    taken = scope.session.scalars(select(Shift.id).where(Shift.taken_from_id == given.id)).first()
    if given.state is ShiftState.OPEN or taken is not None:
        raise Conflict(N_("This drawer was taken over before, or is still in use."))
    if opening_float != given.kept and reason is None:
        raise DifferenceUnexplained(
            N_("¥%(kept)s were handed over. Count again, or say why it differs."),
            kept=f"{given.kept:,.2f}",
        )


def _last_counted_entry(scope: Scope, cashier: UUID) -> UUID:
    """Return the journal entry after which this cashier's next shift counts.

    What he posts between two shifts belongs to the later one; before his first shift, today's.
    """
    counted_before = scope.session.scalars(
        select(Shift.upto_entry_id)
        .where(Shift.cashier_id == cashier, Shift.upto_entry_id.is_not(None))
        .order_by(Shift.closed_at.desc())
        .limit(1)
    ).first()
    if counted_before is not None:
        return counted_before
    today = datetime.combine(scope.today, time(), scope.zone)
    query = select(JournalEntry.id).where(
        JournalEntry.posted_by == cashier, JournalEntry.posted_at < today
    )
    return scope.session.scalars(query.order_by(JournalEntry.id.desc()).limit(1)).first() or NOBODY


def drawer(scope: Scope, shift: Shift) -> Drawer:
    """Return what an open shift has taken by means, and what its drawer should hold by now."""
    keys: dict[str, Any] = {
        "community": scope.community_id,
        "cashier": shift.cashier_id,
        "after": shift.after_entry_id,
    }
    rows = scope.session.execute(TAKINGS, keys)
    takings = tuple(
        Takings(PaymentChannel(r.channel), int(r.count), yuan(r.taken), yuan(r.given_back))
        for r in rows
    )
    moved = yuan(scope.session.execute(CASH_MOVED, {**keys, "cash": CASH}).scalar_one())
    by_payments = sum((t.net for t in takings if t.channel is PaymentChannel.CASH), ZERO)
    return Drawer(takings, shift.opening_float + moved, moved - by_payments)


@service("shift.close", title=("Close the shift", "交班"))
def close_shift(
    scope: Scope,
    shift: Shift,
    pieces: dict[str, int],
    pos_slips: Decimal = ZERO,
    banked: Decimal = ZERO,
    bank_slip: str | None = None,
    difference_reason: str | None = None,
    pos_reason: str | None = None,
) -> Shift:
    """Close the actor's own shift: count, explain, pay into the bank, leave the rest.

    pieces: notes and coins by denomination in yuan. pos_slips: what the terminal settled. What is
    over or short is booked with its reason; without one, DifferenceUnexplained. Nothing that this
    cashier posts at the same moment can slip between two shifts: the books are held meanwhile.
    """
    lock_books(scope, exclusive=True)
    shift = scope.get(Shift, shift.id, lock=True)
    if shift.cashier_id != cashier_of(scope):
        raise NotAllowed(N_("A shift is closed by the cashier whose it is."))
    if shift.state is not ShiftState.OPEN:
        raise Conflict(N_("This shift is closed already."))
    found = drawer(scope, shift)
    total, bank_reference = _count(pieces, banked, bank_slip)
    reasons = [(text or "").strip()[:200] or None for text in (difference_reason, pos_reason)]
    _explain(total - found.expected, reasons[0], pos_slips - found.net(PaymentChannel.POS), reasons)
    shift.expected, shift.counted, shift.pieces = found.expected, total, pieces
    shift.difference_reason, shift.pos_reason = reasons
    shift.pos_booked, shift.pos_slips = found.net(PaymentChannel.POS), pos_slips
    shift.banked, shift.bank_slip = banked, bank_reference
    shift.takings = [
        {"channel": t.channel, "count": t.count, "taken": str(t.taken), "back": str(t.given_back)}
        for t in found.takings
    ]
    _book(scope, "desk.shift.closed", shift, total - found.expected, reasons[0] or "")
    mine = select(JournalEntry.id).where(JournalEntry.posted_by == shift.cashier_id)
    last = scope.session.scalars(mine.order_by(JournalEntry.id.desc()).limit(1)).first()
    shift.upto_entry_id = last or shift.after_entry_id
    shift.state, shift.closed_at = ShiftState.CLOSED, scope.now
    scope.session.flush()
    return shift


def _count(
    pieces: dict[str, int], banked: Decimal, bank_slip: str | None
) -> tuple[Decimal, str | None]:
    try:
        total = counted(pieces)
    except (ValueError, ArithmeticError) as error:
        fields = {"pieces": gettext("Count notes and coins by denomination.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields) from error
    slip = (bank_slip or "").strip()[:80] or None
    if not 0 <= banked <= total or banked != banked.quantize(ZERO) or (banked and slip is None):
        fields = {"banked": gettext("No more than was counted, with the number of the slip.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    return total, slip


def _explain(
    difference: Decimal, reason: str | None, pos_difference: Decimal, reasons: list[str | None]
) -> None:
    if difference and reason is None:
        raise DifferenceUnexplained(
            N_("The drawer differs by ¥%(amount)s. Count again, or say why."),
            amount=f"{difference:+,.2f}",
        )
    if pos_difference and reasons[1] is None:
        raise DifferenceUnexplained(
            N_("The card slips differ by ¥%(amount)s. Look for the slip, or say why."),
            amount=f"{pos_difference:+,.2f}",
        )


def _book(scope: Scope, kind: str, shift: Shift, difference: Decimal, reason: str) -> None:
    """Post what is over or short, and what goes to the bank, as one entry of the shift."""
    postings = []
    if difference:
        code = ledger.ensure_account(scope, *DIFFERENCES)
        sides = (CASH, code) if difference > 0 else (code, CASH)
        postings.append(Posting(*sides, abs(difference), reason))
    if kind == "desk.shift.closed" and shift.banked:
        postings.append(Posting(BANK, CASH, shift.banked, shift.bank_slip or ""))
    if postings:
        memo = gettext("Shift of %(name)s", name=shift.cashier_name)
        ledger.post(scope, kind, shift.id, memo, postings)


@service(
    "shift.sign_off",
    title=("Sign off", "复核"),
    approves=Approval(
        asked_by="cashier_id",
        asked_name="cashier_name",
        waiting=(ShiftState.CLOSED,),
        amount="counted",
        about="cashier_name",
        is_request=False,
    ),
)
def sign_off_shift(scope: Scope, shift: Shift) -> Shift:
    """Sign a closed shift off.

    A cash difference above the setting ``desk.difference_limit`` needs who may manage the books'
    closing (``ledger.book_period.reopen``), such as a manager.
    """
    if shift.state is not ShiftState.CLOSED:
        raise Conflict(N_("Only a closed shift that nobody signed is signed off."))
    limit = Decimal(str(scope.setting("desk.difference_limit", "20.00")))
    if abs((shift.counted or ZERO) - (shift.expected or ZERO)) > limit:
        scope.require("ledger.book_period.reopen")
    shift.state, shift.signed_by = ShiftState.SIGNED_OFF, scope.actor.user_id
    shift.signed_name = scope.actor.name
    scope.session.flush()
    return shift
