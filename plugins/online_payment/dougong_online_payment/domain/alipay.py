"""Alipay's open platform: what is signed (RSA2), what notices say, what a bill looks like. Pure.

Source: Alipay open platform documentation (签名, 异步通知验签, 查询对账单下载地址).
"""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from dougong_ledger.channels import Outcome, Standing, StatementRow

CHINA = ZoneInfo("Asia/Shanghai")
STANDINGS = {
    "WAIT_BUYER_PAY": Standing.PENDING,
    "TRADE_SUCCESS": Standing.DONE,
    "TRADE_FINISHED": Standing.DONE,
    "TRADE_CLOSED": Standing.CLOSED,
}
MOST_BYTES = 64 * 1024 * 1024


def signed_text(fields: Mapping[str, str], *, without: tuple[str, ...] = ("sign",)) -> bytes:
    """Return ``k=v`` joined by ``&``, sorted; empty values and ``without`` are left out."""
    kept = sorted((k, v) for k, v in fields.items() if v != "" and k not in without)
    return "&".join(f"{k}={v}" for k, v in kept).encode()


def answer_parts(body: str, method: str) -> tuple[str, Mapping[str, Any], str]:
    """Return the answer's JSON exactly as it was signed, parsed, and the signature.

    Raises ValueError for a body that has no such answer.
    """
    name = f"{method.replace('.', '_')}_response"
    name = name if f'"{name}"' in body else "error_response"
    start = body.index(f'"{name}"') + len(name) + 2
    start = body.index(":", start) + 1
    while body[start] in " \t\r\n":
        start += 1
    told, end = json.JSONDecoder().raw_decode(body, start)
    whole = json.loads(body)
    if not isinstance(told, dict) or not isinstance(whole, dict):
        raise ValueError("no answer")
    return body[start:end], told, str(whole.get("sign", ""))


def notice_fields(body: bytes) -> dict[str, str]:
    """Return the fields of a notice. Raises ValueError when it is no form."""
    pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a field stands twice")
    return dict(pairs)


def outcome(told: Mapping[str, Any], merchant_number: str) -> Outcome:
    """Return what a notice or an answer says about a payment; amounts are yuan."""
    standing = STANDINGS.get(str(told.get("trade_status")), Standing.PENDING)
    amount = told.get("total_amount")
    return Outcome(
        standing,
        str(told["out_trade_no"]),
        merchant_number,
        Decimal(str(amount)) if amount else None,
        str(told.get("trans_currency") or "CNY"),
        told.get("trade_no") or None,
    )


def bill_rows(content: bytes) -> list[StatementRow]:
    """Return the rows of a trade bill: a zip of GBK CSV files with ``#`` lines around the rows.

    The file with sums is left out; refunds are below zero there and above here. Raises ValueError.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [n for n in archive.infolist() if "汇总" not in _name(n)]
            if len(names) != 1 or names[0].file_size > MOST_BYTES:
                raise ValueError("this is no trade bill")
            text = archive.read(names[0]).decode("gbk")
    except zipfile.BadZipFile as error:
        raise ValueError("this is no trade bill") from error
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    table = [[cell.strip() for cell in row] for row in csv.reader(lines)]
    if not table or "商户订单号" not in table[0]:
        raise ValueError("this is no trade bill")
    place = {name.partition("（")[0].partition("(")[0]: n for n, name in enumerate(table[0])}
    return [_bill_row({k: row[n] for k, n in place.items()}) for row in table[1:]]


def _name(entry: zipfile.ZipInfo) -> str:
    """Return a file's name; without the flag for UTF-8 it was written in GBK."""
    if entry.flag_bits & 0x800:
        return entry.filename
    return entry.filename.encode("cp437", "replace").decode("gbk", "replace")


def _bill_row(cells: Mapping[str, str]) -> StatementRow:
    is_refund = cells["业务类型"] == "退款"
    at = datetime.strptime(cells["完成时间"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
    return StatementRow(
        cells["商户订单号"],
        cells["支付宝交易号"],
        abs(Decimal(cells["订单金额"])),
        -Decimal(cells["服务费"] or "0"),
        at,
        cells["退款批次号/请求号"] if is_refund else None,
    )


def digest(content: bytes) -> str:
    """Return the SHA-256 of a bill as it came."""
    return hashlib.sha256(content).hexdigest()
