"""Commands to equipment: interlocks, two persons, schedules by clock and sun."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from dougong.db import Scope, uuid7
from dougong.devices.models import Device, DeviceCommand, DeviceValue
from dougong.devices.services import order_command, withdraw_command
from dougong.errors import Conflict, DougongError, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.services import service
from dougong_equipment.domain.kinds import EquipmentState, RunState
from dougong_equipment.domain.limits import is_wrong
from dougong_equipment.domain.recurrence import due_days
from dougong_equipment.domain.sun import Place, due_at
from dougong_equipment.models import Condition, ControlRun, ControlSchedule, Equipment

CONTROL = "equipment.equipment.control"
LOCK, CONDITIONS = "equipment.lock", "equipment.conditions"
WAIT_S = 60
LONGEST_LOOK = timedelta(days=2)


@service("equipment.control", title=("Give a command", "远程控制"), step_up=True)
def control(
    scope: Scope, equipment: Equipment, command: str, reason: str, value: str = ""
) -> DeviceCommand:
    """Order a command of the equipment's device; dangerous ones wait for a second person.

    It goes on the wire at most once, never after a minute, and its effect is read back. Raises
    Conflict with the reason when a lock or a condition speaks against it, or without a device.
    """
    return order(scope, equipment, command, value=value, reason=reason)


@service(
    "equipment.withdraw",
    title=("Withdraw a command", "撤回指令"),
    permission=CONTROL,
    is_public=False,
)
def withdraw(scope: Scope, equipment: Equipment, command_id: UUID) -> DeviceCommand:
    """Take back a command to equipment that was not sent yet; it is never sent then.

    Raises NotFound for another device's command, Conflict for one that was sent or has ended.
    """
    command = scope.get(DeviceCommand, command_id, lock=True)
    if command.device_id != equipment.device_id:
        raise NotFound(N_("There is no such page."))
    return withdraw_command(scope, command)


def order(scope: Scope, equipment: Equipment, command: str, **more: Any) -> DeviceCommand:
    """Order a command through the kernel. more: ``value``, ``reason``, ``policy``."""
    if equipment.device_id is None:
        raise Conflict(N_("%(name)s has no device that takes commands."), name=equipment.name)
    if equipment.state is EquipmentState.RETIRED:
        raise Conflict(N_("%(name)s is retired."), name=equipment.name)
    device = scope.get(Device, equipment.device_id)
    return order_command(scope, device, command, wait_s=WAIT_S, **more)


def interlocks_before(scope: Scope, device_id: UUID, command: str) -> list[str]:
    """Return which interlocks stand before a command of a device; none for foreign devices."""
    here = select(Equipment.id).where(Equipment.device_id == device_id)
    found = scope.session.scalars(here).all()
    if not found:
        return []
    conditions = select(Condition.id).where(
        Condition.equipment_id.in_(found), Condition.command == command, Condition.is_active
    )
    is_conditioned = scope.session.scalars(conditions.limit(1)).first() is not None
    return [LOCK, CONDITIONS] if is_conditioned else [LOCK]


def refusal(scope: Scope, name: str, command: DeviceCommand) -> str | None:
    """Return why a lock or condition speaks against a command, an empty text when none does."""
    if name not in (LOCK, CONDITIONS):
        return None
    query = select(Equipment).where(Equipment.device_id == command.device_id)
    for equipment in scope.session.scalars(query):
        reason = (
            _locked(equipment) if name == LOCK else _conditions(scope, equipment.id, command.name)
        )
        if reason:
            return reason
    return ""


def _locked(equipment: Equipment) -> str:
    if equipment.locked_by:
        return gettext(
            "%(name)s has locked it: %(why)s",
            name=equipment.locked_by,
            why=equipment.locked_why or "",
        )
    if equipment.state in (EquipmentState.RETIRED, EquipmentState.STOPPED):
        return gettext("%(name)s is not in use.", name=equipment.name)
    return ""


def _conditions(scope: Scope, equipment_id: UUID, command: str) -> str:
    query = select(Condition).where(
        Condition.equipment_id == equipment_id, Condition.command == command, Condition.is_active
    )
    for condition in scope.session.scalars(query):
        value = select(DeviceValue).where(
            DeviceValue.device_id == condition.watched.device_id,
            DeviceValue.point == condition.point,
        )
        seen = scope.session.scalars(value).first()
        is_known = seen is not None and seen.value is not None and seen.quality.is_usable
        if not is_known or (scope.now - seen.server_at).total_seconds() > condition.fresh_s:
            return gettext("%(name)s: there is no fresh value.", name=condition.name)
        if is_wrong(condition.comparison, condition.threshold, seen.value):
            return f"{condition.name} ({seen.value})"[:200]
    return ""


# --- schedules ------------------------------------------------------------------------------------


def place_of(scope: Scope) -> Place:
    """Return where the community lies, from its settings."""
    latitude = float(scope.setting("equipment.latitude", 31.23))
    return Place(latitude, float(scope.setting("equipment.longitude", 121.47)), scope.zone)


@service("control_schedule.run", title=("Run schedules", "执行定时控制"), is_public=False)
def run_schedules(scope: Scope) -> int:
    """Give the commands that have become due; return how many were ordered.

    Runs every minute. Each moment is decided once, in the transaction that orders; one that was
    slept through for longer than its schedule allows is written down as too late and never sent.
    """
    query = select(ControlSchedule).where(ControlSchedule.is_active)
    query = query.with_for_update(of=ControlSchedule, skip_locked=True)
    place, ordered = place_of(scope), 0
    for schedule in scope.session.scalars(query).all():
        after = schedule.looked_at or scope.now
        for due in moments(schedule, place, max(after, scope.now - LONGEST_LOOK), scope.now):
            ordered += _decide(scope, schedule, due)
        schedule.looked_at = scope.now
    scope.session.flush()
    return ordered


def moments(
    schedule: ControlSchedule, place: Place, after: datetime, until: datetime
) -> list[datetime]:
    """Return the instants in (after, until] at which a schedule is due."""
    first, last = (at.astimezone(place.zone).date() for at in (after, until))
    try:
        days = due_days(schedule.rule, schedule.starts_on, first - timedelta(days=2), last)
    except ValueError:
        return []
    given = (schedule.moment, schedule.at, schedule.offset_minutes)
    found = [due_at(*given, day, place) for day in days]
    return [due for due in found if due is not None and after < due <= until]


def _decide(scope: Scope, schedule: ControlSchedule, due: datetime) -> int:
    """Order the command of one moment, once; return 1 when it was ordered."""
    values: dict[str, Any] = {"state": RunState.TOO_LATE, "detail": "", "command_id": None}
    if scope.now - due <= timedelta(minutes=schedule.late_minutes):
        values = _try(scope, schedule)
    row = {"community_id": scope.community_id, "id": uuid7(), "schedule_id": schedule.id}
    new = insert(ControlRun).values(**row, due_at=due, **values).on_conflict_do_nothing()
    is_new = scope.session.execute(new.returning(ControlRun.id)).first() is not None
    scope.emit("schedule_ran", schedule_id=schedule.id)
    return int(is_new and values["state"] is RunState.ORDERED)


def _try(scope: Scope, schedule: ControlSchedule) -> dict[str, Any]:
    try:
        with scope.session.begin_nested():
            command = order(
                scope,
                schedule.equipment,
                schedule.command,
                value=schedule.value,
                reason=schedule.name,
                policy=schedule.policy or "",
            )
    except DougongError as error:
        return {
            "state": RunState.REFUSED,
            "detail": translate_error(error)[:200],
            "command_id": None,
        }
    return {"state": RunState.ORDERED, "detail": "", "command_id": command.id}
