"""Bank statements (银行流水): read with a mapping of columns, matched, or kept aside."""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from uuid import UUID
from zipfile import BadZipFile

import openpyxl
from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong.tenancy.models import Person
from dougong_ledger.domain import BANK, SUSPENSE, OrderState, PaymentChannel, Posting
from dougong_ledger.matching import (
    BankRow,
    LineState,
    OpenOrder,
    guess_mapping,
    match_line,
    order_number,
)
from dougong_ledger.models import BankLine, Payment, PaymentOrder
from dougong_ledger.services.journal import post
from dougong_ledger.services.payments import Source, take_payment

MOST_ROWS = 20_000
DAY_FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y年%m月%d日", "%d/%m/%Y")


@dataclass
class BankImport:
    """What became of a statement: lines by their state; problems by row of the file."""

    matched: int = 0
    suspense: int = 0
    outgoing: int = 0
    known: int = 0
    problems: tuple[tuple[int, str], ...] = ()


# --- reading --------------------------------------------------------------------------------------


def read_table(filename: str, content: bytes) -> list[list[str]]:
    """Return the cells of a CSV (UTF-8 or GB18030) or XLSX file as text, row by row.

    Raises Invalid for a file that is neither, or too long.
    """
    try:
        if content.startswith(b"PK"):
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            rows = [
                [_cell(v) for v in row] for row in book.worksheets[0].iter_rows(values_only=True)
            ]
        else:
            rows = list(csv.reader(io.StringIO(_decoded(content))))
    except (ValueError, KeyError, OSError, csv.Error, BadZipFile) as error:
        raise Invalid(
            N_("Some fields are not right yet."),
            fields={"file": gettext("This is neither CSV nor XLSX.")},
        ) from error
    if len(rows) > MOST_ROWS:
        fields = {"file": gettext("At most %(count)s rows at once.", count=MOST_ROWS)}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    return rows


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("gb18030")


def _cell(value: object) -> str:
    if isinstance(value, datetime | date):
        return f"{value:%Y-%m-%d}"
    return "" if value is None else str(value)


def find_heading(
    rows: Sequence[Sequence[str]], given: Mapping[str, str]
) -> tuple[int, dict[str, str]]:
    """Return the row of headings and the mapping guessed from it; banks put a letterhead above.

    given: field → heading, before any guess. Raises Invalid when no row looks like headings.
    """

    def mapped(row: Sequence[str]) -> dict[str, str]:
        here = {field: name for field, name in given.items() if name in row}
        return {**guess_mapping(row), **here}

    best = max(
        ((i, mapped(row)) for i, row in enumerate(rows[:30])),
        key=lambda found: len(found[1]),
        default=(0, {}),
    )
    if not {"on"} <= set(best[1]) or not {"credit", "amount"} & set(best[1]):
        fields = {"file": gettext("No row has headings for day and amount.")}
        raise Invalid(N_("Some fields are not right yet."), fields=fields)
    return best


def parse_rows(
    headings: Sequence[str], rows: Iterable[Sequence[str]], mapping: Mapping[str, str]
) -> tuple[list[BankRow], list[tuple[int, str]]]:
    """Return the lines of a statement, and what is wrong by position.

    mapping: field → heading. A line without a serial number gets one from what it says and how
    often it said so before, so that the same file brings the same lines.
    """
    places = {field: headings.index(name) for field, name in mapping.items() if name in headings}
    found, problems, seen = [], [], {}
    for number, row in enumerate(rows):
        cells = {f: row[p].strip() if p < len(row) else "" for f, p in places.items()}
        if not cells.get("on") or not any(cells.get(f) for f in ("credit", "debit", "amount")):
            continue
        try:
            line = _line(cells, seen)
        except (ValueError, InvalidOperation):
            problems.append((number, gettext("Day or amount cannot be read.")))
            continue
        if line.amount:
            found.append(line)
    return found, problems


def _line(cells: Mapping[str, str], seen: dict[str, int]) -> BankRow:
    amount = _money(cells.get("amount", ""))
    if "credit" in cells or "debit" in cells:
        amount = _money(cells.get("credit", "")) - abs(_money(cells.get("debit", "")))
    serial = cells.get("serial", "")
    if not serial:
        said = "|".join(f"{k}={cells[k]}" for k in sorted(cells))
        seen[said] = seen.get(said, 0) + 1
        serial = "#" + hashlib.sha256(f"{said}|{seen[said]}".encode()).hexdigest()[:32]
    return BankRow(
        _day(cells["on"]),
        amount,
        serial[:80],
        cells.get("payer", "")[:120],
        cells.get("payer_account", "")[:60],
        cells.get("memo", "")[:200],
    )


def _day(text: str) -> date:
    first = text.replace("T", " ").split(" ")[0]
    for form in DAY_FORMATS:
        try:
            return datetime.strptime(first[:11], form).date()
        except ValueError:
            continue
    raise ValueError(text)


def _money(text: str) -> Decimal:
    plain = text.replace(",", "").replace("¥", "").replace("￥", "").replace("+", "").strip()
    amount = Decimal(plain) if plain and plain != "-" else Decimal(0)
    if not amount.is_finite() or amount != round(amount, 2) or abs(amount) >= 10**12:
        raise ValueError(text)
    return amount


# --- booking --------------------------------------------------------------------------------------


@service("bank_line.load", title=("Import a bank statement", "导入银行流水"), is_public=False)
def import_statement(
    scope: Scope, filename: str, content: bytes, mapping: Mapping[str, str] | None = None
) -> BankImport:
    """Book the lines of a bank statement that are not known yet.

    mapping: field → heading, where the guess is not right.
    What pays an open order for certain pays it; what does not waits in the suspense account; what
    went out is only listed.
    """
    rows = read_table(filename, content)
    at, chosen = find_heading(rows, mapping or {})
    lines, problems = parse_rows(rows[at], rows[at + 1 :], chosen)
    outcome = BankImport(problems=tuple((at + 2 + n, text) for n, text in problems))
    serials = [line.serial for line in lines]
    known = set(scope.session.scalars(select(BankLine.serial).where(BankLine.serial.in_(serials))))
    orders = _open_orders(scope)
    for line in lines:
        if line.serial in known:
            outcome.known += 1
            continue
        known.add(line.serial)
        state = _take(scope, line, orders)
        setattr(outcome, state.value, getattr(outcome, state.value) + 1)
    return outcome


def _open_orders(scope: Scope) -> list[OpenOrder]:
    query = (
        select(PaymentOrder.id, Person.name, PaymentOrder.amount)
        .outerjoin(Person, Person.id == PaymentOrder.payer_id)
        .where(PaymentOrder.state == OrderState.OPEN)
    )
    return [
        OpenOrder(r.id, order_number(r.id), r.name or "", r.amount)
        for r in scope.session.execute(query)
    ]


def _take(scope: Scope, line: BankRow, orders: list[OpenOrder]) -> LineState:
    record = BankLine(
        on=line.on,
        amount=line.amount,
        serial=line.serial,
        payer=line.payer or None,
        payer_account=line.payer_account or None,
        memo=line.memo or None,
        state=LineState.OUTGOING if line.amount < 0 else LineState.SUSPENSE,
    )
    scope.session.add(record)
    scope.session.flush()
    if line.amount < 0:
        return record.state
    order_id = match_line(line, orders)
    payment = _pay(scope, record, order_id, BANK) if order_id else None
    if payment is not None:
        record.state, record.payment_id = LineState.MATCHED, payment.id
        orders[:] = [order for order in orders if order.id != order_id]
    else:
        posting = Posting(BANK, SUSPENSE, line.amount, line.serial)
        post(scope, "ledger.bank_line", record.id, line.serial, [posting], on=line.on)
    scope.session.flush()
    return record.state


def _pay(scope: Scope, line: BankLine, order_id: UUID, account: str) -> Payment | None:
    """Pay an order with a line's money; None when it is no longer owed."""
    order, serial = scope.get(PaymentOrder, order_id), line.serial
    try:
        with scope.session.begin_nested():
            return take_payment(scope, order, PaymentChannel.BANK_TRANSFER, serial, Source(account))
    except Conflict:
        return None


@service("bank_line.assign", title=("Assign to an order", "认领"))
def assign_line(scope: Scope, bank_line: BankLine, payment_order: PaymentOrder) -> BankLine:
    """Pay an open order with money that waits in the suspense account.

    Raises Conflict when the line is settled, or when amount or order do not fit.
    """
    line = scope.get(BankLine, bank_line.id, lock=True)
    if line.state is not LineState.SUSPENSE:
        raise Conflict(N_("This line is settled already."))
    if payment_order.amount != line.amount:
        raise Conflict(N_("The order is about another amount. Open one about this amount."))
    payment = _pay(scope, line, payment_order.id, SUSPENSE)
    line = scope.get(BankLine, bank_line.id, lock=True)
    if payment is None:
        raise Conflict(N_("This is no longer owed, or not that much of it. Reload the page."))
    line.state, line.payment_id = LineState.ASSIGNED, payment.id
    scope.session.flush()
    return line
