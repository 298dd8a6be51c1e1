"""Money in SQL expressions: yuan in, yuan out."""

from decimal import Decimal

from sqlalchemy import case, func, literal, select

from dougong.db import Money


def yuan(amount: str):
    return literal(Decimal(amount), Money())


def test_sums_and_differences_stay_yuan(scope):
    query = select(
        yuan("10.05") - yuan("0.06"),
        func.sum(yuan("10.05") + yuan("0.05")),
        func.coalesce(func.sum(yuan("7.30")), Decimal(0)),
        case((yuan("1.00") > yuan("0.99"), yuan("5.01")), else_=yuan("0.00")),
    )
    found = scope.session.execute(query).one()
    assert tuple(found) == (Decimal("9.99"), Decimal("10.10"), Decimal("7.30"), Decimal("5.01"))
    assert all(isinstance(value, Decimal) for value in found)
