"""Who leaves: rights end at once, then what he had open goes to a successor or back.

Rights end first, in one transaction, so that whatever happens to the work he may do nothing any
more. The work follows community by community; what could not be given on is still shown, and the
same can be asked for again.
"""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import delete, or_, select, text, update

from dougong.access.models import (
    ApiToken,
    Delegation,
    OneTimeLink,
    RoleGrant,
    SignInSession,
    User,
    UserPerson,
)
from dougong.access.users import ELSEWHERE, known_user, signs_in_elsewhere
from dougong.db.scope import Grant, Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import entered

LEAVE = "dougong.user.leave"
HELD = text(
    f"""
    select exists (select from dougong.role_grant where user_id = any(:users)
                   and group_id = :group and (to_on is null or to_on > :today)) as is_here,
           exists ({ELSEWHERE}) as is_elsewhere
    """
)


@dataclass(frozen=True)
class Leaver:
    """A login that is about to leave, or has left. work: what is still open, by plugin's words.

    has_rights: roles of this group that are not over. is_ours: it signs in nowhere else.
    """

    id: UUID
    login: str
    name: str
    is_active: bool
    has_rights: bool
    is_ours: bool
    work: tuple[Any, ...]


def leaver(scope: Scope, user_id: UUID) -> Leaver:
    """Return a login of this group with what it has open; raises NotFound."""
    scope.require("dougong.user.change")
    with scope.installation.access(scope.actor) as session:
        user = known_user(session, scope, user_id)
        about = {"group": scope.group_id, "users": [user_id], "today": scope.today}
        held = session.execute(HELD, about).one()
        who = (user.id, user.login, user.name, user.is_active, held.is_here, not held.is_elsewhere)
    answers = scope.ask("open_work", user_id=user_id)
    return Leaver(*who, tuple(each for answer in answers for each in answer if each.count))


def leave(scope: Scope, user_id: UUID, successor_id: UUID | None) -> int:
    """End all rights of a login in this group and give its work on; return how many things.

    It takes a fresh proof. Raises Conflict for oneself, Invalid for a successor who does not work
    here or leaves himself, NotFound for a login of others.
    """
    scope.require("dougong.user.change")
    scope.actor.require_proof(LEAVE)
    with scope.installation.access(scope.actor) as session:
        user = known_user(session, scope, user_id)
        if user.id == scope.actor.user_id:
            raise Conflict(N_("Nobody lets himself leave; a colleague does it."))
        _check(session, scope, user_id, successor_id)
        session.execute(text("select set_config('dougong.verb', :v, true)"), {"v": LEAVE})
        _end_rights(session, scope, user)
    return sum(_hand_over(scope, each, user_id, successor_id) for each in scope.readable)


def _check(session: Any, scope: Scope, user_id: UUID, successor_id: UUID | None) -> None:
    if successor_id is None:
        return
    here = select(User.id).where(
        User.id == successor_id,
        User.id != user_id,
        User.is_active,
        User.id.in_(select(RoleGrant.user_id).where(RoleGrant.group_id == scope.group_id)),
    )
    if session.scalars(here).first() is None:
        fields = {"successor": gettext(N_("Choose somebody who works in this group."))}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)


def _rights(scope: Scope, user_id: UUID) -> Any:
    """Return the query of a login's roles in this group that are not over."""
    return select(RoleGrant.id).where(
        RoleGrant.user_id == user_id,
        RoleGrant.group_id == scope.group_id,
        or_(RoleGrant.to_on.is_(None), RoleGrant.to_on > scope.today),
    )


def _end_rights(session: Any, scope: Scope, user: User) -> None:
    """End sessions, links, and roles and stand-ins of this group; lock who signs in nowhere else.

    The roles stay as a record of who held them, with the day on which they ended. Tokens end as
    well, but for a login that works elsewhere: what they open in this group is over with its roles.
    """
    lives_here = select(UserPerson.id).where(UserPerson.user_id == user.id).limit(1)
    is_ours = not signs_in_elsewhere(session, scope, user.id)
    user.is_active = not is_ours or session.scalars(lives_here).first() is not None
    held = _rights(scope, user.id).scalar_subquery()
    session.execute(update(RoleGrant).where(RoleGrant.id.in_(held)).values(to_on=scope.today))
    for model in (SignInSession, ApiToken) if is_ours else (SignInSession,):
        session.execute(
            update(model)
            .where(model.user_id == user.id, model.revoked_at.is_(None))
            .values(revoked_at=scope.now)
        )
    session.execute(delete(OneTimeLink).where(OneTimeLink.user_id == user.id))
    session.execute(
        update(Delegation)
        .where(or_(Delegation.user_id == user.id, Delegation.to_user_id == user.id))
        .where(Delegation.group_id == scope.group_id, Delegation.ended_at.is_(None))
        .values(ended_at=scope.now)
    )


def _hand_over(scope: Scope, community: UUID, user_id: UUID, successor_id: UUID | None) -> int:
    # Trusted with whatever the plugins need for it, in the name of who lets him leave.
    actor = replace(scope.actor, kind="system", grants=(Grant(frozenset({"**"})),))
    with (
        scope.installation.scope(actor, community=community) as part,
        entered(part, LEAVE, None),
    ):
        people = {"user_id": user_id, "successor_id": successor_id}
        return sum(part.ask("hand_over_work", **people))
