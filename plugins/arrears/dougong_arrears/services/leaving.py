"""Collectors who leave: their buildings and cases go to a successor, or to nobody yet."""

from uuid import UUID

from sqlalchemy import Select, delete, func, select, update

from dougong.db import Scope
from dougong_arrears.models import CollectionCase, Collector, CollectorBuilding


def buildings_query(user_id: UUID) -> Select[int]:
    """Return the query of how many buildings a login collects in."""
    query = select(func.count(CollectorBuilding.id)).join(CollectorBuilding.collector)
    return query.where(Collector.user_id == user_id)


def hand_over_collecting(scope: Scope, user_id: UUID, successor_id: UUID | None) -> int:
    """Give a collector's buildings and cases on; return how many buildings.

    A successor who is no collector here gets none; the buildings are then nobody's until somebody
    gives them out.
    """
    leaving = _collector(scope, user_id)
    if leaving is None:
        return 0
    leaving.is_active = False
    successor = _collector(scope, successor_id) if successor_id is not None else None
    takes_over = successor is not None and successor.is_active
    mine = CollectorBuilding.collector_id == leaving.id
    if takes_over:
        given = update(CollectorBuilding).where(mine).values(collector_id=successor.id)
    else:
        given = delete(CollectorBuilding).where(mine)
    count = scope.session.execute(given).rowcount
    new = successor.id if takes_over else None
    cases = update(CollectionCase).where(CollectionCase.collector_id == leaving.id)
    scope.session.execute(cases.values(collector_id=new))
    scope.session.flush()
    return count


def _collector(scope: Scope, user_id: UUID) -> Collector | None:
    query = select(Collector).where(Collector.user_id == user_id)
    return scope.session.scalars(query).one_or_none()
