"""Figures over time: how long repairs take, what comes in, how satisfied people are."""

from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import Float, cast, func, literal, select

from dougong.db import Scope
from dougong_repairs.models import Technician, WorkOrder

WEEKS = 12


def _hours() -> Any:
    return func.extract("epoch", WorkOrder.done_at - WorkOrder.reported_at) / 3600


def _percentile(share: float) -> Any:
    return cast(func.percentile_cont(share).within_group(_hours()), Float)


def figures(scope: Scope) -> dict[str, Any]:
    """Return the last twelve weeks, and the last ninety days by category and technician.

    Handling times are wall-clock hours from the report to the end. Three statements.
    """
    monday = scope.today - timedelta(days=scope.today.weekday())
    first = datetime.combine(monday - timedelta(weeks=WEEKS - 1), time(), scope.zone)
    since = datetime.combine(scope.today - timedelta(days=90), time(), scope.zone)
    week = func.date_trunc("week", func.timezone(str(scope.zone), WorkOrder.done_at))
    return {
        "weeks": _rows(scope, week, WorkOrder.done_at >= first),
        "categories": _rows(scope, WorkOrder.category, WorkOrder.done_at >= since),
        "technicians": _rows(scope, Technician.name, WorkOrder.done_at >= since),
        "since_on": since.date(),
    }


def _rows(scope: Scope, key: Any, condition: Any) -> list[Any]:
    by_name = key is Technician.name
    in_time = func.count().filter(WorkOrder.done_at <= WorkOrder.resolve_due_at)
    query = (
        select(
            key.label("key"),
            func.count().label("done"),
            _percentile(0.5).label("median"),
            _percentile(0.9).label("p90"),
            in_time.label("in_time"),
            cast(func.avg(WorkOrder.rating), Float).label("rating"),
            (Technician.id if by_name else literal(None)).label("technician_id"),
            func.sum(WorkOrder.times_reopened).label("reopened"),
        )
        .select_from(WorkOrder)
        .where(condition)
        .group_by(key, *([Technician.id] if by_name else []))
        .order_by(key)
    )
    if by_name:
        query = query.join(
            Technician,
            (Technician.community_id == WorkOrder.community_id)
            & (Technician.id == WorkOrder.technician_id),
        )
    return list(scope.session.execute(query))
