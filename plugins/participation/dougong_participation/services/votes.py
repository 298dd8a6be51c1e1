"""Votes of the owners: opened with a roll, cast once per share, counted and written down."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select, text
from sqlalchemy.orm import joinedload

from dougong.db import Scope, member_label
from dougong.documents import Document, render
from dougong.errors import Conflict, Invalid, NotFound
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_participation.domain.voting import Choice, Result, Right, tally, with_silence
from dougong_participation.errors import WrongState
from dougong_participation.models import (
    BallotWay,
    Vote,
    VoteProxy,
    VoteRight,
    VoteState,
)
from dougong_participation.services.people import me

PORTAL = "participation.portal"
# Every room has rights for its whole area: of each owner today, or of the developer. Parking spaces
# and storage count where the community's own rules say so only.
ROLL = text(
    """
    insert into participation.vote_right (community_id, id, vote_id, room_id, person_id, area)
    select r.community_id, uuidv7(), :vote, r.id, o.person_id,
           coalesce(r.built_area, 0) * coalesce(o.share, 1)
    from dougong.room r
    left join dougong.ownership o
      on o.community_id = r.community_id and o.room_id = r.id
     and o.from_on <= :today and (o.to_on is null or o.to_on > :today)
    where r.community_id = :community
      and (:counts_parking or r.room_kind not in ('parking', 'storage'))
    """
)


@dataclass(frozen=True)
class Mine:
    """One right that the actor may use, his own or as somebody's proxy."""

    right: VoteRight
    is_proxy: bool


@service("vote.open", title=("Open the vote", "开始投票"))
def open_vote(scope: Scope, vote: Vote) -> Vote:
    """Open a vote: the roll of rights is frozen as rooms are owned today.

    Raises WrongState, Invalid when its last day has passed or a room's area is not known.
    """
    if vote.state is not VoteState.DRAFT:
        raise WrongState(N_("This vote was opened already."))
    if vote.closes_on < scope.today:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"closes_on": gettext("This day has passed.")},
        )
    values = {"vote": vote.id, "community": scope.community_id, "today": scope.today}
    values["counts_parking"] = bool(scope.setting("participation.counts_parking"))
    count = scope.session.execute(ROLL, values).rowcount
    unknown = scope.session.scalar(
        select(func.count()).where(VoteRight.vote_id == vote.id, VoteRight.area == 0)
    )
    if not count or unknown:
        raise Conflict(
            N_("%(count)s rooms have no built area yet; without it nobody can count."),
            count=unknown or 0,
        )
    vote.state, vote.opened_at = VoteState.OPEN, scope.now
    scope.session.flush()
    scope.emit("vote_opened", vote_id=vote.id)
    return vote


@service("vote.cast_mine", title=("Vote", "投票"), permission=PORTAL)
def cast_vote(scope: Scope, vote_id: UUID, choice: Choice, owner_id: UUID | None = None) -> int:
    """Vote for every share that is the actor's own or entrusted to him; return for how many.

    owner_id: only for the shares of this owner, since those who entrust theirs may want different
    things. A ballot is final. Raises NotFound without a right, WrongState when voted or not open.
    """
    vote = open_one(scope, vote_id)
    mine = [
        each
        for each in my_rights(scope, vote, is_locked=True)
        if owner_id in (None, each.right.person_id)
    ]
    if not mine:
        raise NotFound(N_("You have no right to vote in this matter."))
    waiting = [each for each in mine if each.right.cast_at is None]
    if not waiting:
        raise WrongState(N_("You have voted already; a ballot is final."))
    for each in waiting:
        _put(scope, each.right, choice, BallotWay.PROXY if each.is_proxy else BallotWay.ONLINE)
    scope.session.flush()
    return len(waiting)


@service("vote_right.enter_paper", title=("Enter a paper ballot", "录入纸质票"))
def enter_paper(scope: Scope, vote_right: VoteRight, choice: Choice) -> VoteRight:
    """Enter what stands on a paper ballot; its photo is attached to the right.

    Raises WrongState when this share has voted already, or the vote is not open.
    """
    open_one(scope, vote_right.vote_id)
    if vote_right.cast_at is not None:
        raise WrongState(N_("This share has voted already; a ballot is final."))
    _put(scope, vote_right, choice, BallotWay.PAPER)
    scope.session.flush()
    return vote_right


def _put(scope: Scope, right: VoteRight, choice: Choice, way: BallotWay) -> None:
    right.choice, right.way, right.cast_at = choice.value, way, scope.now


def open_one(scope: Scope, vote_id: UUID) -> Vote:
    """Return a vote that takes ballots now, locked. Raises NotFound, WrongState."""
    vote = scope.get(Vote, vote_id, lock=True)
    if vote.state is not VoteState.OPEN or vote.closes_on < scope.today:
        raise WrongState(N_("This vote is not open."))
    return vote


def my_rights(scope: Scope, vote: Vote, *, is_locked: bool = False) -> list[Mine]:
    """Return the rights that the actor may use in a vote: his own, then entrusted ones."""
    person = me(scope)
    entrusted = select(VoteProxy.owner_id).where(
        VoteProxy.vote_id == vote.id, VoteProxy.proxy_id == person
    )
    query = (
        select(VoteRight)
        .where(
            VoteRight.vote_id == vote.id,
            or_(VoteRight.person_id == person, VoteRight.person_id.in_(entrusted)),
        )
        .options(joinedload(VoteRight.room), joinedload(VoteRight.person))
        .order_by(VoteRight.person_id != person, VoteRight.person_id, VoteRight.id)
    )
    if is_locked:
        query = query.with_for_update(of=VoteRight)
    found = scope.session.scalars(query)
    return [Mine(right, right.person_id != person) for right in found]


def my_votes(scope: Scope) -> Sequence[Vote]:
    """Return the votes that are open or were counted, newest first."""
    shown = Vote.state.in_((VoteState.OPEN, VoteState.CLOSED))
    return scope.session.scalars(select(Vote).where(shown).order_by(Vote.id.desc()).limit(50)).all()


def votes_query(scope: Scope, person_id: UUID) -> Select[int]:
    """Return the query of in how many open votes a person has not voted yet."""
    return (
        select(func.count(func.distinct(VoteRight.vote_id)))
        .join(Vote, (Vote.community_id == VoteRight.community_id) & (Vote.id == VoteRight.vote_id))
        .where(
            Vote.state == VoteState.OPEN,
            Vote.closes_on >= scope.today,
            VoteRight.person_id == person_id,
            VoteRight.cast_at.is_(None),
        )
    )


def seen_vote(scope: Scope, vote_id: UUID) -> Vote:
    """Return a vote that owners may see; raises NotFound."""
    vote = scope.get(Vote, vote_id)
    if vote.state not in (VoteState.OPEN, VoteState.CLOSED):
        raise NotFound(N_("There is no such vote."))
    return vote


def turnout(scope: Scope, vote: Vote, *, counts_silence: bool = False) -> Result:
    """Return the count as it stands; while a vote is open show of it who took part, no choice.

    counts_silence: who said nothing is taken to say what most said.
    """
    rows = scope.session.scalars(select(VoteRight).where(VoteRight.vote_id == vote.id)).all()
    rights = [
        Right(r.room_id, r.person_id, r.area, Choice(r.choice) if r.choice else None) for r in rows
    ]
    return tally(with_silence(rights) if counts_silence else rights, vote.matter)


@service("vote.close", title=("Count the votes", "计票"))
def close_vote(scope: Scope, vote: Vote) -> Vote:
    """Count a vote and freeze the result. Raises WrongState before its last day is over.

    Earlier only when everybody has voted.
    """
    if vote.state is not VoteState.OPEN:
        raise WrongState(N_("This vote is not open."))
    found = turnout(scope, vote)
    is_early = found.joined != found.total
    if vote.closes_on >= scope.today and is_early:
        raise WrongState(N_("It is counted when its last day is over, or everybody has voted."))
    vote.state, vote.closed_at = VoteState.CLOSED, scope.now
    vote.result = _kept(turnout(scope, vote, counts_silence=vote.counts_silence))
    scope.session.flush()
    scope.emit("vote_counted", vote_id=vote.id)
    return vote


def _kept(found: Result) -> dict[str, Any]:
    def weight(of: Any) -> dict[str, Any]:
        return {"area": f"{of.area.quantize(Decimal('0.01')):f}", "owners": of.owners}

    return {
        "total": weight(found.total),
        "joined": weight(found.joined),
        "by": {choice.value: weight(found.by[choice]) for choice in Choice},
        "has_quorum": found.has_quorum,
        "is_passed": found.is_passed,
    }


@service("vote.cancel", title=("Cancel the vote", "取消表决"))
def cancel_vote(scope: Scope, vote: Vote) -> Vote:
    """Cancel a vote that is not counted yet; its ballots count for nothing. Raises WrongState."""
    if vote.state not in (VoteState.DRAFT, VoteState.OPEN):
        raise WrongState(N_("This vote is over."))
    vote.state = VoteState.CANCELLED
    return vote


@service("vote.print", title=("Print the result", "打印表决结果"))
def print_vote(scope: Scope, vote: Vote) -> Document:
    """Return the result as PDF; of an open (not secret) vote with every room's choice."""
    return _printed(scope, vote)


@service("vote.print_mine", title=("Print the result", "打印表决结果"), permission=PORTAL)
def print_my_vote(scope: Scope, vote_id: UUID) -> Document:
    """Return the result that every owner may have. Raises NotFound, WrongState before the count."""
    me(scope)
    return _printed(scope, seen_vote(scope, vote_id))


def _printed(scope: Scope, vote: Vote) -> Document:
    if vote.state is not VoteState.CLOSED:
        raise WrongState(N_("This vote is not counted yet."))
    return render(scope, "participation:vote", {"vote": vote, "ballots": ballots(scope, vote)})


def ballots(scope: Scope, vote: Vote) -> list[tuple[str, str, str, str]]:
    """Return room, area, choice and way of each ballot, in the order of rooms; none when secret."""
    if vote.is_secret:
        return []
    cast = select(VoteRight).where(VoteRight.vote_id == vote.id, VoteRight.cast_at.is_not(None))
    rows = scope.session.scalars(cast.options(joinedload(VoteRight.room))).all()
    ordered = sorted(rows, key=lambda r: (r.room.sort_key, str(r.id)))
    return [
        (
            r.room.code,
            f"{r.area.quantize(Decimal('0.01')):f}",
            member_label(Choice(r.choice)),
            member_label(r.way),
        )
        for r in ordered
    ]
