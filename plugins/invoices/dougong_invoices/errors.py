"""What can be wrong with invoices."""

from dougong.errors import Conflict


class NotInvoiceable(Conflict):
    """Nothing of the payment can be invoiced, or an invoice for it is there already."""

    code = "invoices.not_invoiceable"


class WrongState(Conflict):
    """The invoice is not in a state for this step."""

    code = "invoices.wrong_state"
