"""Bills as PDF, each line with the way it was reckoned."""

from dougong.db import Scope
from dougong.documents import Document, render
from dougong.i18n import gettext
from dougong.services import service
from dougong_fees.models import Bill
from dougong_fees.services.explain import explain_bill, period_text


@service("bill.print", title=("Print", "打印账单"))
def print_bill(scope: Scope, bill: Bill) -> Document:
    """Return a bill as PDF: readings, prices, tiers, months and rounding of every line."""
    return render(
        scope,
        "fees:bill",
        {
            "bill": bill,
            "room": bill.room.code,
            "payer": bill.payer.name,
            "period": period_text(bill.from_on, bill.to_on),
            "lines": explain_bill(scope, bill),
        },
        filename=f"{gettext('Bill')}-{bill.room.code}-{bill.title}.pdf",
    )
