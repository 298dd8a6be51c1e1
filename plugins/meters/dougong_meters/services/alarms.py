"""Alarms of meters: found by rules every hour, or told by the device itself."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, text, update

from dougong.db import Scope
from dougong.errors import Conflict
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_meters.models import Alarm, AlarmKind, AlarmState

NIGHT_FROM, NIGHT_TO = time(1, 30), time(5, 30)

# A pipe that leaks flows in every hour of every night; people sleep in at least one of them.
LEAK = text(
    """
    with nights as (
        select * from unnest(cast(:froms as timestamptz[]), cast(:tos as timestamptz[]))
            as n(from_at, to_at)
    ), flows as (
        select m.id, n.from_at, m.multiplier * 1000 * (r.value - lag(r.value) over w)
               / nullif(extract(epoch from r.read_at - lag(r.read_at) over w) / 3600, 0) as flow
        from nights n
        cross join meters.meter m
        join meters.reading r on r.community_id = m.community_id and r.meter_id = m.id
             and r.read_at between n.from_at and n.to_at and r.state = 'accepted'
             and r.source = 'collector'
        where m.community_id = :community and m.state = 'installed'
          and m.commodity in ('water', 'gas') and m.role = 'own'
        window w as (partition by m.id, n.from_at order by r.read_at)
    )
    select id as meter_id, round(min(flow))::text as value from flows where flow is not null
    group by id
    having min(flow) >= :least and count(distinct from_at) = (select count(*) from nights)
       and count(*) >= 2 * (select count(*) from nights)
    """
)
# Used before, and for a whole month not at all, though somebody lives there.
ZERO_USE = text(
    """
    select m.id as meter_id, m.last_value::text as value
    from meters.meter m
    join dougong.room room on room.community_id = m.community_id and room.id = m.room_id
         and room.state = 'occupied'
    join lateral (
        select value from meters.reading
        where community_id = m.community_id and meter_id = m.id and state = 'accepted'
          and read_at <= m.last_read_at - cast(:span as interval) order by read_at desc limit 1
    ) b on b.value = m.last_value
    where m.community_id = :community and m.state = 'installed' and m.role = 'own'
      and m.last_read_at > :recent and m.last_value > m.install_value
    """
)
REVERSE = text(
    """
    select m.id as meter_id, r.value::text as value
    from meters.meter m
    join lateral (
        select value, state from meters.reading
        where community_id = m.community_id and meter_id = m.id and read_at > :recent
        order by read_at desc limit 1
    ) r on r.state = 'suspect' and r.value < m.last_value
    where m.community_id = :community and m.state = 'installed'
    """
)
# One that is asked and does not answer; one that tells by itself and has been silent for longer.
OFFLINE = text(
    """
    select distinct m.id as meter_id, d.name as value
    from meters.meter m
    join dougong.device_point p on p.community_id = m.community_id
         and p.subject_kind = 'meters.meter' and p.subject_id = m.id
    join dougong.device d on d.community_id = m.community_id and d.id = p.device_id
         and d.is_enabled
    join dougong.gateway g on g.community_id = m.community_id and g.id = d.gateway_id
         and g.is_enabled
    left join dougong.device_health h on h.community_id = m.community_id and h.subject_id = d.id
    where m.community_id = :community and m.state = 'installed'
      and case when g.transport in ('http_push', 'mqtt_push') then h.last_ok_at < :silent
               else h.is_ok is false and h.since_at < :mute end
    """
)
VERIFICATION = text(
    """
    select id as meter_id, verification_ends_on::text as value from meters.meter
    where community_id = :community and state = 'installed' and verification_ends_on <= :soon
    """
)
METERS_OF = text(
    """
    select distinct p.subject_id from dougong.device_point p
    where p.community_id = :community and p.device_id = any (:devices)
      and p.subject_kind = 'meters.meter'
    """
)
TAMPER_POINTS = {"is_tampered", "is_cover_open", "is_magnetised"}
BY_RULE = {
    AlarmKind.LEAK: (LEAK, N_("It flows at least %(value)s litres in every hour of the night.")),
    AlarmKind.ZERO_USE: (ZERO_USE, N_("The counter stands still at %(value)s.")),
    AlarmKind.REVERSE: (REVERSE, N_("The counter fell to %(value)s.")),
    AlarmKind.OFFLINE: (OFFLINE, N_("%(value)s does not answer.")),
    AlarmKind.VERIFICATION: (VERIFICATION, N_("Verified until %(value)s.")),
}


class Found(NamedTuple):
    """What a rule found: the meter, which alarm, and the words for it."""

    meter_id: UUID
    kind: AlarmKind
    detail: str


@service("alarm.watch", title=("Look at all meters", "检查全部表计"))
def watch(scope: Scope) -> int:
    """Raise what the rules find and close what they find no longer; return how many were raised.

    Runs every hour. Tampering is told by devices and closed by people, so it stays.
    """
    given = _limits(scope)
    found = {
        (row.meter_id, kind): Found(row.meter_id, kind, gettext(words, value=row.value))
        for kind, (query, words) in BY_RULE.items()
        for row in scope.session.execute(query, given)
    }
    open_alarms = scope.session.execute(
        select(Alarm.id, Alarm.meter_id, Alarm.kind).where(
            Alarm.state == AlarmState.OPEN, Alarm.kind.in_(list(BY_RULE))
        )
    ).all()
    over = [a.id for a in open_alarms if (a.meter_id, a.kind) not in found]
    if over:
        scope.session.execute(
            update(Alarm)
            .where(Alarm.id.in_(over))
            .values(state=AlarmState.CLOSED, closed_at=scope.now, note=gettext("Over by itself."))
            .execution_options(synchronize_session=False)
        )
    known = {(a.meter_id, a.kind) for a in open_alarms}
    return _raise(scope, [f for key, f in found.items() if key not in known])


def _limits(scope: Scope) -> dict[str, Any]:
    """Return what the rules compare with, from the community's settings."""
    nights = [
        scope.today - timedelta(days=n) for n in range(int(_setting(scope, "leak_nights", 3)))
    ]
    return {
        "community": scope.community_id,
        "froms": [datetime.combine(day, NIGHT_FROM, scope.zone) for day in nights],
        "tos": [datetime.combine(day, NIGHT_TO, scope.zone) for day in nights],
        "least": _setting(scope, "leak_litres_per_hour", 10),
        "span": timedelta(days=int(_setting(scope, "zero_days", 30))),
        "recent": scope.now - timedelta(days=7),
        "mute": scope.now - timedelta(hours=int(_setting(scope, "offline_hours", 24))),
        "silent": scope.now - timedelta(hours=int(_setting(scope, "silent_hours", 72))),
        "soon": scope.today + timedelta(days=int(_setting(scope, "verification_days", 60))),
    }


def _setting(scope: Scope, name: str, default: int) -> Any:
    return scope.setting(f"meters.{name}", default)


def _raise(scope: Scope, found: Sequence[Found]) -> int:
    alarms = [
        Alarm(meter_id=f.meter_id, kind=f.kind, raised_at=scope.now, detail=f.detail[:200])
        for f in found
    ]
    scope.session.add_all(alarms)
    scope.session.flush()
    for alarm in alarms:
        scope.emit("meter_alarm_raised", alarm_id=alarm.id, meter_id=alarm.meter_id)
    return len(alarms)


def raise_tamper(scope: Scope, readings: Sequence[Any]) -> int:
    """Raise an alarm for the meters whose devices say that somebody meddles with them.

    readings: as the hook gives them. A device may say it again and again; one alarm stays open.
    """
    devices = {r.device_id for r in readings if r.point in TAMPER_POINTS and r.value is True}
    if not devices:
        return 0
    meters = scope.session.scalars(
        METERS_OF, {"community": scope.community_id, "devices": list(devices)}
    ).all()
    known = scope.session.scalars(
        select(Alarm.meter_id).where(
            Alarm.meter_id.in_(meters),
            Alarm.kind == AlarmKind.TAMPER,
            Alarm.state == AlarmState.OPEN,
        )
    ).all()
    words = gettext("The device says that it was opened or disturbed.")
    return _raise(scope, [Found(m, AlarmKind.TAMPER, words) for m in set(meters) - set(known)])


@service("alarm.close", title=("Close the alarm", "处理告警"))
def close_alarm(scope: Scope, alarm: Alarm, note: str) -> Alarm:
    """Close an alarm with what was found and done. Raises Conflict when it is closed already.

    A rule raises it again in the next hour when its cause is still there.
    """
    if alarm.state is AlarmState.CLOSED:
        raise Conflict(N_("This alarm is closed already."))
    alarm.state, alarm.closed_at, alarm.note = AlarmState.CLOSED, scope.now, note
    scope.session.flush()
    return alarm
