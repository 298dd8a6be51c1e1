"""Alarms: what devices say, compared with rules that have a delay and a dead band."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.devices import Reading
from dougong.i18n import gettext
from dougong.services import service
from dougong_equipment.domain.kinds import AlarmState, EquipmentState, FaultSource
from dougong_equipment.domain.limits import is_back, is_wrong
from dougong_equipment.models import Alarm, AlarmRule, Equipment
from dougong_equipment.services.faults import order_repair, raise_fault

HOURS_POINT = "run_hours"


def take_readings(scope: Scope, readings: Sequence[Reading]) -> None:
    """Compare readings with the rules of their equipment; keep run hours. Two statements, if quiet.

    Readings without a usable value change nothing: silence is no proof that all is well.
    """
    usable = [r for r in readings if r.value is not None and r.quality.is_usable]
    devices = {r.device_id for r in usable}
    if not devices:
        return
    rules = _rules(scope, devices)
    _keep_hours(scope, usable)
    if not rules:
        return
    standing = _standing(scope, [rule.id for found in rules.values() for rule in found])
    for reading in usable:
        for rule in rules.get((reading.device_id, reading.point), ()):
            judge(scope, rule, standing, reading.value, reading.server_time)
    scope.session.flush()


def _rules(scope: Scope, devices: set[UUID]) -> dict[tuple[UUID | None, str], list[AlarmRule]]:
    query = (
        select(AlarmRule, Equipment.device_id)
        .join(Equipment, Equipment.id == AlarmRule.equipment_id)
        .where(
            AlarmRule.is_active,
            Equipment.device_id.in_(devices),
            Equipment.state.not_in((EquipmentState.RETIRED, EquipmentState.STOPPED)),
        )
    )
    found: dict[tuple[UUID | None, str], list[AlarmRule]] = {}
    for rule, device_id in scope.session.execute(query):
        found.setdefault((device_id, rule.point), []).append(rule)
    return found


def _standing(scope: Scope, rules: list[UUID]) -> dict[UUID, Alarm]:
    query = select(Alarm).where(Alarm.rule_id.in_(rules), Alarm.state != AlarmState.OVER)
    return {alarm.rule_id: alarm for alarm in scope.session.scalars(query)}


def judge(
    scope: Scope, rule: AlarmRule, standing: dict[UUID, Alarm], value: Any, at: datetime
) -> None:
    """Begin, raise or end the alarm of a rule after one value; ``standing`` follows."""
    alarm = standing.get(rule.id)
    if alarm is None:
        if is_wrong(rule.comparison, rule.threshold, value):
            alarm = _begin(scope, rule, value, at)
            standing[rule.id] = alarm
            _raise_when_due(scope, alarm, rule, at)
        return
    if is_back(rule.comparison, rule.threshold, rule.dead_band, value):
        _end(scope, alarm, at)
        del standing[rule.id]
        return
    is_still_wrong = is_wrong(rule.comparison, rule.threshold, value)
    if alarm.state is AlarmState.PENDING and not is_still_wrong:
        _end(scope, alarm, at)
        del standing[rule.id]
        return
    _raise_when_due(scope, alarm, rule, at)


def _begin(scope: Scope, rule: AlarmRule, value: Any, at: datetime) -> Alarm:
    alarm = Alarm(
        rule_id=rule.id,
        equipment_id=rule.equipment_id,
        state=AlarmState.PENDING,
        since_at=at,
        value=str(value)[:60],
    )
    scope.session.add(alarm)
    scope.session.flush()
    return alarm


def _raise_when_due(scope: Scope, alarm: Alarm, rule: AlarmRule, now: datetime) -> bool:
    if alarm.state is not AlarmState.PENDING:
        return False
    if now - alarm.since_at < timedelta(seconds=rule.delay_s):
        return False
    alarm.state, alarm.raised_at = AlarmState.RAISED, now
    scope.emit("alarm_raised", alarm_id=alarm.id)
    return True


def _end(scope: Scope, alarm: Alarm, at: datetime) -> None:
    was_raised = alarm.state is AlarmState.RAISED
    alarm.state, alarm.over_at = AlarmState.OVER, at
    if was_raised:
        scope.emit("alarm_over", alarm_id=alarm.id)


@service("alarm.watch", title=("Look at delays", "检查告警延时"))
def watch(scope: Scope) -> int:
    """Raise alarms whose delay is over though no further value came; return how many.

    Runs every minute: a value is sent on change, and one that stays wrong may stay silent.
    """
    query = (
        select(Alarm, AlarmRule)
        .join(AlarmRule, AlarmRule.id == Alarm.rule_id)
        .where(Alarm.state == AlarmState.PENDING)
        .with_for_update(of=Alarm, skip_locked=True)
    )
    found = scope.session.execute(query).all()
    raised = sum(_raise_when_due(scope, alarm, rule, scope.now) for alarm, rule in found)
    scope.session.flush()
    return raised


def make_order(scope: Scope, alarm_id: UUID) -> None:
    """Turn an alarm into a fault, and a work order where repairs is on; bears repetition."""
    alarm = scope.session.scalars(select(Alarm).where(Alarm.id == alarm_id)).first()
    if alarm is None or not alarm.rule.makes_order:
        return
    words = gettext("Alarm: %(name)s (%(value)s)", name=alarm.rule.name, value=alarm.value)
    fault = raise_fault(
        scope,
        f"alarm {alarm.id}",
        words,
        FaultSource.ALARM,
        equipment_id=alarm.equipment_id,
        building_id=alarm.equipment.building_id,
        urgency=alarm.rule.urgency,
        is_breakdown=alarm.rule.is_breakdown,
    )
    order_repair(scope, fault)


def _keep_hours(scope: Scope, readings: Sequence[Reading]) -> None:
    """Keep the run hours that devices count; a counter that fell is left alone."""
    hours = {
        r.device_id: r.value
        for r in readings
        if r.point == HOURS_POINT and isinstance(r.value, Decimal)
    }
    if not hours:
        return
    query = select(Equipment).where(Equipment.device_id.in_(hours))
    for equipment in scope.session.scalars(query):
        now = hours[equipment.device_id]
        if equipment.run_hours is None or now >= equipment.run_hours + 1:
            equipment.run_hours = now
