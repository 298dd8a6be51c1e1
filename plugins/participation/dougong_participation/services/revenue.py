"""Public revenue (公共收益): booked, disclosed to the owners, and corrected by a further entry."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from sqlalchemy import case, func, select

from dougong.db import Scope
from dougong.i18n import N_
from dougong.services import service
from dougong_participation.errors import WrongState
from dougong_participation.models import PublicRevenue, RevenueKind
from dougong_participation.services.people import me


@service("public_revenue.disclose", title=("Disclose", "公示"))
def disclose_revenue(scope: Scope, public_revenue: PublicRevenue) -> PublicRevenue:
    """Show an entry to the owners. Raises WrongState when it is shown already."""
    if public_revenue.disclosed_at is not None:
        raise WrongState(N_("This entry is disclosed already."))
    public_revenue.disclosed_at = scope.now
    return public_revenue


def disclosed_revenue(scope: Scope, year: int) -> Sequence[PublicRevenue]:
    """Return what an owner sees of a year, newest first."""
    me(scope)
    query = select(PublicRevenue).where(
        PublicRevenue.disclosed_at.is_not(None),
        PublicRevenue.booked_on >= date(year, 1, 1),
        PublicRevenue.booked_on < date(year + 1, 1, 1),
    )
    return scope.session.scalars(
        query.order_by(PublicRevenue.booked_on.desc(), PublicRevenue.id.desc()).limit(500)
    ).all()


def balance_of_revenue(scope: Scope) -> Decimal:
    """Return what is left of all disclosed entries, in yuan."""
    signed = case(
        (PublicRevenue.kind == RevenueKind.INCOME, PublicRevenue.amount),
        else_=-PublicRevenue.amount,
    )
    query = select(func.coalesce(func.sum(signed), 0))
    return scope.session.scalar(query.where(PublicRevenue.disclosed_at.is_not(None)))
