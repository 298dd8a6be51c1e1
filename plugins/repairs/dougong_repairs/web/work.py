"""The technician's page on the phone: today's orders, which he works on also without network."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Response as FlaskResponse
from flask import json as flask_json
from flask import redirect, request, url_for
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import joinedload

from dougong import files
from dougong.db import Scope, member_label
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.web.app import csrf_token, require_scope
from dougong.web.offline import web_manifest, worker_script
from dougong_repairs import services
from dougong_repairs.domain.assignment import distance_m
from dougong_repairs.domain.kinds import OrderState, PauseReason
from dougong_repairs.domain.states import WITH_TECHNICIAN, Part, possible
from dougong_repairs.domain.warranty import Cover
from dougong_repairs.models import Quotation, WorkOrder, WorkOrderPart, WorkOrderStep
from dougong_repairs.services.dispatching import RANK, place_in
from dougong_repairs.services.helping import place_of
from dougong_repairs.services.people import DISPATCH
from dougong_repairs.services.syncing import VERBS, Operation, perform
from dougong_repairs.web.pages import Answer, asset, blueprint, clock, page, photo
from dougong_repairs.web.technician import seen_order, worker_here
from dougong_repairs.web.voice import order_said, steps_said
from dougong_repairs.words import verb_words

DONE_SHOWN = timedelta(hours=16)


@blueprint.get("/work/")
def work() -> Answer:
    scope = require_scope()
    if scope.may(DISPATCH) and services.known_technician(scope) is None:
        return redirect(url_for(".board"), 303)
    worker_here()
    return page("work", words=_words(), reasons=PauseReason)


@blueprint.get("/work/worker.js")
def worker() -> FlaskResponse:
    return worker_script()


@blueprint.get("/work/manifest.webmanifest")
def manifest() -> FlaskResponse:
    return web_manifest(gettext("Work orders"), url_for(".work"), asset("repairs.svg"))


@blueprint.get("/work/orders.json")
def work_orders() -> FlaskResponse:
    """Send what the page shows: the technician, his orders, and those he may take."""
    scope, technician = worker_here()
    since = scope.now - DONE_SHOWN
    mine = WorkOrder.technician_id == technician.id
    done = and_(mine, WorkOrder.state == OrderState.DONE, WorkOrder.done_at >= since)
    helped = WorkOrder.id.in_(services.helps_with(scope, technician))
    here_now = and_(or_(mine, helped), WorkOrder.state.in_(WITH_TECHNICIAN))
    query = select(WorkOrder).where(or_(here_now, done))
    query = query.options(joinedload(WorkOrder.room), joinedload(WorkOrder.building))
    places = services.positions(scope)
    here = place_in(places, technician.last_building_id)
    orders = [*scope.session.scalars(query), *services.pool(scope, technician)]
    around = _around(scope, orders)
    shown = [
        _order(scope, order, around, here, place_in(places, order.building_id)) for order in orders
    ]
    for order, entry in zip(orders, shown, strict=True):
        if order.technician_id not in (None, technician.id):
            entry |= {"verbs": [], "may_quote": False}
    body = {
        "csrf": csrf_token(),
        "technician": technician.name,
        "is_on_shift": technician.is_on_shift,
        "desk_phone": scope.setting("repairs.desk_phone", ""),
        "steps_said": steps_said(),
        "orders": sorted(shown, key=_place_in_list),
    }
    return FlaskResponse(flask_json.dumps(body), content_type="application/json")


def _place_in_list(order: Mapping[str, Any]) -> tuple[bool, int, int, int]:
    """Return what comes first: what is not done, urgent, near, and old."""
    is_done = order["state"] == OrderState.DONE
    return is_done, order["rank"], order["distance_m"] or 0, order["number"]


@dataclass(frozen=True)
class _Around:
    """What belongs to the orders of the page, by their ids."""

    pictures: Mapping[UUID, Sequence[files.Attachment]]
    parts: Mapping[UUID, Sequence[WorkOrderPart]]
    steps: Mapping[UUID, Sequence[WorkOrderStep]]
    quotations: Mapping[UUID, Sequence[Quotation]]
    warranties: Mapping[UUID, Sequence[Cover]]


def _around(scope: Scope, orders: Sequence[WorkOrder]) -> _Around:
    """Return it in six statements, however many orders there are."""
    return _Around(
        files.attachments_of_each(scope, orders),
        services.rows_of(scope, WorkOrderPart, orders),
        services.rows_of(scope, WorkOrderStep, orders),
        services.rows_of(scope, Quotation, orders),
        services.warranties_of(scope, orders),
    )


def _order(
    scope: Scope,
    order: WorkOrder,
    around: _Around,
    here: tuple[int, int] | None,
    there: tuple[int, int] | None,
) -> dict[str, Any]:
    pictures = [a for a in around.pictures[order.id] if a.is_inline]
    is_waiting = order.technician_id is None
    return {
        "id": str(order.id),
        "number": order.number,
        "text": order.text,
        "category": member_label(order.category),
        "urgency": order.urgency.value,
        "urgency_words": member_label(order.urgency),
        "rank": RANK[order.urgency] + (10 if is_waiting else 0),
        "state": order.state.value,
        "state_words": member_label(order.state),
        "place": place_of(order),
        "visit_wanted": order.visit_wanted or "",
        "distance_m": distance_m(here, there),
        "way": _way(here, there),
        "needs_help": order.help_wanted_at is not None,
        **order_said(order),
        "clock": clock(scope, order),
        "verbs": [v for v in possible(order.state, {Part.TECHNICIAN}) if v in VERBS],
        "parts": [str(part) for part in around.parts[order.id]],
        **_costs(order, around),
        "photos": [url_for(".work_photo", order=order.id, attachment=a.id) for a in pictures],
        "steps": [verb_words(s.verb) for s in around.steps[order.id][-4:]],
    }


def _costs(order: WorkOrder, around: _Around) -> dict[str, Any]:
    """Return what the phone says of a quotation, and of the warranty that speaks against one."""
    drafted = around.quotations[order.id][-1] if around.quotations[order.id] else None
    quoted = f"{member_label(drafted.state)} ¥{drafted.total:.2f}" if drafted else ""
    covered = around.warranties[order.id]
    words = {"part": covered[0].part, "day": covered[0].last_on} if covered else {}
    return {
        "may_quote": order.person_id is not None
        and order.state in WITH_TECHNICIAN
        and (drafted is None or drafted.state != "offered"),
        "quoted": quoted,
        "warranty": gettext("Under the developer's warranty until %(day)s: %(part)s.", **words)
        if covered
        else "",
    }


def _way(here: tuple[int, int] | None, there: tuple[int, int] | None) -> str:
    """Return the way from one building to another in words; empty when either is not known."""
    if here is None or there is None:
        return ""
    east, south = there[0] - here[0], there[1] - here[1]
    legs = []
    if east > 0:
        legs.append(gettext("%(metres)s m east", metres=east))
    if east < 0:
        legs.append(gettext("%(metres)s m west", metres=-east))
    if south > 0:
        legs.append(gettext("%(metres)s m south", metres=south))
    if south < 0:
        legs.append(gettext("%(metres)s m north", metres=-south))
    return "，".join(legs) or gettext("in the same building")


@blueprint.get("/work/orders/<uuid:order>/photos/<uuid:attachment>")
def work_photo(order: UUID, attachment: UUID) -> Answer:
    scope, technician = worker_here()
    return photo(scope, seen_order(scope, technician, order), attachment)


@blueprint.post("/work/operation")
def take_operation() -> FlaskResponse:
    """Do one thing that was done on the phone, exactly once; answer with what came of it."""
    scope, _technician = worker_here()
    try:
        operation = Operation(
            UUID(request.form.get("client_id", "")),
            request.form.get("verb", ""),
            UUID(request.form.get("order", "")),
            json.loads(request.form.get("values") or "{}"),
        )
    except ValueError:
        raise Invalid(N_("The request was not understood.")) from None
    if not isinstance(operation.values, dict):
        raise Invalid(N_("The request was not understood."))
    upload = request.files.get("photo")
    made = perform(scope, operation, upload.stream if upload else None)
    body = {"is_done": made.is_done, "problem": made.problem or ""}
    return FlaskResponse(flask_json.dumps(body), content_type="application/json")


@blueprint.post("/work/shift")
def change_shift() -> Answer:
    scope, technician = worker_here()
    scope.call("repairs.technician.change_shift", is_on_shift=not technician.is_on_shift)
    return redirect(url_for(".work"), 303)


def _words() -> dict[str, str]:
    """Return the words that the page's script says."""
    return {
        "offline": gettext("No network. What you do is kept and sent later."),
        "online": gettext("Everything is sent."),
        "waiting": gettext("waiting to be sent"),
        "conflict": gettext("Could not be done"),
        "dismiss": gettext("I have read it"),
        "sign_in": gettext("Sign in again to send what waits."),
        "none": gettext("No orders. Well done."),
        "open": gettext("Open"),
        "to_take": gettext("to be taken"),
        "grab": gettext("Take it"),
        "accept": gettext("Accept"),
        "start": gettext("Start"),
        "pause": gettext("Pause"),
        "resume": gettext("Go on"),
        "finish": gettext("Done"),
        "give_back": gettext("Give back"),
        "add_part": gettext("Add a part"),
        "before": gettext("Photo before"),
        "after": gettext("Photo after"),
        "reason": gettext("Why?"),
        "solution": gettext("What was done? (if you like)"),
        "part": gettext("Part"),
        "quantity": gettext("Quantity"),
        "read": gettext("Read aloud"),
        "read_large": gettext("Show in large type"),
        "signature": gettext("Signature of the owner"),
        "sign_here": gettext("Sign here with a finger."),
        "sign_again": gettext("Clear"),
        "sign_keep": gettext("Keep the signature"),
        "quote": gettext("Quotation for paid work"),
        "item": gettext("Part or labour"),
        "price": gettext("Unit price (yuan)"),
        "quote_add": gettext("Add to the quotation"),
        "quote_send": gettext("Send it to the owner"),
        "outside": gettext("Why is it not under warranty?"),
        "help": gettext("Call for help"),
        "help_sent": gettext("The desk is told where you are."),
        "help_waits": gettext("Your call for help waits for the desk."),
        "aloud": gettext("Read each step aloud"),
        "reading": gettext("Reading aloud…"),
        "kept": gettext("Kept"),
        "photos": gettext("Photos"),
        "full": gettext("The phone has no room left. Send what waits before you take more photos."),
    }
