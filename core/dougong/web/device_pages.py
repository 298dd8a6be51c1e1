"""Pages of devices: how each is doing, what it says, its past hours, and commands to it."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Flask, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from dougong.db.columns import member_label
from dougong.db.scope import Scope
from dougong.devices.certificates import ends_soon
from dougong.devices.commands import DANGEROUS, CommandSpec, CommandState, Effect, Ground
from dougong.devices.configuration import drivers_of
from dougong.devices.history import hours_of
from dougong.devices.lists import ListSpec
from dougong.devices.models import (
    Device,
    DeviceCommand,
    DeviceHealth,
    DeviceList,
    DeviceListState,
    DeviceValue,
)
from dougong.devices.profiles import Profile, find_profile
from dougong.devices.readings import PointKind
from dougong.devices.services import approve_command, withdraw_command
from dougong.errors import DougongError, Invalid, NotFound
from dougong.i18n import N_, bilingual, gettext, translate_error
from dougong.installation import Installation
from dougong.web.admin.menu import menu_page
from dougong.web.app import current_installation, require_scope
from dougong.web.charts import line_chart

VIEW, ORDER, APPROVE, SET_LIST = (
    "dougong.device.view",
    "dougong.device.order",
    "dougong.device_command.approve",
    "dougong.device.set_list",
)
MOST, SHOWN_VALUES, SHOWN_COMMANDS = 400, 3, 20
SPANS = {24: N_("24 hours"), 168: N_("7 days"), 720: N_("30 days")}
blueprint = Blueprint("devices", __name__, url_prefix="/<scope:scope>/devices")


def install(app: Flask, installation: Installation) -> None:
    """Add the pages and their place in the menu."""
    from dougong.devices.admin import SECTION

    menu_page(
        "devices.overview", ("Device monitor", "设备监控"), VIEW, section=SECTION,
        icon="monitor", order=5, only_in="community",
    )  # fmt: skip
    app.register_blueprint(blueprint)


@dataclass
class Line:
    """One device as the overview shows it."""

    device: Device
    health: DeviceHealth | None = None
    values: list[DeviceValue] = field(default_factory=list)
    titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def tone(self) -> str:
        if not self.device.is_enabled or self.health is None:
            return "plain"
        return "good" if self.health.is_ok else "danger"

    @property
    def state(self) -> str:
        if not self.device.is_enabled:
            return gettext(N_("not in use"))
        if self.health is None:
            return gettext(N_("not heard yet"))
        return gettext(N_("answers")) if self.health.is_ok else gettext(N_("does not answer"))


def _reader(permission: str = VIEW) -> Scope:
    scope = require_scope()
    if scope.community_id is None:
        raise NotFound(N_("Choose a community first."))
    scope.require(permission)
    return scope


@blueprint.get("/")
def overview() -> str:
    """Show the devices by gateway, those that do not answer first when asked for."""
    scope = _reader()
    words = request.args.get("q", "").replace("\0", "").strip()
    only_mute = request.args.get("only") == "mute"
    lines = _lines(scope, words)
    health = _health(
        scope, {line.device.gateway_id for line in lines} | {d.device.id for d in lines}
    )
    for line in lines:
        line.health = health.get(line.device.id)
    counts = {
        tone: sum(line.tone == tone for line in lines) for tone in ("good", "danger", "plain")
    }
    if only_mute:
        lines = [line for line in lines if line.tone == "danger"]
    gateways: dict[UUID, list[Line]] = {}
    for line in lines:
        gateways.setdefault(line.device.gateway_id, []).append(line)
    return render_template(
        "devices/overview.html",
        gateways=[(own[0].device.gateway, own) for own in gateways.values()],
        health=health,
        counts=counts,
        words=words,
        only_mute=only_mute,
        is_cut_short=len(lines) == MOST,
        ends_soon=ends_soon,
        now=scope.now,
        member=member_label,
    )


def _profile(device: Device) -> Profile | None:
    """Return the model of a device; None without its driver."""
    drivers, _ = drivers_of(current_installation())
    driver = drivers.working.get(device.driver)
    if driver is None:
        return None
    try:
        return find_profile(driver, device.profile, device.gateway.transport)
    except DougongError:
        return None


def _titles(profile: Profile | None) -> dict[str, str]:
    """Return what people call the points and commands of a model, in its order."""
    if profile is None:
        return {}
    points = {p.key: str(bilingual(*p.title)) if p.title else p.key for p in profile.points}
    named: list[CommandSpec | ListSpec] = [*profile.commands, *profile.lists]
    return points | {n.name: str(bilingual(*n.title)) if n.title else n.name for n in named}


def _in_order(values: Iterable[DeviceValue], titles: Mapping[str, str]) -> list[DeviceValue]:
    """Return values as their model lists them."""
    places = {key: place for place, key in enumerate(titles)}
    return sorted(values, key=lambda v: (places.get(v.point, len(places)), v.point))


def _lines(scope: Scope, words: str) -> list[Line]:
    query = (
        select(Device)
        .options(joinedload(Device.gateway))
        .order_by(Device.gateway_id, Device.name)
        .limit(MOST)
    )
    if words:
        query = query.where(Device.name.contains(words, autoescape=True))
    lines = {device.id: Line(device) for device in scope.session.scalars(query)}
    values = select(DeviceValue).where(DeviceValue.device_id.in_(lines)).order_by(DeviceValue.point)
    for value in scope.session.scalars(values):
        if value.value is not None and value.point_kind not in (PointKind.TEXT, PointKind.STATE):
            lines[value.device_id].values.append(value)
    models: dict[tuple[str, str], dict[str, str]] = {}
    for line in lines.values():
        model = (line.device.driver, line.device.profile)
        if model not in models:
            models[model] = _titles(_profile(line.device))
        line.titles = models[model]
        line.values = _in_order(line.values, line.titles)[:SHOWN_VALUES]
    return list(lines.values())


def _health(scope: Scope, subjects: Collection[UUID]) -> dict[UUID, DeviceHealth]:
    query = select(DeviceHealth).where(DeviceHealth.subject_id.in_(subjects))
    return {health.subject_id: health for health in scope.session.scalars(query)}


@blueprint.get("/<uuid:device>")
def details(device: UUID) -> str:
    """Show one device: health, points, a chart of one of them, commands."""
    return _details(_reader(), device)


def _details(scope: Scope, device_id: UUID, problem: str = "", **given: Any) -> str:
    line, lists = _line(scope, device_id)
    device = line.device
    profile = _profile(device)
    titles = _titles(profile)
    read, told = scope.together(
        select(DeviceValue).where(DeviceValue.device_id == device.id),
        select(DeviceCommand)
        .where(DeviceCommand.device_id == device.id)
        .order_by(DeviceCommand.id.desc())
        .limit(SHOWN_COMMANDS),
    )
    values, commands = _in_order(read.scalars(), titles), told.scalars().all()
    return render_template(
        "devices/details.html",
        line=line,
        device=device,
        values=values,
        commands=commands,
        waits=[c for c in commands if c.state in (CommandState.QUEUED, CommandState.SENT)],
        titles=titles,
        specs=profile.commands if profile is not None and scope.may(ORDER) else (),
        is_dangerous=lambda spec: spec.effect in DANGEROUS or spec.two_persons,
        needs_ground=lambda spec: spec.effect is Effect.CUT_SUPPLY,
        grounds=[g for g in Ground if g is not Ground.PROPERTY_FEES],
        may_approve=scope.may(APPROVE),
        may_withdraw=scope.may(ORDER),
        lists=lists,
        kept_lists=profile.lists if profile is not None else (),
        may_set_list=scope.may(SET_LIST),
        is_open_list=lambda spec: spec.removal is Effect.NONE,
        entries_of=_entries,
        now=scope.now,
        member=member_label,
        problem=problem,
        given=given,
        crumbs=[(scope.place.name, url_for("admin.dashboard")),
                (gettext(N_("Device monitor")), url_for(".overview")), (device.name, None)],
        **_chart(scope, device, values),
    )  # fmt: skip


def _line(
    scope: Scope, device_id: UUID
) -> tuple[Line, dict[str, tuple[DeviceList, DeviceListState | None]]]:
    """Return a device, its gateway, health and lists, in one statement; raises NotFound."""
    query = (
        select(Device, DeviceHealth, DeviceList, DeviceListState)
        .options(joinedload(Device.gateway))
        .outerjoin(DeviceHealth, DeviceHealth.subject_id == Device.id)
        .outerjoin(DeviceList, DeviceList.device_id == Device.id)
        .outerjoin(DeviceListState, DeviceListState.list_id == DeviceList.id)
        .where(Device.id == device_id)
    )
    rows = scope.session.execute(query).all()
    if not rows:
        raise NotFound(N_("There is no such device here."))
    lists: dict[str, tuple[DeviceList, DeviceListState | None]] = {
        kept.name: (kept, state) for _, _, kept, state in rows if kept is not None
    }
    return Line(rows[0][0], rows[0][1]), lists


def _entries(kept: DeviceList | None) -> str:
    """Return a list as people write it: one entry a line, key and content."""
    entries: dict[str, str] = json.loads(kept.entries or "{}") if kept is not None else {}
    return "\n".join(f"{key} {content}" for key, content in sorted(entries.items()))


def _chart(scope: Scope, device: Device, values: Any) -> dict[str, Any]:
    """Return the past of the point in the address, by default of the first number."""
    numeric = [v.point for v in values if v.point_kind in ("counter", "gauge", "setpoint")]
    point = request.args.get("point", "")
    if point not in numeric:
        point = numeric[0] if numeric else ""
    hours = request.args.get("hours", 24, type=int)
    hours = hours if hours in SPANS else 24
    past = hours_of(scope, device.id, point, scope.now - timedelta(hours=hours)) if point else []
    uom = next((v.uom for v in values if v.point == point), "")
    chart = line_chart([(h.hour_at, h.last) for h in past], scope.zone)
    spans = {span: gettext(words) for span, words in SPANS.items()}
    return {"numeric": numeric, "point": point, "hours": hours, "past": past, "uom": uom,
            "chart": chart, "spans": spans}  # fmt: skip


@blueprint.post("/<uuid:device>/order")
def order(device: UUID) -> Response | tuple[str, int]:
    """Give a command; one that a rule refuses is shown again with the reason."""
    scope, form = _reader(ORDER), request.form
    name = form.get("name", "")
    try:
        scope.call(
            "dougong.device.order",
            device=device,
            name=name,
            reason=form.get("reason", "").strip(),
            ground=form.get("ground") or None,
            value=form.get("value", "").strip(),
            policy=form.get("policy", "").strip(),
        )
    except DougongError as error:
        if error.status in (403, 404):
            raise
        fields = error.fields if isinstance(error, Invalid) else {}
        problem = next(iter(fields.values()), None) or translate_error(error)
        return _details(scope, device, problem, **{**form, "command": name}), error.status
    return redirect(url_for(".details", device=device, done=1, _anchor="commands"), 303)  # type: ignore[return-value]


@blueprint.post("/<uuid:device>/list")
def set_list(device: UUID) -> Response | tuple[str, int]:
    """Say what a device shall keep, one entry a line; a list of people's cards is not set here."""
    scope, form = _reader(SET_LIST), request.form
    lines = [line.split(None, 1) for line in form.get("entries", "").splitlines() if line.strip()]
    try:
        if any(len(line) != 2 for line in lines):
            raise Invalid(N_("Write one entry a line: the key, a space, the content."))
        entries = {key: content.strip() for key, content in lines}
        scope.call(
            "dougong.device.set_list", device=device, name=form.get("name", ""), entries=entries
        )
    except DougongError as error:
        if error.status in (403, 404):
            raise
        fields = error.fields if isinstance(error, Invalid) else {}
        problem = next(iter(fields.values()), None) or translate_error(error)
        return _details(scope, device, problem, entries=form.get("entries", "")), error.status
    return redirect(url_for(".details", device=device, done=1, _anchor="lists"), 303)  # type: ignore[return-value]


@blueprint.post("/commands/<uuid:command>/approve")
def approve(command: UUID) -> Response | tuple[str, int]:
    """Approve a command as the second person."""
    return _decide(_reader(APPROVE), command, approve_command)


@blueprint.post("/commands/<uuid:command>/withdraw")
def withdraw(command: UUID) -> Response | tuple[str, int]:
    """Take a command back that was not sent yet."""
    return _decide(_reader(ORDER), command, withdraw_command)


def _decide(
    scope: Scope, command: UUID, decide: Callable[[Scope, DeviceCommand], DeviceCommand]
) -> Response | tuple[str, int]:
    row = scope.get(DeviceCommand, command, lock=True)
    try:
        decide(scope, row)
    except DougongError as error:
        return _details(scope, row.device_id, translate_error(error)), error.status
    return redirect(url_for(".details", device=row.device_id, done=1, _anchor="commands"), 303)  # type: ignore[return-value]
