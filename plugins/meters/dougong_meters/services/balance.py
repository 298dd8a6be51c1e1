"""Main meters against the meters behind them: how much is lost between (总分表平衡)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, literal, or_, select

from dougong.db import Scope
from dougong.services import service
from dougong.tenancy.models import Room
from dougong_meters.models import Commodity, Meter, MeterRole, MonthBalance
from dougong_meters.services.usage import RoomUsage, usage_of_meters

FEW, NAMED = 500, 50


def next_month(month_on: date) -> date:
    """Return the first day of the month after."""
    return (month_on.replace(day=1) + timedelta(days=32)).replace(day=1)


class Unknown(NamedTuple):
    """A meter without usage, and why, as a msgid."""

    serial: str
    problem: str


@dataclass(frozen=True)
class Balance:
    """One place with its main meters and everything that counts behind them.

    main, behind: usage in the unit of bills; main is None while one of its readings is missing.
    unknown: the first of the meters behind it without usage, which make the loss look larger.
    """

    building_id: UUID | None
    serials: tuple[str, ...]
    main: Decimal | None
    behind: Decimal
    count: int
    unknown_count: int
    unknown: tuple[Unknown, ...]

    @property
    def loss(self) -> Decimal | None:
        return None if self.main is None else self.main - self.behind

    @property
    def share(self) -> Decimal | None:
        """Return the loss as a share of the main usage, None when that is nothing."""
        loss = self.loss
        return loss / self.main if loss is not None and self.main else None


@dataclass(frozen=True)
class Shown:
    """A month's balance by place, as it is or as it was reckoned. reckoned_at: None for now.

    is_waiting: many meters hang here and the month was never reckoned.
    """

    places: Sequence[Balance]
    reckoned_at: datetime | None = None
    is_waiting: bool = False


def shown_balance(scope: Scope, commodity: Commodity, month_on: date, *, are_few: bool) -> Shown:
    """Return a month's balance: reckoned now where few meters hang, else the one that was kept."""
    if are_few:
        return Shown(balance(scope, commodity.value, month_on, next_month(month_on)))
    query = select(MonthBalance).where(
        MonthBalance.month_on == month_on, MonthBalance.commodity == commodity
    )
    kept = scope.session.scalars(query).one_or_none()
    if kept is None:
        return Shown([], is_waiting=True)
    return Shown([_read(place) for place in kept.places], kept.reckoned_at)


@service("month_balance.reckon", title=("Reckon the loss balance", "计算总分表平衡"))
def reckon_balance(scope: Scope, month_on: date, commodity: Commodity) -> MonthBalance:
    """Reckon a month's balance from the readings that count now and keep it; return it."""
    month_on = month_on.replace(day=1)
    places = balance(scope, commodity.value, month_on, next_month(month_on))
    query = select(MonthBalance).where(
        MonthBalance.month_on == month_on, MonthBalance.commodity == commodity
    )
    kept = scope.session.scalars(query.with_for_update()).one_or_none()
    if kept is None:
        kept = MonthBalance(month_on=month_on, commodity=commodity)
        scope.session.add(kept)
    kept.places, kept.reckoned_at = [_plain(place) for place in places], scope.now
    scope.session.flush()
    return kept


@service(
    "month_balance.reckon_all",
    title=("Reckon the loss balances", "计算总分表平衡"),
    is_public=False,
)
def reckon_balances(scope: Scope) -> int:
    """Keep the balances of last month where many meters hang, every night; return how many."""
    if main_commodity(scope).are_few:
        return 0
    query = select(Meter.commodity).where(Meter.role == MeterRole.MAIN).distinct()
    last = (scope.today.replace(day=1) - timedelta(days=1)).replace(day=1)
    kinds = scope.session.scalars(query).all()
    for kind in kinds:
        reckon_balance(scope, last, kind)
    return len(kinds)


def _plain(place: Balance) -> dict[str, Any]:
    return {
        "building_id": str(place.building_id) if place.building_id else None,
        "serials": list(place.serials),
        "main": None if place.main is None else str(place.main),
        "behind": str(place.behind),
        "count": place.count,
        "unknown_count": place.unknown_count,
        "unknown": [[one.serial, one.problem] for one in place.unknown],
    }


def _read(place: dict[str, Any]) -> Balance:
    return Balance(
        UUID(place["building_id"]) if place["building_id"] else None,
        tuple(place["serials"]),
        None if place["main"] is None else Decimal(place["main"]),
        Decimal(place["behind"]),
        place["count"],
        place["unknown_count"],
        tuple(Unknown(*one) for one in place["unknown"]),
    )


def balance(scope: Scope, commodity: str, from_on: date, to_on: date) -> list[Balance]:
    """Return main − Σ of the meters behind, per place that has a main meter, for [from_on, to_on).

    Behind a building's main meter are its room meters and those of its common areas. Behind the
    community's are the buildings' main meters, and what hangs in buildings without one.
    """
    meters = _meters(scope, commodity, from_on, to_on)
    mains: dict[UUID | None, list[Hanging]] = {}
    for meter in meters:
        if meter.role == MeterRole.MAIN:
            mains.setdefault(meter.building_id, []).append(meter)
    if not mains:
        return []
    used: dict[UUID, list[RoomUsage]] = {}
    for one in usage_of_meters(scope, [m.id for m in meters], from_on, to_on, commodity):
        used.setdefault(one.meter_id, []).append(one)
    return [
        _balance(place, main, _behind(place, meters, set(mains)), used)
        for place, main in sorted(mains.items(), key=lambda item: str(item[0] or ""))
    ]


class Main(NamedTuple):
    """What most of the main meters here count; whether few enough meters hang to reckon at once."""

    commodity: Commodity
    are_few: bool


def main_commodity(scope: Scope) -> Main:
    """Return what most of the main meters here count; water when there are none. One statement."""
    most = (
        select(Meter.commodity)
        .where(Meter.role == MeterRole.MAIN)
        .group_by(Meter.commodity)
        .order_by(func.count().desc())
        .limit(1)
    )
    many = select(literal(1)).select_from(Meter).offset(FEW).limit(1)
    row = scope.session.execute(
        select(most.scalar_subquery().label("commodity"), many.scalar_subquery().label("many"))
    ).one()
    return Main(Commodity(row.commodity or Commodity.WATER), row.many is None)


class Hanging(NamedTuple):
    """A meter that hung in a period, and its building."""

    id: UUID
    serial: str
    role: MeterRole
    building_id: UUID | None


def _meters(scope: Scope, commodity: str, from_on: date, to_on: date) -> Sequence[Hanging]:
    query = (
        select(
            Meter.id, Meter.serial, Meter.role, func.coalesce(Meter.building_id, Room.building_id)
        )
        .outerjoin(Room, (Room.community_id == Meter.community_id) & (Room.id == Meter.room_id))
        .where(
            Meter.commodity == commodity,
            Meter.installed_on < to_on,
            or_(Meter.removed_on.is_(None), Meter.removed_on >= from_on),
        )
        .order_by(Meter.serial)
    )
    return [Hanging(*row) for row in scope.session.execute(query)]


def _behind(
    place: UUID | None, meters: Sequence[Hanging], mains: set[UUID | None]
) -> list[Hanging]:
    if place is not None:
        return [m for m in meters if m.building_id == place and m.role != MeterRole.MAIN]
    return [
        m
        for m in meters
        if (m.role == MeterRole.MAIN and m.building_id is not None)
        or (m.role != MeterRole.MAIN and (m.building_id is None or m.building_id not in mains))
    ]


def _balance(
    place: UUID | None,
    mains: Sequence[Hanging],
    behind: Sequence[Hanging],
    used: dict[UUID, list[RoomUsage]],
) -> Balance:
    def entries(meters: Sequence[Hanging]) -> list[RoomUsage]:
        return [u for m in meters for u in used.get(m.id, ())]

    above, below = entries(mains), entries(behind)
    known = all(u.quantity is not None for u in above) and bool(above)
    unknown = [Unknown(u.serial, u.problem or "") for u in below if u.quantity is None]
    return Balance(
        place,
        tuple(m.serial for m in mains),
        sum((u.quantity or Decimal(0) for u in above), Decimal(0)) if known else None,
        sum((u.quantity or Decimal(0) for u in below), Decimal(0)),
        len(behind),
        len(unknown),
        tuple(unknown[:NAMED]),
    )
