"""Bills of several months: what lies in months to come is a liability until each month has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import TextClause, select

from dougong.db import Scope, uuid7
from dougong.i18n import gettext
from dougong_fees.domain.states import RunState
from dougong_fees.models import Bill, BillRun
from dougong_fees.services import run_sql
from dougong_ledger import services as ledger
from dougong_ledger.domain import AccountKind, Posting, next_month, yuan
from dougong_ledger.services.journal import community_of

DEFERRED = "2203.deferred"
EARNED = "fees.bill_run.earned"


def ensure_deferred(scope: Scope) -> str:
    """Return the account of what is demanded for months to come; it is opened when missing."""
    return ledger.ensure_account(scope, DEFERRED, AccountKind.LIABILITY, "预收账款—待摊销")


@dataclass(frozen=True)
class Part:
    """An amount in yuan for an account; name: of the fee item, for the memo."""

    code: str
    name: str
    amount: Decimal


def earned_to(run: BillRun, on: date) -> date | None:
    """Return the day up to which a run published on a day is income; None for all of it.

    A run within one calendar month is income at once, as is what lies in the month of the day or
    before it: only later months wait.
    """
    later = next_month(on)
    is_long = run.to_on > next_month(run.from_on)
    return max(later, next_month(run.from_on)) if is_long and run.to_on > later else None


def income_parts(scope: Scope, statement: TextClause, keys: Mapping[str, Any]) -> list[Part]:
    """Return a statement's amounts by account: income that is earned, the rest deferred.

    keys: what the statement needs, ``earned_to`` among it. Accounts that are missing are opened.
    """
    rows = scope.session.execute(statement, keys).all()
    parts = []
    for row in rows:
        code = ledger.ensure_account(scope, row.code, AccountKind.INCOME, row.name)
        parts += [Part(code, row.name, yuan(row.earned))] if row.earned else []
    for row in rows:
        if rest := row.amount - row.earned:
            parts.append(Part(ensure_deferred(scope), row.name, yuan(rest)))
    return parts


def income_of_bill(scope: Scope, bill: Bill) -> list[tuple[str, Decimal]]:
    """Return what of a bill's lines lies on which account today."""
    run = scope.get(BillRun, bill.run_id) if bill.run_id else None
    keys = {"community": community_of(scope), "bill": bill.id}
    keys["earned_to"] = run.earned_to_on if run else None
    found = income_parts(scope, run_sql.INCOME_OF_BILL, keys)
    return [(part.code, part.amount) for part in found]


def earn_month(scope: Scope, first: date) -> Decimal:
    """Post what published runs of several months earned by the end of a month; return the yuan."""
    end = next_month(first)
    query = select(BillRun).where(
        BillRun.earned_to_on < end, BillRun.state.in_((RunState.PUBLISHED, RunState.ROLLED_BACK))
    )
    runs = scope.session.scalars(query.order_by(BillRun.id).with_for_update(of=BillRun)).all()
    if not runs:
        return Decimal(0)
    total = _post(scope, runs, end)
    for run in runs:
        run.earned_to_on = end if run.to_on > end else None
    scope.session.flush()
    return total


def _post(scope: Scope, runs: Sequence[BillRun], end: date) -> Decimal:
    keys = {"community": community_of(scope), "runs": [run.id for run in runs], "until": end}
    postings = []
    for row in scope.session.execute(run_sql.TO_EARN, keys).all():
        code = ledger.ensure_account(scope, row.code, AccountKind.INCOME, row.name)
        postings += [Posting(DEFERRED, code, yuan(row.amount), row.name)] if row.amount else []
    if postings:
        on = end - timedelta(days=1)
        memo = gettext("Billed months become income: %(month)s", month=f"{on:%Y-%m}")
        ledger.post(scope, EARNED, uuid7(), memo, postings, on=on)
    return sum((posting.amount for posting in postings), Decimal(0))
