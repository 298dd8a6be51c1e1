"""Main meters against the meters behind them: how much is lost between (总分表平衡)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, or_, select

from dougong.db import Scope
from dougong.tenancy.models import Room
from dougong_meters.models import Commodity, Meter, MeterRole
from dougong_meters.services.usage import RoomUsage, usage_of_meters


@dataclass(frozen=True)
class Balance:
    """One place with its main meters and everything that counts behind them.

    main, behind: usage in the unit of bills; main is None while one of its readings is missing.
    unknown: meters behind it without usage, which make the loss look larger than it is.
    """

    building_id: UUID | None
    serials: tuple[str, ...]
    main: Decimal | None
    behind: Decimal
    count: int
    unknown: tuple[RoomUsage, ...]

    @property
    def loss(self) -> Decimal | None:
        return None if self.main is None else self.main - self.behind

    @property
    def share(self) -> Decimal | None:
        """Return the loss as a share of the main usage, None when that is nothing."""
        loss = self.loss
        return loss / self.main if loss is not None and self.main else None


def balance(scope: Scope, commodity: str, from_on: date, to_on: date) -> list[Balance]:
    """Return main − Σ of the meters behind, per place that has a main meter, for [from_on, to_on).

    Behind a building's main meter are its room meters and those of its common areas. Behind the
    community's are the buildings' main meters, and what hangs in buildings without one.
    """
    meters = _meters(scope, commodity, from_on, to_on)
    mains: dict[UUID | None, list[Meter]] = {}
    for meter, building_id in meters:
        if meter.role == MeterRole.MAIN:
            mains.setdefault(building_id, []).append(meter)
    if not mains:
        return []
    used: dict[UUID, list[RoomUsage]] = {}
    for one in usage_of_meters(scope, [m.id for m, _ in meters], from_on, to_on, commodity):
        used.setdefault(one.meter_id, []).append(one)
    return [
        _balance(place, main, _behind(place, meters, set(mains)), used)
        for place, main in sorted(mains.items(), key=lambda item: str(item[0] or ""))
    ]


def main_commodity(scope: Scope) -> str:
    """Return what most of the main meters here count; water when there are none."""
    query = (
        select(Meter.commodity)
        .where(Meter.role == MeterRole.MAIN)
        .group_by(Meter.commodity)
        .order_by(func.count().desc())
        .limit(1)
    )
    return (scope.session.scalars(query).first() or Commodity.WATER).value


Placed = tuple[Meter, UUID | None]


def _meters(scope: Scope, commodity: str, from_on: date, to_on: date) -> Sequence[Placed]:
    """Return the meters that hung in the period, each with its building."""
    query = (
        select(Meter, Room.building_id)
        .outerjoin(Room, (Room.community_id == Meter.community_id) & (Room.id == Meter.room_id))
        .where(
            Meter.commodity == commodity,
            Meter.installed_on < to_on,
            or_(Meter.removed_on.is_(None), Meter.removed_on >= from_on),
        )
        .order_by(Meter.serial)
    )
    return [(m, m.building_id or building) for m, building in scope.session.execute(query)]


def _behind(place: UUID | None, meters: Sequence[Placed], mains: set[UUID | None]) -> list[Meter]:
    if place is not None:
        return [m for m, b in meters if b == place and m.role != MeterRole.MAIN]
    return [
        m for m, b in meters if (b is not None and m.role == MeterRole.MAIN)
        or (m.role != MeterRole.MAIN and (b is None or b not in mains))
    ]  # fmt: skip


def _balance(
    place: UUID | None,
    mains: Sequence[Meter],
    behind: Sequence[Meter],
    used: dict[UUID, list[RoomUsage]],
) -> Balance:
    def entries(meters: Sequence[Meter]) -> list[RoomUsage]:
        return [u for m in meters for u in used.get(m.id, ())]

    above, below = entries(mains), entries(behind)
    known = all(u.quantity is not None for u in above) and bool(above)
    return Balance(
        place,
        tuple(m.serial for m in mains),
        sum((u.quantity or Decimal(0) for u in above), Decimal(0)) if known else None,
        sum((u.quantity or Decimal(0) for u in below), Decimal(0)),
        len(behind),
        tuple(u for u in below if u.quantity is None),
    )
