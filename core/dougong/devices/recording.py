"""What devices say, written into one community in bulk."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from sqlalchemy import text

from dougong.db import Scope, uuid7
from dougong.devices.contract import Event, Health
from dougong.devices.lists import ListState
from dougong.devices.readings import Reading

KNOWN = text(
    """
    select i.device_id, i.point, coalesce(v.sequence, -1) as sequence, v.value, v.value_at,
           coalesce(p.subject_kind, '') as subject_kind, p.subject_id
    from (select distinct * from unnest(cast(:devices as uuid[]), cast(:points as text[]))
          as t(device_id, point)) i
    join dougong.device d on d.community_id = :community and d.id = i.device_id
    left join dougong.device_value v on v.community_id = :community
         and v.device_id = i.device_id and v.point = i.point
    left join dougong.device_point p on p.community_id = :community
         and p.device_id = i.device_id and p.point = i.point
    """
)
REMEMBER = text(
    """
    insert into dougong.device_value as v
        (community_id, id, device_id, point, point_kind, uom, value, value_at, quality, detail,
         device_at, server_at, sequence)
    select :community, * from unnest(
        cast(:ids as uuid[]), cast(:devices as uuid[]), cast(:points as text[]),
        cast(:kinds as text[]), cast(:uoms as text[]), cast(:values as text[]),
        cast(:value_ats as timestamptz[]), cast(:qualities as text[]), cast(:details as text[]),
        cast(:device_ats as timestamptz[]), cast(:server_ats as timestamptz[]),
        cast(:sequences as bigint[]))
    on conflict (community_id, device_id, point) do update set
        point_kind = excluded.point_kind, uom = excluded.uom,
        value = coalesce(excluded.value, v.value),
        value_at = coalesce(excluded.value_at, v.value_at),
        quality = excluded.quality, detail = excluded.detail, device_at = excluded.device_at,
        server_at = excluded.server_at, sequence = excluded.sequence
    """
)
HOURS = text(
    """
    insert into dougong.device_hour as h
        (community_id, id, device_id, point, hour_at, lowest, highest, last)
    select :community, * from unnest(
        cast(:ids as uuid[]), cast(:devices as uuid[]), cast(:points as text[]),
        cast(:hours as timestamptz[]), cast(:lows as numeric[]), cast(:highs as numeric[]),
        cast(:lasts as numeric[]))
    on conflict (community_id, device_id, point, hour_at) do update set
        lowest = least(h.lowest, excluded.lowest),
        highest = greatest(h.highest, excluded.highest), last = excluded.last
    """
)
HEALTH = text(
    """
    insert into dougong.device_health
        (community_id, id, subject_id, is_ok, since_at, last_ok_at, failures, next_try_at, detail,
         certificate_ends_at)
    select :community, * from unnest(
        cast(:ids as uuid[]), cast(:subjects as uuid[]), cast(:oks as boolean[]),
        cast(:sinces as timestamptz[]), cast(:lasts as timestamptz[]), cast(:failures as int[]),
        cast(:nexts as timestamptz[]), cast(:details as text[]), cast(:ends as timestamptz[]))
    on conflict (community_id, subject_id) do update set
        is_ok = excluded.is_ok,
        since_at = case when device_health.is_ok = excluded.is_ok then device_health.since_at
                        else excluded.since_at end,
        last_ok_at = coalesce(excluded.last_ok_at, device_health.last_ok_at),
        failures = excluded.failures, next_try_at = excluded.next_try_at, detail = excluded.detail,
        certificate_ends_at = excluded.certificate_ends_at
    """
)
EVENTS = text(
    """
    insert into dougong.device_event
        (community_id, id, device_id, type, key, device_at, server_at, data)
    select :community, id, device_id, type, key, device_at, server_at, cast(data as jsonb)
    from unnest(
        cast(:ids as uuid[]), cast(:devices as uuid[]), cast(:types as text[]),
        cast(:keys as text[]), cast(:device_ats as timestamptz[]),
        cast(:server_ats as timestamptz[]), cast(:datas as text[]))
        as e(id, device_id, type, key, device_at, server_at, data)
    on conflict (community_id, device_id, key) do nothing
    returning device_id, key
    """
)
LIST = text(
    """
    insert into dougong.device_list_state (community_id, id, list_id, version, is_same, held,
        checked_at, next_try_at, failures, detail)
    select community_id, :id, id, :version, :is_same, :held, :at, :next_try_at, :failures, :detail
    from dougong.device_list where community_id = :community and device_id = :device
        and name = :name
    on conflict (community_id, list_id) do update set
        version = excluded.version, is_same = excluded.is_same, held = excluded.held,
        checked_at = excluded.checked_at, next_try_at = excluded.next_try_at,
        failures = excluded.failures, detail = excluded.detail
    """
)
LARGEST = Decimal(10) ** 17


def record_readings(scope: Scope, readings: Sequence[Reading]) -> int:
    """Store what is new of ``readings`` and pass it on to plugins; return how many were new.

    A reading is known by device, point and sequence: given twice, it is stored and passed on once.
    Readings of devices that are not in this community are left out. One writer per community at a
    time; the caller's transaction makes values and what plugins did with them one thing.
    """
    community = scope.community_id
    one_writer(scope)
    fresh = _fresh(scope, readings)
    if not fresh:
        return 0
    newest = {(r.device_id, r.point): r for r in fresh}
    trusted = {(r.device_id, r.point): r for r in fresh if r.quality.is_usable}
    scope.session.execute(REMEMBER, _columns(community, newest, trusted))
    _record_hours(scope, fresh)
    scope.ask("readings_received", readings=fresh)
    return len(fresh)


def one_writer(scope: Scope) -> None:
    """Wait until nobody else writes readings of this community, to the transaction's end."""
    scope.session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('devices ' || :community, 0))"),
        {"community": str(scope.community_id)},
    )


def _fresh(scope: Scope, readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings that were not stored before, in order, with what they are about."""
    rows = scope.session.execute(
        KNOWN,
        {
            "community": scope.community_id,
            "devices": [r.device_id for r in readings],
            "points": [r.point for r in readings],
        },
    )
    known = {(row.device_id, row.point): row for row in rows}
    highest = {key: row.sequence for key, row in known.items()}
    trusted = {key: (_number(row.value), row.value_at) for key, row in known.items()}
    fresh = []
    for reading in sorted(readings, key=lambda r: r.sequence):
        key = (reading.device_id, reading.point)
        if key not in known or reading.sequence <= highest[key]:
            continue
        highest[key] = reading.sequence
        row = known[key]
        about = {"subject_kind": row.subject_kind, "subject_id": row.subject_id}
        before, before_at = trusted[key]
        before_at = None if before is None else before_at
        fresh.append(replace(reading, **about, before=before, before_at=before_at))
        if reading.quality.is_usable and isinstance(reading.value, Decimal):
            trusted[key] = reading.value, reading.server_time
    return fresh


def _number(text: str | None) -> Decimal | None:
    """Return a stored value as a number, None for what is none."""
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        return None


def _columns(
    community: UUID | None,
    newest: dict[tuple[UUID, str], Reading],
    trusted: dict[tuple[UUID, str], Reading],
) -> dict[str, Any]:
    last = list(newest.values())
    values = [trusted.get(key) for key in newest]
    return {
        "community": community,
        "ids": [uuid7() for _ in last],
        "devices": [r.device_id for r in last],
        "points": [r.point for r in last],
        "kinds": [r.point_kind.value for r in last],
        "uoms": [r.uom[:20] for r in last],
        "values": [_text(r) for r in values],
        "value_ats": [r.server_time if r else None for r in values],
        "qualities": [r.quality.value for r in last],
        "details": [r.detail[:200] for r in last],
        "device_ats": [r.device_time for r in last],
        "server_ats": [r.server_time for r in last],
        "sequences": [r.sequence for r in last],
    }


def _record_hours(scope: Scope, readings: Sequence[Reading]) -> None:
    """Widen the hours in which trusted numbers were measured."""
    hours: dict[tuple[UUID, str, datetime], list[Decimal]] = {}
    for reading in readings:
        value = reading.value
        if reading.quality.is_usable and isinstance(value, Decimal) and abs(value) < LARGEST:
            at = (reading.device_time or reading.server_time).replace(
                minute=0, second=0, microsecond=0
            )
            hours.setdefault((reading.device_id, reading.point, at), []).append(value)
    if not hours:
        return
    scope.session.execute(
        HOURS,
        {
            "community": scope.community_id,
            "ids": [uuid7(at) for _, _, at in hours],
            "devices": [device for device, _, _ in hours],
            "points": [point for _, point, _ in hours],
            "hours": [at for _, _, at in hours],
            "lows": [min(values) for values in hours.values()],
            "highs": [max(values) for values in hours.values()],
            "lasts": [values[-1] for values in hours.values()],
        },
    )


def _text(reading: Reading | None) -> str | None:
    if reading is None or reading.value is None:
        return None
    value = reading.value
    return str(value).lower() if isinstance(value, bool) else str(value)[:200]


def record_health(scope: Scope, health: Sequence[Health]) -> None:
    """Keep how gateways and devices of this community are doing now."""
    scope.session.execute(
        HEALTH,
        {
            "community": scope.community_id,
            "ids": [uuid7() for _ in health],
            "subjects": [h.subject_id for h in health],
            "oks": [h.is_ok for h in health],
            "sinces": [h.since for h in health],
            "lasts": [h.last_ok_at for h in health],
            "failures": [h.failures for h in health],
            "nexts": [h.next_try_at for h in health],
            "details": [h.detail[:200] for h in health],
            "ends": [h.certificate_ends_at for h in health],
        },
    )


def record_list(scope: Scope, state: ListState) -> None:
    """Keep how a device's list stands now; nothing when the list is gone meanwhile."""
    scope.session.execute(
        LIST,
        {
            "community": scope.community_id,
            "id": uuid7(),
            "device": state.device_id,
            "name": state.name,
            "version": state.version,
            "is_same": state.is_same,
            "held": state.held,
            "at": state.at,
            "next_try_at": state.next_try_at,
            "failures": state.failures,
            "detail": state.detail[:200],
        },
    )


def record_event(scope: Scope, event: Event) -> bool:
    """Keep an event; return False when the device told it before."""
    return bool(record_events(scope, [event]))


def record_events(scope: Scope, events: Sequence[Event]) -> list[int]:
    """Keep events; return the places of those that were not told before, in the same list too."""
    rows = scope.session.execute(
        EVENTS,
        {
            "community": scope.community_id,
            "ids": [uuid7(event.server_time) for event in events],
            "devices": [event.device_id for event in events],
            "types": [event.type for event in events],
            "keys": [event.key[:120] for event in events],
            "device_ats": [event.device_time for event in events],
            "server_ats": [event.server_time for event in events],
            "datas": [json.dumps(dict(event.data), default=str) for event in events],
        },
    )
    fresh = {(row.device_id, row.key) for row in rows}
    places = []
    for place, event in enumerate(events):
        key = (event.device_id, event.key[:120])
        if key in fresh:
            fresh.discard(key)
            places.append(place)
    return places
