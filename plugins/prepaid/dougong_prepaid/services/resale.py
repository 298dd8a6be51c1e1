"""Resold energy against the supplier's bills: no fen more than was paid for it."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import text

from dougong.db import Scope
from dougong_meters.models import Commodity

# Only months for which the supplier has billed are compared, on both sides.
CHECK = text(
    """
    with bill as (
        select commodity, from_on, to_on, quantity, amount from prepaid.supplier_bill
        where community_id = :community and from_on >= :from_on and to_on <= :to_on
    )
    select b.commodity, b.from_on, b.to_on, b.quantity as bought, b.amount as paid,
           coalesce(sum(m.quantity), 0) as sold, coalesce(sum(m.free), 0) as free,
           coalesce(-sum(m.amount), 0) as taken
    from bill b
    left join prepaid.energy_account a on a.community_id = :community
         and a.commodity = b.commodity
    left join prepaid.movement m on m.community_id = :community and m.account_id = a.id
         and m.kind = 'usage' and m.booked_on >= b.from_on and m.booked_on < b.to_on
    group by b.commodity, b.from_on, b.to_on, b.quantity, b.amount
    order by b.commodity, b.from_on
    """
)


@dataclass(frozen=True)
class ResaleCheck:
    """A period of one supplier's bill: what was bought, what was resold, in kWh or m³ and yuan."""

    commodity: Commodity
    from_on: date
    to_on: date
    bought: Decimal
    paid: Decimal
    sold: Decimal
    free: Decimal
    taken: Decimal

    @property
    def gain(self) -> Decimal:
        """Return what was taken above what was paid; more than zero is a markup."""
        return self.taken - self.paid


def check(scope: Scope, from_on: date, to_on: date) -> list[ResaleCheck]:
    """Return the suppliers' bills within [from_on, to_on) beside what was resold; one statement."""
    given = {"community": scope.community_id, "from_on": from_on, "to_on": to_on}
    return [
        ResaleCheck(
            commodity=Commodity(row.commodity),
            from_on=row.from_on,
            to_on=row.to_on,
            bought=row.bought,
            paid=Decimal(row.paid) / 100,
            sold=row.sold,
            free=row.free,
            taken=Decimal(row.taken) / 100,
        )
        for row in scope.session.execute(CHECK, given)
    ]
