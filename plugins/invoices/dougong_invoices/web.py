"""Pages of invoices: an owner requests and downloads his own; staff open files and request."""

from typing import Any
from uuid import UUID

from flask import Flask, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as WebResponse

from dougong.db import member_label
from dougong.errors import Conflict, Invalid, NotFound
from dougong.i18n import N_, translate_error
from dougong.installation import Installation
from dougong.tenancy.models import Person
from dougong.web.app import plugin_blueprint, require_scope
from dougong_fees.services.mine import my_person
from dougong_invoices import services
from dougong_invoices.models import Invoice
from dougong_ledger.models import Payment

blueprint = plugin_blueprint("invoices", __name__)
Answer = str | WebResponse | tuple[str, int]


def install(app: Flask, installation: Installation) -> None:
    """Add the pages to the application."""
    app.register_blueprint(blueprint)


def page(template: str, **values: Any) -> str:
    """Return a page of invoices."""
    return render_template(f"invoices/{template}.html", member=member_label, **values)


@blueprint.get("/my/")
def my() -> str:
    """Show an owner his payments, each with its invoice or the button to request one."""
    scope = require_scope()
    payments = services.my_payments(scope)
    return page("my", payments=payments, invoices=services.my_invoices(scope, payments))


@blueprint.get("/my/<uuid:payment_id>")
def ask(payment_id: UUID) -> str:
    """Ask an owner for the title of the invoice of one payment."""
    scope = require_scope()
    name = scope.get(Person, my_person(scope)).name
    return _form(services.my_payment(scope, payment_id), {"buyer_name": name})


def _form(payment: Payment, given: Any, **values: Any) -> str:
    return page("ask", payment=payment, given=given, **({"faults": {}, "fault": ""} | values))


@blueprint.post("/my/<uuid:payment_id>")
def request_one(payment_id: UUID) -> Answer:
    """Request the invoice of one of the actor's payments."""
    scope = require_scope()
    payment, form = services.my_payment(scope, payment_id), request.form
    given = (form.get("buyer_name", ""), form.get("buyer_tax_number", ""))
    try:
        services.request_mine(scope, payment.id, *given)
    except (Invalid, Conflict) as error:
        faults = getattr(error, "fields", None) or {}
        return _form(payment, form, fault=translate_error(error), faults=faults), 422
    return redirect(url_for(".my"), 303)


@blueprint.get("/my/file/<uuid:invoice_id>")
def my_file(invoice_id: UUID) -> Response:
    """Download one of the actor's own invoices."""
    scope = require_scope()
    invoice = scope.get(Invoice, invoice_id)
    if invoice.payment.payer_id != my_person(scope):
        raise NotFound(N_("There is no such invoice here."))
    return _file(invoice)


@blueprint.get("/file/<uuid:invoice_id>")
def file(invoice_id: UUID) -> Response:
    """Download an invoice from the archive."""
    scope = require_scope()
    scope.require("invoices.invoice.view")
    return _file(scope.get(Invoice, invoice_id))


def _file(invoice: Invoice) -> Response:
    opened = services.document_of(require_scope(), invoice)
    return Response(opened.content, headers=opened.headers)
