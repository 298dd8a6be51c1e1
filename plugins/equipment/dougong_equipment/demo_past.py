"""The demonstration's past: legal checks that were passed, what devices said, alarms that ended."""

from datetime import datetime, timedelta
from decimal import Decimal
from math import pi, sin
from random import Random
from typing import Any

from sqlalchemy import DateTime, cast, func, literal, select, update

from dougong.db import Scope, insert_rows, uuid7
from dougong.devices.models import DeviceHour
from dougong_equipment.domain.kinds import AlarmState, TaskState
from dougong_equipment.models import Alarm, AlarmRule, Equipment, MaintenanceTask

LATE_DAYS = 6
HOURS = 48
# Equipment, point, what it is around, how far it swings over a day, how far it jitters.
PAST = (
    ("1# 生活给水泵", "pressure", 0.42, 0.03, 0.006),
    ("1# 生活给水泵", "current", 18.6, 2.4, 0.5),
    ("2# 生活给水泵", "pressure", 0.42, 0.03, 0.006),
    ("1# 消防水泵", "pressure", 0.85, 0.004, 0.002),
    ("地下车库排风机", "speed", 60, 15, 0),
    ("地下车库排风机", "bearing_temperature", 46, 5, 0.6),
    ("水泵房环境传感器", "temperature", 17.4, 1.3, 0.2),
    ("水泵房环境传感器", "humidity", 61, 6, 1),
    ("水泵房环境传感器", "level", 0.62, 0.2, 0.03),
)
ALARMS = (("集水坑液位高", 9, 47, "1.62"), ("供水压力低", 23, 18, "0.27"),
          ("集水坑液位高", 41, 65, "1.71"))  # fmt: skip


def write(scope: Scope, chance: Random, equipment: dict[str, Equipment]) -> None:
    """Write what happened before the demonstration begins."""
    _pass_checks(scope)
    _say(scope, chance, equipment)
    _alarm(scope)


def _pass_checks(scope: Scope) -> None:
    """Say of each legal check but the latest ones that it was passed, two days before its day."""
    due_at = cast(MaintenanceTask.due_on, DateTime(timezone=True))
    done_at = due_at - literal(timedelta(days=2, hours=-10))
    passed = (
        update(MaintenanceTask)
        .where(
            MaintenanceTask.statute.is_not(None),
            MaintenanceTask.state == TaskState.OPEN,
            MaintenanceTask.due_on < scope.today - timedelta(days=LATE_DAYS),
        )
        .values(
            state=TaskState.DONE,
            started_at=done_at - literal(timedelta(minutes=50)),
            done_at=done_at,
            done_by="维修刘师傅",
            is_fine=True,
            warned=4,
            report=func.concat("JY-", func.to_char(MaintenanceTask.due_on, "YYYYMMDD"), "-07"),
        )
    )
    scope.session.execute(passed.execution_options(synchronize_session=False))


def _say(scope: Scope, chance: Random, equipment: dict[str, Equipment]) -> None:
    """Write two days of hours of each point, so that there is a line to look at."""
    columns: dict[str, list[Any]] = {}
    hour_at = scope.now.replace(minute=0, second=0, microsecond=0)
    for name, point, middle, swing, jitter in PAST:
        for ago in range(HOURS, 0, -1):
            at = hour_at - timedelta(hours=ago)
            local = at.astimezone(scope.zone).hour
            value = middle + swing * sin((local - 9) / 24 * 2 * pi) + chance.gauss(0, jitter or 0)
            last = Decimal(f"{value:.3f}")
            spread = Decimal(f"{abs(chance.gauss(0, jitter)):.3f}")
            row = {
                "id": uuid7(at), "device_id": equipment[name].device_id, "point": point,
                "hour_at": at, "lowest": last - spread, "highest": last + spread, "last": last,
            }  # fmt: skip
            for key, cell in row.items():
                columns.setdefault(key, []).append(cell)
    insert_rows(scope, DeviceHour, columns)


def _alarm(scope: Scope) -> None:
    rules = {rule.name: rule for rule in scope.session.scalars(select(AlarmRule))}
    for name, days, minutes, value in ALARMS:
        since = _some_time(scope, days)
        raised = since + timedelta(seconds=rules[name].delay_s)
        scope.session.add(
            Alarm(
                id=uuid7(since),
                rule_id=rules[name].id,
                equipment_id=rules[name].equipment_id,
                state=AlarmState.OVER,
                since_at=since,
                raised_at=raised,
                over_at=raised + timedelta(minutes=minutes),
                value=value,
            )  # fmt: skip
        )
    scope.session.flush()


def _some_time(scope: Scope, days: int) -> datetime:
    return scope.now - timedelta(days=days, hours=days % 7)
