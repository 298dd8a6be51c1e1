"""The maintenance fund: mirrored, applied for, answered, paid by its keeper; never company money.

Source: 住宅专项维修资金管理办法（建设部、财政部令第165号）; Civil Code art. 278 (5) and 281: to use
the fund is decided by more than half; in an emergency it may be used first.
"""

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import delete, func, or_, select

from dougong.db import Scope, insert_rows
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Ownership, Room, RoomKind
from dougong_participation.domain.fund import portions
from dougong_participation.errors import WrongState
from dougong_participation.models import (
    FundAccount,
    FundApplication,
    FundShare,
    FundState,
    VoteState,
)
from dougong_participation.services.people import me

HOUSED = (RoomKind.FLAT, RoomKind.SHOP, RoomKind.OFFICE)
ZERO = Decimal(0)


@service("fund_application.share_out", title=("Share out", "计算分摊"))
def share_out_fund(scope: Scope, fund_application: FundApplication) -> FundApplication:
    """Divide the budget among the rooms of the building, or of the community, by built area.

    Done again, it replaces the shares. Raises Invalid where an area is unknown, WrongState once it
    is submitted.
    """
    record = _in(scope, fund_application, FundState.DRAFT, FundState.RETURNED)
    where = [Room.room_kind.in_(HOUSED)]
    if record.building_id is not None:
        where.append(Room.building_id == record.building_id)
    rooms = scope.session.execute(
        select(Room.id, Room.code, Room.built_area).where(*where).order_by(Room.sort_key)
    ).all()
    unknown = [room.code for room in rooms if not room.built_area]
    if unknown or not rooms:
        said = gettext("These rooms have no area: %(rooms)s", rooms="、".join(unknown[:8]) or "—")
        raise Invalid(N_("Some fields are not right yet."), fields={"building": said})
    amounts = portions(record.budget, [room.built_area for room in rooms])
    scope.session.execute(delete(FundShare).where(FundShare.fund_application_id == record.id))
    insert_rows(
        scope,
        FundShare,
        {
            "fund_application_id": [record.id] * len(rooms),
            "room_id": [room.id for room in rooms],
            "amount": amounts,
        },
    )
    return record


@service("fund_application.submit", title=("Submit", "申报"))
def submit_fund(scope: Scope, fund_application: FundApplication, authority: str) -> FundApplication:
    """Keep that an application went to who keeps the fund.

    It needs its shares, and a counted vote that was passed, or an emergency with who confirmed it.
    Raises Conflict saying what is missing, WrongState.
    """
    record = _in(scope, fund_application, FundState.DRAFT, FundState.RETURNED)
    shared = select(func.sum(FundShare.amount)).where(FundShare.fund_application_id == record.id)
    if scope.session.scalar(shared) != record.budget:
        raise Conflict(N_("Share the budget out first; shares must add up to it."))
    vote = record.vote
    is_decided = (
        vote is not None
        and vote.state is VoteState.CLOSED
        and bool((vote.result or {}).get("is_passed"))
    )
    if not is_decided and not record.is_urgent:
        raise Conflict(N_("The owners have not agreed to it in a counted vote."))
    record.authority = _said(authority, "authority")[:120]
    record.submitted_on, record.state = scope.today, FundState.SUBMITTED
    scope.session.flush()
    return record


@service("fund_application.answered", title=("Answered", "登记批复"))
def answer_fund(
    scope: Scope, fund_application: FundApplication, answer: str, approved: Decimal = ZERO
) -> FundApplication:
    """Keep what the authority answered. approved: yuan; nothing means that it was returned."""
    record = _in(scope, fund_application, FundState.SUBMITTED)
    if not 0 <= approved <= record.budget:
        said = gettext("Between nothing and the budget of %(budget)s yuan.", budget=record.budget)
        raise Invalid(N_("Some fields are not right yet."), fields={"approved": said})
    record.answer, record.approved = _said(answer, "answer")[:300], approved or None
    record.state = FundState.APPROVED if approved else FundState.RETURNED
    scope.session.flush()
    return record


@service("fund_application.paid_out", title=("Paid by the fund", "登记专户拨付"))
def paid_by_fund(
    scope: Scope, fund_application: FundApplication, amount: Decimal
) -> FundApplication:
    """Keep that the fund paid the firm so much more. The company's books are not touched."""
    record = _in(scope, fund_application, FundState.APPROVED)
    if not 0 < amount <= (record.approved or ZERO) - record.paid:
        said = gettext("Not more than what was approved and is not paid yet.")
        raise Invalid(N_("Some fields are not right yet."), fields={"amount": said})
    record.paid += amount
    scope.session.flush()
    return record


@service("fund_application.settle", title=("Settle", "登记决算"))
def settle_fund(
    scope: Scope, fund_application: FundApplication, settled: Decimal
) -> FundApplication:
    """Keep the audited final cost; what was approved beyond it goes back to the rooms' accounts."""
    record = _in(scope, fund_application, FundState.APPROVED)
    if not record.paid <= settled <= (record.approved or ZERO):
        said = gettext("Between what was paid and what was approved.")
        raise Invalid(N_("Some fields are not right yet."), fields={"settled": said})
    record.settled, record.state = settled, FundState.SETTLED
    scope.session.flush()
    return record


@service("fund_application.disclose", title=("Disclose", "公示"))
def disclose_fund(scope: Scope, fund_application: FundApplication) -> FundApplication:
    """Show an application with its course to the owners."""
    if fund_application.disclosed_at is not None:
        raise WrongState(N_("This entry is disclosed already."))
    fund_application.disclosed_at = scope.now
    scope.session.flush()
    return fund_application


def my_fund(
    scope: Scope,
) -> tuple[Sequence[FundAccount], Sequence[tuple[FundApplication, Decimal]]]:
    """Return the accounts of the actor's rooms, and the disclosed works with his part of each."""
    person = me(scope)
    owned = select(Ownership.room_id).where(
        Ownership.person_id == person,
        Ownership.from_on <= scope.today,
        or_(Ownership.to_on.is_(None), Ownership.to_on > scope.today),
    )
    accounts = select(FundAccount).where(FundAccount.room_id.in_(owned)).order_by(FundAccount.id)
    share = (
        select(func.coalesce(func.sum(FundShare.amount), 0))
        .where(FundShare.fund_application_id == FundApplication.id, FundShare.room_id.in_(owned))
        .scalar_subquery()
    )
    works = select(FundApplication, share).where(FundApplication.disclosed_at.is_not(None))
    found = scope.session.execute(works.order_by(FundApplication.id.desc()).limit(50))
    return scope.session.scalars(accounts).all(), [(work, part) for work, part in found]


def _in(scope: Scope, record: FundApplication, *states: FundState) -> FundApplication:
    found = scope.get(FundApplication, record.id, lock=True)
    if found.state not in states:
        raise WrongState(N_("This application is past that step, or not there yet."))
    return found


def _said(words: str, field: str) -> str:
    if not words.strip():
        raise Invalid(
            N_("Some fields are not right yet."), fields={field: gettext("This is needed.")}
        )
    return words.strip()
