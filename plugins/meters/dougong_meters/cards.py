"""What meters show elsewhere: the dashboard, the palette, other records' pages, the portal."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select

from dougong.db import Scope, member_label
from dougong.devices.models import Device, DeviceHealth, DevicePoint
from dougong.hookspecs import Asks, Card, Panel, RoomHit, SearchHit
from dougong.i18n import gettext, ngettext
from dougong.tenancy.models import Occupancy, Ownership, Room
from dougong_meters.models import (
    Alarm,
    AlarmState,
    Commodity,
    Meter,
    MeterState,
    Reading,
    ReadingState,
)
from dougong_meters.services import RoomUsage, months_from, months_query, usage_by_month

UOM = {
    Commodity.WATER: "m³",
    Commodity.ELECTRICITY: "kWh",
    Commodity.GAS: "m³",
    Commodity.HEAT: "kWh",
}
OVERDUE_DAYS = 35


def dashboard(scope: Scope) -> Asks[Card]:
    """Return how many readings wait for a check, meters for a reading, and lines for an answer."""
    asked: dict[Any, Any] = {}
    if scope.may("meters.reading.view"):
        asked[_suspect] = select(func.count()).where(Reading.state == ReadingState.SUSPECT)
    if scope.may("meters.meter.view"):
        asked[_overdue] = _overdue_query(scope)
    if scope.may("meters.alarm.view"):
        asked[_raised] = select(func.count()).where(Alarm.state == AlarmState.OPEN)
    if scope.may("dougong.device.view"):
        asked[_mute] = _mute_query()
    found = yield [*asked.values()]
    return [show(*rows.one()) for show, rows in zip(asked, found, strict=True)]


def _suspect(number: int) -> Card:
    return _count(gettext("Readings to check"), number, "admin/meters/reading/?state=suspect", 40)


def _raised(number: int) -> Card:
    return _count(gettext("Open meter alarms"), number, "admin/meters/alarm/?state=open", 43)


def _overdue_query(scope: Scope) -> Any:
    before = scope.now - timedelta(days=OVERDUE_DAYS)
    is_late = or_(Meter.last_read_at.is_(None), Meter.last_read_at < before)
    return select(func.count().filter(is_late), func.count()).where(
        Meter.state == MeterState.INSTALLED
    )


def _overdue(late: int, count: int) -> Card:
    note = ngettext("%(num)d meter in all", "%(num)d meters in all", count)
    return _count(gettext("Meters not read for long"), late, "admin/meters/meter/", 41, note)


def _mute_query() -> Any:
    """Return the query of how many collected meters do not answer at the moment, and of all."""
    return (
        select(
            func.count(func.distinct(Device.id)).filter(DeviceHealth.is_ok.is_(False)),
            func.count(func.distinct(Device.id)),
        )
        .join(
            DevicePoint,
            and_(
                DevicePoint.community_id == Device.community_id, DevicePoint.device_id == Device.id
            ),
        )
        .outerjoin(
            DeviceHealth,
            and_(
                DeviceHealth.community_id == Device.community_id,
                DeviceHealth.subject_id == Device.id,
            ),
        )
        .where(Device.is_enabled, DevicePoint.subject_kind == "meters.meter")
    )


def _mute(mute: int, count: int) -> Card:
    note = ngettext("%(num)d collected meter", "%(num)d collected meters", count)
    return _count(
        gettext("Meters that do not answer"), mute, "admin/dougong/device_health/", 42, note
    )


def _count(title: str, number: int, url: str, order: int, note: str = "") -> Card:
    tone = "warning" if number else "good"
    return Card(title, str(number), note, tone, url, order)


def search(scope: Scope, words: str, limit: int) -> list[SearchHit] | None:
    """Return the meters whose serial begins with the words."""
    if not scope.may("meters.meter.view"):
        return None
    query = (
        select(Meter)
        .where(Meter.serial >= words, Meter.serial < words + "\U0010ffff")
        .order_by(Meter.serial)
        .limit(limit)
    )
    return [
        SearchHit(
            meter.serial,
            f"admin/meters/meter/{meter.id}/",
            gettext("Meter"),
            f"{member_label(meter.commodity)} {_shown(meter)}".strip(),
        )
        for meter in scope.session.scalars(query)
    ]


def rooms_by_meter(scope: Scope, words: str, limit: int) -> list[RoomHit] | None:
    """Return the rooms whose meter's serial begins with the words."""
    if not scope.may("meters.meter.view"):
        return None
    query = (
        select(Meter)
        .where(
            Meter.serial >= words, Meter.serial < words + "\U0010ffff", Meter.room_id.is_not(None)
        )
        .order_by(Meter.serial)
        .limit(limit)
    )
    return [
        RoomHit(meter.room_id, f"{member_label(meter.commodity)} {meter.serial}", gettext("Meter"))
        for meter in scope.session.scalars(query)
    ]


def panels(scope: Scope, record: object) -> Asks[Panel]:
    """Return the meters of a room, or those that a device reads."""
    if not scope.may("meters.meter.view"):
        return None
    if isinstance(record, Room):
        condition = Meter.room_id == record.id
    elif isinstance(record, Device):
        bound = select(DevicePoint.subject_id).where(DevicePoint.device_id == record.id)
        condition = Meter.id.in_(bound.where(DevicePoint.subject_kind == "meters.meter"))
    else:
        return None
    found = yield select(Meter).where(condition).order_by(Meter.serial).limit(20)
    rows = [(f"{member_label(m.commodity)} {m.serial}", _shown(m) or "—") for m in found.scalars()]
    url = f"admin/meters/meter/?room={record.id}" if isinstance(record, Room) else None
    return [Panel(gettext("Meters"), rows, url, 40)] if rows else None


def _shown(meter: Meter) -> str:
    if meter.last_value is None:
        return ""
    text = f"{plain_number(meter.last_value)} {UOM[meter.commodity]}"
    return f"{text} · {meter.last_read_at:%Y-%m-%d}" if meter.last_read_at else text


def portal(scope: Scope, person_id: UUID) -> Asks[Card]:
    """Return what a person's rooms used last month, per commodity. Two rounds."""
    held = yield rooms_queries(scope, person_id)
    rooms = sorted({room_id for rows in held for room_id in rows.scalars()})
    if not rooms:
        return []
    rows = yield months_query(scope, rooms, [last_month(scope.today)[0]])
    used = months_from(scope, rows.mappings())
    cards = []
    for commodity in (Commodity.WATER, Commodity.ELECTRICITY):
        found = [usage for _, kind, usage in used if kind == commodity.value]
        known = [u.quantity for u in found if u.quantity is not None]
        if known:
            title = gettext("%(what)s last month", what=member_label(commodity))
            value = f"{plain_number(sum(known, Decimal(0)))} {UOM[commodity]}"
            cards.append(Card(title, value, _counters(found), url="meters/my/", order=60))
    return cards


def _counters(found: Sequence[RoomUsage]) -> str:
    """Return the two readings when there is one meter: what people compare with the wall."""
    if len(found) != 1 or found[0].opening is None or found[0].closing is None:
        return ""
    return f"{plain_number(found[0].opening)} → {plain_number(found[0].closing)}"


def rooms_of(scope: Scope, person_id: UUID) -> list[UUID]:
    """Return the rooms that a person owns or lives in today."""
    held = scope.together(*rooms_queries(scope, person_id))
    return sorted({room_id for rows in held for room_id in rows.scalars()})


def rooms_queries(scope: Scope, person_id: UUID) -> list[Any]:
    """Return the queries of the rooms that a person owns, and lives in."""
    today = scope.today
    return [
        select(model.room_id).where(
            model.person_id == person_id,
            model.from_on <= today,
            or_(model.to_on.is_(None), model.to_on > today),
        )
        for model in (Ownership, Occupancy)
    ]


def last_month(today: date) -> tuple[date, date]:
    """Return the first day of last month and of this one."""
    end = today.replace(day=1)
    return (end - timedelta(days=1)).replace(day=1), end


def months_of(
    scope: Scope, room_ids: Sequence[UUID], count: int
) -> list[tuple[date, Commodity, RoomUsage]]:
    """Return usage per month and meter, newest first, of the past ``count`` months."""
    months, end = [], scope.today.replace(day=1)
    for _ in range(count):
        end = (end - timedelta(days=1)).replace(day=1)
        months.append(end)
    found = usage_by_month(scope, room_ids, months)
    known = [(month, Commodity(name), u) for month, name, u in found if u.quantity is not None]
    return sorted(known, key=lambda entry: (entry[0], entry[1]), reverse=True)


def plain_number(value: Decimal) -> str:
    """Return a quantity as people read it: thousands apart, no zeros behind."""
    text = f"{value:,.2f}"
    return text.rstrip("0").rstrip(".")
