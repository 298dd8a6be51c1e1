"""A community with a fee item, a price and charges on its rooms."""

from datetime import date
from decimal import Decimal

import pytest

from dougong_fees.models import Charge, ChargeMethod, FeeItem, FeePrice

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)


def add_item(scope, place, code="property", price="2.80", **values):
    values = {"name": "物业服务费", "method": ChargeMethod.AREA, **values}
    item = FeeItem(code=code, account_code=f"6001.{code}", **values)
    scope.session.add(item)
    scope.session.flush()
    scope.session.add(
        FeePrice(fee_item_id=item.id, from_on=date(2020, 1, 1), unit_price=Decimal(price))
    )
    scope.session.add_all(
        Charge(room_id=room, fee_item_id=item.id, from_on=date(2024, 1, 1))
        for room in place.room_ids
    )
    scope.session.flush()
    return item


@pytest.fixture
def item(scope, place):
    return add_item(scope, place)
