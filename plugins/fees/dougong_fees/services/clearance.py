"""That a former owner owes nothing of a room: the certificate; photos of closing readings."""

from collections.abc import Iterable
from decimal import Decimal
from typing import BinaryIO
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.documents import Document, render
from dougong.errors import Conflict
from dougong.files import attach
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_fees.domain.states import OWED
from dougong_fees.models import Bill, HandOver, HandOverState
from dougong_fees.services.bills import owed
from dougong_ledger import services as ledger


@service("hand_over.certify", title=("Clearance certificate", "结清证明"))
def certify_hand_over(scope: Scope, record: HandOver) -> Document:
    """Return a certificate that the former owners owe nothing of the room, as of today.

    What they still have (prepaid money) stands on it. Raises Conflict naming what is owed, or where
    the hand-over was undone.
    """
    if record.state is HandOverState.UNDONE:
        raise Conflict(N_("This hand-over was undone before."))
    sellers = [UUID(each) for each in record.statement["sellers"]]
    query = select(Bill).where(
        Bill.room_id == record.room_id, Bill.payer_id.in_(sellers), Bill.state.in_(OWED)
    )
    left = sum((owed(bill) for bill in scope.session.scalars(query)), Decimal(0))
    if left:
        raise Conflict(N_("¥%(amount)s of this room is still owed."), amount=f"{left:,.2f}")
    facts = {
        "record": record,
        "room": record.room.code,
        "seller": record.seller.name,
        "prepaid": sum((ledger.balance_of(scope, each) for each in sellers), Decimal(0)),
        "readings": record.statement["readings"],
        "on": scope.today,
    }
    name = f"{gettext('Clearance certificate')}-{record.room.code}-{scope.today}.pdf"
    return render(scope, "fees:clearance", facts, filename=name)


def keep_photos(scope: Scope, record: HandOver, photos: Iterable[tuple[str, BinaryIO]]) -> None:
    """Attach photos of the closing readings to a hand-over."""
    for name, stream in photos:
        attach(scope, record, name[-120:], stream, right="make")
