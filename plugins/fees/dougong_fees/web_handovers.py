"""The wizard by which a room changes hands: who and when, readings and preview, statement."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO, cast
from urllib.parse import quote
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dougong.db import Scope, member_label
from dougong.errors import Conflict, DougongError, Invalid, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.tenancy.models import Person, Room
from dougong.web.app import require_scope
from dougong_fees import services
from dougong_fees.models import HandOver
from dougong_fees.services.handovers import RoomMeter, in_yuan, meters_of


@dataclass(frozen=True)
class Wish:
    """Which room changes hands, to whom, from which day on."""

    room: Room
    buyer: Person
    on: date


def add_pages(blueprint: Blueprint) -> None:
    """Add the wizard's pages to the plugin's blueprint."""
    blueprint.add_url_rule("/hand-over", "hand_over", start)
    blueprint.add_url_rule("/hand-over", "make_hand_over", step, methods=["POST"])
    blueprint.add_url_rule("/hand-over/<uuid:record_id>", "hand_over_statement", statement)
    blueprint.add_url_rule("/hand-over/<uuid:record_id>/clearance.pdf", "clearance", clearance)


def start() -> str | tuple[str, int]:
    """Ask who takes over which room when; once that is known, for readings, with a preview."""
    scope = require_scope()
    scope.require("fees.hand_over.make")
    if not request.args.get("room"):
        return _page(scope)
    try:
        wish = _wish(scope, request.args)
        return _page(scope, wish, preview=_preview(scope, wish, {}, False))
    except (Invalid, Conflict, NotFound) as error:
        return _page(scope, fault=error), 422


def step() -> str | Response | tuple[str, int]:
    """Show the statement that would be made, or make it."""
    scope = require_scope()
    scope.require("fees.hand_over.make")
    wish = _wish(scope, request.form)
    releases = request.form.get("deposits") == "release"
    try:
        readings = _readings()
        if request.form.get("do") == "confirm":
            values = (wish.room, wish.buyer, wish.on, readings, releases)
            with scope.session.begin_nested():
                made = services.hand_over(scope, *values)
                services.keep_photos(scope, made, _photos())
            return redirect(url_for(".hand_over_statement", record_id=made.id), 303)
        return _page(scope, wish, preview=_preview(scope, wish, readings, releases))
    except DougongError as error:
        if error.status in (403, 404):
            raise
        return _page(scope, fault=error), 422


def statement(record_id: UUID) -> str:
    """Show what a hand-over did."""
    scope = require_scope()
    scope.require("fees.hand_over.view")
    record = scope.get(HandOver, record_id)
    return render_template(
        "fees/hand_over.html",
        record=record,
        statement=in_yuan(record.statement),
        member=member_label,
    )


def clearance(record_id: UUID) -> Response:
    """Show the certificate that the former owner owes nothing of the room."""
    scope = require_scope()
    scope.require("fees.hand_over.certify")
    made = services.certify_hand_over(scope, scope.get(HandOver, record_id))
    disposition = f"inline; filename*=UTF-8''{quote(made.filename)}"
    headers = {"Content-Disposition": disposition, "Content-Type": made.media_type}
    return Response(made.content, headers=headers)


def _photos() -> list[tuple[str, BinaryIO]]:
    sent = request.files.getlist("photos")
    return [(each.filename, cast(BinaryIO, each.stream)) for each in sent if each.filename]


def _wish(scope: Scope, values: Mapping[str, str]) -> Wish:
    try:
        on = date.fromisoformat(values.get("on", ""))
    except ValueError:
        raise Invalid(
            N_("Some fields are not right yet."), fields={"on": gettext("Choose a day.")}
        ) from None
    room, buyer = (values.get(name, "") for name in ("room", "buyer"))
    return Wish(scope.get(Room, room), scope.get(Person, buyer), on)


def _readings() -> dict[UUID, Decimal]:
    found = {}
    for name, value in request.form.items():
        if name.startswith("meter-") and value.strip():
            try:
                found[UUID(name.removeprefix("meter-"))] = Decimal(value.strip())
            except (ValueError, InvalidOperation):
                raise Invalid(
                    N_("Some fields are not right yet."),
                    fields={name: gettext("A reading is a number.")},
                ) from None
    return found


def _preview(
    scope: Scope, wish: Wish, readings: Mapping[UUID, Decimal], releases: bool
) -> dict[str, Any]:
    values = (wish.room, wish.buyer, wish.on, readings, releases)
    return in_yuan(services.preview_hand_over(scope, *values))


def _page(
    scope: Scope,
    wish: Wish | None = None,
    preview: Mapping[str, Any] | None = None,
    fault: DougongError | None = None,
) -> str:
    meters: list[RoomMeter] = meters_of(scope, wish.room, wish.on) if wish else []
    fields = getattr(fault, "fields", None) or {}
    return render_template(
        "fees/hand_over_wizard.html",
        wish=wish,
        preview=preview,
        meters=meters,
        fault=translate_error(fault) if fault else "",
        reasons=list(fields.values()),
        given=request.form,
        today=scope.today,
    )
