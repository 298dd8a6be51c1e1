"""The collection rate by place: buildings by floor, or the rooms of one building."""

from datetime import date
from decimal import Decimal
from functools import partial
from uuid import UUID

from flask import Blueprint, render_template, request, url_for

from dougong.db import Scope
from dougong.errors import NotFound
from dougong.i18n import N_
from dougong.web.app import require_scope
from dougong.web.places_heat import FloorShare, PlacesHeat, floors_heat, rooms_heat
from dougong_fees.services import figures

NOTHING = Decimal(0)


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
    found, paid, due = _rooms(scope, month, building) if building else _floors(scope, month)
    return render_template(
        "fees/collection_map.html",
        found=found,
        month=month,
        building=building,
        percent=percent,
        paid=paid,
        due=due,
    )


def _floors(scope: Scope, month: date) -> tuple[PlacesHeat, Decimal, Decimal]:
    """Return the map of all buildings, what was paid and what was due, in yuan."""
    shares = [FloorShare(*each) for each in figures.collection_by_floor(scope, month)]
    by_floor = partial(url_for, "fees.collection_map", month=f"{month:%Y-%m}")
    found = floors_heat(scope, shares, percent, lambda one: by_floor(building=one))
    return found, sum((s.part for s in shares), NOTHING), sum((s.whole for s in shares), NOTHING)


def _rooms(scope: Scope, month: date, building: UUID) -> tuple[PlacesHeat, Decimal, Decimal]:
    """Return the map of a building's rooms, what was paid and what was due, in yuan."""
    bills = f"/{scope.url_part}/admin/fees/bill/?state=open,partly_paid&room="
    shares = figures.collection_by_room(scope, month, building)
    found = rooms_heat(
        scope, lambda rooms: dict(shares), percent, lambda room: f"{bills}{room}", building
    )
    paid, due = (sum((s[n] for s in shares.values()), NOTHING) for n in (0, 1))
    return found, paid, due


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
