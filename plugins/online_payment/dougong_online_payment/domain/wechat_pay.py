"""WeChat Pay APIv3: what is signed, how notices are sealed, what a bill looks like. Pure.

Source: WeChat Pay merchant documentation, APIv3 (签名生成, 签名验证, 回调报文解密, 申请交易账单).
Amounts are fen in the API and yuan in bills.
"""

import base64
import csv
import hashlib
import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dougong_ledger.channels import Outcome, Standing, StatementRow
from dougong_online_payment.domain import keys

SCHEME = "WECHATPAY2-SHA256-RSA2048"
WINDOW_S = 300
CHINA = ZoneInfo("Asia/Shanghai")
STANDINGS = {
    "SUCCESS": Standing.DONE,
    "REFUND": Standing.DONE,
    "NOTPAY": Standing.PENDING,
    "USERPAYING": Standing.PENDING,
    "ACCEPT": Standing.PENDING,
    "CLOSED": Standing.CLOSED,
    "REVOKED": Standing.CLOSED,
    "PAYERROR": Standing.FAILED,
}
REFUND_STANDINGS = {
    "SUCCESS": Standing.DONE,
    "PROCESSING": Standing.PENDING,
    "CLOSED": Standing.FAILED,
    "ABNORMAL": Standing.FAILED,
}


class NotGenuine(ValueError):
    """Not signed by the gateway, not just now, or not meant for us."""


@dataclass(frozen=True)
class Seal:
    """The headers with which the gateway signs an answer or a notice."""

    timestamp: str
    nonce: str
    signature: str
    serial: str

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Seal":
        """Return the seal of some headers; what is missing is empty and verifies nowhere."""
        lower = {name.lower(): value for name, value in headers.items()}
        names = ("timestamp", "nonce", "signature", "serial")
        return cls(*(lower.get(f"wechatpay-{name}", "") for name in names))


def request_message(method: str, path: str, timestamp: str, nonce: str, body: str) -> bytes:
    """Return what we sign of a request; ``path`` with its query."""
    return f"{method}\n{path}\n{timestamp}\n{nonce}\n{body}\n".encode()


def answer_message(timestamp: str, nonce: str, body: bytes) -> bytes:
    """Return what the gateway signs of an answer or a notice."""
    return b"%b\n%b\n%b\n" % (timestamp.encode(), nonce.encode(), body)


def authorization(merchant: str, serial: str, timestamp: str, nonce: str, signature: str) -> str:
    """Return the header Authorization of a request."""
    return (
        f'{SCHEME} mchid="{merchant}",nonce_str="{nonce}",signature="{signature}",'
        f'timestamp="{timestamp}",serial_no="{serial}"'
    )


def check_seal(
    seal: Seal, body: bytes, key: rsa.RSAPublicKey, key_id: str, now: float | None = None
) -> None:
    """Raise NotGenuine unless the gateway sealed these bytes within five minutes.

    A key id that we do not know is refused here and now; nobody is asked for it.
    """
    if not seal.serial or seal.serial != key_id:
        raise NotGenuine("another key")
    if not seal.timestamp.isdecimal() or len(seal.timestamp) > 12:
        raise NotGenuine("no time")
    if abs((now or time.time()) - int(seal.timestamp)) > WINDOW_S:
        raise NotGenuine("too old, or from the future")
    if not keys.is_signed(key, answer_message(seal.timestamp, seal.nonce, body), seal.signature):
        raise NotGenuine("the signature is wrong")


def unseal(api_key: bytes, nonce: str, associated: str, ciphertext: str) -> bytes:
    """Return the plain text of a notice's resource (AEAD_AES_256_GCM). Raises NotGenuine."""
    try:
        raw = base64.b64decode(ciphertext, validate=True)
        return AESGCM(api_key).decrypt(nonce.encode(), raw, associated.encode())
    except (InvalidTag, ValueError) as error:
        raise NotGenuine("sealed with another key") from error


def read_notice(body: bytes, api_key: bytes) -> tuple[str, str, Mapping[str, Any]]:
    """Return id, kind and unsealed resource of a notice whose seal was checked.

    Raises NotGenuine when it cannot be read.
    """
    try:
        told = json.loads(body)
        sealed = told["resource"]
        plain = unseal(
            api_key, sealed["nonce"], sealed.get("associated_data") or "", sealed["ciphertext"]
        )
        return str(told["id"]), str(told["event_type"]), json.loads(plain)
    except (ValueError, KeyError, TypeError) as error:
        raise NotGenuine(str(error)) from error


def fen(amount: Decimal) -> int:
    """Return an amount of yuan in fen."""
    return int(amount * 100)


def outcome(told: Mapping[str, Any]) -> Outcome:
    """Return what a notice or an answer says about a payment."""
    amount = told.get("amount") or {}
    standing = STANDINGS.get(str(told.get("trade_state")), Standing.PENDING)
    paid_at = told.get("success_time")
    return Outcome(
        standing,
        str(told["out_trade_no"]),
        str(told.get("mchid", "")),
        Decimal(int(amount["total"])) / 100 if "total" in amount else None,
        str(amount.get("currency", "CNY")),
        told.get("transaction_id") or None,
        datetime.fromisoformat(paid_at) if paid_at else None,
    )


def bill_rows(content: bytes) -> list[StatementRow]:
    """Return the rows of a trade bill (ALL), already unzipped.

    Fields begin with a backtick, amounts are yuan, two lines of sums close the file. A refund's
    row names its payment and gives back its fee. Raises ValueError for another file.
    """
    lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    if not lines or "商户订单号" not in lines[0]:
        raise ValueError("this is no trade bill")
    place = {name.strip(): number for number, name in enumerate(lines[0])}
    rows = []
    for line in lines[1:]:
        if not line or not line[0].startswith("`"):
            break
        rows.append(_bill_row({k: line[n].strip().lstrip("`") for k, n in place.items()}))
    return rows


def _bill_row(cells: Mapping[str, str]) -> StatementRow:
    is_refund = cells["交易状态"] == "REFUND"
    amount = cells["退款金额"] if is_refund else cells["应结订单金额"]
    return StatementRow(
        cells["商户订单号"],
        cells["微信退款单号"] if is_refund else cells["微信订单号"],
        Decimal(amount),
        Decimal(cells["手续费"]),
        datetime.strptime(cells["交易时间"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA),
        cells["商户退款单号"] if is_refund else None,
    )


def digest(content: bytes) -> str:
    """Return the SHA-1 by which the gateway names an unzipped bill."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
