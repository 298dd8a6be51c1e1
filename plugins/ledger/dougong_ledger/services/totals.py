"""What accounts turned over by month, kept so that the trial balance reads no old entries.

The journal stays the only truth. ``account_month`` holds the sums of the entries up to the mark of
the community, whole months of them; what was posted since is read from the journal. No posting
writes a sum, so cashiers never wait for each other: a job adds up now and then. It takes the books'
exclusive lock, under which nobody is in the middle of posting, and whoever posts later gets an id
above the mark. So an entry is counted once, whenever it commits.
"""

from datetime import date
from uuid import UUID

from sqlalchemy import TextClause, select, text

from dougong.db import Scope
from dougong.errors import Conflict
from dougong.i18n import N_
from dougong.services import service
from dougong_ledger.domain import AccountBalance, AccountKind, TrialBalance, next_month, yuan
from dougong_ledger.models import TotalsMark
from dougong_ledger.services.journal import community_of, lock_books, try_lock_books

BATCH = 20_000
NIL = UUID(int=0)

# Both sides of a line, as rows.
SIDES = """
    cross join lateral (values (l.debit_id, l.amount, 0), (l.credit_id, 0, l.amount))
        as side (account_id, debit, credit)
"""
MONTH = "(e.posted_on - (extract(day from e.posted_on)::int - 1))"
LAST = text(
    """
    select id from ledger.journal_entry where community_id = :community and id > :upto
    order by id offset :most - 1 limit 1
    """
)
NEWEST = text(
    "select id from ledger.journal_entry where community_id = :community order by id desc limit 1"
)
COUNT = text(
    """
    select count(*) from ledger.journal_entry
    where community_id = :community and id > :upto and id <= :last
    """
)
SUMS = f"""
    select l.community_id, side.account_id, {MONTH} as month_on,
           sum(side.debit)::bigint as debit, sum(side.credit)::bigint as credit
    from ledger.journal_entry e
    join ledger.journal_line l on l.community_id = e.community_id and l.entry_id = e.id
    {SIDES}
    where {{which}}
    group by 1, 2, 3
"""
ADD = text(
    f"""
    insert into ledger.account_month (community_id, account_id, month_on, debit, credit)
    {SUMS.format(which="e.community_id = :community and e.id > :upto and e.id <= :last")}
    on conflict (community_id, account_id, month_on)
    do update set debit = account_month.debit + excluded.debit,
                  credit = account_month.credit + excluded.credit
    """
)
MARK = text(
    """
    insert into ledger.totals_mark (community_id, upto_id) values (:community, :last)
    on conflict (community_id) do update set upto_id = excluded.upto_id
    """
)
# The fences keep the planner from reading the whole journal for what it takes to be a third of it.
TURNOVER = text(
    f"""
    with place as (
        select p.community_id, coalesce(m.upto_id, cast(:nil as uuid)) as upto_id
        from (select distinct community_id from ledger.account) p
        left join ledger.totals_mark m on m.community_id = p.community_id
    ), moved as (
        select community_id, account_id, debit, credit from ledger.account_month
        where month_on <= :on
        union all
        select p.community_id, side.account_id, side.debit, side.credit
        from place p
        cross join lateral (
            select e.id from ledger.journal_entry e
            where e.community_id = p.community_id and e.id > p.upto_id and e.posted_on <= :on
            order by e.id offset 0) e
        cross join lateral (
            select debit_id, credit_id, amount from ledger.journal_line
            where community_id = p.community_id and entry_id = e.id offset 0) l
        {SIDES}
        union all
        select p.community_id, side.account_id, -side.debit, -side.credit
        from place p
        cross join lateral (
            select e.id from ledger.journal_entry e
            where e.community_id = p.community_id and e.posted_on > :on
              and e.posted_on < :next_month_on and e.id <= p.upto_id
            order by e.posted_on offset 0) e
        cross join lateral (
            select debit_id, credit_id, amount from ledger.journal_line
            where community_id = p.community_id and entry_id = e.id offset 0) l
        {SIDES}
    ), turnover as (
        select community_id, account_id, sum(debit) as debit, sum(credit) as credit
        from moved group by 1, 2
    )
    select a.code, min(a.name) as name, a.kind, coalesce(sum(t.debit), 0) as debit,
           coalesce(sum(t.credit), 0) as credit
    from ledger.account a
    left join turnover t on t.community_id = a.community_id and t.account_id = a.id
    group by a.code, a.kind order by a.code
    """
)
DIFFERENCES = f"""
    with said as (
        {
    SUMS.format(
        which="e.id <= (select m.upto_id from ledger.totals_mark m"
        " where m.community_id = e.community_id)"
    )
}
    )
    select coalesce(k.community_id, s.community_id) as community_id,
           coalesce(k.account_id, s.account_id) as account_id,
           coalesce(k.month_on, s.month_on) as month_on,
           coalesce(k.debit, 0) - coalesce(s.debit, 0) as debit,
           coalesce(k.credit, 0) - coalesce(s.credit, 0) as credit
    from ledger.account_month k
    full join said s on s.community_id = k.community_id and s.account_id = k.account_id
        and s.month_on = k.month_on
    where coalesce(k.debit, 0) <> coalesce(s.debit, 0)
       or coalesce(k.credit, 0) <> coalesce(s.credit, 0)
    order by 1, 3, 2
"""
WIPE = text("update ledger.account_month set debit = 0, credit = 0 where community_id = :community")


@service("account.trial_balance", title=("Trial balance", "试算平衡"))
def trial_balance(scope: Scope, on: date | None = None) -> TrialBalance:
    """Return every account's turnover up to and including a day, today by default.

    On a group's page the communities are added up. Both sides are equal by construction.
    """
    on = on or scope.today
    rows = scope.session.execute(
        TURNOVER, {"on": on, "next_month_on": next_month(on.replace(day=1)), "nil": NIL}
    )
    return TrialBalance(
        [
            AccountBalance(r.code, r.name, AccountKind(r.kind), yuan(r.debit), yuan(r.credit))
            for r in rows
        ]
    )


@service("account.add_up", title=("Add up the journal", "汇总凭证"), is_public=False)
def add_up(scope: Scope, most: int = BATCH) -> int:
    """Add the entries since the mark to the sums by month and move it; return how many.

    Runs every hour. At most ``most`` entries a transaction, so that nobody waits long to post;
    nothing, while somebody is in the middle of posting.
    """
    community_id = community_of(scope)
    if not try_lock_books(scope):
        return 0
    keys = {"community": community_id, "upto": _mark(scope), "most": most}
    last = scope.session.scalar(LAST, keys) or scope.session.scalar(NEWEST, keys)
    if last is None or last <= keys["upto"]:
        return 0
    counted = scope.session.scalar(COUNT, {**keys, "last": last})
    scope.session.execute(ADD, {**keys, "last": last})
    scope.session.execute(MARK, {**keys, "last": last})
    if counted == most:
        scope.enqueue("ledger.account.add_up")
    return counted or 0


def _mark(scope: Scope) -> UUID:
    query = select(TotalsMark.upto_id).where(TotalsMark.community_id == scope.community_id)
    return scope.session.scalar(query) or NIL


def differences() -> TextClause:
    """Return the query of the kept sums that are not what the journal says; it reads all of it."""
    return text(DIFFERENCES)


@service("account.check_totals", title=("Check the sums", "核对汇总"), is_public=False)
def check_totals(scope: Scope) -> int:
    """Compare the kept sums with the journal, every night. Raises Conflict when they differ."""
    found = scope.session.execute(differences()).all()
    if found:
        raise Conflict(
            N_("%(count)s kept sums of the books are not what the journal says: recount them."),
            count=len(found),
        )
    return 0


@service("account.recount", title=("Recount the sums", "重新汇总"))
def recount(scope: Scope) -> int:
    """Throw the kept sums away and add up the journal anew; return how many were wrong.

    Nobody can post meanwhile.
    """
    community_id = community_of(scope)
    lock_books(scope, exclusive=True)
    wrong = len(scope.session.execute(differences()).all())
    keys = {"community": community_id, "upto": NIL}
    last = scope.session.scalar(NEWEST, keys)
    if last is not None:
        scope.session.execute(WIPE, keys)
        scope.session.execute(ADD, {**keys, "last": last})
        scope.session.execute(MARK, {**keys, "last": last})
    return wrong
