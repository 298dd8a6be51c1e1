"""What an export holds: the list's columns, order and filters, typed, and who took it out.

Who exports what, how many rows, which personal columns and why is written to the log before the
file is made. Nothing here needs a request: small exports are answered at once (``exports``), large
ones are a worker's (``export_jobs``).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import func, select, text

from dougong.db import ciphers, uuid7
from dougong.db.scope import Scope
from dougong.errors import Invalid
from dougong.exchange import Export
from dougong.i18n import N_, gettext
from dougong.privacy.models import RevealReason
from dougong.privacy.purposes import declarations
from dougong.web.admin import extensions, listing
from dougong.web.admin.pages import community_names
from dougong.web.admin.views import Column, RecordView, show
from dougong.web.admin.workbooks import CsvFile, SheetColumn, Workbook

LIMIT = 1_000_000
BATCH = 1_000
VERB = "dougong.export_file.make"
REVEAL = "dougong.personal.reveal"


@dataclass(frozen=True)
class Asked:
    """What someone wants out of a list. kind: ``xlsx`` or ``csv``. is_clear: personal values too,
    which needs a reason."""

    kind: str
    wish: listing.Wish
    is_clear: bool = False
    reason: RevealReason | None = None
    note: str = ""


def count(scope: Scope, view: type[RecordView], wish: listing.Wish) -> int:
    """Return how many rows an export has; raises Invalid above the limit."""
    some = listing.matching(scope, view, wish).order_by(None).with_only_columns(view.model.id)
    query = select(func.count()).select_from(some.limit(LIMIT + 1).subquery())
    number = scope.session.execute(query).scalar_one()
    if number > LIMIT:
        raise Invalid(
            N_("This list has more than %(limit)s rows. Narrow it with filters, then export."),
            limit=f"{LIMIT:,}",
        )
    return number


def name_of(scope: Scope, view: type[RecordView], kind: str) -> str:
    """Return the file's name: place, list, day."""
    day = scope.today.strftime("%Y%m%d")
    return f"{scope.place.name}-{view.label()}-{day}".replace("/", "-") + f".{kind}"


def may_be_clear(scope: Scope, view: type[RecordView], wish: listing.Wish) -> bool:
    """Tell whether the actor may take personal values of these columns out in clear."""
    masks = {c.encrypted.mask for c in view.shown(scope, wish.columns) if c.encrypted is not None}
    return scope.may(REVEAL) and any(scope.clearance(mask) == "full" for mask in masks)


def personal_of(scope: Scope, view: type[RecordView], wish: listing.Wish) -> list[Column]:
    """Return the columns of the file that are declared as personal."""
    table = view.model.__table__
    declared = {said.key for said in declarations(scope.installation.plugins).values()}
    stem = f"{table.schema}.{table.name}"
    return [
        column
        for column in view.shown(scope, wish.columns)
        if column.encrypted is not None or f"{stem}.{column.key}" in declared
    ]


def record_export(scope: Scope, view: type[RecordView], asked: Asked, rows: int) -> UUID:
    """Write to the log who takes what out, in a transaction of its own; return the entry's id.

    It stays written when the request fails later: part of the file may have been seen. Raises
    Invalid when values in clear are wanted without a reason.
    """
    if asked.is_clear and asked.reason is None:
        raise Invalid(
            N_("Say why you need to see this."), fields={"reason": gettext(N_("This is needed."))}
        )
    if asked.is_clear:
        scope.actor.require_proof(VERB)
    personal = [column.key for column in personal_of(scope, view, asked.wish)]
    plain, words = _filters(view, asked.wish)
    with scope.installation.access(scope.actor) as session:
        session.execute(
            text(
                "select set_config('dougong.verb', :v, true),"
                " set_config('dougong.reason', :r, true)"
            ),
            {"v": VERB, "r": asked.reason.value if asked.reason else ""},
        )
        entry = Export(
            id=uuid7(),
            community_id=scope.community_id,
            group_id=scope.group_id,
            user_id=scope.actor.user_id,
            view=view.name(),
            kind=asked.kind,
            filters=plain,
            rows=rows,
            columns=[column.key for column in view.shown(scope, asked.wish.columns)],
            personal=personal,
            is_clear=asked.is_clear,
            reason=asked.reason,
            note=asked.note[:200],
        )
        if words:
            scope.vault.store(Export.__encrypted__["words"], entry, words)
        session.add(entry)
        session.flush()
        return entry.id


def _filters(view: type[RecordView], wish: listing.Wish) -> tuple[Mapping[str, str], str]:
    """Return the filters that are not personal by column, and all that may be as one text."""
    known, plain, words = view.all_columns(), {}, [wish.words] if wish.words else []
    for argument, value in wish.filters.items():
        column = known.get(argument.partition(".")[0])
        is_open = column is not None and column.kind not in ("text", "encrypted")
        if is_open:
            plain[argument] = value[:200]
        else:
            words.append(f"{argument}={value}")
    if wish.sort:
        plain["sort"] = wish.sort[:60]
    return plain, " ".join(words)[:400]


def write(
    scope: Scope, view: type[RecordView], asked: Asked, tell: Any = lambda done: None
) -> BinaryIO:
    """Return the file; tell: called with the number of rows written, every thousand."""
    columns = sheet_columns(scope, view, asked.wish)
    rows = _told(rows_of(scope, view, asked.wish, is_clear=asked.is_clear), tell)
    if asked.kind == "csv":
        return write_csv(columns, rows)
    return write_xlsx(view.label(), columns, rows)


def _told(rows: Iterable[list[Any]], tell: Any) -> Iterator[list[Any]]:
    for number, row in enumerate(rows, 1):
        yield row
        if number % BATCH == 0:
            tell(number)


def sheet_columns(scope: Scope, view: type[RecordView], wish: listing.Wish) -> list[SheetColumn]:
    """Return the columns of the file: the list's, other plugins' additions, the community."""
    columns = [SheetColumn(str(c.label), c.kind) for c in view.shown(scope, wish.columns)]
    columns += [SheetColumn(str(e.label)) for e, _ in extensions.columns(scope, view, [])]
    if scope.community_id is None and view.model.__kind__ == "community":
        columns.append(SheetColumn(gettext(N_("Community"))))
    return columns


def rows_of(
    scope: Scope, view: type[RecordView], wish: listing.Wish, *, is_clear: bool = False
) -> Iterator[list[Any]]:
    """Return the values of the file row by row, read from the database in batches.

    is_clear: personal values are masked unless this is said and the actor's roles show them.
    """
    columns = view.shown(scope, wish.columns)
    query = listing.matching(scope, view, wish).execution_options(yield_per=BATCH)
    query = query.options(*listing.with_names(view, columns))
    names = community_names(scope) if view.model.__kind__ == "community" else {}
    for records in scope.session.scalars(query).partitions():
        yield from _values(scope, view, columns, records, names, is_clear)


def _values(
    scope: Scope,
    view: type[RecordView],
    columns: Sequence[Column],
    records: Sequence[Any],
    names: dict[UUID, str],
    is_clear: bool,
) -> Iterator[list[Any]]:
    further = [values for _, values in extensions.columns(scope, view, records)]
    for record in records:
        row = [value_of(scope, column, record, is_clear) for column in columns]
        row += [values.get(record.id, "") for values in further]
        if names:
            row.append(names.get(record.community_id, ""))
        yield row


def value_of(scope: Scope, column: Column, record: Any, is_clear: bool = False) -> Any:
    """Return a cell's value with its type kept; personal values masked unless ``is_clear``."""
    if column.encrypted is not None:
        return _personal(scope, column, record, is_clear)
    if column.members is not None:
        return show(scope, column, record)
    value = getattr(record, column.key)
    if column.said is not None and value is not None:
        return str(column.said(scope, record))
    if isinstance(value, datetime):
        return value.astimezone(scope.zone).replace(tzinfo=None)
    if isinstance(value, Decimal) and column.kind == "number":
        return value.normalize() if value else Decimal(0)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return None if value is None else value if _is_plain(value) else str(value)


def _personal(scope: Scope, column: Column, record: Any, is_clear: bool) -> str:
    encrypted: Any = column.encrypted
    clearance = scope.clearance(encrypted.mask)
    plain = getattr(record, column.key) if clearance != "hide" else None
    if is_clear and clearance == "full":
        return plain or ""
    return ciphers.mask(encrypted.mask, plain) or ""


def _is_plain(value: Any) -> bool:
    return isinstance(value, bool | int | Decimal | date)


def write_xlsx(
    title: str, columns: Sequence[SheetColumn], rows: Iterable[Sequence[Any]]
) -> BinaryIO:
    """Return a workbook of one sheet."""
    with Workbook() as book:
        sheet = book.sheet(title, columns)
        for row in rows:
            sheet.write(row)
        sheet.filter()
    return book.file


def write_csv(columns: Sequence[SheetColumn], rows: Iterable[Sequence[Any]]) -> BinaryIO:
    """Return a CSV file."""
    file = CsvFile(columns)
    for row in rows:
        file.write(row)
    return file.finish()
