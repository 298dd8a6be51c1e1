"""How rows reach a building, for plugins and roles that hold only for some buildings."""

from typing import Any
from uuid import UUID

from sqlalchemy import and_, exists, select
from sqlalchemy.sql.elements import ColumnElement

from dougong.db.base import METADATA, Row


def building_condition(model: type[Row], buildings: frozenset[UUID]) -> ColumnElement[bool] | None:
    """Return the condition that a row lies in one of ``buildings``; None without a path.

    The path is ``__building_path__``: ``building_id`` on the row itself, ``room.building_id``
    through the row's ``room_id``, and so on; ``id`` for the building itself.
    """
    path = model.__building_path__
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
