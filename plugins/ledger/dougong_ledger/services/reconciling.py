"""Daily reconciliation (对账): a channel's bill beside our books, and its differences."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Select, func, or_, select, update

from dougong.db import Scope
from dougong.errors import Conflict, DougongError, Invalid, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.services import entered, service
from dougong_ledger.channels import Statement, StatementRow
from dougong_ledger.domain import (
    CHANNEL_FEES,
    SUSPENSE,
    ZERO,
    NoticeResult,
    Posting,
    Reconciliation,
    ReturnState,
    community_mark,
)
from dougong_ledger.matching import (
    DayState,
    Difference,
    ExceptionKind,
    ExceptionState,
    OurRow,
    differences,
)
from dougong_ledger.models import (
    ChannelReturn,
    Payment,
    PaymentAttempt,
    ReconciliationDay,
    ReconciliationException,
)
from dougong_ledger.services.asking import ask_about
from dougong_ledger.services.channels import (
    ACTOR,
    Offer,
    channel_account,
    channel_of,
    offers,
    settle,
)
from dougong_ledger.services.journal import community_of, post

log = structlog.get_logger(__name__)
CHINA = ZoneInfo("Asia/Shanghai")
LOOK_BACK_DAYS = 7


@service("reconciliation_day.fetch_all", title=("Fetch bills", "下载渠道账单"), is_public=False)
def fetch_all(scope: Scope) -> int:
    """Reconcile every channel's days of the last week that are missing; return how many were.

    Each in a transaction of its own. A bill that is not there yet is fetched tomorrow.
    """
    done = 0
    yesterday = scope.now.astimezone(CHINA).date() - timedelta(days=1)
    for offer in offers(scope):
        known = set(
            scope.session.scalars(
                select(ReconciliationDay.day_on).where(
                    ReconciliationDay.provider == offer.channel.id,
                    ReconciliationDay.merchant_number == offer.merchant.number,
                    ReconciliationDay.day_on > yesterday - timedelta(days=LOOK_BACK_DAYS),
                )
            )
        )
        for back in range(LOOK_BACK_DAYS):
            day = yesterday - timedelta(days=back)
            if day not in known:
                done += _fetch(scope, offer, day)
    return done


def _fetch(scope: Scope, offer: Offer, day: date) -> bool:
    installation, place = scope.installation, {"community": scope.community_id}
    try:
        with installation.scope(ACTOR, **place) as own:
            statement = offer.channel.statement(own, offer.merchant.id, day)
        with (
            installation.scope(ACTOR, **place) as own,
            entered(own, "ledger.reconciliation_day.fetch_all", None),
        ):
            reconcile(own, offer, day, statement)
    except DougongError as error:
        log.info("no bill", provider=offer.channel.id, day=str(day), reason=translate_error(error))
        return False
    return True


@service("reconciliation_day.fetch", title=("Reconcile a day", "对账"))
def fetch_day(scope: Scope, provider: str, day: date) -> ReconciliationDay:
    """Fetch a channel's bill of a day and reconcile it; a day that was done is done again.

    Raises NotFound where the channel is not offered, ChannelUnsure before the bill is there, and
    Invalid for a day that has not ended.
    """
    if day >= scope.now.astimezone(CHINA).date():
        fields = {"day": gettext("The day has not ended yet.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    offer = next((o for o in offers(scope) if o.channel.id == provider), None)
    if offer is None:
        raise NotFound(N_("This payment channel is not offered here."))
    return reconcile(scope, offer, day, offer.channel.statement(scope, offer.merchant.id, day))


# --- one day --------------------------------------------------------------------------------------


def reconcile(scope: Scope, offer: Offer, day: date, statement: Statement) -> ReconciliationDay:
    """Compare a bill with our books; write the day, its differences and the channel's fees.

    Of a merchant's bill only the rows count whose trade number bears this community's mark.
    """
    mark = community_mark(community_of(scope))
    theirs = [row for row in statement.rows if row.trade_no.startswith(mark)]
    ours = _our_rows(scope, offer, day)
    found = _day(scope, offer, day)
    found.digest, found.fetched_at = statement.digest[:80], scope.now
    _sum_up(found, ours, theirs)
    scope.session.flush()
    differing = differences(ours, theirs)
    for difference in differing:
        _write(scope, found, difference)
    _mark_payments(scope, ours, differing)
    _book_fees(scope, found)
    return _restate(scope, found)


def _day(scope: Scope, offer: Offer, day: date) -> ReconciliationDay:
    found = scope.session.scalars(
        select(ReconciliationDay)
        .where(
            ReconciliationDay.provider == offer.channel.id,
            ReconciliationDay.merchant_number == offer.merchant.number,
            ReconciliationDay.day_on == day,
        )
        .with_for_update(of=ReconciliationDay)
    ).one_or_none()
    if found is None:
        found = ReconciliationDay(
            provider=offer.channel.id,
            merchant_id=offer.merchant.id,
            merchant_number=offer.merchant.number,
            day_on=day,
            state=DayState.OPEN,
        )
        scope.session.add(found)
    return found


def _our_rows(scope: Scope, offer: Offer, day: date) -> list[OurRow]:
    """Return what we booked through a channel on a day of China: payments, surplus, refunds."""
    start = datetime.combine(day, time(), CHINA)
    end = start + timedelta(days=1)
    mine = (
        PaymentAttempt.provider == offer.channel.id,
        PaymentAttempt.merchant_number == offer.merchant.number,
    )
    paid_at = Payment.paid_at
    paid = scope.session.execute(
        select(PaymentAttempt.trade_no, PaymentAttempt.amount, PaymentAttempt.id)
        .outerjoin(Payment, Payment.id == PaymentAttempt.payment_id)
        .where(
            *mine,
            PaymentAttempt.transaction_id.is_not(None),
            or_(
                (paid_at >= start) & (paid_at < end),
                paid_at.is_(None)
                & (PaymentAttempt.asked_at >= start)
                & (PaymentAttempt.asked_at < end),
            ),
        )
    )
    rows = [OurRow(r.trade_no, r.amount, r.id) for r in paid]
    back = scope.session.execute(
        select(
            PaymentAttempt.trade_no,
            ChannelReturn.amount,
            PaymentAttempt.id,
            ChannelReturn.refund_no,
        )
        .join(PaymentAttempt, PaymentAttempt.id == ChannelReturn.attempt_id)
        .where(
            *mine,
            ChannelReturn.state == ReturnState.DONE,
            ChannelReturn.done_at >= start,
            ChannelReturn.done_at < end,
        )
    )
    return rows + [OurRow(r.trade_no, r.amount, r.id, r.refund_no) for r in back]


def _sum_up(day: ReconciliationDay, ours: Sequence[OurRow], theirs: Sequence[StatementRow]) -> None:
    day.their_count = sum(not r.is_refund for r in theirs)
    day.their_amount = sum((r.amount for r in theirs if not r.is_refund), ZERO)
    day.their_refunds = sum((r.amount for r in theirs if r.is_refund), ZERO)
    day.our_count = sum(r.refund_no is None for r in ours)
    day.our_amount = sum((r.amount for r in ours if r.refund_no is None), ZERO)
    day.our_refunds = sum((r.amount for r in ours if r.refund_no is not None), ZERO)
    day.fees = sum((r.fee for r in theirs), ZERO)


def _write(scope: Scope, day: ReconciliationDay, difference: Difference) -> None:
    """Add a difference that is not known of this day yet."""
    ours, theirs = difference.ours, difference.theirs
    refund_no = ours.refund_no if ours else theirs.refund_no if theirs else None
    what = (
        ReconciliationException.day_id == day.id,
        ReconciliationException.kind == difference.kind,
        ReconciliationException.trade_no == difference.trade_no,
        ReconciliationException.refund_no.is_not_distinct_from(refund_no),
    )
    if scope.session.scalars(select(ReconciliationException.id).where(*what)).first():
        return
    attempt_id = ours.attempt_id if ours else _attempt_id(scope, difference.trade_no)
    scope.session.add(
        ReconciliationException(
            day_id=day.id,
            kind=difference.kind,
            trade_no=difference.trade_no,
            refund_no=refund_no,
            transaction_id=theirs.transaction_id if theirs else None,
            our_amount=ours.amount if ours else None,
            their_amount=theirs.amount if theirs else None,
            attempt_id=attempt_id,
        )
    )


def _attempt_id(scope: Scope, number: str) -> object:
    query = select(PaymentAttempt.id).where(PaymentAttempt.trade_no == number)
    return scope.session.scalars(query).one_or_none()


def _mark_payments(scope: Scope, ours: Sequence[OurRow], differing: Sequence[Difference]) -> None:
    """Say of each payment whether it was found; one that differs is not refunded meanwhile."""
    wrong = {d.ours.attempt_id for d in differing if d.ours and d.ours.refund_no is None}
    right = {r.attempt_id for r in ours if r.refund_no is None} - wrong
    for attempts, target in ((right, Reconciliation.MATCHED), (wrong, Reconciliation.DIFFERS)):
        if not attempts:
            continue
        ids = select(PaymentAttempt.payment_id).where(PaymentAttempt.id.in_(attempts))
        scope.session.execute(
            update(Payment)
            .where(Payment.id.in_(ids))
            .values(reconciliation=target)
            .execution_options(synchronize_session=False)
        )
    scope.session.expire_all()


def _book_fees(scope: Scope, day: ReconciliationDay) -> None:
    """Post what the channel keeps, once a day; a later bill of the day changes nothing."""
    from dougong_ledger.services.journal import posted_before

    if day.fees <= 0 or posted_before(scope, "ledger.channel_fees", day.id):
        return
    account = channel_account(scope, day.provider)
    memo = gettext("Channel fees of %(day)s", day=str(day.day_on))
    post(scope, "ledger.channel_fees", day.id, memo, [Posting(CHANNEL_FEES, account, day.fees)])


def _restate(scope: Scope, day: ReconciliationDay) -> ReconciliationDay:
    scope.session.flush()
    is_open = scope.session.scalars(
        select(ReconciliationException.id).where(
            ReconciliationException.day_id == day.id,
            ReconciliationException.state == ExceptionState.OPEN,
        )
    ).first()
    day.state = DayState.OPEN if is_open else DayState.BALANCED
    scope.session.flush()
    return day


# --- differences ----------------------------------------------------------------------------------


@service("reconciliation_exception.book", title=("Book it", "补记"))
def book_missing(
    scope: Scope, reconciliation_exception: ReconciliationException
) -> ReconciliationException:
    """Book a payment that the channel has and we do not: settle its attempt, else keep it aside.

    The gateway is asked first, and only what it confirms is booked. Without an attempt (it was
    lost with a database) the money goes to the suspense account. Raises Conflict for another kind.
    """
    found = _open(scope, reconciliation_exception, ExceptionKind.MISSING_HERE)
    day = scope.get(ReconciliationDay, found.day_id)
    channel = channel_of(scope, day.provider)
    outcome = channel.query(scope, day.merchant_id, found.trade_no)
    if outcome.amount != found.their_amount or not outcome.transaction_id:
        raise Conflict(N_("The channel does not confirm this payment any more."))
    if found.attempt_id is not None:
        result, detail = settle(scope, day.provider, outcome)
        if result is NoticeResult.BLOCKED:
            raise Conflict(N_("This cannot be booked: %(why)s"), why=detail or "")
        return _resolve(scope, found, gettext("Booked after asking the channel"))
    posting = Posting(
        channel_account(scope, day.provider), SUSPENSE, outcome.amount, found.trade_no
    )
    post(scope, "ledger.exception.booked", found.id, found.trade_no, [posting])
    return _resolve(scope, found, gettext("Kept in the suspense account: no order is known"))


@service("reconciliation_exception.ask", title=("Ask the channel", "查询渠道"))
def ask_missing(
    scope: Scope, reconciliation_exception: ReconciliationException
) -> ReconciliationException:
    """Ask the gateway about a payment that its bill lacks; it is settled when it confirms it.

    A payment just before midnight stands in the next day's bill. Raises Conflict when the gateway
    says something else.
    """
    found = _open(
        scope, reconciliation_exception, ExceptionKind.MISSING_THERE, ExceptionKind.MISSING_HERE
    )
    if found.attempt_id is None:
        raise Conflict(N_("No order is known for this: book it."))
    attempt = scope.get(PaymentAttempt, found.attempt_id)
    outcome = channel_of(scope, attempt.provider).query(
        scope, attempt.merchant_id, attempt.trade_no
    )
    if outcome.amount != attempt.amount or not outcome.transaction_id:
        raise Conflict(N_("The channel does not confirm this payment: refund it, or look there."))
    settle(scope, attempt.provider, outcome)
    _set_reconciliation(scope, attempt, Reconciliation.MATCHED)
    return _resolve(scope, found, gettext("The channel confirms it"))


@service("reconciliation_exception.close", title=("Resolve", "处理完毕"))
def close_exception(
    scope: Scope, reconciliation_exception: ReconciliationException, note: str
) -> ReconciliationException:
    """Resolve a difference by what people found out; the note is kept. Raises Invalid without one.

    A payment that was blocked by it can be refunded again.
    """
    found = _open(scope, reconciliation_exception, *ExceptionKind)
    if not note.strip():
        fields = {"note": gettext("Say what was found out.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    if found.attempt_id is not None:
        attempt = scope.get(PaymentAttempt, found.attempt_id)
        _set_reconciliation(scope, attempt, Reconciliation.MATCHED)
    return _resolve(scope, found, note)


def _set_reconciliation(scope: Scope, attempt: PaymentAttempt, target: Reconciliation) -> None:
    if attempt.payment_id is not None:
        scope.get(Payment, attempt.payment_id, lock=True).reconciliation = target


def _open(
    scope: Scope, record: ReconciliationException, *kinds: ExceptionKind
) -> ReconciliationException:
    found = scope.get(ReconciliationException, record.id, lock=True)
    if found.state is not ExceptionState.OPEN:
        raise Conflict(N_("This difference is resolved already."))
    if found.kind not in kinds:
        raise Conflict(N_("This is not done about such a difference."))
    return found


def _resolve(
    scope: Scope, found: ReconciliationException, resolution: str
) -> ReconciliationException:
    found.state, found.resolution = ExceptionState.RESOLVED, resolution[:200]
    found.resolved_by, found.resolved_at = scope.actor.user_id, scope.now
    scope.session.flush()
    _restate(scope, scope.get(ReconciliationDay, found.day_id))
    return found


def unreconciled(scope: Scope) -> tuple[int, Decimal]:
    """Return how many online payments no bill has confirmed yet, and their yuan."""
    count, amount = scope.session.execute(unreconciled_query()).one()
    return count, amount


def unreconciled_query() -> Select[int, Decimal]:
    """Return the query of how many online payments no bill has confirmed, and their yuan."""
    waiting = (Reconciliation.WAITING, Reconciliation.DIFFERS)
    return select(func.count(), func.coalesce(func.sum(Payment.amount), 0)).where(
        Payment.reconciliation.in_(waiting)
    )


__all__ = [
    "ask_about",
    "ask_missing",
    "book_missing",
    "close_exception",
    "fetch_all",
    "fetch_day",
    "reconcile",
    "unreconciled",
    "unreconciled_query",
]
