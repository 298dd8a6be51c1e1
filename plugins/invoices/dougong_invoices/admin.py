"""The admin's view of invoices (the archive) and tax rules."""

from typing import Any

from dougong.db import Scope
from dougong.i18n import bilingual
from dougong.web.admin import RecordView, action
from dougong_invoices import services
from dougong_invoices.models import Invoice, TaxRule
from dougong_invoices.services import OFFLINE


def _provider(_scope: Scope, invoice: Any) -> str:
    """Return what people call who issued an invoice: a vendor's own name, or ours for trying."""
    return str(TRIAL) if invoice.provider == OFFLINE else invoice.provider


TRIAL = bilingual("Trial invoices, offline", "离线试开（测试样张）")


class InvoiceView(RecordView, model=Invoice):
    title = bilingual("Invoices", "电子发票")
    icon = "file-text"
    columns = ("number", "buyer_name", "amount", "tax", "state", "requested_at", "issued_at")
    filters = ("state", "requested_at", "issued_at", "amount", "payment", "provider")
    search = ("number", "buyer_name")
    said = {"provider": _provider}
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
