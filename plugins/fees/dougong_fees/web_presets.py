"""Presets of fee items and the fee sheet that hangs on the wall."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WebResponse

from dougong.db import member_label
from dougong.errors import Invalid
from dougong.i18n import N_, gettext, translate_error
from dougong.web.app import require_scope
from dougong_fees.services import presets


def add_pages(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint."""
    blueprint.add_url_rule("/presets", "show_presets", show)
    blueprint.add_url_rule("/presets", "set_up_preset", set_up, methods=["POST"])
    blueprint.add_url_rule("/sheet", "fee_sheet", sheet)
    blueprint.add_url_rule("/sheet.pdf", "print_fee_sheet", print_sheet)


def show() -> str:
    """Show what the presets bring, and one of them with its prices to be changed."""
    scope = require_scope()
    scope.require("fees.fee_item.set_up")
    return _page(request.args.get("preset", ""), {})


def _page(chosen: str, given: Mapping[str, Any], problem: str = "") -> str:
    scope = require_scope()
    return render_template(
        "fees/presets.html",
        presets=presets.presets(),
        chosen=presets.preset_named(chosen) if chosen else None,
        known=presets.codes_here(scope) if chosen else (),
        given=given,
        problem=problem,
        first=scope.today.replace(day=1),
        member=member_label,
    )


def set_up() -> WebResponse | tuple[str, int]:
    """Make the fee items that were ticked, or show what is wrong."""
    scope, form = require_scope(), request.form
    scope.require("fees.fee_item.set_up")
    try:
        from_on, prices = _day(form.get("from_on", "")), _prices(form)
        with scope.session.begin_nested():
            presets.set_up(
                scope, form.get("preset", ""), from_on, prices, form.get("rooms") == "charge"
            )
    except Invalid as error:
        said = next(iter((error.fields or {}).values()), None) or translate_error(error)
        return _page(form.get("preset", ""), form, said), 422
    return redirect(url_for(".fee_sheet"), 303)


def _day(typed: str) -> date:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        fields = {"from_on": gettext("Choose a day.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields) from None


def _prices(form: Mapping[str, str]) -> dict[str, Decimal]:
    found = {}
    for code in request.form.getlist("item"):
        try:
            price = Decimal(form.get(f"price-{code}", "").strip())
        except InvalidOperation:
            price = Decimal(-1)
        found[code] = price if price.is_finite() else Decimal(-1)
    return found


def sheet() -> str:
    """Show what is charged by fee item today, with the way to print it."""
    scope = require_scope()
    scope.require("fees.fee_item.view")
    lines = presets.fee_sheet(scope, scope.today)
    return render_template("fees/fee_sheet.html", lines=lines, on=scope.today, member=member_label)


def print_sheet() -> Response:
    """Show the fee sheet as PDF."""
    scope = require_scope()
    scope.require("fees.fee_item.print_sheet")
    made = presets.print_fee_sheet(scope)
    return Response(
        made.content,
        content_type=made.media_type,
        headers={"Content-Disposition": f"inline; filename*=UTF-8''{quote(made.filename)}"},
    )
