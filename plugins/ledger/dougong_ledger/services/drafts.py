"""A month's figures on its page: frozen, as they are now, or as they were reckoned at night.

The figures by fee item take every bill and payment into account. Where few entries lie they are
reckoned whenever somebody looks; where many lie a job reckons them at night, the page says when,
and whoever may close the month can have them reckoned anew. Closing always reckons them itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import literal, select

from dougong.db import Scope
from dougong.services import service
from dougong_ledger.hookspecs import MonthEndItem
from dougong_ledger.models import BookPeriod, JournalEntry, MonthDraft
from dougong_ledger.services.closing import MonthEnd, frozen, items_from, month_end, plain_items

FEW = 5_000


@dataclass(frozen=True)
class ShownMonth:
    """What the page of a month shows. reckoned_at: of figures that are not those of now.

    are_few: so that the figures are reckoned whenever somebody looks. end is None for a month of
    many entries that was never reckoned.
    """

    month_on: date
    period: BookPeriod | None
    end: MonthEnd | None
    are_few: bool
    reckoned_at: datetime | None = None


def shown_month(scope: Scope, month_on: date) -> ShownMonth:
    """Return what the page of a month shows. One statement beside those of live figures."""
    start = select(literal(1).label("one")).subquery()
    is_here = (BookPeriod.community_id == scope.community_id) & (BookPeriod.month_on == month_on)
    is_draft = (MonthDraft.community_id == scope.community_id) & (MonthDraft.month_on == month_on)
    row = scope.session.execute(
        select(BookPeriod, MonthDraft, _has_many(scope).label("many"))
        .select_from(start)
        .outerjoin(BookPeriod, is_here)
        .outerjoin(MonthDraft, is_draft)
    ).one()
    period, draft, are_few = row.BookPeriod, row.MonthDraft, row.many is None
    if period is not None:
        return ShownMonth(month_on, period, frozen(period), are_few)
    if are_few:
        return ShownMonth(month_on, None, month_end(scope, month_on), are_few)
    if draft is None:
        return ShownMonth(month_on, None, None, are_few)
    end = MonthEnd(month_on, items_from(draft.items))
    return ShownMonth(month_on, None, end, are_few, draft.reckoned_at)


def _has_many(scope: Scope) -> Any:
    return (
        select(literal(1))
        .select_from(JournalEntry)
        .where(JournalEntry.community_id == scope.community_id)
        .order_by(JournalEntry.id)
        .offset(FEW)
        .limit(1)
        .scalar_subquery()
    )


@service("month_draft.reckon", title=("Reckon a month", "计算月度数据"))
def reckon_month(scope: Scope, month_on: date) -> MonthDraft:
    """Reckon the figures of a month as they are now and keep them for its page; return them."""
    month_on = month_on.replace(day=1)
    items: Sequence[MonthEndItem] = month_end(scope, month_on).items
    query = select(MonthDraft).where(MonthDraft.month_on == month_on).with_for_update()
    draft = scope.session.scalars(query).one_or_none()
    if draft is None:
        draft = MonthDraft(month_on=month_on)
        scope.session.add(draft)
    draft.items, draft.reckoned_at = plain_items(items), scope.now
    scope.session.flush()
    return draft


@service("month_draft.reckon_all", title=("Reckon months", "计算月度数据"), is_public=False)
def reckon_months(scope: Scope) -> int:
    """Reckon this month and the one before where many entries lie, every night; return how many."""
    if scope.session.execute(select(_has_many(scope))).scalar() is None:
        return 0
    this = scope.today.replace(day=1)
    months = [(this - timedelta(days=1)).replace(day=1), this]
    for month_on in months:
        reckon_month(scope, month_on)
    return len(months)
