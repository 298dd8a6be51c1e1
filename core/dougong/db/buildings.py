"""How rows reach a building, for plugins and roles that hold only for some buildings."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Table, and_, exists, select
from sqlalchemy.sql.elements import ColumnElement

from dougong.db.base import METADATA, Row


def building_path(model: type[Row]) -> str | None:
    """Return how rows reach their building, None for rows of the whole community.

    The path is ``__building_path__``: ``building_id`` on the row itself, ``room.building_id``
    through the row's ``room_id``, and so on; ``id`` for the building itself. A model that says
    nothing of it takes the path of the first record that its rows cannot be without: what belongs
    to a bill is seen where the bill is, though nobody thought of it.
    """
    return _path_of(model.__table__)  # type: ignore[attr-defined]


def _path_of(table: Table) -> str | None:
    if "building_path" not in table.info:
        table.info["building_path"] = next(_inherited(table), None)
    return table.info["building_path"]


def _inherited(table: Table) -> Iterator[str]:
    for column in table.columns:
        ref = column.info.get("ref")
        target = METADATA.tables.get(ref.target) if ref is not None else None
        if target is None or target is table or column.nullable:
            continue
        path = _path_of(target)
        if path is not None:
            yield f"{column.name.removesuffix('_id')}.{path}"


def building_condition(model: type[Row], buildings: frozenset[UUID]) -> ColumnElement[bool] | None:
    """Return the condition that a row lies in one of ``buildings``; None without a path."""
    path = building_path(model)
    if path is None:
        return None
    *steps, last = path.split(".")
    if not steps:
        return getattr(model, last).in_(buildings)
    return _through(model.__table__, steps, last, buildings)  # type: ignore[attr-defined]


def _through(table: Any, steps: list[str], last: str, buildings: frozenset[UUID]) -> Any:
    column = table.c[f"{steps[0]}_id"]
    declared = getattr(table, "element", table).c[column.name]
    target = METADATA.tables[declared.info["ref"].target].alias()
    inner = (
        target.c[last].in_(buildings)
        if len(steps) == 1
        else _through(target, steps[1:], last, buildings)
    )
    joined = and_(target.c.community_id == table.c.community_id, target.c.id == column)
    return exists(select(1).where(joined, inner))
