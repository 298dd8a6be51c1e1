"""What invoices answers when others ask."""

from uuid import UUID

from sqlalchemy import select

from dougong.hookspecs import Card, Panel, hookimpl
from dougong.i18n import gettext
from dougong_invoices import services
from dougong_invoices.models import Invoice
from dougong_ledger.models import Payment, PaymentOrder


@hookimpl
def plugin_enabled(scope):
    services.ensure_rule(scope)


@hookimpl
def event_happened(scope, event):
    services.credit_refunded(scope, UUID(str(event.ids["payment_id"])))


@hookimpl
def portal_cards(scope, person_id):
    return [Card(gettext("Invoices"), gettext("Request"), url="invoices/my/", order=40)]


@hookimpl
def record_panels(scope, record):
    if not isinstance(record, Invoice) or not scope.may("invoices.invoice.view"):
        return None
    rows = [
        (each["name"], f"¥{each['net']} + ¥{each['tax']} ({each['rate']})") for each in record.lines
    ]
    url = f"invoices/file/{record.id}" if record.number else None
    return [Panel(gettext("Lines of the invoice"), rows, url, 10)]


@hookimpl
def load_demo(scope, chance):
    """Two payers have asked for their invoices; the worker issues them when the product runs."""
    services.ensure_rule(scope)
    query = select(Payment).join(PaymentOrder, PaymentOrder.id == Payment.order_id)
    query = query.where(PaymentOrder.plugin == "fees").order_by(Payment.paid_at.desc())
    for payment in scope.session.scalars(query.limit(2)).all():
        services.request_invoice(scope, payment, payment.payer.name)
