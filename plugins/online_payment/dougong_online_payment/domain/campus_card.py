"""What a campus card system and we say to each other: signed JSON, read without any I/O.

There is no national standard for campus cards (校园一卡通). This is an interface of our own that a
bridge in front of a maker's system speaks; docs/reference/campus-card.md is its whole text. Both
sides sign the bytes of a body with RSA-SHA256, an answer with the nonce of the request, so that
no old one is taken for it.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from dougong_ledger.channels import Outcome, Standing, StatementRow

STATES = {
    "open": Standing.PENDING,
    "paid": Standing.DONE,
    "closed": Standing.CLOSED,
    "unknown": Standing.CLOSED,
}
REFUNDS = {"done": Standing.DONE, "pending": Standing.PENDING, "unknown": Standing.FAILED}


def body_of(told: Mapping[str, Any]) -> bytes:
    """Return what is sent, and signed, to the letter."""
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def answered(nonce: str, body: bytes) -> bytes:
    """Return what is signed of an answer."""
    return nonce.encode() + b"\n" + body


def read(body: bytes) -> dict[str, Any]:
    """Return a body's fields. Raises ValueError for anything that is no JSON object."""
    told = json.loads(body.decode("utf-8"))
    if not isinstance(told, dict):
        raise ValueError("this is no object")
    return told


def yuan_of(text: Any) -> Decimal:
    """Return an amount in yuan, written as a string. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError("an amount is a string")
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise ValueError("an amount is a number of yuan") from error
    if not amount.is_finite() or amount != round(amount, 2):
        raise ValueError("an amount has whole fen")
    return amount


def outcome(told: Mapping[str, Any]) -> Outcome:
    """Return what an answer or a notice says of a payment. Raises ValueError, KeyError."""
    standing = STATES[told["state"]]
    if standing is not Standing.DONE:
        return Outcome(standing, str(told["order"]), str(told["merchant"]))
    return Outcome(
        standing,
        str(told["order"]),
        str(told["merchant"]),
        yuan_of(told["amount"]),
        transaction_id=str(told["flow"]),
        paid_at=moment(told["at"]),
    )


def moment(text: Any) -> datetime:
    """Return an instant with its offset. Raises ValueError for one without."""
    found = datetime.fromisoformat(str(text))
    if found.tzinfo is None:
        raise ValueError("an instant has an offset")
    return found


def statement_rows(told: Mapping[str, Any]) -> list[StatementRow]:
    """Return the rows of a day's bill. Raises ValueError, KeyError."""
    return [
        StatementRow(
            str(row["order"]),
            str(row["flow"]),
            yuan_of(row["amount"]),
            yuan_of(row.get("fee", "0.00")),
            moment(row["at"]),
            refund_no=row.get("refund"),
        )
        for row in told["rows"]
    ]
