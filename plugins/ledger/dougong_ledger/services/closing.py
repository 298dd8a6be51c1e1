"""Months of the books: closed with frozen figures, opened again by two people, exported."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import select, text

from dougong.db import Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import Approval, service
from dougong_ledger.domain import RECEIVABLE, ZERO, PeriodState, next_month
from dougong_ledger.hookspecs import MonthEndItem
from dougong_ledger.models import BookPeriod
from dougong_ledger.services.journal import kind_title, lock_books
from dougong_ledger.services.totals import trial_balance

OPEN_STATES = (PeriodState.REOPENED,)


@dataclass(frozen=True)
class MonthEnd:
    """A month's figures per fee item: opening + billed − received − waived = closing."""

    month_on: date
    items: Sequence[MonthEndItem]

    def total(self, name: str) -> Decimal:
        """Return one column's sum, such as ``closing``."""
        return sum((getattr(item, name) for item in self.items), ZERO)

    @property
    def collection_rate(self) -> Decimal | None:
        """Return 收缴率: received of what the month billed, as a share; None without bills."""
        billed = self.total("billed") - self.total("waived_current")
        return self.total("received_current") / billed if billed > 0 else None

    @property
    def clearance_rate(self) -> Decimal | None:
        """Return 清欠率: received of what was owed before the month, as a share."""
        old = self.total("opening")
        return self.total("received_old") / old if old > 0 else None


def month_end(scope: Scope, month_on: date) -> MonthEnd:
    """Return the figures of a month as they are now, asked of the plugins that bill."""
    end = next_month(month_on)
    answers = scope.ask("month_end_figures", from_on=month_on, to_on=end)
    return MonthEnd(month_on, [item for answer in answers for item in answer])


@service("book_period.close", title=("Close a month", "月末结账"))
def close_month(scope: Scope, month_on: date) -> BookPeriod:
    """Close a month: freeze its figures and trial balance; nothing is posted into it any more.

    Plugins post what belongs into it first. Raises Invalid for a month that has not ended,
    Conflict for one that is closed, or when what is owed by item is not what the receivables
    account says.
    """
    month_on = month_on.replace(day=1)
    if next_month(month_on) > scope.today:
        fields = {"month_on": gettext("The month has not ended yet.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    lock_books(scope, exclusive=True)
    period = _period(scope, month_on)
    if period is not None and period.state not in OPEN_STATES:
        raise Conflict(N_("This month is closed already."))
    scope.ask("month_closing", from_on=month_on, to_on=next_month(month_on))
    snapshot = _snapshot(scope, month_on)
    if period is None:
        period = BookPeriod(month_on=month_on)
        scope.session.add(period)
    period.state, period.snapshot = PeriodState.CLOSED, snapshot
    period.closed_by, period.closed_at = scope.actor.user_id, scope.now
    scope.session.flush()
    return period


def _snapshot(scope: Scope, month_on: date) -> dict[str, Any]:
    found = month_end(scope, month_on)
    last_on = date.fromordinal(next_month(month_on).toordinal() - 1)
    trial = trial_balance(scope, last_on)
    owed = trial.balance(RECEIVABLE)
    if found.items and found.total("closing") != owed:
        raise Conflict(
            N_("By item %(items)s yuan are owed, by the books %(books)s: find out why first."),
            items=f"{found.total('closing'):,.2f}",
            books=f"{owed:,.2f}",
        )
    rates = {"collection_rate": found.collection_rate, "clearance_rate": found.clearance_rate}
    return {
        "items": plain_items(found.items),
        **{name: None if rate is None else f"{rate:.6f}" for name, rate in rates.items()},
        "accounts": [
            {"code": a.code, "name": a.name, "debit": str(a.debit), "credit": str(a.credit)}
            for a in trial.accounts
        ],
    }


def _period(scope: Scope, month_on: date) -> BookPeriod | None:
    query = select(BookPeriod).where(BookPeriod.month_on == month_on).with_for_update(of=BookPeriod)
    return scope.session.scalars(query).one_or_none()


def frozen(period: BookPeriod) -> MonthEnd:
    """Return the figures of a month as they were when it was closed."""
    return MonthEnd(period.month_on, items_from(period.snapshot["items"]))


def plain_items(items: Sequence[MonthEndItem]) -> list[dict[str, str]]:
    """Return figures by item as they are kept: amounts as texts."""
    return [{k: str(v) for k, v in asdict(item).items()} for item in items]


def items_from(plain: Sequence[Mapping[str, str]]) -> list[MonthEndItem]:
    """Return the figures by item that were kept."""
    return [
        MonthEndItem(**{k: v if k == "name" else Decimal(v) for k, v in item.items()})  # type: ignore[arg-type]
        for item in plain
    ]


@service("book_period.ask_reopening", title=("Ask to reopen", "申请反结账"))
def ask_reopening(scope: Scope, period: BookPeriod, reason: str) -> BookPeriod:
    """Ask for a closed month to be opened again. Raises Conflict when it is not closed."""
    period = scope.get(BookPeriod, period.id, lock=True)
    if period.state is not PeriodState.CLOSED:
        raise Conflict(N_("Only a closed month is reopened."))
    if not reason.strip():
        fields = {"reason": gettext("Say why the month is opened again.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    period.state, period.reopening_reason = PeriodState.REOPENING, reason[:200]
    period.reopening_by = scope.actor.user_id
    scope.session.flush()
    return period


@service(
    "book_period.reopen",
    title=("Allow reopening", "批准反结账"),
    approves=Approval(
        asked_by="reopening_by",
        waiting=(PeriodState.REOPENING,),
        about="reopening_reason",
        is_request=False,
    ),
)
def reopen_month(scope: Scope, period: BookPeriod) -> BookPeriod:
    """Open a month again that somebody else asked for; its frozen figures stay until it is closed.

    Raises Conflict when nobody asked.
    """
    if period.state is not PeriodState.REOPENING:
        raise Conflict(N_("Nobody asked for this month to be opened again."))
    period.state, period.reopened_by = PeriodState.REOPENED, scope.actor.user_id
    scope.session.flush()
    return period


@dataclass(frozen=True)
class VoucherLine:
    """One side of a journal line as accounting packages read it: an amount in debit or credit."""

    posted_on: date
    voucher: int
    line: int
    memo: str
    account: str
    account_name: str
    debit: Decimal
    credit: Decimal


VOUCHERS = text(
    """
    with entry as (
        select e.community_id, e.id, e.posted_on, e.memo, e.kind,
            row_number() over (order by e.posted_on, e.id) as voucher
        from ledger.journal_entry e
        where e.posted_on >= :from_on and e.posted_on < :to_on
          and exists (select from ledger.journal_line l
                      where l.community_id = e.community_id and l.entry_id = e.id)
    ), side as (
        select l.entry_id, l.debit_id as account_id, 0 as place, sum(l.amount) as debit, 0 as credit
        from ledger.journal_line l join entry e on e.community_id = l.community_id
            and e.id = l.entry_id
        group by 1, 2
        union all
        select l.entry_id, l.credit_id, 1, 0, sum(l.amount)
        from ledger.journal_line l join entry e on e.community_id = l.community_id
            and e.id = l.entry_id
        group by 1, 2
    )
    select e.posted_on, e.voucher, e.memo, e.kind, a.code as account, a.name as account_name,
        s.debit, s.credit, row_number() over (partition by e.id order by s.place, a.code) as line
    from side s
    join entry e on e.id = s.entry_id
    join ledger.account a on a.community_id = e.community_id and a.id = s.account_id
    order by e.voucher, line
    """
)


@service("journal_entry.export", title=("Export vouchers", "导出凭证"), is_public=False)
def vouchers(scope: Scope, from_on: date, to_on: date) -> Iterable[VoucherLine]:
    """Return the vouchers of [from_on, to_on), one line per account and side, in the usual layout.

    What has no memo is called by its kind. Vouchers are numbered from 1 within the period; debit
    and credit of each are equal.
    """
    for row in scope.session.execute(VOUCHERS, {"from_on": from_on, "to_on": to_on}):
        yield VoucherLine(
            row.posted_on,
            row.voucher,
            row.line,
            row.memo or kind_title(scope, row.kind),
            row.account,
            row.account_name,
            Decimal(row.debit) / 100,
            Decimal(row.credit) / 100,
        )
