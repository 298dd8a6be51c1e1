"""Logins of the demonstration: staff of several posts, an owner, a child that pays, a student."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from dougong.access.operations import create_user, grant_role, link_person
from dougong.access.roles import ship_roles
from dougong.db.scope import Actor, Scope
from dougong.installation import Installation
from dougong.tenancy.models import Family, Person

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

STUDENTS = text(
    "select p.id, p.name from dougong.occupancy o"
    " join dougong.person p on p.community_id = o.community_id and p.id = o.person_id"
    " join dougong.room r on r.community_id = o.community_id and r.id = o.room_id"
    " where o.community_id = :community and o.kind = 'bed' and o.to_on is null"
    " order by r.sort_key, p.sort_key limit 400"
)


def load_users(installation: Installation, group_id: UUID, communities: dict[str, UUID]) -> None:
    """Create the demonstration's logins; none has a password, links sign them in.

    communities: id by kind. ``dougong user link owner`` prints a link for the login ``owner``.
    """
    system = Actor.system("demo")
    owner, child = _portal_people(installation, communities["estate"])
    student = _student(installation, communities["campus"])
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
        people = {"owner": (owner, "estate"), "child": (child, "estate")}
        for login, (person, place) in {**people, "student": (student, "campus")}.items():
            if person is not None:
                user = create_user(session, login, person[1])
                link_person(session, user.id, communities[place], person[0])


def _portal_people(installation: Installation, community_id: UUID) -> list[Any]:
    """Return id and name of an owner, and of somebody who may pay for another; None for nobody.

    The owners are those of the first sixty whose portal has most waiting for them.
    """
    with installation.scope(Actor.system("demo"), community=community_id) as scope:
        owners = scope.session.execute(OWNERS, {"community": community_id}).all()

        def waiting(owner: Any) -> int:
            cards = [c for a in scope.ask("portal_cards", person_id=owner.id) for c in a]
            return sum(card.tone in ("warning", "danger") for card in cards)

        busiest = sorted(owners, key=waiting, reverse=True)[:2]
        owner = (busiest[0].id, busiest[0].name) if busiest else None
        return [owner, _child(scope, busiest[1]) if len(busiest) > 1 else None]


def _student(installation: Installation, community_id: UUID) -> Any:
    """Return id and name of the first who lives in a dormitory and has something in the portal."""
    with installation.scope(Actor.system("demo"), community=community_id) as scope:
        for student in scope.session.execute(STUDENTS, {"community": community_id}).all():
            if any(scope.ask("portal_cards", person_id=student.id)):
                return student.id, student.name
    return None


def _child(scope: Scope, parent: Any) -> tuple[UUID, str]:
    """Write somebody of the parent's family name who lives elsewhere and may pay."""
    child = Person(name=f"{parent.name[0]}晓雨", phone="13800138021")
    scope.session.add(child)
    scope.session.flush()
    scope.session.add(
        Family(person_id=parent.id, relative_id=child.id, relation="子女", from_on=scope.today)
    )
    scope.session.flush()
    return child.id, child.name
