"""The journal: posting what happened."""

from collections.abc import Iterable, Mapping
from datetime import date
from uuid import UUID

from sqlalchemy import func, select, text

from dougong.capabilities import NotDeclared
from dougong.db import Scope, insert_rows, uuid7
from dougong.errors import Invalid, NotAllowed
from dougong.i18n import N_
from dougong_ledger.domain import (
    CHART,
    AccountKind,
    PeriodState,
    Posting,
)
from dougong_ledger.errors import BooksClosed
from dougong_ledger.models import Account, BookPeriod, JournalEntry, JournalLine, TotalsMark

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
    day, upto = _open_day(scope, on)
    ids = account_ids(scope, {c for line in lines for c in (line.debit, line.credit)})
    entry = JournalEntry(
        id=_id_after(upto),
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


BOOKS = "hashtextextended('ledger.books ' || :community, 0)"


def lock_books(scope: Scope, *, exclusive: bool = False) -> None:
    """Let a community's books not be closed while something is posted, nor the reverse."""
    shared = "" if exclusive else "_shared"
    scope.session.execute(
        text(f"select pg_advisory_xact_lock{shared}({BOOKS})"),
        {"community": str(scope.community_id)},
    )


def try_lock_books(scope: Scope) -> bool:
    """Take the books' exclusive lock if nobody holds it or posts; never make anybody queue."""
    query = text(f"select pg_try_advisory_xact_lock({BOOKS})")
    return bool(scope.session.scalar(query, {"community": str(scope.community_id)}))


def _open_day(scope: Scope, on: date | None) -> tuple[date, UUID | None]:
    """Return the day that something is posted on, never one of a closed month; and the mark.

    Both as they are once the books are locked.
    """
    lock_books(scope)
    months = {(on or scope.today).replace(day=1), scope.today.replace(day=1)}
    query = select(BookPeriod.month_on).where(
        BookPeriod.month_on.in_(months), BookPeriod.state != PeriodState.REOPENED
    )
    mark = select(TotalsMark.upto_id)
    row = scope.session.execute(
        select(func.array(query.scalar_subquery()), mark.scalar_subquery())
    ).one()
    closed, upto = set(row[0]), row[1]
    day = on or scope.today
    if day.replace(day=1) in closed:
        day = scope.today
    if day.replace(day=1) in closed:
        raise BooksClosed(N_("This month's books are closed; have them opened again first."))
    return day, upto


def _id_after(upto: UUID | None) -> UUID:
    """Return an id above the mark, also when the clock that made the mark went before ours."""
    made = uuid7()
    if upto is None or made > upto:
        return made
    below = (1 << 80) - 1
    return UUID(int=((upto.int >> 80) + 1) << 80 | made.int & below)


def posted_before(scope: Scope, kind: str, source_id: UUID) -> bool:
    """Tell whether a happening is in the journal already."""
    query = select(JournalEntry.id).where(
        JournalEntry.kind == kind, JournalEntry.source_id == source_id
    )
    return scope.session.scalars(query).first() is not None
