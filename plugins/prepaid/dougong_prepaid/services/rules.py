"""What a community has decided about prepaid energy: settings, prices, calendar."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from dougong.db import Scope
from dougong.i18n import N_
from dougong_meters.models import Commodity
from dougong_prepaid.domain import PeriodKind, Rules
from dougong_prepaid.errors import NoTariff
from dougong_prepaid.models import CalendarPeriod, Tariff


def rules(scope: Scope) -> Rules:
    """Return what the community has decided about running empty."""
    return Rules(
        warn_below=Decimal(str(_setting(scope, "warn_below", "10.00"))),
        grace=timedelta(hours=int(_setting(scope, "grace_hours", 24))),
        cut_from=int(_setting(scope, "cut_from_hour", 9)),
        cut_to=int(_setting(scope, "cut_to_hour", 16)),
        fresh=timedelta(minutes=int(_setting(scope, "fresh_minutes", 180))),
        policy=str(_setting(scope, "policy", "")).strip(),
    )


def number(scope: Scope, name: str, default: int) -> int:
    """Return an integer setting of the plugin."""
    return int(_setting(scope, name, default))


def tariffs(scope: Scope) -> dict[Commodity, Tariff]:
    """Return the price of today, per commodity; one statement."""
    query = (
        select(Tariff)
        .where(Tariff.from_on <= scope.today)
        .ext(distinct_on(Tariff.commodity))
        .order_by(Tariff.commodity, Tariff.from_on.desc())
    )
    return {each.commodity: each for each in scope.session.scalars(query)}


def tariff(scope: Scope, commodity: Commodity) -> Tariff:
    """Return today's price of a commodity; raises NoTariff."""
    found = tariffs(scope).get(commodity)
    if found is None:
        raise NoTariff(N_("Enter what the energy costs first (Prepaid energy → Prices)."))
    return found


def periods(scope: Scope, on: date) -> set[PeriodKind]:
    """Return which kinds of days a day is one of."""
    query = select(CalendarPeriod.kind).where(
        CalendarPeriod.from_on <= on, CalendarPeriod.to_on > on
    )
    return set(scope.session.scalars(query))


def _setting(scope: Scope, name: str, default: Any) -> Any:
    return scope.setting(f"prepaid.{name}", default)
