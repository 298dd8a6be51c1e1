"""The journal: posting what happened, and the trial balance that proves it."""

from collections.abc import Iterable, Mapping
from datetime import date
from uuid import UUID

from sqlalchemy import select, text

from dougong.capabilities import NotDeclared
from dougong.db import Scope, insert_rows, uuid7
from dougong.errors import Invalid, NotAllowed
from dougong.i18n import N_
from dougong.services import service
from dougong_ledger.domain import (
    CHART,
    AccountBalance,
    AccountKind,
    PeriodState,
    Posting,
    TrialBalance,
    yuan,
)
from dougong_ledger.errors import BooksClosed
from dougong_ledger.models import Account, BookPeriod, JournalEntry, JournalLine

KINDS = "ledger.journal_entry.kind"


def community_of(scope: Scope) -> UUID:
    """Return the community that is written; raises NotAllowed on a group's page."""
    if scope.community_id is None:
        raise NotAllowed(N_("Choose a community first; a group page writes no rows."))
    return scope.community_id


def legal_entity_of(scope: Scope) -> UUID | None:
    """Return the legal entity that signs for the community today."""
    return getattr(scope.place, "legal_entity_id", None)


def ensure_chart(scope: Scope) -> None:
    """Give the community the accounts of the chart that it does not have yet."""
    insert_rows(
        scope,
        Account,
        {
            "code": [plan.code for plan in CHART],
            "name": [plan.chinese for plan in CHART],
            "kind": [plan.kind for plan in CHART],
            "legal_entity_id": [legal_entity_of(scope)] * len(CHART),
        },
        on_conflict="do nothing",
    )


def ensure_account(scope: Scope, code: str, kind: AccountKind, name: str) -> str:
    """Add an account below one of the chart (``6001.property``) if it is not there; its code."""
    columns = {"code": [code], "name": [name], "kind": [kind]}
    columns["legal_entity_id"] = [legal_entity_of(scope)]
    insert_rows(scope, Account, columns, on_conflict="do nothing")
    return code


def account_ids(scope: Scope, codes: Iterable[str]) -> Mapping[str, UUID]:
    """Return the ids of accounts by code; raises Invalid for one that is not there."""
    wanted = set(codes)
    query = select(Account.code, Account.id).where(Account.code.in_(wanted))
    found = {r.code: r.id for r in scope.session.execute(query)}
    if len(found) < len(wanted):
        ensure_chart(scope)
        found = {r.code: r.id for r in scope.session.execute(query)}
    missing = sorted(wanted - set(found))
    if missing:
        raise Invalid(N_("There is no account %(codes)s."), codes=", ".join(missing))
    return found


def kind_title(scope: Scope, kind: str) -> str:
    """Return what a kind of entry is called, as the manifest of its plugin says."""
    return scope.installation.plugins.words_for(KINDS, kind) or kind


def _require_declared(scope: Scope, kind: str) -> None:
    plugins, plugin = scope.installation.plugins, kind.partition(".")[0]
    if plugin in plugins.found and plugins.words_for(KINDS, kind) is None:
        raise NotDeclared(
            f"{kind} is posted and not declared; write into the manifest.toml of {plugin}:"
            f' [words."{KINDS}"] "{kind}" = {{ en = "…", zh_Hans_CN = "…" }}'
        )


def post(
    scope: Scope,
    kind: str,
    source_id: UUID,
    memo: str,
    postings: Iterable[Posting],
    *,
    on: date | None = None,
    reverses_id: UUID | None = None,
) -> JournalEntry:
    """Post what happened to the journal, in the caller's transaction.

    kind, source_id: the happening; the same one twice is a Conflict. A kind that begins with a
    plugin's id stands in its manifest under ``[words."ledger.journal_entry.kind"]``, else it is
    refused with NotDeclared. on: the day of the books, today by default; what belongs into a closed
    month is posted today. Raises BooksClosed when today's month is closed as well. There is nothing
    to balance: every posting has both sides.
    """
    _require_declared(scope, kind)
    lines = list(postings)
    day = _open_day(scope, on)
    ids = account_ids(scope, {c for line in lines for c in (line.debit, line.credit)})
    entry = JournalEntry(
        kind=kind,
        source_id=source_id,
        memo=memo[:200],
        posted_on=day,
        legal_entity_id=legal_entity_of(scope),
        reverses_id=reverses_id,
        posted_by=scope.actor.user_id,
    )
    scope.session.add(entry)
    scope.session.flush()
    if lines:
        insert_rows(
            scope,
            JournalLine,
            {
                "id": [uuid7() for _ in lines],
                "entry_id": [entry.id] * len(lines),
                "debit_id": [ids[line.debit] for line in lines],
                "credit_id": [ids[line.credit] for line in lines],
                "amount": [line.amount for line in lines],
                "memo": [line.memo[:200] for line in lines],
                "room_id": [line.room_id for line in lines],
                "person_id": [line.person_id for line in lines],
            },
        )
    return entry


def lock_books(scope: Scope, *, exclusive: bool = False) -> None:
    """Let a community's books not be closed while something is posted, nor the reverse."""
    shared = "" if exclusive else "_shared"
    scope.session.execute(
        text(
            f"select pg_advisory_xact_lock{shared}"
            "(hashtextextended('ledger.books ' || :community, 0))"
        ),
        {"community": str(scope.community_id)},
    )


def _open_day(scope: Scope, on: date | None) -> date:
    """Return the day that something is posted on: never one of a closed month."""
    lock_books(scope)
    months = {(on or scope.today).replace(day=1), scope.today.replace(day=1)}
    query = select(BookPeriod.month_on).where(
        BookPeriod.month_on.in_(months), BookPeriod.state != PeriodState.REOPENED
    )
    closed = set(scope.session.scalars(query))
    day = on or scope.today
    if day.replace(day=1) in closed:
        day = scope.today
    if day.replace(day=1) in closed:
        raise BooksClosed(N_("This month's books are closed; have them opened again first."))
    return day


def posted_before(scope: Scope, kind: str, source_id: UUID) -> bool:
    """Tell whether a happening is in the journal already."""
    query = select(JournalEntry.id).where(
        JournalEntry.kind == kind, JournalEntry.source_id == source_id
    )
    return scope.session.scalars(query).first() is not None


TURNOVER = text(
    """
    with side as (
        select l.community_id, l.debit_id as account_id, l.amount as debit, 0 as credit
        from ledger.journal_line l
        join ledger.journal_entry e on e.community_id = l.community_id and e.id = l.entry_id
        where e.posted_on <= :on
        union all
        select l.community_id, l.credit_id, 0, l.amount
        from ledger.journal_line l
        join ledger.journal_entry e on e.community_id = l.community_id and e.id = l.entry_id
        where e.posted_on <= :on
    )
    select a.code, min(a.name) as name, a.kind, coalesce(sum(s.debit), 0) as debit,
           coalesce(sum(s.credit), 0) as credit
    from ledger.account a
    left join side s on s.community_id = a.community_id and s.account_id = a.id
    group by a.code, a.kind order by a.code
    """
)


@service("account.trial_balance", title=("Trial balance", "试算平衡"))
def trial_balance(scope: Scope, on: date | None = None) -> TrialBalance:
    """Return every account's turnover up to and including a day, today by default.

    On a group's page the communities are added up. Both sides are equal by construction.
    """
    rows = scope.session.execute(TURNOVER, {"on": on or scope.today})
    return TrialBalance(
        [
            AccountBalance(r.code, r.name, AccountKind(r.kind), yuan(r.debit), yuan(r.credit))
            for r in rows
        ]
    )
