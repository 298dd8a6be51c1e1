"""The admin's view of invoices (the archive) and tax rules."""

from dougong.i18n import bilingual
from dougong.web.admin import RecordView, action
from dougong_invoices import services
from dougong_invoices.models import Invoice, TaxRule


class InvoiceView(RecordView, model=Invoice):
    title = bilingual("Invoices", "电子发票")
    icon = "file-text"
    columns = ("number", "buyer_name", "amount", "tax", "state", "requested_at", "issued_at")
    filters = ("state", "requested_at", "issued_at", "amount", "payment", "provider")
    search = ("number", "buyer_name")
    actions = (
        action(services.credit, confirm=True, states=("issued",)),
        action(services.try_again, states=("failed",)),
    )
    order = "-requested_at"
    can_create = can_change = can_delete = False
    menu_order = 10


class TaxRuleView(RecordView, model=TaxRule):
    title = bilingual("Tax rules", "税收编码与税率")
    icon = "percent"
    columns = ("fee_item", "from_on", "tax_code", "short_name", "rate", "source")
    filters = ("fee_item", "from_on")
    order = "-from_on"
    menu_order = 20
