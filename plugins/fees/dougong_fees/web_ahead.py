"""What owners do ahead in the portal: pay months, put money by, declare that a room is empty."""

from datetime import date
from uuid import UUID, uuid4

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dougong.db import member_label
from dougong.errors import Conflict, DougongError, Invalid
from dougong.i18n import N_, gettext, translate_error
from dougong.web.app import require_scope
from dougong_fees.services import ahead, mine
from dougong_fees.services.explain import period_text
from dougong_ledger import services as ledger


def add_pages(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint."""
    blueprint.add_url_rule("/my/ahead", "my_ahead", my_ahead)
    blueprint.add_url_rule("/my/ahead", "start_ahead", start_ahead, methods=["POST"])
    blueprint.add_url_rule(
        "/my/<uuid:bill_id>/cancel", "cancel_ahead", cancel_ahead, methods=["POST"]
    )
    blueprint.add_url_rule("/my/save", "save_money", save_money, methods=["POST"])
    blueprint.add_url_rule("/my/vacancy", "my_vacancy", my_vacancy)
    blueprint.add_url_rule("/my/vacancy", "declare_vacancy", declare, methods=["POST"])


def my_ahead(problem: str = "", given: str = "") -> str:
    """Show which months an owner may pay ahead, which he has, and what he has put by."""
    scope = require_scope()
    rooms = ahead.my_rooms(scope)
    return render_template(
        "fees/my_ahead.html",
        offers=ahead.my_offers(scope),
        running=ahead.my_prepayments(scope, [room.id for room in rooms]),
        balance=ledger.balance_of(scope, mine.my_person(scope)),
        period=period_text,
        today=scope.today,
        key=uuid4().hex,
        problem=problem,
        given=given,
    )


def start_ahead() -> Response | tuple[str, int]:
    """Demand the months that an owner chose, and show him the bill with its button to pay."""
    scope, form = require_scope(), request.form
    try:
        with scope.session.begin_nested():
            made = ahead.start_mine(scope, UUID(form.get("room", "")), UUID(form.get("rule", "")))
    except (Conflict, ValueError) as error:
        is_ours = isinstance(error, DougongError)
        return my_ahead(translate_error(error) if is_ours else gettext("Choose the months.")), 422
    return redirect(url_for(".my_bill", bill_id=made.bill_id), 303)


def cancel_ahead(bill_id: UUID) -> Response:
    """Take the demand for months ahead back that an owner does not want any more."""
    ahead.cancel_mine(require_scope(), bill_id)
    return redirect(url_for(".my_ahead"), 303)


def save_money() -> Response | tuple[str, int]:
    """Open the payment that puts money into the owner's wallet."""
    form = request.form
    try:
        order = ahead.save_mine(require_scope(), form.get("amount", ""), form.get("key", ""))
    except Invalid as error:
        return my_ahead(_said(error), form.get("amount", "")), 422
    return redirect(url_for("ledger.pay", order_id=order.id), 303)


def my_vacancy(problem: str = "") -> str:
    """Show what an owner declared of his rooms, and the form to declare one empty."""
    scope = require_scope()
    rooms = ahead.my_rooms(scope)
    ids = [room.id for room in rooms]
    return render_template(
        "fees/my_vacancy.html",
        rooms=rooms,
        vacancies=ahead.my_vacancies(scope, ids),
        rules=ahead.vacancy_rules(scope, ids),
        member=member_label,
        today=scope.today,
        given=request.form,
        problem=problem,
    )


def declare() -> Response | tuple[str, int]:
    """Keep an owner's declaration, with its photos, until the desk has decided."""
    scope, form = require_scope(), request.form
    photos = [(p.filename or "", p.stream) for p in request.files.getlist("photos") if p.filename]
    try:
        room_id, from_on, to_on = _wish()
        with scope.session.begin_nested():
            ahead.declare_mine(scope, room_id, from_on, form.get("shown", ""), photos, to_on)
    except (Invalid, Conflict) as error:
        return my_vacancy(_said(error)), 422
    return redirect(url_for(".my_vacancy", sent=1), 303)


def _wish() -> tuple[UUID, date, date | None]:
    form = request.form
    try:
        until = date.fromisoformat(form["to_on"]) if form.get("to_on") else None
        return UUID(form.get("room", "")), date.fromisoformat(form.get("from_on", "")), until
    except ValueError:
        fields = {"from_on": gettext("Choose a room and the day since when it is empty.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields) from None


def _said(error: DougongError) -> str:
    fields = getattr(error, "fields", None) or {}
    return next(iter(fields.values()), None) or translate_error(error)
