"""What people have paid in advance, as the opening workbook of a community brings it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from dougong.db import Scope, insert_rows, uuid7
from dougong.hookspecs import OpeningColumn, OpeningSheet
from dougong.i18n import bilingual, gettext
from dougong.tenancy.models import Person
from dougong_ledger import services
from dougong_ledger.domain import BANK, PREPAID, Posting
from dougong_ledger.models import Wallet, WalletMovement

PERMISSION = "ledger.wallet.top_up"
MOST = Decimal(10_000_000)


def sheets() -> list[OpeningSheet]:
    """Return the sheet of prepaid balances: whose, and how many yuan."""
    columns = (
        OpeningColumn(
            "person_id",
            bilingual("Whose", "缴款人"),
            "relation",
            is_needed=True,
            note=bilingual("Name, with the phone number if needed", "姓名，重名时加手机号"),
            target=Person,
        ),
        OpeningColumn("amount", bilingual("Prepaid (yuan)", "预存余额（元）"), "money", True),
    )
    title = bilingual("Prepaid balances", "预存余额")
    return [OpeningSheet(title, columns, load=load, order=90)]


def load(scope: Scope, rows: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Open wallets with what the old system owes people; return what is wrong by position.

    One journal entry: the money lies in the bank, the community owes it to the people.
    """
    scope.require(PERMISSION)
    messages: dict[int, str] = {}
    people = {row["person_id"] for row in rows}
    has_wallet = select(Wallet.person_id).where(Wallet.person_id.in_(people))
    known, seen = set(scope.session.scalars(has_wallet)), set()
    good = []
    for at, row in enumerate(rows):
        amount = row["amount"]
        if row["person_id"] in known:
            messages[at] = gettext("There is already a record with this.")
        elif row["person_id"] in seen:
            messages[at] = gettext("The same person stands twice on this sheet.")
        elif not 0 < amount <= MOST:
            messages[at] = gettext("More than %(gt)s.", gt=0)
        elif amount != round(amount, 2):
            messages[at] = gettext("At most %(decimal_places)s decimal places.", decimal_places=2)
        else:
            good.append((row["person_id"], amount))
        seen.add(row["person_id"])
    if good:
        _open_wallets(scope, good)
    return messages


def _open_wallets(scope: Scope, balances: Sequence[tuple[Any, Decimal]]) -> None:
    memo = gettext("Opening workbook")
    postings = [Posting(BANK, PREPAID, amount, memo, person_id=p) for p, amount in balances]
    entry = services.post(scope, "ledger.opening", uuid7(), memo, postings)
    ids = [uuid7() for _ in balances]
    people, amounts = [p for p, _ in balances], [amount for _, amount in balances]
    insert_rows(scope, Wallet, {"id": ids, "person_id": people, "balance": amounts})
    insert_rows(
        scope,
        WalletMovement,
        {"wallet_id": ids, "entry_id": [entry.id] * len(ids), "amount": amounts},
    )
