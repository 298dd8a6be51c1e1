"""What people and plugins do with devices: order commands, approve them, bind points."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.capabilities import needs
from dougong.db import Scope, uuid7
from dougong.devices.asking import interlocks_of, objection
from dougong.devices.commands import DANGEROUS, Command, CommandSpec, CommandState, Effect, Ground
from dougong.devices.configuration import PUSH_SECRET, device_config, drivers_of
from dougong.devices.contract import Driver
from dougong.devices.interlocks import refusal
from dougong.devices.lists import ListSpec
from dougong.devices.models import Device, DeviceCommand, DeviceList, DevicePoint
from dougong.devices.profiles import check_settings, find_profile
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, gettext
from dougong.services import Approval, acts_as, service

LONGEST_WAIT_S = 3600
DOOR_WAIT_S = 10
SHORTEST_SECRET = 16
PROPOSAL_HOURS = 24


@service("device.order", title=("Give a command", "下达指令"))
@needs("devices")
def order_command(
    scope: Scope,
    device: Device,
    name: str,
    reason: str = "",
    ground: Ground | None = None,
    value: str = "",
    policy: str = "",
    wait_s: int = 60,
) -> DeviceCommand:
    """Order a command; it goes on the wire at most once, and never after ``wait_s`` seconds.

    Cutting a supply, and what its profile calls dangerous, waits for a second person to approve
    it, for ``devices.proposal_hours`` (24) at most, unless ``policy`` names the written rule that
    stands in for him. Raises Invalid for a command that the device does not have, Conflict with
    the reason when an interlock refuses.
    Opening, cutting off and what wants two persons need a fresh proof.
    """
    spec = _spec(scope, device, name)
    is_dangerous = spec.effect in DANGEROUS or spec.two_persons
    if is_dangerous and acts_as(scope, "dougong.device.order"):
        scope.actor.require_proof("dougong.device.order")
    is_door = spec.effect in (Effect.OPEN_DOOR, Effect.OPEN_BARRIER)
    row = DeviceCommand(
        device_id=device.id,
        name=name,
        arguments={"value": value} if value else {},
        ground=ground,
        reason=reason,
        policy=policy or None,
        state=CommandState.QUEUED,
        requires=interlocks_of(scope, device.id, name),
        ordered_by_id=scope.actor.user_id,
        ordered_by=scope.actor.name,
        ordered_at=scope.now,
        deadline_at=scope.now + timedelta(seconds=_wait_s(wait_s, is_door)),
    )
    needs_second = spec.needs_second and not policy
    if needs_second:
        row.state = CommandState.PROPOSED
        hours = int(scope.setting("devices.proposal_hours", PROPOSAL_HOURS))
        row.approve_until_at = scope.now + timedelta(hours=hours)
    _check_interlocks(scope, row, spec, device, second="?" if needs_second else None)
    scope.session.add(row)
    scope.session.flush()
    return row


@service(
    "device_command.approve",
    title=("Approve", "批准执行"),
    step_up=True,
    approves=Approval(
        asked_by="ordered_by_id",
        waiting=(CommandState.PROPOSED,),
        about="reason",
        refuse="device_command.withdraw",
        is_request=False,
    ),
)
@needs("devices")
def approve_command(scope: Scope, command: DeviceCommand) -> DeviceCommand:
    """Approve a command as the second person; it is sent at once.

    The time in which it may be sent starts now. Raises Conflict for a command that does not wait
    for approval (any more) or that an interlock refuses.
    """
    if command.state is not CommandState.PROPOSED:
        raise Conflict(N_("This command does not wait for approval."))
    if command.approve_until_at is not None and command.approve_until_at <= scope.now:
        raise Conflict(N_("The time to approve this command is over; order it anew."))
    command.approved_by_id, command.approved_by = scope.actor.user_id, scope.actor.name
    command.deadline_at += scope.now - command.ordered_at
    device = scope.get(Device, command.device_id)
    _check_interlocks(scope, command, _spec(scope, device, command.name), device)
    command.state = CommandState.QUEUED
    scope.session.flush()
    return command


@service("device_command.withdraw", title=("Withdraw", "撤回"), permission="dougong.device.order")
@needs("devices")
def withdraw_command(scope: Scope, command: DeviceCommand, reason: str = "") -> DeviceCommand:
    """Take a command back that waits for approval or was not sent yet; it is never sent then.

    Raises Conflict for one that is on its way or has ended: no word reaches it any more.
    """
    if command.state not in (CommandState.PROPOSED, CommandState.QUEUED):
        raise Conflict(N_("This command was sent or has ended; it cannot be withdrawn."))
    command.state, command.ended_at = CommandState.WITHDRAWN, scope.now
    command.detail = f"{scope.actor.name}: {reason}".removesuffix(": ")[:400]
    scope.session.flush()
    return command


@service("device.bind", title=("Bind a point", "绑定测点"))
@needs("devices")
def bind_point(
    scope: Scope, device: Device, point: str, subject_kind: str, subject_id: UUID
) -> DevicePoint:
    """Say what a point of a device is about; what it was about before is forgotten.

    subject_kind: ``meters.meter``, for example. Raises Invalid for a point that the device lacks.
    """
    profile = find_profile(_driver(scope, device), device.profile, device.gateway.transport)
    if point not in {p.key for p in profile.points}:
        raise _invalid("point", gettext("The device has no such point."))
    query = select(DevicePoint).where(DevicePoint.device_id == device.id)
    bound = scope.session.scalars(query.where(DevicePoint.point == point)).one_or_none()
    if bound is None:
        bound = DevicePoint(device_id=device.id, point=point)
        scope.session.add(bound)
    bound.subject_kind, bound.subject_id = subject_kind, subject_id
    scope.session.flush()
    return bound


@service("device.set_list", title=("Set a list", "设置名单"))
@needs("devices")
def set_list(
    scope: Scope,
    device: Device,
    name: str,
    entries: dict[str, str],
    reason: str = "",
    ground: Ground | None = None,
) -> DeviceList:
    """Say what a device shall keep from now on: key → content; it is brought to it and read back.

    Raises Invalid for a list that the device does not keep or that is too long, Conflict with the
    reason when an interlock refuses to take an entry out, or to change one.
    """
    profile = find_profile(_driver(scope, device), device.profile, device.gateway.transport)
    spec = profile.list(name)
    if spec is None:
        known = ", ".join(kept.name for kept in profile.lists) or "—"
        raise _invalid("name", gettext("The device keeps these lists: %(known)s", known=known))
    if len(entries) > spec.capacity:
        raise _invalid("entries", gettext("At most %(count)s entries.", count=spec.capacity))
    query = select(DeviceList).where(DeviceList.device_id == device.id, DeviceList.name == name)
    kept = scope.session.scalars(query.with_for_update()).one_or_none()
    before = json.loads(kept.entries or "{}") if kept is not None else {}
    if kept is not None and before == entries:
        return kept
    if before.keys() - entries.keys():
        _check_removal(scope, device, spec, reason, ground)
    elif any(entries[key] != content for key, content in before.items()):
        # A card that ended yesterday opens as little as one that was taken out.
        _check_removal(scope, device, spec, reason or gettext("changed"), ground)
    if kept is None:
        kept = DeviceList(device_id=device.id, name=name, version=0)
        scope.session.add(kept)
    kept.version += 1
    kept.entries, kept.size = json.dumps(entries, ensure_ascii=False, sort_keys=True), len(entries)
    kept.changed_at, kept.changed_by, kept.reason = scope.now, scope.actor.name, reason[:200]
    scope.session.flush()
    return kept


def _check_removal(
    scope: Scope, device: Device, spec: ListSpec, reason: str, ground: Ground | None
) -> None:
    """Raise Conflict when an interlock refuses what taking an entry out (or changing it) means."""
    order = CommandSpec(name=spec.name, address=None, effect=spec.removal)
    command = Command(
        id=uuid7(),
        device_id=device.id,
        name=spec.name,
        actor=str(scope.actor.user_id or scope.actor.name),
        deadline=scope.now,
        ground=ground,
        reason=reason,
    )
    refused = refusal(command, order, device_config(device), {})
    if refused is not None:
        raise Conflict(refused)


@service("device.set_secrets", title=("Set a secret", "设置密钥"), is_public=False)
@needs("devices")
def set_secrets(scope: Scope, device: Device, name: str, secret: str) -> Device:
    """Set one secret of a device (a password); it is kept encrypted and never shown again.

    Raises Invalid for a setting that the driver does not keep secret, or a value that it refuses.
    """
    driver = _driver(scope, device)
    if name == PUSH_SECRET and device.gateway.transport.is_push:
        if len(secret) < SHORTEST_SECRET:
            raise _invalid(
                "secret", gettext("At least %(count)s characters.", count=SHORTEST_SECRET)
            )
    elif name not in driver.secrets:
        raise _invalid("name", gettext("The driver knows no such secret."))
    secrets: dict[str, Any] = json.loads(device.secrets) if device.secrets else {}
    secrets[name] = secret
    own = {k: v for k, v in secrets.items() if k != PUSH_SECRET}
    check_settings(driver, {**device.settings, **own})
    device.secrets = json.dumps(secrets)
    scope.session.flush()
    return device


def _driver(scope: Scope, device: Device) -> Driver:
    drivers, _ = drivers_of(scope.installation)
    if device.driver not in drivers.working:
        raise _invalid("driver", gettext("There is no driver %(driver)s.", driver=device.driver))
    return drivers.working[device.driver]


def _spec(scope: Scope, device: Device, name: str) -> CommandSpec:
    profile = find_profile(_driver(scope, device), device.profile, device.gateway.transport)
    spec = profile.command(name)
    if spec is None:
        known = ", ".join(c.name for c in profile.commands) or "—"
        raise _invalid("name", gettext("The device knows these commands: %(known)s", known=known))
    return spec


def _check_interlocks(
    scope: Scope,
    row: DeviceCommand,
    spec: CommandSpec,
    device: Device,
    second: str | None = None,
) -> None:
    """Raise Conflict with the reason when an interlock refuses; ``second`` stands for who comes."""
    command = Command(
        id=row.id,
        device_id=row.device_id,
        name=row.name,
        actor=str(row.ordered_by_id or row.ordered_by),
        deadline=row.deadline_at,
        ground=row.ground,
        reason=row.reason,
        approved_by=second or str(row.approved_by_id or row.approved_by or ""),
        policy=row.policy,
    )
    reason = refusal(command, spec, device_config(device), {})
    reason = reason or objection(scope, row, row.requires)
    if reason is not None:
        raise Conflict(reason)


def _wait_s(wanted: int, is_door: bool) -> int:
    """Return how long a command may wait: a door that opens later opens for somebody else."""
    return max(1, min(wanted, DOOR_WAIT_S if is_door else LONGEST_WAIT_S))


def _invalid(field: str, problem: str) -> Invalid:
    return Invalid(N_("Some fields are not right yet."), fields={field: problem})
