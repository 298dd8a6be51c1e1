"""Where people land: staff in the admin, owners in their portal."""

from typing import Any
from uuid import UUID

from flask import Blueprint, Flask, Response, g, redirect, render_template, request
from sqlalchemy import Select, or_, select

from dougong.db.scope import Actor, Scope
from dougong.errors import NotAllowed
from dougong.hookspecs import Card
from dougong.i18n import N_, gettext
from dougong.installation import Installation
from dougong.messages import unread_query
from dougong.tenancy.models import Ownership, Person, Room
from dougong.web.app import current_installation, require_scope, sign_in_first

THEME_COOKIE = "dougong_theme"
LARGE_COOKIE = "dougong_large"
blueprint = Blueprint("home", __name__)


def install(app: Flask, installation: Installation) -> None:
    """Add the first page and the portal, and what every page's frame needs."""
    app.register_blueprint(blueprint)
    app.context_processor(_frame)


def _frame() -> dict[str, Any]:
    scope: Scope | None = g.get("scope")
    actor: Actor | None = g.get("actor")
    return {
        "theme": "dark" if request.cookies.get(THEME_COOKIE) == "dark" else "light",
        "is_large": request.cookies.get(LARGE_COOKIE) == "1",
        "is_portal": scope is not None and actor is not None and not is_staff(actor),
        "place_url": f"/{scope.url_part}" if scope is not None else "",
    }


def is_staff(actor: Actor) -> bool:
    """Tell whether the actor holds any role beyond being a resident."""
    return any(grant.role != "resident" for grant in actor.grants)


@blueprint.get("/")
def first() -> Response:
    """Send everyone to the place where his work is."""
    actor: Actor | None = g.actor
    if actor is None:
        return sign_in_first()
    return redirect(first_place(current_installation(), actor), 303)  # type: ignore[return-value]


def first_place(installation: Installation, actor: Actor) -> str:
    """Return the first page of an actor: group, community or portal."""
    for grant in actor.grants:
        if grant.role == "resident":
            continue
        if grant.communities is not None and len(grant.communities) == 1:
            return f"/c/{next(iter(grant.communities))}/admin/"
        group = grant.group_id or _first_group(installation)
        if group is not None:
            return f"/g/{group}/admin/"
    for community_id in actor.persons:
        return f"/c/{community_id}/home"
    return "/account"


def _first_group(installation: Installation) -> UUID | None:
    from dougong.tenancy.models import PropertyGroup

    with installation.access() as session:
        return session.scalars(select(PropertyGroup.id).order_by(PropertyGroup.id)).first()


@blueprint.get("/<scope:scope>/home")
def portal() -> str:
    """Show an owner or occupant what waits for him."""
    scope = require_scope()
    person_id = scope.actor.persons.get(scope.community_id) if scope.community_id else None
    if person_id is None:
        raise NotAllowed(N_("This page is for people who own or live here."))
    people, counted, owned = scope.together(
        select(Person).where(Person.id == person_id), unread_query(scope), _owned(scope, person_id)
    )
    person, unread = people.scalar_one(), counted.scalar_one()
    cards = [card for answer in scope.ask("portal_cards", person_id=person_id) for card in answer]
    if unread:
        value = gettext("%(count)s new messages", count=unread)
        cards.append(Card(gettext("Inbox"), value, tone="warning", url="inbox/", order=15))
    return render_template(
        "portal/home.html",
        person_name=person.name,
        cards=sorted(cards, key=lambda card: card.order),
        rooms=owned.scalars().all(),
    )


def _owned(scope: Scope, person_id: UUID) -> Select[Room]:
    """Return the query of the rooms that somebody owns today."""
    return (
        select(Room)
        .join(Ownership, (Ownership.room_id == Room.id))
        .where(
            Ownership.person_id == person_id,
            Ownership.from_on <= scope.today,
            or_(Ownership.to_on.is_(None), Ownership.to_on > scope.today),
        )
        .order_by(Room.sort_key)
        .limit(20)
    )
