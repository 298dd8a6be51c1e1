"""Whether the developer still answers for what is broken."""

import tomllib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from sqlalchemy import Select, select

from dougong.db import Scope
from dougong_repairs.domain.kinds import Category
from dougong_repairs.domain.warranty import Cover, Term, covers
from dougong_repairs.models import Delivery, WarrantyTerm, WorkOrder

LEGAL = Path(__file__).parents[1] / "warranty.toml"


@lru_cache(maxsize=1)
def legal_terms() -> tuple[Term, ...]:
    """Return the least periods that the law asks for."""
    rows = tomllib.loads(LEGAL.read_text(encoding="utf-8"))["term"]
    return tuple(Term(row["part"], Category(row["category"]), row["months"]) for row in rows)


def warranty_of(scope: Scope, order: WorkOrder) -> list[Cover]:
    """Return the parts of an order's trade that are under warranty today, the longest first."""
    return warranties_of(scope, [order])[order.id]


def warranties_of(scope: Scope, orders: Sequence[WorkOrder]) -> dict[UUID, list[Cover]]:
    """Return by order the parts of its trade that are under warranty today, the longest first.

    The day on which the room was handed over counts, else its building's; unknown: no warranty.
    The community's own terms take the place of the legal ones of their trade. Two statements.
    """
    deliveries, terms = warranty_queries(orders)
    return warranties_from(
        scope, orders, scope.session.scalars(deliveries), scope.session.scalars(terms)
    )


def warranty_queries(
    orders: Sequence[WorkOrder],
) -> tuple[Select[Delivery], Select[WarrantyTerm]]:
    """Return the queries of what ``warranties_from`` reads: deliveries, and the own terms."""
    buildings = {order.building_id for order in orders}
    return select(Delivery).where(Delivery.building_id.in_(buildings)), select(WarrantyTerm)


def warranties_from(
    scope: Scope,
    orders: Sequence[WorkOrder],
    deliveries: Iterable[Delivery],
    terms: Iterable[WarrantyTerm],
) -> dict[UUID, list[Cover]]:
    """Return what ``warranties_of`` does, from rows that were read before."""
    days = {(d.building_id, d.room_id): d.delivered_on for d in deliveries}
    own: dict[Category, list[Term]] = {}
    for term in terms:
        own.setdefault(term.category, []).append(Term(term.part, term.category, term.months))
    found: dict[UUID, list[Cover]] = {order.id: [] for order in orders}
    for order in orders:
        whole = days.get((order.building_id, None))
        delivered_on = days.get((order.building_id, order.room_id), whole)
        if delivered_on is not None:
            terms = own.get(order.category) or list(legal_terms())
            found[order.id] = covers(terms, order.category, delivered_on, scope.today)
    return found
