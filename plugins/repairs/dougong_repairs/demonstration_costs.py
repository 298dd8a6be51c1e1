"""The demonstration's hand-overs, vans, roster, and a quotation that waits for its owner."""

from datetime import timedelta
from decimal import Decimal

from sqlalchemy import select

from dougong.db import Scope, insert_rows, uuid7
from dougong.tenancy.models import Building
from dougong_repairs.models import (
    Delivery,
    OnCall,
    Quotation,
    QuotationLine,
    Technician,
    VanStock,
    WorkOrder,
)

STOCK = (("水龙头阀芯", 6, 18), ("角阀", 4, 25), ("漏电保护器", 2, 86), ("声控开关", 5, 35))
LINES = (("part", "冷热混水龙头（铜）", 1, 168), ("labour", "拆装人工", 1, 60))


def load(scope: Scope) -> None:
    """Write them: six statements."""
    technicians = scope.session.scalars(select(Technician.id).order_by(Technician.id)).all()
    buildings = scope.session.scalars(select(Building.id).order_by(Building.sort_key)).all()
    # The first buildings are five years old, the last one was handed over last spring.
    ages = [1900 - n * 1700 // max(1, len(buildings) - 1) for n in range(len(buildings))]
    delivered = [scope.today - timedelta(days=age) for age in ages]
    insert_rows(scope, Delivery, {"building_id": list(buildings), "delivered_on": delivered})
    carried = [(id, *part) for id in technicians[:3] for part in STOCK]
    insert_rows(
        scope,
        VanStock,
        {
            "technician_id": [c[0] for c in carried],
            "name": [c[1] for c in carried],
            "quantity": [c[2] for c in carried],
            "least": [2] * len(carried),
            "unit_price": [c[3] for c in carried],
        },
    )
    evening = scope.now.replace(hour=10, minute=0, second=0, microsecond=0)
    nights = [evening + timedelta(days=n) for n in range(7)]
    insert_rows(
        scope,
        OnCall,
        {
            "technician_id": [technicians[n % len(technicians)] for n in range(7)],
            "from_at": nights,
            "to_at": [at + timedelta(hours=14) for at in nights],
        },
    )
    _quotation(scope)


def _quotation(scope: Scope) -> None:
    waits = select(WorkOrder.id).where(
        WorkOrder.state.in_(("accepted", "in_progress")), WorkOrder.person_id.is_not(None)
    )
    order = scope.session.scalars(waits.order_by(WorkOrder.number).limit(1)).first()
    if order is None:
        return
    id, total = uuid7(), sum((Decimal(line[3]) for line in LINES), Decimal(0))
    offered = {"work_order_id": [order], "state": ["offered"], "total": [total]}
    insert_rows(scope, Quotation, {"id": [id], **offered, "offered_at": [scope.now]})
    insert_rows(
        scope,
        QuotationLine,
        {
            "quotation_id": [id] * len(LINES),
            "kind": [line[0] for line in LINES],
            "name": [line[1] for line in LINES],
            "quantity": [line[2] for line in LINES],
            "unit_price": [line[3] for line in LINES],
        },
    )
