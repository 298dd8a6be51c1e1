"""The collection rate by place: buildings by floor, or the rooms of one building."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from flask import Blueprint, render_template, request, url_for

from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.web.app import require_scope
from dougong.web.places_heat import Links, places_heat
from dougong_fees.services import figures


def add_pages(blueprint: Blueprint) -> None:
    """Add the page to the plugin's blueprint."""
    blueprint.add_url_rule("/map", "collection_map", collection_map)


def collection_map() -> str:
    """Show what was collected of a month's bills, by building and floor, or by room."""
    scope = require_scope()
    if scope.community_id is None:
        raise NotFound(N_("Choose a community first."))
    scope.require("fees.bill.view")
    month = _month(request.args.get("month", "")) or figures.last_billed_month(scope)
    building = _building(request.args.get("building", ""))
    bills = f"/{scope.url_part}/admin/fees/bill/?state=open,partly_paid&room="
    links = Links(
        room=lambda room: f"{bills}{room}",
        building=lambda one: url_for("fees.collection_map", building=one, month=f"{month:%Y-%m}"),
    )
    shares = figures.collection_by_room(scope, month, building)
    found = places_heat(scope, lambda rooms: dict(shares), percent, links, building)
    paid, due = (sum((s[n] for s in shares.values()), Decimal(0)) for n in (0, 1))
    return render_template(
        "fees/collection_map.html",
        found=found,
        month=month,
        building=building,
        percent=percent,
        paid=paid,
        due=due,
    )


def percent(rate: Decimal) -> str:
    """Return a share as percent, to a tenth: it is rounded down, so 100 means all of it."""
    whole = int(rate * 1000)
    return f"{whole // 10}.{whole % 10}%" if whole % 10 else f"{whole // 10}%"


def _month(text: str) -> date | None:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        return None


def _building(text: str) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(N_("There is no such page.")) from error
