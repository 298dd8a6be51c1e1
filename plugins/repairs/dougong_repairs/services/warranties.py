"""Whether the developer still answers for what is broken."""

import tomllib
from functools import lru_cache
from pathlib import Path

from sqlalchemy import or_, select

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
    """Return the parts of an order's trade that are under warranty today, the longest first.

    The day on which the room was handed over counts, else its building's; unknown: no warranty.
    The community's own terms take the place of the legal ones of their trade. Two statements.
    """
    if order.building_id is None:
        return []
    days = scope.session.execute(
        select(Delivery.room_id, Delivery.delivered_on).where(
            Delivery.building_id == order.building_id,
            or_(Delivery.room_id.is_(None), Delivery.room_id == order.room_id),
        )
    )
    by_room = {row[0]: row[1] for row in days}
    delivered_on = by_room.get(order.room_id) or by_room.get(None)
    if delivered_on is None:
        return []
    own = [
        Term(term.part, term.category, term.months)
        for term in scope.session.scalars(
            select(WarrantyTerm).where(WarrantyTerm.category == order.category)
        )
    ]
    return covers(own or list(legal_terms()), order.category, delivered_on, scope.today)
