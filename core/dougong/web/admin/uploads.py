"""Reading spreadsheets that people upload, hostile ones included, and carrying them in a page.

A file is read in memory, within limits, and never run or kept. Between the steps of an import its
rows travel in the page, sealed with the key of the community for one user and one purpose: the
server keeps nothing, and the browser holds a ciphertext.
"""

import base64
import csv
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from os import urandom
from time import time as now
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, LargeZipFile, ZipFile

from cryptography.exceptions import InvalidTag
from flask import Request

from dougong.db.ciphers import NONCE, Place
from dougong.db.scope import Scope
from dougong.errors import Invalid
from dougong.i18n import N_
from dougong.later import Later

if TYPE_CHECKING:
    import openpyxl
    import openpyxl.utils.exceptions
else:
    openpyxl = Later("openpyxl")

MOST_BYTES = 10 * 1024 * 1024
MOST_ROWS = 20_000
MOST_COLUMNS = 100
MOST_UNPACKED = 64 * 1024 * 1024
MOST_SHEETS = 40
SHEET_ROWS = 1_048_576
LONGEST_CELL = 4_000
CARRIED_BYTES = 3 * 1024 * 1024
LIFETIME_S = 2 * 60 * 60
SHEET_PART = re.compile(r"xl/worksheets/[^/]+\.xml$")
# Every repetition is bounded, so that no file makes the search slow.
EMPTY_FORMULA = re.compile(
    rb'<c r="([A-Z]{1,3}[0-9]{1,7})"[^>]{0,200}>\s{0,20}<f[^>]{0,500}>(?:[^<]{0,8200}</f>)?'
    rb"\s{0,20}(?:<v\s?/>|<v></v>)?\s{0,20}</c>"
)
ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
# What openpyxl and the libraries below it raise for files that are broken on purpose.
BROKEN: tuple[type[Exception], ...] = (
    BadZipFile,
    LargeZipFile,
    SyntaxError,
    ArithmeticError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    EOFError,
    OSError,
    RuntimeError,
    zlib.error,
)

Cell = Any


@dataclass(frozen=True)
class Line:
    """One row of a sheet. number: as the spreadsheet program shows it, from 1."""

    number: int
    cells: Sequence[Cell]

    def __getitem__(self, at: int) -> Cell:
        return self.cells[at] if at < len(self.cells) else None


@dataclass
class Table:
    """One sheet's rows that hold anything."""

    name: str
    lines: list[Line] = field(default_factory=list)


class UploadRequest(Request):
    """A request whose files stay in memory: an upload of personal data touches no disk."""

    def _get_file_stream(self, *arguments: Any, **named: Any) -> Any:
        return io.BytesIO()


def read_upload(upload: Any) -> list[Table]:
    """Return the sheets of an uploaded XLSX or CSV; raises Invalid that says what is wrong."""
    if upload is None or not upload.filename:
        raise Invalid(N_("Choose a file first."))
    content = upload.stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise Invalid(N_("The file is larger than %(limit)s MB."), limit=MOST_BYTES // 1024**2)
    return read_content(content)


def named_upload(upload: Any) -> tuple[str, list[Table]]:
    """Return an uploaded file's name and its sheets; raises Invalid as ``read_upload`` does."""
    tables = read_upload(upload)
    return str(upload.filename), tables


def read_content(content: bytes) -> list[Table]:
    """Return the sheets of a file's content, told by its first bytes and not by its name."""
    if not content.strip():
        raise Invalid(N_("The file is empty."))
    if content.startswith(OLE):
        raise Invalid(
            N_("This is an old .xls file or one with a password. Save it as .xlsx without one.")
        )
    tables = read_xlsx(content) if content.startswith(ZIP) else [read_csv(content)]
    if not any(table.lines for table in tables):
        raise Invalid(N_("The file is empty."))
    return tables


def read_xlsx(content: bytes) -> list[Table]:
    """Return the sheets of a workbook; formulas count with the value that was saved with them."""
    try:
        _check_archive(content)
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        if len(book.worksheets) > MOST_SHEETS:
            raise Invalid(N_("The workbook has too many sheets."))
        total, tables = 0, []
        for sheet in book.worksheets:
            sheet.reset_dimensions()
            table = Table(sheet.title)
            rows = sheet.iter_rows(max_col=MOST_COLUMNS, values_only=True)
            for line in _lines(rows):
                total += 1
                _check_rows(total)
                table.lines.append(line)
            tables.append(table)
        return tables
    except (*BROKEN, openpyxl.utils.exceptions.InvalidFileException) as error:
        raise Invalid(N_("The workbook cannot be read. Save it anew as .xlsx.")) from error


def _check_archive(content: bytes) -> None:
    """Raise Invalid for an archive that unpacks to more than any honest workbook."""
    with ZipFile(io.BytesIO(content)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MOST_UNPACKED:
            raise Invalid(N_("The workbook holds too much. Split it into several."))
        for name in archive.namelist():
            empty = EMPTY_FORMULA.search(archive.read(name)) if SHEET_PART.match(name) else None
            if empty is not None:
                raise Invalid(
                    N_(
                        "Cell %(cell)s holds a formula that was never calculated. Open the file"
                        " in a spreadsheet program, save it, and upload it again."
                    ),
                    cell=empty[1].decode("ascii"),
                )


def _lines(rows: Iterable[Sequence[Cell]]) -> Iterator[Line]:
    for number, row in enumerate(rows, 1):
        if number > SHEET_ROWS:
            raise Invalid(N_("The workbook cannot be read. Save it anew as .xlsx."))
        if row.count(None) == len(row):
            continue
        cells = [_plain(cell) for cell in row]
        while cells and cells[-1] is None:
            cells.pop()
        if cells:
            yield Line(number, cells)


def _check_rows(total: int) -> None:
    if total > MOST_ROWS + 1:
        raise Invalid(
            N_("The file has more than %(limit)s rows. Split it."), limit=f"{MOST_ROWS:,}"
        )


def _plain(cell: Cell) -> Cell:
    """Return a cell as text, number, yes or no, or ISO text of a date; None for an empty one."""
    if cell is None or isinstance(cell, bool | int):
        return cell
    if isinstance(cell, datetime):
        is_day = cell.time() == time()
        return cell.date().isoformat() if is_day else cell.isoformat(" ", "minutes")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    if isinstance(cell, float):
        # Fifteen digits are what Excel shows of a number; the rest is noise of the binary form.
        return _number(Decimal(format(cell, ".15g")))
    text = str(cell).strip()[:LONGEST_CELL]
    return text or None


def _number(value: Decimal) -> int | str | None:
    if not value.is_finite():
        return None
    whole = value.to_integral_value()
    return int(whole) if whole == value and abs(whole) < 10**15 else f"{value:f}"


def read_csv(content: bytes) -> Table:
    """Return the rows of a CSV in UTF-8, UTF-16 or GB18030, with commas, semicolons or tabs."""
    text = _decoded(content)
    head = text[:20_000].partition("\n")[0]
    delimiter = max(",\t;，", key=head.count)
    csv.field_size_limit(1_000_000)
    table = Table("")
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        for line in _lines(row[:MOST_COLUMNS] for row in rows):
            table.lines.append(line)
            _check_rows(len(table.lines))
    except csv.Error as error:
        raise Invalid(N_("The file cannot be read as CSV.")) from error
    return table


def _decoded(content: bytes) -> str:
    encodings = ["utf-8-sig", "gb18030"]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Invalid(N_("The file is neither a workbook nor text in UTF-8 or GB18030."))


# --- carried by the page ----------------------------------------------------------------------


def pack(scope: Scope, purpose: str, content: Any) -> str:
    """Return ``content`` (plain JSON) sealed for this place, user and purpose.

    Raises Invalid when it is more than a form field may hold.
    """
    plain = zlib.compress(json.dumps([int(now()), content], ensure_ascii=False).encode(), 6)
    if len(plain) > CARRIED_BYTES:
        raise Invalid(N_("The file holds too much. Split it into several."))
    key = scope.vault.keyring.current(_owner(scope))
    nonce = urandom(NONCE)
    sealed = key.aead.encrypt(nonce, plain, _place(scope, purpose).bound(key.key_id))
    return base64.urlsafe_b64encode(key.key_id.to_bytes(4) + nonce + sealed).decode()


def unpack(scope: Scope, purpose: str, sealed: str) -> Any:
    """Return what ``pack`` was given; raises Invalid for anything else or after two hours."""
    try:
        raw = base64.urlsafe_b64decode(sealed)
        key = scope.vault.keyring.key(_owner(scope), int.from_bytes(raw[:4]))
        bound = _place(scope, purpose).bound(key.key_id)
        plain = key.aead.decrypt(raw[4 : 4 + NONCE], raw[4 + NONCE :], bound)
        made_at, content = json.loads(zlib.decompress(plain))
    except (ValueError, LookupError, InvalidTag) as error:
        raise Invalid(N_("The uploaded file is no longer at hand. Upload it again.")) from error
    if now() - made_at > LIFETIME_S:
        raise Invalid(N_("The uploaded file is no longer at hand. Upload it again."))
    return content


def _owner(scope: Scope) -> Any:
    return scope.community_id or scope.group_id


def _place(scope: Scope, purpose: str) -> Place:
    from dougong.db.scope import NOBODY

    return Place(_owner(scope), "import", purpose, scope.actor.user_id or NOBODY)


def tables_as_json(tables: Sequence[Table]) -> list[Any]:
    """Return tables as ``pack`` takes them."""
    return [[t.name, [[line.number, *line.cells] for line in t.lines]] for t in tables]


def tables_from_json(content: Any) -> list[Table]:
    """Return what ``tables_as_json`` was given."""
    return [Table(name, [Line(n, cells) for n, *cells in lines]) for name, lines in content]
