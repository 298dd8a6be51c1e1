"""The record of equipment as staff see it after a scan, labels, scanning, and the forecast."""

from typing import Any
from uuid import UUID

from flask import redirect, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from dougong.db import Scope
from dougong.devices.configuration import drivers_of
from dougong.devices.models import DeviceCommand, DeviceValue
from dougong.documents import Label, Sheet, label_pages, render
from dougong.errors import DougongError
from dougong.files import attachments_of
from dougong.i18n import gettext, translate_error
from dougong.web.app import current_installation
from dougong_equipment import cards
from dougong_equipment.domain.kinds import EquipmentState
from dougong_equipment.domain.numbers import read_number
from dougong_equipment.models import Equipment, InspectionPoint
from dougong_equipment.services.ledger import ancestors
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
COMMANDS_SHOWN = 4


@blueprint.get("/of/<uuid:equipment>")
def record(equipment: UUID) -> Answer:
    return _record(equipment)


def _record(equipment_id: UUID, **values: Any) -> str:
    scope = in_community()
    scope.require("equipment.equipment.view")
    found = scope.get(Equipment, equipment_id)
    device = _device(scope, found) if found.device_id else {}
    return page(
        "record",
        equipment=found,
        above=ancestors(scope, found),
        panels=scope.answer(cards.equipment_panels(scope, found)),
        documents=attachments_of(scope, found),
        may_control=scope.may("equipment.equipment.control"),
        may_report=scope.may("equipment.fault.report"),
        **{"fault": "", "told": "", **device, **values},
    )


def _device(scope: Scope, equipment: Equipment) -> dict[str, Any]:
    """Return what the device says, what it can be told, and what it was told last."""
    device = equipment.device
    drivers, _ = drivers_of(scope.installation)
    driver = drivers.working.get(device.driver)
    profile = driver.profiles.get(device.profile) if driver else None
    said = select(DeviceValue).where(DeviceValue.device_id == device.id)
    values = {v.point: v for v in scope.session.scalars(said)}
    orders = select(DeviceCommand).where(DeviceCommand.device_id == device.id)
    orders = orders.order_by(DeviceCommand.ordered_at.desc()).limit(COMMANDS_SHOWN)
    points = profile.points if profile else ()
    return {
        "values": [(point, values[point.key]) for point in points if point.key in values],
        "commands": profile.commands if profile else (),
        "orders": scope.session.scalars(orders).all(),
    }


@blueprint.post("/of/<uuid:equipment>/<any(control, report, lock, unlock):verb>")
def act(equipment: UUID, verb: str) -> Answer:
    scope = in_community()
    given: dict[str, Any] = {"equipment": equipment}
    name = f"equipment.equipment.{verb}"
    if verb == "control":
        given |= {key: request.form.get(key, "") for key in ("command", "reason", "value")}
    elif verb == "report":
        name = "equipment.fault.report"
        given |= {"text": request.form.get("text", "")}
        given |= {"is_breakdown": "is_breakdown" in request.form}
    elif verb == "lock":
        given |= {"reason": request.form.get("reason", "")}
    try:
        scope.call(name, **given)
    except DougongError as error:
        if error.status not in (409, 422):
            raise
        fields = getattr(error, "fields", {}) or {}
        words = " ".join([translate_error(error), *fields.values()])
        return _record(equipment, fault=words), error.status
    return redirect(url_for(".record", equipment=equipment), 303)


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
