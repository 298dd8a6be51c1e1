"""Reconciliation: a page per day and channel with its differences; bank statements come in here."""

from datetime import date
from typing import Any
from uuid import UUID

from flask import redirect, render_template, request, url_for
from sqlalchemy import func, select

from dougong.db import member_label
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.web.admin.menu import menu_page
from dougong.web.app import require_scope
from dougong_ledger import services
from dougong_ledger.matching import BANK_HEADINGS, ExceptionState, LineState
from dougong_ledger.models import BankLine, ReconciliationDay, ReconciliationException
from dougong_ledger.pages import blueprint

SHOWN = 60
FIELDS = {
    "on": N_("Day"),
    "credit": N_("Money in"),
    "debit": N_("Money out"),
    "amount": N_("Amount with sign"),
    "serial": N_("Serial no."),
    "payer": N_("Other side"),
    "payer_account": N_("Account"),
    "memo": N_("Memo"),
}


def install() -> None:
    """Add the pages to the menu."""
    about = {"plugin": "ledger", "only_in": "community"}
    view = "ledger.reconciliation_day.view"
    menu_page("ledger.reconciliation", ("Reconciliation", "渠道对账"), view, icon="check-circle",
              order=45, **about)  # fmt: skip
    menu_page("ledger.bank", ("Bank statement", "银行流水导入"), "ledger.bank_line.load",
              icon="upload", order=47, **about)  # fmt: skip


@blueprint.route("/reconciliation", methods=["GET", "POST"])
def reconciliation() -> Any:
    """Show the days of all channels, latest first; fetch one."""
    scope = require_scope()
    scope.require("ledger.reconciliation_day.view")
    if request.method == "POST":
        day = _day(request.form.get("day", ""))
        made = services.fetch_day(scope, request.form.get("provider", ""), day)
        return redirect(url_for(".reconciliation_day", day_id=made.id), 303)
    open_count = (
        select(func.count())
        .where(
            ReconciliationException.community_id == ReconciliationDay.community_id,
            ReconciliationException.day_id == ReconciliationDay.id,
            ReconciliationException.state == ExceptionState.OPEN,
        )
        .correlate(ReconciliationDay)
        .scalar_subquery()
    )
    query = select(ReconciliationDay, open_count.label("open")).order_by(
        ReconciliationDay.day_on.desc(), ReconciliationDay.provider
    )
    channels = services.channels(scope)
    return render_template(
        "ledger/reconciliation.html",
        days=scope.session.execute(query.limit(SHOWN)).all(),
        offers=services.offers(scope),
        titles={key: str(channel.title) for key, channel in channels.items()},
        unreconciled=services.unreconciled(scope),
        member=member_label,
        today=scope.today,
    )


@blueprint.get("/reconciliation/<uuid:day_id>")
def reconciliation_day(day_id: UUID) -> str:
    """Show a channel's day: both sides, and every difference with what can be done."""
    scope = require_scope()
    scope.require("ledger.reconciliation_day.view")
    day = scope.get(ReconciliationDay, day_id)
    query = (
        select(ReconciliationException)
        .where(ReconciliationException.day_id == day.id)
        .order_by(ReconciliationException.state, ReconciliationException.id)
    )
    return render_template(
        "ledger/reconciliation_day.html",
        day=day,
        title=services.provider_title(scope, day.provider),
        found=scope.session.scalars(query.limit(500)).all(),
        member=member_label,
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        fields = {"day": gettext("Choose a day.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields) from None


# --- the bank -------------------------------------------------------------------------------------


@blueprint.route("/bank", methods=["GET", "POST"])
def bank() -> str:
    """Take in a bank statement, and show what waits in the suspense account."""
    scope = require_scope()
    scope.require("ledger.bank_line.load")
    outcome = None
    if request.method == "POST":
        outcome = _import()
    waiting = (
        select(BankLine)
        .where(BankLine.state == LineState.SUSPENSE)
        .order_by(BankLine.on.desc(), BankLine.id)
    )
    return render_template(
        "ledger/bank.html",
        outcome=outcome,
        fields=FIELDS,
        usual={field: names[0] for field, names in BANK_HEADINGS.items()},
        waiting=scope.session.scalars(waiting.limit(SHOWN)).all(),
        values=request.form,
    )


def _import() -> services.BankImport:
    sent = request.files.get("file")
    if sent is None or not sent.filename:
        fields = {"file": gettext("Choose a file.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    given = {field: request.form.get(field, "").strip() for field in FIELDS}
    mapping = {field: name for field, name in given.items() if name}
    return services.import_statement(require_scope(), sent.filename, sent.read(), mapping)
