"""What invoices asks plugins that bring a vendor."""

from typing import TYPE_CHECKING

from dougong.hookspecs import hookspec

if TYPE_CHECKING:
    from dougong.db.scope import Scope
    from dougong_invoices.provider import InvoiceProvider


@hookspec
def invoice_provider(scope: "Scope", name: str) -> "InvoiceProvider":
    """Return the vendor of this name.

    scope: the community that issues. name: of the setting ``invoices.provider``.
    Asked whenever an invoice is issued or asked about. Result: the provider, None for another name.
    """
