"""The record of equipment as staff see it after a scan: its life, what it says, its control."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import make_response, redirect, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from dougong.db import Scope
from dougong.devices.commands import CommandState
from dougong.devices.configuration import drivers_of
from dougong.devices.models import Device, DeviceCommand, DeviceHour, DeviceValue
from dougong.devices.readings import Point
from dougong.errors import DougongError, NotFound
from dougong.files import attachments_of
from dougong.i18n import N_, translate_error
from dougong.web.charts import LineChart, line_chart
from dougong_equipment import cards
from dougong_equipment.models import Equipment
from dougong_equipment.services.ledger import path_of
from dougong_equipment.web.pages import Answer, blueprint, in_community, page

COMMANDS_SHOWN = 5
LOOKS_BACK = timedelta(hours=24)
APPROVE = "dougong.device_command.approve"
STILL_ASKED = timedelta(minutes=3)
ON_ITS_WAY = (CommandState.QUEUED, CommandState.SENT)


@dataclass
class Said:
    """A point, its last value, and what it was in the hours before. lowest, highest: of them."""

    point: Point
    value: DeviceValue
    hours: list[DeviceHour] = field(default_factory=list)
    chart: LineChart | None = None

    @property
    def span(self) -> str:
        """Return lowest and highest of the hours, for people; empty without a line."""
        if self.chart is None:
            return ""
        lowest = min(hour.lowest for hour in self.hours)
        highest = max(hour.highest for hour in self.hours)
        return f"{_plain(lowest)} – {_plain(highest)}"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


@blueprint.get("/of/<uuid:equipment>")
def record(equipment: UUID) -> Answer:
    return _record(equipment)


def _record(equipment_id: UUID, **values: Any) -> Answer:
    scope = in_community()
    scope.require("equipment.equipment.view")
    found, above = _found(scope, equipment_id)
    panels, device = scope.answer(_asked(scope, found))
    answer = make_response(
        page(
            "record",
            equipment=found,
            above=above,
            warranty_days=_days_left(scope, found),
            panels=panels,
            documents=attachments_of(scope, found),
            may_control=scope.may("equipment.equipment.control"),
            may_approve=scope.may(APPROVE),
            may_report=scope.may("equipment.fault.report"),
            may_monitor=scope.may("dougong.device.view"),
            now=scope.now,
            **{"fault": "", **device, **values},
        )
    )
    if not values and any(_moves(scope, order) for order in device.get("orders", ())):
        answer.headers["Refresh"] = "3"
    return answer


def _moves(scope: Scope, order: DeviceCommand) -> bool:
    """Tell whether the state of a command may still change by itself in the next moments."""
    is_fresh = scope.now - order.ordered_at < STILL_ASKED
    return order.state in ON_ITS_WAY or (order.state is CommandState.UNKNOWN and is_fresh)


def _found(scope: Scope, equipment_id: UUID) -> tuple[Equipment, Sequence[Equipment]]:
    """Return equipment and what it is part of, the outermost first; one statement."""
    query = (
        select(Equipment)
        .where(Equipment.id.in_(path_of(equipment_id)))
        .options(
            joinedload(Equipment.kind),
            joinedload(Equipment.building),
            joinedload(Equipment.contractor),
            joinedload(Equipment.device).joinedload(Device.gateway),
        )
    )
    rows = {each.id: each for each in scope.session.scalars(query)}
    if equipment_id not in rows:
        raise NotFound(N_("There is no such page."))
    above: list[Equipment] = []
    up = rows.get(rows[equipment_id].parent_id)  # type: ignore[arg-type]
    while up is not None and up not in above:
        above.insert(0, up)
        up = rows.get(up.parent_id)  # type: ignore[arg-type]
    return rows[equipment_id], above


def _asked(scope: Scope, equipment: Equipment) -> Generator[Any, Any, Any]:
    """Ask for the panels and for what the device says, in one statement; return both."""
    panels = cards.equipment_panels(scope, equipment)
    wanted = next(panels)
    device = equipment.device
    if device is None:
        rows = yield wanted
        return _panels(panels, rows), {}
    told = (
        select(DeviceValue).where(DeviceValue.device_id == device.id),
        select(DeviceHour)
        .where(DeviceHour.device_id == device.id, DeviceHour.hour_at >= scope.now - LOOKS_BACK)
        .order_by(DeviceHour.hour_at),
        select(DeviceCommand)
        .where(DeviceCommand.device_id == device.id)
        .order_by(DeviceCommand.id.desc())
        .limit(COMMANDS_SHOWN),
    )
    rows = yield (*wanted, *told)
    values, hours, orders = (found.scalars().all() for found in rows[len(wanted) :])
    return _panels(panels, rows[: len(wanted)]), _device(scope, device, values, hours, orders)


def _panels(asking: Generator[Any, Any, Any], rows: Sequence[Any]) -> Any:
    """Give the panels their rows; return what they come to."""
    try:
        asking.send(rows)
    except StopIteration as end:
        return end.value
    raise RuntimeError("the panels of equipment ask once")


def _days_left(scope: Scope, equipment: Equipment) -> int | None:
    """Return how many days of warranty are left, negative when it is over."""
    until = equipment.warranty_until_on
    return None if until is None else (until - scope.today).days


def _device(
    scope: Scope,
    device: Device,
    values: Sequence[DeviceValue],
    hours: Sequence[DeviceHour],
    orders: Sequence[DeviceCommand],
) -> dict[str, Any]:
    """Return what the device says, what it can be told, and what it was told last."""
    driver = drivers_of(scope.installation)[0].working.get(device.driver)
    profile = driver.profiles.get(device.profile) if driver else None
    last = {value.point: value for value in values}
    points = [point for point in (profile.points if profile else ()) if point.key in last]
    said = [
        Said(point, last[point.key], [hour for hour in hours if hour.point == point.key])
        for point in points
    ]
    for each in said:
        each.chart = line_chart([(hour.hour_at, hour.last) for hour in each.hours], scope.zone)
    return {"values": said, "commands": profile.commands if profile else (), "orders": orders}


@blueprint.post("/of/<uuid:equipment>/<any(control, report, lock, unlock):verb>")
def act(equipment: UUID, verb: str) -> Answer:
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
    return _done(equipment, name, given)


@blueprint.post("/of/<uuid:equipment>/<uuid:command>/<any(approve, withdraw):verb>")
def decide(equipment: UUID, command: UUID, verb: str) -> Answer:
    """Approve a command as the second person, or take it back."""
    if verb == "approve":
        return _done(equipment, APPROVE, {"command": command})
    given = {"equipment": equipment, "command_id": command}
    return _done(equipment, "equipment.equipment.withdraw", given)


def _done(equipment: UUID, name: str, given: dict[str, Any]) -> Answer:
    try:
        in_community().call(name, **given)
    except DougongError as error:
        if error.status not in (409, 422):
            raise
        fields = getattr(error, "fields", {}) or {}
        words = " ".join([translate_error(error), *fields.values()])
        return _record(equipment, fault=words), error.status  # type: ignore[return-value]
    return redirect(url_for(".record", equipment=equipment), 303)
