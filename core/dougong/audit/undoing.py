"""Taking back a change or a deletion, from the image in the log; so there is no soft delete.

Only what the generic verbs did can be taken back: a verb with a meaning of its own (a payment, an
approval) has a counter-verb of its own.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text

from dougong.audit.images import Image, image_before, image_of, model_of, opened
from dougong.db.base import METADATA
from dougong.db.columns import Ref
from dougong.db.scope import Scope
from dougong.errors import Conflict, DougongError, NotAllowed
from dougong.i18n import N_

DELETED_WITH_IT = text(
    """
    select e.id, e.chain_id, e.txid::text as txid, e.verb, e.operation, e.row_id, e.body,
           e.schema_name || '.' || e.table_name as name
    from dougong.audit_event e
    where e.chain_id = :chain and e.txid = cast(:txid as xid8) and e.operation = 'DELETE'
    """
)


def undo(scope: Scope, event_id: UUID) -> Any:
    """Take back what one event did, and return the record as it is again.

    A deleted row comes back with its id, and with the rows that went with it; a change is put back
    column by column. Needs the permission to create or to change. Raises NotFound for an event of
    elsewhere, and Conflict when the record has changed since, when it is there again, or when the
    log holds no image that can be used.
    """
    image = image_before(scope, event_id)
    if image.model.__kind__ == "community" and scope.community_id is None:
        raise NotAllowed(N_("Choose a community first; a group page writes no rows."))
    with _because(scope, f"undo {event_id}"):
        if image.operation == "DELETE":
            return _put_back(scope, image)
        return _revert(scope, image)


@contextmanager
def _because(scope: Scope, reason: str) -> Iterator[None]:
    before, scope.reason = scope.reason, reason
    try:
        yield
    finally:
        scope.reason = before


# --- a deleted row ------------------------------------------------------------------------------


def _put_back(scope: Scope, image: Image) -> Any:
    from dougong.services import SERVICES, entered, permission_of

    if image.verb in SERVICES or image.verb != permission_of(image.model, "delete"):
        raise Conflict(N_("This cannot be undone here: %(verb)s did it."), verb=image.verb)
    permission = permission_of(image.model, "create")
    with entered(scope, permission, permission):
        for each in [image, *_gone_with(scope, image)]:
            _insert(scope, each)
    return scope.get(image.model, image.row_id)


def _insert(scope: Scope, image: Image) -> None:
    if scope.session.get(image.model, _identity(image)) is not None:
        raise Conflict(N_("This cannot be undone: the record is there again."))
    record, plain = image.model(**image.values), {}
    for column in image.model.__table__.c:
        raw = image.raw.get(column.name)
        if "encrypted" in column.info and raw is not None:
            # Sealed and tagged anew: keys may have changed since.
            plain[column.info["encrypted"]] = _readable(scope, image, record, column, raw)
    for name, value in plain.items():
        setattr(record, name, value)
    scope.session.add(record)
    scope.session.flush()


def _identity(image: Image) -> Any:
    key = image.model.__key_column__
    return (image.values[key], image.row_id) if key else image.row_id


def _readable(scope: Scope, image: Image, record: Any, column: Any, raw: str) -> str:
    try:
        return opened(scope, image.model, record, column, raw)
    except DougongError as error:
        raise Conflict(N_("This cannot be undone: the key of a personal value is gone.")) from error


def _gone_with(scope: Scope, image: Image) -> list[Image]:
    """Return the images of rows that the deletion took along (CASCADE), parents first."""
    with scope.installation.platform() as session:
        rows = session.execute(DELETED_WITH_IT, {"chain": image.chain_id, "txid": image.txid}).all()
    order = {table.fullname: number for number, table in enumerate(METADATA.sorted_tables)}
    known = {(image.model.__table__.fullname, str(image.row_id))}
    found = []
    for row in sorted(rows, key=lambda r: order.get(r.name, 0)):
        model = model_of(row.name)
        if model is None or (row.name, row.row_id) in known:
            continue
        each = image_of(model, row)
        if any((target, str(each.raw.get(name))) in known for name, target in _parts_of(model)):
            known.add((row.name, row.row_id))
            found.append(each)
    return found


def _parts_of(model: Any) -> Iterator[tuple[str, str]]:
    """Yield the columns by which a row is a part of another one, with the other's table."""
    for column in model.__table__.c:
        ref = column.info.get("ref")
        if isinstance(ref, Ref) and ref.ondelete == "CASCADE":
            yield column.name, ref.target


# --- a changed row ------------------------------------------------------------------------------


def _revert(scope: Scope, image: Image) -> Any:
    from dougong.services import change, permission_of
    from dougong.services.inputs import writable_columns

    if image.verb != permission_of(image.model, "change"):
        raise Conflict(N_("This cannot be undone here: %(verb)s did it."), verb=image.verb)
    record = scope.get(image.model, image.row_id, lock=True)
    now = _raw_now(scope, image)
    writable, values = writable_columns(image.model), {}
    for column in image.model.__table__.c:
        if column.name not in image.after or column.info.get("api") == "hidden":
            continue
        if not _is_same(scope, image, record, column, now.get(column.name)):
            raise Conflict(
                N_("This cannot be undone: %(column)s has changed since."),
                column=str(column.info.get("label") or column.name),
            )
        raw = image.raw.get(column.name)
        attribute = image.model.__mapper__.get_property_by_column(column).key
        if "encrypted" in column.info:
            plain = None if raw is None else _readable(scope, image, record, column, raw)
            values[column.info["encrypted"]] = plain
        elif attribute in writable:
            values[attribute] = image.values[attribute]
        elif attribute in image.values:
            setattr(record, attribute, image.values[attribute])
    return change(scope, record, values)


def _raw_now(scope: Scope, image: Image) -> dict[str, Any]:
    """Return the row as the log would write it now."""
    table = image.model.__table__
    written = scope.session.execute(
        text(f'select to_jsonb(t)::text from {table.schema}."{table.name}" t where t.id = :id'),
        {"id": image.row_id},
    ).scalar_one()
    return json.loads(written, parse_float=Decimal)


def _is_same(scope: Scope, image: Image, record: Any, column: Any, now: Any) -> bool:
    """Tell whether a column still holds what the event put there, whatever seals it."""
    then = image.after[column.name]
    if now == then or "encrypted" not in column.info or now is None or then is None:
        return now == then
    return _readable(scope, image, record, column, now) == _readable(
        scope, image, record, column, then
    )
