"""Writing tables for spreadsheet programs: typed XLSX and CSV that runs no formula.

Everything goes to a file without a name, which is gone with the process that holds it; what
XlsxWriter keeps aside while it writes lies in a folder that only this user reads.
"""

import csv
import io
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from urllib.parse import quote

import xlsxwriter
from flask import Response
from werkzeug.wsgi import FileWrapper

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv; charset=utf-8"
BYTE_ORDER_MARK = "\ufeff"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
SHEET_ROWS = 1_048_576
LONGEST_CELL = 32_767
# Excel reads numbers as 64-bit floats: more than fifteen digits would change on the way.
MOST_DIGITS = 15


@dataclass(frozen=True)
class SheetColumn:
    """One column of a sheet. kind: as of ``views.Column``; it decides the cell's format."""

    title: str
    kind: str = "text"
    width: int = 0
    note: str = ""
    choices: Sequence[str] = ()
    is_needed: bool = False


class Workbook:
    """An XLSX file that is written row by row, never held in memory."""

    def __init__(self) -> None:
        self.file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
        self._folder = tempfile.TemporaryDirectory(prefix="dougong-xlsx-")
        self.book = xlsxwriter.Workbook(
            self.file,
            {
                "constant_memory": True,
                "tmpdir": self._folder.name,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
                "nan_inf_to_errors": True,
            },
        )
        self.head = self.book.add_format(
            {"bold": True, "bg_color": "#E3F0FC", "bottom": 1, "valign": "vcenter"}
        )
        self.needed = self.book.add_format(
            {"bold": True, "bg_color": "#FFF3DC", "bottom": 1, "valign": "vcenter"}
        )
        self.wrapped = self.book.add_format({"text_wrap": True, "valign": "top"})
        self.title = self.book.add_format({"bold": True, "font_size": 14})
        formats = {
            "day": "yyyy-mm-dd",
            "instant": "yyyy-mm-dd hh:mm",
            "money": "#,##0.00",
            "number": "General",
            "text": "@",
        }
        self.formats = {k: self.book.add_format({"num_format": f}) for k, f in formats.items()}

    def __enter__(self) -> "Workbook":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.book.close()
            else:
                self.book.fileclosed = True
                self.file.close()
        finally:
            self._folder.cleanup()

    def sheet(self, name: str, columns: Sequence[SheetColumn]) -> "Sheet":
        """Add a sheet with a frozen head, widths and cell formats by kind."""
        return Sheet(self, name, columns)


class Sheet:
    """One sheet; ``write`` adds a row below the last."""

    def __init__(self, workbook: Workbook, name: str, columns: Sequence[SheetColumn]) -> None:
        self.workbook, self.columns, self.rows = workbook, columns, 0
        self.sheet: Any = workbook.book.add_worksheet(sheet_name(name))
        self.sheet.freeze_panes(1, 0)
        for at, column in enumerate(columns):
            width = column.width or WIDTHS.get(column.kind, 16)
            body = workbook.formats.get(column.kind, workbook.formats["text"])
            self.sheet.set_column(at, at, max(width, _width(column.title)), body)
            head = workbook.needed if column.is_needed else workbook.head
            self.sheet.write_string(0, at, column.title, head)
            if column.note:
                self.sheet.write_comment(0, at, column.note, {"x_scale": 2})
            if column.choices and len(",".join(column.choices)) <= 255:
                rule = {"validate": "list", "source": list(column.choices), "ignore_blank": True}
                self.sheet.data_validation(1, at, 20_000, at, {**rule, "error_type": "warning"})

    def write(self, values: Iterable[Any]) -> None:
        """Write one row; each value as what it is: date, number, yes or no, or text."""
        self.rows += 1
        if self.rows >= SHEET_ROWS:
            raise OverflowError("a sheet holds 1,048,576 rows")
        for at, (column, value) in enumerate(zip(self.columns, values, strict=True)):
            self._cell(at, column.kind, value)

    def _cell(self, at: int, kind: str, value: Any) -> None:
        formats = self.workbook.formats
        if value is None or value == "":
            return
        if isinstance(value, bool):
            self.sheet.write_boolean(self.rows, at, value)
        elif isinstance(value, datetime):
            self.sheet.write_datetime(self.rows, at, value, formats["instant"])
        elif isinstance(value, date):
            self.sheet.write_datetime(self.rows, at, value, formats["day"])
        elif isinstance(value, int | Decimal) and _fits(value):
            self.sheet.write_number(self.rows, at, value, formats.get(kind, formats["number"]))
        else:
            self.sheet.write_string(self.rows, at, clean(str(value)))

    def filter(self) -> None:
        """Offer Excel's filter over everything that was written."""
        self.sheet.autofilter(0, 0, max(self.rows, 1), max(len(self.columns) - 1, 0))


WIDTHS = {"day": 12, "instant": 17, "money": 14, "number": 12, "flag": 8, "id": 38}


class CsvFile:
    """A CSV file in UTF-8 with a byte order mark, which is what Excel needs to read Chinese."""

    def __init__(self, columns: Sequence[SheetColumn]) -> None:
        self.file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
        self._text = io.TextIOWrapper(self.file, "utf-8", newline="", write_through=True)
        self._text.write(BYTE_ORDER_MARK)
        self._rows = csv.writer(self._text)
        self._rows.writerow([guard(column.title) for column in columns])

    def write(self, values: Iterable[Any]) -> None:
        """Write one row; texts that a spreadsheet would run as a formula get a ``'`` before."""
        self._rows.writerow([_plain(value) for value in values])

    def finish(self) -> BinaryIO:
        """Return the file, complete."""
        self._text.flush()
        return self._text.detach()  # type: ignore[return-value]


def guard(text: str) -> str:
    """Return ``text`` so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def unguard(text: str) -> str:
    """Return what ``guard`` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_STARTS) else text


def clean(text: str) -> str:
    """Return ``text`` without the control characters that make an XLSX file unreadable."""
    kept = "".join(c for c in text if c >= " " or c in "\t\n\r")
    return kept.replace("\ufffe", "").replace("\uffff", "")[:LONGEST_CELL]


def sheet_name(name: str) -> str:
    """Return ``name`` as Excel accepts it: 31 characters, none of ``[]:*?/\\``."""
    kept = "".join(c for c in name if c not in "[]:*?/\\").strip("'")
    return kept[:31] or "Sheet"


def send(file: BinaryIO, kind: str, name: str) -> Response:
    """Return an answer that downloads ``file`` under ``name``, Chinese names included."""
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    response = Response(FileWrapper(file), content_type=kind, direct_passthrough=True)
    response.content_length = length
    plain = f"export{Path(name).suffix}"
    known = quote(name, safe="")
    response.headers["Content-Disposition"] = (
        f"attachment; filename=\"{plain}\"; filename*=UTF-8''{known}"
    )
    response.call_on_close(file.close)
    return response


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int):
        return str(value)
    return guard(clean(str(value)))


def _fits(value: int | Decimal) -> bool:
    number = Decimal(value)
    return number.is_finite() and len(number.normalize().as_tuple().digits) <= MOST_DIGITS


def _width(text: str) -> int:
    """Return how wide a title stands: a Chinese character takes two columns."""
    return min(40, sum(2 if ord(c) > 0x2E7F else 1 for c in text) + 4)
