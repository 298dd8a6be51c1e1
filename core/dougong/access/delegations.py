"""Stand-ins: who is away names somebody who approves in his place, for some days.

A stand-in gets what is approved and refused (`dougong.services.approvals`), nothing else; he never
decides what the other one asked for, and the log says for whom he decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import and_, or_, select, text
from sqlalchemy.orm import aliased

from dougong.access.models import Delegation, RoleGrant, User
from dougong.db.base import uuid7
from dougong.db.scope import Scope
from dougong.errors import Conflict, Invalid, NotAllowed, NotFound
from dougong.i18n import N_, gettext

CREATE, END = "dougong.delegation.create", "dougong.delegation.end"
MOST_PEOPLE, SHOWN, LONGEST_DAYS = 200, 50, 366


@dataclass(frozen=True)
class StandIn:
    """That somebody stands in for another, as pages show it; to_on: the first day it is over."""

    id: UUID
    user_id: UUID
    name: str
    to_user_id: UUID
    to_name: str
    from_on: date
    to_on: date
    reason: str


@dataclass(frozen=True)
class Colleague:
    """A login by name. may_stand_in: for the actor, in this group."""

    id: UUID
    name: str
    login: str
    may_stand_in: bool


def people(scope: Scope, also: Sequence[UUID] = ()) -> list[Colleague]:
    """Return the others with a role in this group, at most 200 by name, and the logins of ``also``.

    One statement.
    """
    inside = select(RoleGrant.user_id).where(RoleGrant.group_id == scope.group_id)
    here = and_(User.id.in_(inside), User.is_active, User.id != scope.actor.user_id)
    query = (
        select(User.id, User.name, User.login, here.label("here"))
        .where(or_(here, User.id.in_(also)))
        .order_by(User.id.in_(also).desc(), User.name, User.id)
        .limit(MOST_PEOPLE + len(also))
    )
    with scope.installation.access(scope.actor) as session:
        return [Colleague(r.id, r.name, r.login, r.here) for r in session.execute(query)]


def stand_ins(scope: Scope) -> list[StandIn]:
    """Return who stands in for whom, now or later, where the actor is one of the two."""
    away, instead = aliased(User), aliased(User)
    query = (
        select(Delegation, away.name, instead.name)
        .join(away, away.id == Delegation.user_id)
        .join(instead, instead.id == Delegation.to_user_id)
        .where(
            Delegation.group_id == scope.group_id,
            Delegation.ended_at.is_(None),
            Delegation.to_on > scope.today,
            or_(
                Delegation.user_id == scope.actor.user_id,
                Delegation.to_user_id == scope.actor.user_id,
            ),
        )
        .order_by(Delegation.from_on, Delegation.id)
        .limit(SHOWN)
    )
    with scope.installation.access(scope.actor) as session:
        return [
            StandIn(d.id, d.user_id, name, d.to_user_id, to, d.from_on, d.to_on, d.reason)
            for d, name, to in session.execute(query)
        ]


def stand_in(scope: Scope, to_user_id: UUID, from_on: date, to_on: date, reason: str) -> UUID:
    """Let somebody approve in the actor's place from one day up to another; return its id.

    It takes a fresh proof. Raises Invalid naming the wrong fields, NotAllowed for who has no login,
    Conflict when somebody stands in for him then already.
    """
    me = scope.actor.user_id
    if me is None:
        raise NotAllowed(N_("Only a person with a login can name a stand-in."))
    scope.actor.require_proof(CREATE)
    _check(scope, to_user_id, from_on, to_on, reason)
    overlapping = select(Delegation.id).where(
        Delegation.group_id == scope.group_id,
        Delegation.user_id == me,
        Delegation.ended_at.is_(None),
        Delegation.from_on < to_on,
        Delegation.to_on > from_on,
    )
    with scope.installation.access(scope.actor) as session:
        # One at a time for one person, so that two requests at once do not both find nothing.
        session.execute(select(User.id).where(User.id == me).with_for_update())
        if session.scalars(overlapping).first() is not None:
            raise Conflict(N_("Somebody stands in for you on these days already. End that first."))
        session.execute(text("select set_config('dougong.verb', :v, true)"), {"v": CREATE})
        made = Delegation(
            id=uuid7(),
            group_id=scope.group_id,
            user_id=me,
            to_user_id=to_user_id,
            from_on=from_on,
            to_on=to_on,
            reason=reason.strip()[:200],
        )
        session.add(made)
        session.flush()
        return made.id


def _check(scope: Scope, to_user_id: UUID, from_on: date, to_on: date, reason: str) -> None:
    fields: dict[str, str] = {}
    if to_user_id not in {each.id for each in people(scope) if each.may_stand_in}:
        fields["to_user_id"] = gettext(N_("Choose somebody who works in this group."))
    if from_on < scope.today:
        fields["from_on"] = gettext(N_("Begin today or later."))
    if not 0 < (to_on - from_on).days <= LONGEST_DAYS:
        fields["to_on"] = gettext(N_("The end lies after the beginning, within a year."))
    if not reason.strip():
        fields["reason"] = gettext(N_("Say why, such as leave until Monday."))
    if fields:
        raise Invalid(N_("Some fields are not right yet."), fields=fields)


def end_stand_in(scope: Scope, id: UUID) -> None:
    """End a delegation at once; either of the two may. Raises NotFound for one of others."""
    with scope.installation.access(scope.actor) as session:
        found = session.scalars(
            select(Delegation).where(Delegation.id == id).with_for_update()
        ).first()
        mine = found is not None and scope.actor.user_id in (found.user_id, found.to_user_id)
        if found is None or not mine or found.group_id != scope.group_id:
            raise NotFound(N_("There is no such stand-in of yours."))
        session.execute(text("select set_config('dougong.verb', :v, true)"), {"v": END})
        found.ended_at = found.ended_at or scope.now
