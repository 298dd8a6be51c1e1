"""Rules of reconciliation: a channel's bill and our books, a bank's lines and orders. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from dougong_ledger.channels import StatementRow

ORDER_NUMBER = re.compile(r"DG([0-9A-F]{10})")


class DayState(StrEnum):
    """Whether a channel's day is reconciled."""

    BALANCED = "balanced"
    OPEN = "open"


class ExceptionKind(StrEnum):
    """In which way a bill and our books differ."""

    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    AMOUNT_DIFFERS = "amount_differs"
    REFUND_MISSING_HERE = "refund_missing_here"
    REFUND_MISSING_THERE = "refund_missing_there"


class ExceptionState(StrEnum):
    """Whether somebody has dealt with a difference."""

    OPEN = "open"
    RESOLVED = "resolved"


class LineState(StrEnum):
    """What became of a line of a bank statement."""

    MATCHED = "matched"
    SUSPENSE = "suspense"
    ASSIGNED = "assigned"
    OUTGOING = "outgoing"


@dataclass(frozen=True)
class OurRow:
    """A payment or refund that we booked through a channel. amount: yuan."""

    trade_no: str
    amount: Decimal
    attempt_id: UUID
    refund_no: str | None = None


@dataclass(frozen=True)
class Difference:
    """One difference; ours or theirs is None where one side knows nothing."""

    kind: ExceptionKind
    trade_no: str
    ours: OurRow | None = None
    theirs: StatementRow | None = None


def differences(ours: Iterable[OurRow], theirs: Iterable[StatementRow]) -> list[Difference]:
    """Return what stands on one side only, or with another amount, by trade number.

    A row is one payment (by trade number) or one refund (by trade and refund number).
    """
    mine = {(row.trade_no, row.refund_no): row for row in ours}
    found: list[Difference] = []
    for their in theirs:
        our = mine.pop((their.trade_no, their.refund_no), None)
        if our is None:
            is_refund = their.is_refund
            kind = ExceptionKind.REFUND_MISSING_HERE if is_refund else ExceptionKind.MISSING_HERE
            found.append(Difference(kind, their.trade_no, None, their))
        elif our.amount != their.amount:
            found.append(Difference(ExceptionKind.AMOUNT_DIFFERS, our.trade_no, our, their))
    for our in mine.values():
        is_refund = our.refund_no is not None
        kind = ExceptionKind.REFUND_MISSING_THERE if is_refund else ExceptionKind.MISSING_THERE
        found.append(Difference(kind, our.trade_no, our, None))
    return sorted(found, key=lambda d: (d.trade_no, d.kind))


# --- bank statements ------------------------------------------------------------------------------


@dataclass(frozen=True)
class BankRow:
    """A line of a bank statement. amount: yuan, below zero for money that went out."""

    on: date
    amount: Decimal
    serial: str
    payer: str = ""
    payer_account: str = ""
    memo: str = ""


@dataclass(frozen=True)
class OpenOrder:
    """A payment order that waits for money."""

    id: UUID
    number: str
    payer: str
    amount: Decimal


def order_number(order_id: UUID) -> str:
    """Return what a payer writes into the memo of a transfer: ``DG`` and ten hex digits."""
    return f"DG{order_id.hex[-10:].upper()}"


def match_line(row: BankRow, orders: Sequence[OpenOrder]) -> UUID | None:
    """Return the order that a bank's line pays, None when that is not certain.

    By the order's number in the memo, with the very amount; else by payer and amount, when exactly
    one order fits. An order number with another amount fits nothing: somebody must look.
    """
    numbers = {f"DG{n}" for n in ORDER_NUMBER.findall(row.memo.upper().replace(" ", ""))}
    if numbers:
        named = [o for o in orders if o.number in numbers]
        return named[0].id if len(named) == 1 and named[0].amount == row.amount else None
    payer = row.payer.strip()
    fitting = [o for o in orders if payer and o.payer == payer and o.amount == row.amount]
    return fitting[0].id if len(fitting) == 1 else None


BANK_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "on": ("交易时间", "交易日期", "记账日期", "日期", "date"),
    "credit": ("收入", "贷方发生额", "收入金额", "贷方金额", "credit"),
    "debit": ("支出", "借方发生额", "支出金额", "借方金额", "debit"),
    "amount": ("交易金额", "发生额", "金额", "amount"),
    "serial": ("流水号", "交易流水号", "银行流水号", "凭证号", "serial"),
    "payer": ("对方户名", "对方名称", "付款人", "payer"),
    "payer_account": ("对方账号", "付款账号", "account"),
    "memo": ("摘要", "附言", "用途", "备注", "memo"),
}


def guess_mapping(headings: Sequence[str]) -> dict[str, str]:
    """Return which heading holds which field, by the names that banks commonly use."""
    there = {h.strip().lower().split("(")[0].split("（")[0]: h for h in headings if h.strip()}
    found = {}
    for field, names in BANK_HEADINGS.items():
        hit = next((there[n] for n in names if n in there), None)
        if hit is not None:
            found[field] = hit
    return found
