"""Looking after logins and their roles within a property group: the security administrator's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import or_, select, text

from dougong.access.models import Duty, Role, RoleGrant, User
from dougong.access.operations import create_user, grant_role, one_time_link
from dougong.db.scope import Grant, Scope
from dougong.errors import Conflict, Invalid, NotAllowed, NotFound
from dougong.i18n import N_, current_locale, gettext
from dougong.tenancy.operations import TODAY

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MOST = 200
# A role that is over leads nowhere any more; whoever lives in another group's community signs in.
ELSEWHERE = f"""
    select user_id from dougong.role_grant
    where user_id = any(:users) and group_id is distinct from :group
      and (to_on is null or to_on > {TODAY})
    union
    select p.user_id from dougong.user_person p join dougong.community c on c.id = p.community_id
    where p.user_id = any(:users) and c.group_id <> :group
"""
SEEN = text(
    f"""
    select u.id as user_id, u.id in ({ELSEWHERE}) as is_elsewhere,
           (select max(started_at) from dougong.sign_in_session s where s.user_id = u.id)
             as signed_in_at
    from dougong."user" u where u.id = any(:users)
    """
)


@dataclass(frozen=True)
class GrantLine:
    """One role of a user as the page shows it; place: the group, a region or a community."""

    id: UUID
    role: str
    place: str
    duty: str


@dataclass(frozen=True)
class UserLine:
    """One login as the page shows it; is_ours: it signs in nowhere but in this group."""

    id: UUID
    login: str
    name: str
    is_active: bool
    has_second_factor: bool
    signed_in_at: datetime | None
    grants: tuple[GrantLine, ...]
    is_ours: bool


def role_name(role: Role) -> str:
    """Return what people call a role, in the locale in force."""
    return role.name if current_locale() == "en" else role.name_zh


def roles_of(scope: Scope) -> Sequence[Role]:
    """Return the roles that can be given in this group: shipped ones and the group's own."""
    scope.require("dougong.role.view")
    with scope.installation.access(scope.actor) as session:
        found = session.scalars(
            select(Role)
            .where(or_(Role.group_id.is_(None), Role.group_id == scope.group_id))
            .order_by(Role.duty, Role.id)
        ).all()
        session.expunge_all()
        return found


def users_of(scope: Scope, words: str = "") -> list[UserLine]:
    """Return at most 200 logins that hold a role in this group, by login."""
    scope.require("dougong.user.view")
    names = {c.id: c.name for c in getattr(scope.place, "communities", ())}
    with scope.installation.access(scope.actor) as session:
        inside = select(RoleGrant.user_id).where(RoleGrant.group_id == scope.group_id)
        query = select(User).where(User.id.in_(inside)).order_by(User.login).limit(MOST)
        if words:
            query = query.where(or_(User.login.startswith(words), User.name.startswith(words)))
        users = session.scalars(query).all()
        ids = [u.id for u in users]
        grants = _grants(session, scope.group_id, ids, names, scope.place.name)
        known = {"users": ids, "group": scope.group_id}
        seen = {row.user_id: row for row in session.execute(SEEN, known)}
        return [
            UserLine(
                u.id,
                u.login,
                u.name,
                u.is_active,
                u.is_totp_confirmed,
                seen[u.id].signed_in_at,
                tuple(grants.get(u.id, ())),
                not seen[u.id].is_elsewhere,
            )
            for u in users
        ]


def _grants(
    session: "Session", group_id: UUID, users: list[UUID], names: dict[UUID, str], group: str
) -> dict[UUID, list[GrantLine]]:
    found: dict[UUID, list[GrantLine]] = {}
    rows = session.execute(
        select(RoleGrant, Role)
        .join(Role, Role.id == RoleGrant.role_id)
        .where(RoleGrant.user_id.in_(users), RoleGrant.group_id == group_id)
        .order_by(RoleGrant.id)
    )
    for grant, role in rows:
        place = names.get(grant.community_id, "") if grant.community_id else group
        found.setdefault(grant.user_id, []).append(
            GrantLine(grant.id, role_name(role), place, grant.duty)
        )
    return found


def invite(
    scope: Scope, login: str, name: str, role_key: str, community_id: UUID | None = None
) -> str:
    """Create a login with a role in this group; return the link that signs it in once.

    Raises Invalid naming the wrong fields, Conflict when the login is taken.
    """
    scope.require("dougong.user.create")
    missing = {
        key: gettext(N_("This is needed."))
        for key, value in (("login", login), ("name", name), ("role", role_key))
        if not value.strip()
    }
    if missing:
        raise Invalid(N_("Some fields are not right yet."), fields=missing)
    with scope.installation.access(scope.actor) as session:
        user = create_user(session, login, name.strip()[:120])
        _give(session, scope, user.id, role_key, community_id)
        user_id = user.id
    return one_time_link(scope.installation, user_id)


def give_role(scope: Scope, user_id: UUID, role_key: str, community_id: UUID | None) -> None:
    """Give a user of this group one more role."""
    scope.require("dougong.role.grant")
    with scope.installation.access(scope.actor) as session:
        known_user(session, scope, user_id)
        _give(session, scope, user_id, role_key, community_id)


def _give(
    session: "Session", scope: Scope, user_id: UUID, role_key: str, community_id: UUID | None
) -> None:
    if community_id is not None and community_id not in scope.readable:
        raise NotFound(N_("There is no such community."))
    role = session.scalars(select(Role).where(Role.key == role_key)).first()
    if role is not None and role.duty is not Duty.BUSINESS and community_id is not None:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"place": gettext(N_("An administration holds for the whole group."))},
        )
    grant_role(
        session, scope.actor, user_id, role_key, group_id=scope.group_id, community_id=community_id
    )


def take_role(scope: Scope, grant_id: UUID) -> None:
    """Take a role back; sessions of the user lose it with their next request."""
    scope.require("dougong.role.grant")
    with scope.installation.access(scope.actor) as session:
        grant = session.get(RoleGrant, grant_id)
        if grant is None or grant.group_id != scope.group_id:
            raise NotFound(N_("There is no such role."))
        if grant.user_id == scope.actor.user_id:
            raise NotAllowed(N_("Nobody takes a role from himself."))
        session.delete(grant)


def set_active(scope: Scope, user_id: UUID, is_active: bool) -> None:
    """Lock a login, which ends its sessions at once, or open it again.

    Raises what `own_user` does.
    """
    scope.require("dougong.user.change")
    with scope.installation.access(scope.actor) as session:
        user = own_user(session, scope, user_id)
        if user.id == scope.actor.user_id:
            raise Conflict(N_("Nobody locks himself out."))
        user.is_active = is_active


def new_link(scope: Scope, user_id: UUID) -> str:
    """Return a link that signs a user of this group in once, for who has lost his password.

    Raises what `own_user` does.
    """
    scope.require("dougong.user.change")
    scope.actor.require_proof("dougong.user.change")
    with scope.installation.access(scope.actor) as session:
        own_user(session, scope, user_id)
    return one_time_link(scope.installation, user_id)


def known_user(session: "Session", scope: Scope, user_id: UUID) -> User:
    """Return a user who holds a role in this group, or held one; raises NotFound."""
    here = select(RoleGrant.user_id).where(RoleGrant.group_id == scope.group_id)
    query = select(User).where(User.id == user_id, User.id.in_(here))
    user = session.scalars(query).first()
    if user is None:
        raise NotFound(N_("There is no such user here."))
    return user


def own_user(session: "Session", scope: Scope, user_id: UUID) -> User:
    """Return a user of this group who signs in nowhere else; raises NotFound, NotAllowed.

    Whoever locks a login or makes a link for it decides over everything that it opens.
    """
    user = known_user(session, scope, user_id)
    if signs_in_elsewhere(session, scope, user_id):
        raise NotAllowed(
            N_(
                "This login also signs in outside of this group, so nobody here locks it or makes"
                " links for it. Its roles here can be taken back, and it can leave this group."
            )
        )
    return user


def signs_in_elsewhere(session: "Session", scope: Scope, user_id: UUID) -> bool:
    """Tell whether a login holds a role or a home outside of the scope's group."""
    return user_id in _elsewhere(session, scope.group_id, [user_id])


def _elsewhere(session: "Session", group_id: UUID, users: list[UUID]) -> set[UUID]:
    return set(session.scalars(text(ELSEWHERE), {"users": users, "group": group_id}))


HOLDERS = text(
    f"""
    select t.user_id, r.permissions
    from dougong.role_grant t join dougong.role r on r.id = t.role_id
    join dougong."user" u on u.id = t.user_id and u.is_active
    where t.group_id = :group
      and (t.community_id is null or t.community_id = :community)
      and (t.region_id is null or t.region_id = (
           select region_id from dougong.community c where c.id = :community))
      and (t.from_on is null or t.from_on <= {TODAY})
      and (t.to_on is null or t.to_on > {TODAY})
    order by t.user_id
    """
)


def who_may(scope: Scope, permission: str) -> list[UUID]:
    """Return the logins whose roles allow ``permission`` in the scope's community."""
    with scope.installation.access(scope.actor) as session:
        rows = session.execute(
            HOLDERS, {"group": scope.group_id, "community": scope.community_id}
        ).all()
    allowed = (user for user, held in rows if Grant(frozenset(held)).allows(permission))
    return list(dict.fromkeys(allowed))


@dataclass(frozen=True)
class AccessLine:
    """A session or token of a user of this group, as the security administrator sees it."""

    id: UUID
    login: str
    name: str
    what: str
    since: datetime
    seen_at: datetime | None
    ends_at: datetime
    address: str = ""


SESSIONS_HERE = text(
    """
    select s.id, u.login, u.name, s.device as what, s.started_at as since, s.seen_at, s.ends_at,
           s.address
    from dougong.sign_in_session s join dougong."user" u on u.id = s.user_id
    where s.revoked_at is null and s.ends_at > now() and s.seen_at > now() - interval '30 minutes'
      and exists (select from dougong.role_grant g where g.user_id = u.id and g.group_id = :group)
    order by s.seen_at desc limit :most
    """
)
TOKENS_HERE = text(
    """
    select t.id, u.login, u.name, t.name as what, uuid_extract_timestamp(t.id) as since,
           (select at from dougong.api_token_use used where used.id = t.id) as seen_at, t.ends_at,
           '' as address
    from dougong.api_token t join dougong."user" u on u.id = t.user_id
    where t.revoked_at is null and t.ends_at > now()
      and exists (select from dougong.role_grant g where g.user_id = u.id and g.group_id = :group)
    order by t.id desc limit :most
    """
)


def sessions_here(scope: Scope) -> list[AccessLine]:
    """Return the newest two hundred sessions of this group's users that still work."""
    return _access_lines(scope, SESSIONS_HERE)


def tokens_here(scope: Scope) -> list[AccessLine]:
    """Return the newest two hundred access tokens of this group's users that still work."""
    return _access_lines(scope, TOKENS_HERE)


def _access_lines(scope: Scope, query: Any) -> list[AccessLine]:
    scope.require("dougong.session.view")
    with scope.installation.access(scope.actor) as session:
        rows = session.execute(query, {"group": scope.group_id, "most": MOST}).mappings()
        return [AccessLine(**row) for row in rows]
