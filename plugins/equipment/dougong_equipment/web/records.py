"""Scanning, labels, and the forecast of what to replace."""

from uuid import UUID

from flask import redirect, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from dougong.db import Scope
from dougong.documents import Label, Sheet, label_pages, render
from dougong.i18n import gettext
from dougong.web.app import current_installation
from dougong_equipment import cards
from dougong_equipment.domain.kinds import EquipmentState, Level
from dougong_equipment.domain.numbers import read_number
from dougong_equipment.models import Equipment, InspectionPoint
from dougong_equipment.services.life import lives
from dougong_equipment.web.pages import (
    Answer,
    address_of,
    blueprint,
    in_community,
    page,
    scanning_page,
)

MOST_LABELS = 2400


@blueprint.get("/scan")
def scan() -> Answer:
    """Scan in the page, or find equipment by the number on its label."""
    scope = in_community()
    scope.require("equipment.equipment.view")
    typed = request.args.get("number", "").strip()
    fault = ""
    if typed:
        number = read_number(typed)
        query = select(Equipment.id).where(Equipment.number == number)
        found = scope.session.scalars(query).first() if number else None
        if found is not None:
            return redirect(url_for(".record", equipment=found), 303)
        fault = (
            gettext("No equipment has this number.")
            if number
            else gettext("This number has a slip in it: compare it with the label.")
        )
    return scanning_page("scan", fault=fault, typed=typed)


@blueprint.get("/labels.pdf")
def labels() -> Answer:
    """Print labels, 24 to a sheet; those of one building with ``building``."""
    scope = in_community()
    scope.require("equipment.equipment.view")
    query = select(Equipment).where(Equipment.state != EquipmentState.RETIRED)
    if building := request.args.get("building", type=UUID):
        query = query.where(Equipment.building_id == building)
    if one := request.args.get("equipment", type=UUID):
        query = query.where(Equipment.id == one)
    address = current_installation().settings.url
    found = scope.session.scalars(query.order_by(Equipment.name).limit(MOST_LABELS))
    made = [
        Label(
            address + address_of(each.community_id, each.code),
            each.number,
            each.name,
            gettext("Scan: record, fault report"),
        )
        for each in found
    ]
    return _sheet(scope, "equipment:labels", made)


@blueprint.get("/point-labels.pdf")
def point_labels() -> Answer:
    """Print the codes of inspection points, 24 to a sheet."""
    scope = in_community()
    scope.require("equipment.inspection_point.view")
    address = current_installation().settings.url
    query = select(InspectionPoint).order_by(InspectionPoint.name).limit(MOST_LABELS)
    made = [
        Label(
            address + address_of(point.community_id, point.code),
            point.code[:4].upper(),
            point.name,
            gettext("Inspection point"),
        )
        for point in scope.session.scalars(query)
    ]
    return _sheet(scope, "equipment:point_labels", made)


def _sheet(scope: Scope, document: str, made: list[Label]) -> Response:
    sheet = Sheet()
    pdf = render(scope, document, {"pages": label_pages(made, sheet), "sheet": sheet})
    return Response(pdf.content, content_type="application/pdf")


@blueprint.get("/replacements")
def replacements() -> Answer:
    """Show when to replace what, the soonest first."""
    scope = in_community()
    scope.require("equipment.equipment.view")
    query = (
        select(Equipment)
        .where(
            Equipment.state.not_in((EquipmentState.RETIRED, EquipmentState.PLANNED)),
            Equipment.level != Level.SYSTEM,
            Equipment.commissioned_on.is_not(None),
        )
        .options(joinedload(Equipment.kind))
        .order_by(Equipment.commissioned_on)
        .limit(300)
    )
    found = lives(scope, scope.session.scalars(query).all())
    rows = [
        (life, cards.forecast_words(life))
        for life in sorted(
            found, key=lambda each: each.forecast.years_left if each.forecast else 99
        )
        if life.forecast is not None
    ]
    return page("replacements", rows=rows[:100])
