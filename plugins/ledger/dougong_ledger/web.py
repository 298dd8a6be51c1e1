"""Pages of the ledger: the trial balance, and receipts as PDF."""

from datetime import date, timedelta
from uuid import UUID

from flask import Flask, Response, render_template, request

from dougong.db import member_label
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.installation import Installation
from dougong.web.admin.menu import menu_page
from dougong.web.app import require_scope
from dougong_ledger import services, vouchers
from dougong_ledger.domain import PeriodState, next_month
from dougong_ledger.models import Receipt
from dougong_ledger.pages import blueprint, paying, reconciling
from dougong_ledger.pages.files import download


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application and to the menu."""
    app.register_blueprint(blueprint)
    paying.install(app, installation)
    reconciling.install()
    menu_page(
        "ledger.trial",
        ("Trial balance", "试算平衡"),
        "ledger.account.trial_balance",
        plugin="ledger",
        icon="columns",
        order=85,
    )
    menu_page(
        "ledger.month",
        ("Month-end", "月末结账"),
        "ledger.book_period.view",
        plugin="ledger",
        icon="lock",
        order=83,
        only_in="community",
    )


@blueprint.get("/trial")
def trial() -> str:
    """Show every account's turnover and that both sides are equal."""
    found = services.trial_balance(require_scope())
    return render_template("ledger/trial.html", trial=found, member=member_label)


@blueprint.route("/month", methods=["GET", "POST"])
def month() -> str:
    """Show a month's figures by item, frozen or as they are, and close it."""
    scope = require_scope()
    scope.require("ledger.book_period.view")
    given = request.values.get("month") or f"{_month_before(scope.today):%Y-%m}"
    month_on = _month(given)
    if request.method == "POST" and request.form.get("do") == "reckon":
        services.reckon_month(scope, month_on)
    elif request.method == "POST":
        services.close_month(scope, month_on)
    shown = services.shown_month(scope, month_on)
    found = shown.period
    return render_template(
        "ledger/month.html",
        month=month_on,
        shown=shown,
        end=shown.end or services.MonthEnd(month_on, []),
        closed=found,
        may_reckon=scope.may("ledger.month_draft.reckon"),
        may_close=found is None or found.state is PeriodState.REOPENED,
        member=member_label,
    )


def _month(text: str) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        fields = {"month": gettext("A month looks like 2026-10.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields) from None


def _month_before(day: date) -> date:
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)


@blueprint.get("/vouchers.<kind>")
def export_vouchers(kind: str) -> Response:
    """Download a month's vouchers as a workbook or CSV in the layout of accounting packages."""
    scope = require_scope()
    month_on = _month(request.args.get("month", ""))
    lines = services.vouchers(scope, month_on, next_month(month_on))
    return vouchers.download(kind, f"{month_on:%Y-%m}", lines)


@blueprint.get("/print/<uuid:receipt_id>")
def print_receipt(receipt_id: UUID) -> Response:
    """Download a receipt as PDF."""
    scope = require_scope()
    document = services.print_receipt(scope, scope.get(Receipt, receipt_id))
    return download(document.content, document.filename, document.media_type)
