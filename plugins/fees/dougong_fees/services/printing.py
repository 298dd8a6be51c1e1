"""Bills as PDF, each line with the way it was reckoned."""

import textwrap

from dougong.db import Scope
from dougong.documents import Document, render
from dougong.documents.codes import qr_image
from dougong.i18n import gettext
from dougong.services import service
from dougong_fees.domain.numbers import bill_number
from dougong_fees.models import Bill
from dougong_fees.services.explain import explain_bill, period_text


@service("bill.print", title=("Print", "打印账单"))
def print_bill(scope: Scope, bill: Bill) -> Document:
    """Return a bill as PDF: readings, prices, tiers, months and rounding of every line.

    Its QR code is the bill's address: a phone opens it and pays, a desk's scanner finds the room.
    """
    number = bill_number(bill.id)
    address = f"{scope.installation.settings.url}/{scope.url_part}/fees/my/{bill.id}"
    return render(
        scope,
        "fees:bill",
        {
            "bill": bill,
            "room": bill.room.code,
            "payer": bill.payer.name,
            "period": period_text(bill.from_on, bill.to_on),
            "lines": explain_bill(scope, bill),
            "number": " ".join(textwrap.wrap(number, 7)),
            "code": qr_image(address),
        },
        filename=f"{gettext('Bill')}-{bill.room.code}-{bill.title}.pdf",
    )
