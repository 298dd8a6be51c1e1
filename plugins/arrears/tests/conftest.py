"""A community with published bills that are long overdue."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from dougong_arrears.services import ensure_levels
from dougong_fees import services as fees
from dougong_fees.models import Bill, Charge, ChargeMethod, FeeItem, FeePrice


def publish(scope, place, title, due_on):
    """Publish a month of bills for every room, due on a day; the usual levels are there."""
    ensure_levels(scope)
    item = scope.session.scalars(select(FeeItem)).first()
    if item is None:
        item = FeeItem(
            code="property",
            name="物业服务费",
            method=ChargeMethod.AREA,
            account_code="6001.property",
            late_fee_rate=Decimal("0.0005"),
        )
        scope.session.add(item)
        scope.session.flush()
        price = FeePrice(fee_item_id=item.id, from_on=date(2015, 1, 1), unit_price=Decimal("2.80"))
        scope.session.add(price)
        scope.session.add_all(
            Charge(room_id=room, fee_item_id=item.id, from_on=date(2015, 1, 1))
            for room in place.room_ids
        )
        scope.session.flush()
    first = (due_on.replace(day=1) - timedelta(days=1)).replace(day=1)
    run = fees.create_run(scope, title, first, due_on.replace(day=1), due_on)
    fees.publish_run(scope, run)
    scope.session.expire_all()
    query = select(Bill).where(Bill.run_id == run.id)
    return {bill.room_id: bill for bill in scope.session.scalars(query)}


@pytest.fixture
def bill(scope, place):
    """The first room's bill, twenty days overdue; every room has one."""
    return publish(scope, place, "上月", scope.today - timedelta(days=20))[place.room_ids[0]]
