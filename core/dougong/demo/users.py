"""Logins of the demonstration: staff of several posts, and one owner with rooms and bills."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from dougong.access.operations import create_user, grant_role, link_person
from dougong.access.roles import ship_roles
from dougong.db.scope import Actor
from dougong.installation import Installation

STAFF = (
    ("admin", "林经理", "group_manager", None),
    ("admin", "林经理", "system_administrator", None),
    ("security", "沈安全", "security_administrator", None),
    ("audit", "顾审计", "audit_administrator", None),
    ("manager", "陈经理", "community_manager", "estate"),
    ("desk", "前台小李", "front_desk", "estate"),
    ("cashier", "收费员小周", "cashier", "estate"),
    ("dispatcher", "调度员老吴", "dispatcher", "estate"),
    ("technician", "维修刘师傅", "technician", "estate"),
)
OWNERS = text(
    "select distinct on (o.room_id) p.id, p.name from dougong.person p"
    " join dougong.ownership o on o.community_id = p.community_id and o.person_id = p.id"
    " where p.community_id = :community and p.kind = 'person' and not p.is_protected"
    " and o.to_on is null order by o.room_id limit 60"
)


def load_users(installation: Installation, group_id: UUID, communities: dict[str, UUID]) -> None:
    """Create the demonstration's logins; none has a password, links sign them in.

    communities: id by kind. ``dougong user link owner`` prints a link for the login ``owner``.
    """
    system = Actor.system("demo")
    owner = _owner(installation, communities["estate"])
    with installation.access(system) as session:
        ship_roles(session)
        known: dict[str, UUID] = {}
        for login, name, role, place in STAFF:
            if login not in known:
                known[login] = create_user(session, login, name).id
            on_platform = role == "system_administrator"
            grant_role(
                session,
                system,
                known[login],
                role,
                group_id=None if on_platform else group_id,
                community_id=communities[place] if place else None,
            )
        if owner is not None:
            user = create_user(session, "owner", owner.name)
            link_person(session, user.id, communities["estate"], owner.id)


def _owner(installation: Installation, community_id: UUID) -> Any:
    """Return the owner among the first sixty whose portal has most waiting for him."""
    with installation.scope(Actor.system("demo"), community=community_id) as scope:
        owners = scope.session.execute(OWNERS, {"community": community_id}).all()

        def waiting(owner: Any) -> int:
            cards = [c for a in scope.ask("portal_cards", person_id=owner.id) for c in a]
            return sum(card.tone in ("warning", "danger") for card in cards)

        return max(owners, key=waiting, default=None)
