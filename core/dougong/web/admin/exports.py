"""Downloading a list: the rows that its filters let through, as an Excel workbook or CSV.

Needs the permission ``<plugin>.<model>.export``. The file has the list's columns, order and masks;
it is complete before the answer begins, so that a failure is an error page and no cut-off file.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, BinaryIO
from uuid import UUID

import structlog
from flask import Response, request
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from dougong.db.scope import Scope
from dougong.errors import Invalid
from dougong.i18n import N_, gettext
from dougong.web.admin import listing
from dougong.web.admin.pages import blueprint, community_names, extension_columns, find_view
from dougong.web.admin.views import Column, RecordView, show
from dougong.web.admin.workbooks import CSV, XLSX, CsvFile, SheetColumn, Workbook, send
from dougong.web.app import require_scope

log = structlog.get_logger("dougong.exports")

LIMIT = 100_000
BATCH = 1_000


@blueprint.get("/<plugin>/<model>/export.xlsx")
def export_xlsx(plugin: str, model: str) -> Response:
    """Download the list as an Excel workbook."""
    view, columns, rows, name = _asked(plugin, model)
    return send(write_xlsx(view.label(), columns, rows), XLSX, f"{name}.xlsx")


@blueprint.get("/<plugin>/<model>/export.csv")
def export_csv(plugin: str, model: str) -> Response:
    """Download the list as CSV."""
    _view, columns, rows, name = _asked(plugin, model)
    return send(write_csv(columns, rows), CSV, f"{name}.csv")


def _asked(
    plugin: str, model: str
) -> tuple[type[RecordView], list[SheetColumn], Iterator[list[Any]], str]:
    scope = require_scope()
    view = find_view(plugin, model, "export")
    find_view(plugin, model)
    wish = listing.Wish.read(request.args)
    number = _count(scope, view, wish)
    log.info("export", view=view.name(), rows=number, user_id=str(scope.actor.user_id))
    day = scope.today.strftime("%Y%m%d")
    name = f"{scope.place.name}-{view.label()}-{day}".replace("/", "-")
    return view, sheet_columns(scope, view, wish), rows_of(scope, view, wish), name


def _count(scope: Scope, view: type[RecordView], wish: listing.Wish) -> int:
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


def sheet_columns(scope: Scope, view: type[RecordView], wish: listing.Wish) -> list[SheetColumn]:
    """Return the columns of the file: the list's, other plugins' additions, the community."""
    columns = [SheetColumn(str(c.label), c.kind) for c in view.shown(scope, wish.columns)]
    columns += [SheetColumn(str(e.label)) for e, _ in extension_columns(scope, view, [])]
    if scope.community_id is None and view.model.__kind__ == "community":
        columns.append(SheetColumn(gettext(N_("Community"))))
    return columns


def rows_of(scope: Scope, view: type[RecordView], wish: listing.Wish) -> Iterator[list[Any]]:
    """Return the values of the file row by row, read from the database in batches."""
    columns = view.shown(scope, wish.columns)
    query = listing.matching(scope, view, wish).execution_options(yield_per=BATCH)
    for column in columns:
        if column.kind == "relation":
            query = query.options(joinedload(getattr(view.model, column.key)))
    names = community_names(scope) if view.model.__kind__ == "community" else {}
    for records in scope.session.scalars(query).partitions():
        yield from _values(scope, view, columns, records, names)


def _values(
    scope: Scope,
    view: type[RecordView],
    columns: Sequence[Column],
    records: Sequence[Any],
    names: dict[UUID, str],
) -> Iterator[list[Any]]:
    further = [values for _, values in extension_columns(scope, view, records)]
    for record in records:
        row = [value_of(scope, column, record) for column in columns]
        row += [values.get(record.id, "") for values in further]
        if names:
            row.append(names.get(record.community_id, ""))
        yield row


def value_of(scope: Scope, column: Column, record: Any) -> Any:
    """Return a cell's value with its type kept; what the list masks or hides stays so."""
    if column.encrypted is not None or column.members is not None:
        return show(scope, column, record)
    value = getattr(record, column.key)
    if isinstance(value, datetime):
        return value.astimezone(scope.zone).replace(tzinfo=None)
    if isinstance(value, Decimal) and column.kind == "number":
        return value.normalize() if value else Decimal(0)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return None if value is None else value if _is_plain(value) else str(value)


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
