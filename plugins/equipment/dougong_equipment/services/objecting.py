"""Why an order about equipment may not be said to be done yet."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope
from dougong.i18n import gettext
from dougong_equipment.domain.kinds import AlarmState
from dougong_equipment.models import Alarm, AlarmRule, Fault

ENDS = "finish"


def objection_to(scope: Scope, work_order: Any, verb: str) -> str | None:
    """Return why repairs may not call an order done: a lock that hangs, an alarm that stands.

    A rule that was switched off, since its sensor is what is broken, keeps nobody. None for every
    other step, and for orders that are about no equipment. Two statements at most.
    """
    if verb != ENDS:
        return None
    query = select(Fault).where(Fault.work_order_id == work_order.id)
    fault = scope.session.scalars(query.limit(1)).first()
    if fault is None or fault.equipment is None:
        return None
    if fault.equipment.locked_by:
        return gettext(
            "The lock of %(name)s still hangs on %(equipment)s. It comes off before the order"
            " ends.",
            name=fault.equipment.locked_by,
            equipment=fault.equipment.name,
        )
    return _standing(scope, fault)


def _standing(scope: Scope, fault: Fault) -> str | None:
    alarm_id = fault.key.removeprefix("alarm ")
    if alarm_id == fault.key:
        return None
    query = (
        select(AlarmRule.name, Alarm.value)
        .join(AlarmRule, AlarmRule.id == Alarm.rule_id)
        .where(Alarm.id == UUID(alarm_id), Alarm.state == AlarmState.RAISED, AlarmRule.is_active)
    )
    found = scope.session.execute(query).first()
    if found is None:
        return None
    return gettext(
        "The alarm “%(name)s” still stands (%(value)s). Wait until the device says that all is"
        " well; if its sensor is what is broken, switch the rule off first.",
        name=found.name,
        value=found.value,
    )
