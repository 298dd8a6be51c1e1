"""A group's own roles: made, copied, changed, taken back one step, removed.

Each is business or one of the three administrations, never a mixture: what the administrations do
(`dougong.db.scope.RESERVED`) goes into a role of that very duty only, and what they hold is narrow.
Who holds a role does not change it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select, text

from dougong.access.models import Duty, Role, RoleGrant, User
from dougong.access.tokens import PERMISSION
from dougong.db.base import uuid7
from dougong.db.scope import RESERVED, Grant, Scope
from dougong.errors import Conflict, Invalid, NotAllowed, NotFound
from dougong.i18n import N_, gettext

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

CHANGE = "dougong.role.change"
MOST_PERMISSIONS = 600
MOST_RULES = 100
LISTED = 100
RESERVED_FOR = {
    "dougong.audit.": Duty.AUDIT,
    "dougong.keys.": Duty.SYSTEM,
    "dougong.plugin.": Duty.SYSTEM,
    "dougong.role.": Duty.SECURITY,
    "dougong.session.": Duty.SECURITY,
    "dougong.user.": Duty.SECURITY,
}
# What managers do with plugins: where they are on is the business of a community.
OPEN_TO_ALL = ("dougong.plugin.view", "dougong.plugin.enable", "dougong.plugin.disable")


@dataclass(frozen=True)
class Wanted:
    """A role as somebody wants it. rules: full names of record rules that narrow what it sees."""

    name: str
    name_zh: str
    duty: Duty
    permissions: tuple[str, ...]
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Holder:
    """Someone who holds a role here, and where: communities' names, empty for the whole group."""

    id: UUID
    login: str
    name: str
    places: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """What a change of a role gives and takes, of the permissions that are declared."""

    gained: tuple[str, ...]
    lost: tuple[str, ...]


def difference(before: Sequence[str], after: Sequence[str], declared: Sequence[str]) -> Difference:
    """Return which declared permissions one set of patterns allows and the other does not."""
    old, new = Grant(frozenset(before)), Grant(frozenset(after))
    return Difference(
        tuple(p for p in declared if new.allows(p) and not old.allows(p)),
        tuple(p for p in declared if old.allows(p) and not new.allows(p)),
    )


def check(wanted: Wanted) -> None:
    """Raise Invalid, naming the fields, for a role that cannot be."""
    fields: dict[str, str] = {}
    for key in ("name", "name_zh"):
        if not 0 < len(getattr(wanted, key)) <= 120:
            fields[key] = gettext(N_("Give it a name of at most 120 characters."))
    wrong = [p for p in wanted.permissions if not PERMISSION.match(p)]
    foreign = [p for p in wanted.permissions if not _fits(p, wanted.duty)]
    if wrong or not wanted.permissions or len(wanted.permissions) > MOST_PERMISSIONS:
        fields["permissions"] = gettext(N_("Choose at least one permission."))
    elif foreign:
        fields["permissions"] = gettext(
            N_("A role of this duty cannot hold %(permissions)s."), permissions=", ".join(foreign)
        )
    strange = sorted(r for r in wanted.rules if not PERMISSION.match(r))
    if strange or len(wanted.rules) > MOST_RULES:
        fields["rules"] = gettext(N_("Choose from the rules that are declared."))
    if fields:
        raise Invalid(N_("Some fields are not right yet."), fields=fields)


def _fits(permission: str, duty: Duty) -> bool:
    """Tell whether a role of a duty may hold a pattern: administrations exclude each other."""
    if permission in OPEN_TO_ALL:
        return True
    if permission.startswith(RESERVED):
        return any(permission.startswith(p) and d is duty for p, d in RESERVED_FOR.items())
    is_wide = permission == "*" or (permission.startswith("*.") and permission != "*.view")
    return duty is Duty.BUSINESS or not is_wide


# --- writing --------------------------------------------------------------------------------------


def create_role(
    scope: Scope, wanted: Wanted, clearance: Mapping[str, str], copied: Role | None = None
) -> UUID:
    """Create a role of this group; return its id. clearance: what it sees, from the role copied."""
    _may(scope)
    check(wanted)
    own = {**(copied.clearance if copied is not None else {"*": "mask"}), **clearance}
    with _named(scope, "dougong.role.create") as session:
        role = Role(
            id=uuid7(),
            group_id=scope.group_id,
            key=f"own_{uuid7().hex[-12:]}",
            clearance=own,
            **_values(wanted),
        )
        session.add(role)
        session.flush()
        return role.id


def change_role(scope: Scope, role_id: UUID, wanted: Wanted) -> None:
    """Change a role of this group; whoever holds it has the new rights from his next request.

    Raises Conflict for a change of duty while somebody holds it.
    """
    _may(scope)
    check(wanted)
    with _named(scope, CHANGE) as session:
        role = _own(session, scope, role_id)
        if role.duty is not wanted.duty and _is_held(session, role_id):
            raise Conflict(N_("Take the role from its holders before it changes its duty."))
        role.previous = _state(role)
        for key, value in _values(wanted).items():
            setattr(role, key, value)


def take_back(scope: Scope, role_id: UUID) -> None:
    """Put a role back as it was before its last change; once more brings that change again."""
    _may(scope)
    with _named(scope, "dougong.role.take_back") as session:
        role = _own(session, scope, role_id)
        before = role.previous
        if not before:
            raise Conflict(N_("There is no change to take back."))
        wanted = Wanted(
            before["name"],
            before["name_zh"],
            Duty(before["duty"]),
            tuple(before["permissions"]),
            tuple(before.get("rules", ())),
        )
        check(wanted)
        if role.duty is not wanted.duty and _is_held(session, role_id):
            raise Conflict(N_("Take the role from its holders before it changes its duty."))
        role.previous = _state(role)
        for key, value in _values(wanted).items():
            setattr(role, key, value)


def remove_role(scope: Scope, role_id: UUID) -> None:
    """Remove a role that nobody holds; raises Conflict while somebody does."""
    _may(scope)
    with _named(scope, "dougong.role.delete") as session:
        role = _own(session, scope, role_id)
        if _is_held(session, role_id):
            raise Conflict(N_("People hold this role; take it from them first."))
        session.delete(role)


def _may(scope: Scope) -> None:
    scope.require(CHANGE)
    scope.actor.require_proof(CHANGE)


def _own(session: "Session", scope: Scope, role_id: UUID) -> Role:
    role = session.scalars(select(Role).where(Role.id == role_id).with_for_update()).first()
    if role is None or role.group_id != scope.group_id:
        raise NotFound(N_("There is no such role of this group's own."))
    held = select(RoleGrant.id).where(
        RoleGrant.role_id == role_id, RoleGrant.user_id == scope.actor.user_id
    )
    if session.scalars(held).first() is not None:
        raise NotAllowed(N_("Nobody changes a role that he holds himself."))
    return role


def _is_held(session: "Session", role_id: UUID) -> bool:
    query = select(RoleGrant.id).where(RoleGrant.role_id == role_id)
    return session.scalars(query).first() is not None


def _values(wanted: Wanted) -> dict[str, Any]:
    return {
        "name": wanted.name,
        "name_zh": wanted.name_zh,
        "duty": wanted.duty,
        "permissions": sorted(set(wanted.permissions)),
        "rules": sorted(set(wanted.rules)),
    }


def _state(role: Role) -> dict[str, Any]:
    return {
        "name": role.name,
        "name_zh": role.name_zh,
        "duty": role.duty.value,
        "permissions": list(role.permissions),
        "rules": list(role.rules),
    }


@contextmanager
def _named(scope: Scope, verb: str) -> "Iterator[Session]":
    """Open a transaction of the access role whose entries in the log carry a verb."""
    with scope.installation.access(scope.actor) as session:
        session.execute(text("select set_config('dougong.verb', :v, true)"), {"v": verb})
        yield session


def as_wanted(role: Role) -> Wanted:
    """Return a role as what somebody wants, for its form."""
    permissions, rules = tuple(role.permissions), tuple(role.rules)
    return Wanted(role.name, role.name_zh, role.duty, permissions, rules)


# --- reading --------------------------------------------------------------------------------------


def holders_of(scope: Scope, role_id: UUID) -> list[Holder]:
    """Return at most a hundred people who hold a role in this group, by login."""
    scope.require("dougong.role.view")
    names = {c.id: c.name for c in getattr(scope.place, "communities", ())}
    query = (
        select(User, RoleGrant.community_id)
        .join(RoleGrant, RoleGrant.user_id == User.id)
        .where(RoleGrant.role_id == role_id, RoleGrant.group_id == scope.group_id)
        .order_by(User.login, RoleGrant.id)
        .limit(LISTED)
    )
    found: dict[UUID, Holder] = {}
    with scope.installation.access(scope.actor) as session:
        for user, community in session.execute(query):
            places = (names.get(community, "–"),) if community else ()
            known = found.get(user.id)
            places = (known.places if known else ()) + places
            found[user.id] = Holder(user.id, user.login, user.name, places)
    return list(found.values())
