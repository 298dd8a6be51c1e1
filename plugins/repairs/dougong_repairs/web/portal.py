"""The owners' pages: report, follow live, urge, rate, reopen."""

from typing import Any
from uuid import UUID

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from dougong import files
from dougong.db import Scope
from dougong.i18n import gettext
from dougong_repairs import services
from dougong_repairs.domain import states
from dougong_repairs.domain.kinds import Category
from dougong_repairs.web.pages import (
    ICONS,
    Answer,
    asker,
    attach_photos,
    blueprint,
    form,
    page,
    photo,
)


@blueprint.get("/my/")
def mine() -> Answer:
    return page("mine", orders=services.my_orders(asker()), open_states=states.OPEN)


@blueprint.get("/my/new")
def new_report() -> Answer:
    chosen = request.args.get("category", "")
    return page("report", **_report_form(asker()), faults={}, given={"category": chosen})


def _report_form(scope: Scope) -> dict[str, Any]:
    return {
        "categories": Category,
        "icons": ICONS,
        "rooms": services.my_rooms(scope),
        "accepted": "image/*",
    }


@blueprint.post("/my/new")
def report() -> Answer:
    scope = asker()

    def send() -> Response:
        room = request.form.get("room_id", "")
        order = scope.call(
            "repairs.work_order.report",
            text=request.form.get("text", ""),
            category=request.form.get("category") or None,
            room_id=None if room in ("", "public") else room,
            place=request.form.get("place", "") if room == "public" else None,
            visit_wanted=request.form.get("visit_wanted") or None,
            client_id=request.form.get("client_id") or None,
        )
        if not files.attachments_of(scope, order):
            attach_photos(scope, order)
        return redirect(url_for(".my_repair", order=order.id), 303)

    return form("report", send, **_report_form(scope))


@blueprint.get("/my/<uuid:order>")
def my_repair(order: UUID) -> Answer:
    return page("repair", **_repair(asker(), order), faults={}, given={})


@blueprint.get("/my/<uuid:order>/story")
def story(order: UUID) -> Answer:
    return page("story", **_repair(asker(), order), faults={}, given={})


def _repair(scope: Scope, order_id: UUID) -> dict[str, Any]:
    order = services.my_order(scope, order_id)
    return {
        "order": order,
        "steps": services.steps_of(scope, order, is_owner=True),
        "photos": [a for a in files.attachments_of(scope, order) if a.is_inline],
        "parts": services.parts_of_order(scope, order),
        "quotation": (quotation := services.quotation_of(scope, order)),
        "quoted": services.lines_of(scope, quotation) if quotation else (),
        "may_decide": bool(quotation) and quotation.state == "offered",
        "may_urge": order.state in states.OPEN and states.may_urge(order.urged_at, scope.now),
        "may_rate": order.state is states.DONE,
        "may_reopen": states.may_reopen(order.state, order.done_at, scope.now),
        "may_cancel": order.state in states.STEPS["cancel"].sources,
        "is_open": order.state in states.OPEN,
        "marks": marks(),
    }


def marks() -> dict[int, str]:
    """Return the five marks in words."""
    words = (
        gettext("very bad"),
        gettext("bad"),
        gettext("fair"),
        gettext("good"),
        gettext("very good"),
    )
    return dict(zip(states.RATINGS, words, strict=True))


@blueprint.get("/my/<uuid:order>/photos/<uuid:attachment>")
def my_photo(order: UUID, attachment: UUID) -> Answer:
    scope = asker()
    return photo(scope, services.my_order(scope, order), attachment)


@blueprint.post("/my/<uuid:order>/quotations/<uuid:quotation>/<any(accept, decline):verb>")
def decide_quotation(order: UUID, quotation: UUID, verb: str) -> Answer:
    given = {"work_order_id": order, "quotation_id": quotation}
    asker().call(f"repairs.work_order.{verb}_quote_mine", **given)
    return redirect(url_for(".my_repair", order=order), 303)


@blueprint.post("/my/<uuid:order>/<any(urge, rate, reopen, cancel):verb>")
def act_on_mine(order: UUID, verb: str) -> Answer:
    scope = asker()
    given: dict[str, Any] = {"work_order_id": order}
    if verb == "rate":
        names = ("rating", "rating_speed", "rating_manner", "rating_quality")
        given |= {name: request.form[name] for name in names if request.form.get(name)}
        given.setdefault("rating", "0")
        given["note"] = request.form.get("note", "")
    elif verb == "reopen":
        given["words"] = request.form.get("words", "")

    def send() -> Response:
        scope.call(f"repairs.work_order.{verb}_mine", **given)
        return redirect(url_for(".my_repair", order=order), 303)

    return form("repair", send, **_repair(scope, order))
