"""A new building is delivered: the batch, its rooms, many at once, one with its readings."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from urllib.parse import quote
from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WebResponse

from dougong.db import Scope, member_label
from dougong.documents import Document
from dougong.errors import Conflict, DougongError, Invalid
from dougong.i18n import N_, gettext, translate_error
from dougong.web.admin.cells import person_parts, room_code, several
from dougong.web.app import require_scope
from dougong_fees import services
from dougong_fees.models import Delivery, DeliveryRoom
from dougong_fees.services import deliveries
from dougong_fees.services.deliveries import Expected
from dougong_fees.services.handovers import meters_of

Answer = str | WebResponse | tuple[str, int]


def add_pages(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint."""
    place = "/deliveries"
    blueprint.add_url_rule(place, "show_deliveries", overview)
    blueprint.add_url_rule(place, "plan_delivery", plan, methods=["POST"])
    blueprint.add_url_rule(f"{place}/<uuid:delivery_id>", "delivery", batch)
    blueprint.add_url_rule(f"{place}/<uuid:delivery_id>", "deliver_many", many, methods=["POST"])
    blueprint.add_url_rule(f"{place}/<uuid:delivery_id>.pdf", "delivery_sheets", sheets)
    blueprint.add_url_rule(f"{place}/room/<uuid:record_id>", "delivery_room", one)
    blueprint.add_url_rule(f"{place}/room/<uuid:record_id>", "deliver", deliver, methods=["POST"])
    blueprint.add_url_rule(f"{place}/room/<uuid:record_id>.pdf", "delivery_sheet", sheet)


def overview(problem: str = "") -> str:
    """Show the batches with how far they are, and the form for a new one."""
    scope = require_scope()
    scope.require("fees.delivery.view")
    return render_template(
        "fees/deliveries.html",
        found=deliveries.deliveries(scope),
        given=request.form,
        today=scope.today,
        member=member_label,
        problem=problem,
    )


def plan() -> Answer:
    """Make a batch from the developer's list, pasted as it is, or say which lines are wrong."""
    scope, form = require_scope(), request.form
    scope.require("fees.delivery.plan")
    try:
        deemed = form.get("deemed_on")
        with scope.session.begin_nested():
            made = services.plan_delivery(
                scope,
                form.get("name", ""),
                (_day(form, "from_on"), _day(form, "until_on")),
                [_expected(line) for line in form.get("lines", "").splitlines() if line.strip()],
                _day(form, "deemed_on") if deemed else None,
                form.get("basis"),
            )
    except Invalid as error:
        return overview(_said(error)), 422
    return redirect(url_for(".delivery", delivery_id=made.id), 303)


def _expected(line: str) -> Expected:
    """Return a line of the list: 「1-1-301 张三、李四 13800000000」, by tabs, commas, spaces."""
    code, _, rest = line.strip().replace("\t", " ").replace(",", " ", 1).partition(" ")
    name, phone, _identity = person_parts(rest)
    names = tuple(part for each in several(name) for part in each.split())
    return Expected(room_code(code), names, phone or None)


def batch(delivery_id: UUID, problems: Mapping[UUID, str] | None = None) -> str:
    """Show the rooms of a batch; those whose buyers came together are ticked and delivered."""
    scope = require_scope()
    scope.require("fees.delivery.view")
    delivery, after = scope.get(Delivery, delivery_id), request.args.get("after", "")
    rooms = deliveries.rooms_of(scope, delivery, after)
    return render_template(
        "fees/delivery.html",
        delivery=delivery,
        rooms=rooms,
        problems=problems or {},
        waiting=deliveries.OPEN,
        today=scope.today,
        member=member_label,
        further=rooms[-1].room.sort_key if len(rooms) == deliveries.MOST else None,
    )


def many(delivery_id: UUID) -> Answer:
    """Deliver the ticked rooms; what could not be done is said beside its room."""
    scope, form = require_scope(), request.form
    scope.require("fees.delivery.hand_over_many")
    delivery = scope.get(Delivery, delivery_id)
    ids = [UUID(each) for each in form.getlist("room")]
    problems = services.deliver_many(scope, delivery, ids, _day(form, "on"))
    if problems:
        return batch(delivery_id, problems)
    return redirect(url_for(".delivery", delivery_id=delivery_id), 303)


def one(record_id: UUID, problem: str = "") -> str:
    """Show a room of a batch with its meters, keys and defects."""
    scope = require_scope()
    scope.require("fees.delivery.view")
    record = scope.get(DeliveryRoom, record_id)
    return render_template(
        "fees/delivery_room.html",
        record=record,
        is_open=record.state in deliveries.OPEN,
        meters=meters_of(scope, record.room, scope.today),
        given=request.form,
        today=scope.today,
        member=member_label,
        problem=problem,
    )


def deliver(record_id: UUID) -> Answer:
    """Deliver one room, or keep why it was refused."""
    scope, form = require_scope(), request.form
    record = scope.get(DeliveryRoom, record_id)
    try:
        with scope.session.begin_nested():
            _deliver(scope, record, form)
    except (Invalid, Conflict) as error:
        return one(record_id, _said(error)), error.status
    return redirect(url_for(".delivery", delivery_id=record.delivery_id), 303)


def _deliver(scope: Scope, record: DeliveryRoom, form: Mapping[str, str]) -> None:
    if form.get("do") == "refuse":
        scope.require("fees.delivery_room.refuse")
        services.refuse_delivery(scope, record, form.get("defects", ""))
        return
    scope.require("fees.delivery_room.hand_over")
    keys = form.get("keys", "").strip() or "0"
    if not keys.isdigit() or len(keys) > 3:
        fields = {"keys": gettext("Count the keys.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    values = (_day(form, "on"), _readings(form), int(keys), form.get("defects"))
    services.deliver(scope, record, *values)


def _readings(form: Mapping[str, str]) -> dict[UUID, Decimal]:
    found = {}
    for name, value in form.items():
        if name.startswith("meter-") and value.strip():
            try:
                found[UUID(name.removeprefix("meter-"))] = Decimal(value.strip())
            except (ValueError, InvalidOperation):
                fields = {name: gettext("A reading is a number.")}
                raise Invalid(N_("Some fields are not right yet."), fields=fields) from None
    return found


def _day(form: Mapping[str, str], name: str) -> date:
    try:
        return date.fromisoformat(form.get(name, ""))
    except ValueError:
        fields = {name: gettext("Choose a day.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields) from None


def sheets(delivery_id: UUID) -> Response:
    """Show the sheets of all rooms that are still expected as one PDF."""
    scope = require_scope()
    scope.require("fees.delivery.print")
    return _shown(services.print_delivery(scope, scope.get(Delivery, delivery_id)))


def sheet(record_id: UUID) -> Response:
    """Show the sheet of one room as PDF."""
    scope = require_scope()
    scope.require("fees.delivery_room.print")
    return _shown(services.print_delivery_room(scope, scope.get(DeliveryRoom, record_id)))


def _shown(made: Document) -> Response:
    return Response(
        made.content,
        content_type=made.media_type,
        headers={"Content-Disposition": f"inline; filename*=UTF-8''{quote(made.filename)}"},
    )


def _said(error: DougongError) -> str:
    fields = getattr(error, "fields", None) or {}
    return next(iter(fields.values()), None) or translate_error(error)
