"""A room's supply: cut when nothing speaks against it, restored at once; by commands only."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import Select, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from dougong.db import Scope
from dougong.devices import CommandState, Ground
from dougong.devices.commands import CommandSpec, Effect
from dougong.devices.configuration import drivers_of
from dougong.devices.models import Device, DeviceCommand, DevicePoint
from dougong.devices.profiles import find_profile
from dougong.devices.services import order_command, withdraw_command
from dougong.errors import Conflict, DougongError
from dougong.i18n import N_, gettext, translate_error
from dougong.services import service
from dougong_meters.models import Meter, MeterState
from dougong_prepaid.domain import (
    CutReason,
    Objection,
    PeriodKind,
    Protection,
    Situation,
    Supply,
    why_not_cut,
)
from dougong_prepaid.models import EnergyAccount
from dougong_prepaid.services.rules import periods, rules

log = structlog.get_logger(__name__)

SUPPLY = "prepaid.supply"
CUT_WAIT_S, RESTORE_WAIT_S = 300, 3600
UNSURE = timedelta(minutes=10)
AT_ONCE = 200
OVER = (
    CommandState.REJECTED,
    CommandState.FAILED,
    CommandState.EXPIRED,
    CommandState.WITHDRAWN,
)
SAYS = {
    Objection.NOT_EMPTY: N_("The balance is not used up."),
    Objection.PROTECTED: N_("This supply is protected and never cut."),
    Objection.UNKNOWN: N_("The balance is not known: the meter could not be followed."),
    Objection.STALE: N_("The last reading is too old to cut a supply by."),
    Objection.NOT_WARNED: N_("Nobody was warned yet."),
    Objection.GRACE: N_("The grace period is not over."),
    Objection.QUIET: N_("No supply is cut at this hour."),
    Objection.EXAM: N_("No supply is cut in an exam week."),
}
# On these grounds a person, never the system, may have a protected supply cut.
BY_PEOPLE = (Ground.SAFETY, Ground.RESIDENT_REQUEST, Ground.METER_WORK)


# --- devices --------------------------------------------------------------------------------------


def spec_of(scope: Scope, device: Device, name: str) -> CommandSpec | None:
    """Return what a device's profile says of a command, None when it has none of this name."""
    return next((spec for spec in _specs(scope, device) if spec.name == name), None)


def _specs(scope: Scope, device: Device) -> Sequence[CommandSpec]:
    drivers, _ = drivers_of(scope.installation)
    driver = drivers.working.get(device.driver)
    if driver is None:
        return ()
    return find_profile(driver, device.profile, device.gateway.transport).commands


def device_for(scope: Scope, account: EnergyAccount, effect: Effect) -> tuple[Device, str] | None:
    """Return the device of the room's meter and its command with an effect, None without one.

    A command whose outcome is read back is preferred.
    """
    query = (
        select(Device)
        .join(DevicePoint, DevicePoint.device_id == Device.id)
        .join(Meter, Meter.id == DevicePoint.subject_id)
        .where(
            DevicePoint.subject_kind == "meters.meter",
            Meter.room_id == account.room_id,
            Meter.commodity == account.commodity,
            Meter.state == MeterState.INSTALLED,
            Device.is_enabled,
        )
        .distinct()
    )
    for device in scope.session.scalars(query.order_by(Device.id)):
        specs = [spec for spec in _specs(scope, device) if spec.effect is effect]
        specs.sort(key=lambda spec: spec.verify is None)
        if specs:
            return device, specs[0].name
    return None


def accounts_behind(scope: Scope, device_id: UUID) -> list[EnergyAccount]:
    """Return the open accounts of the rooms whose meters a device reads."""
    query = (
        select(EnergyAccount)
        .join(
            Meter,
            (Meter.room_id == EnergyAccount.room_id) & (Meter.commodity == EnergyAccount.commodity),
        )
        .join(DevicePoint, DevicePoint.subject_id == Meter.id)
        .where(
            DevicePoint.device_id == device_id,
            DevicePoint.subject_kind == "meters.meter",
            EnergyAccount.closed_on.is_(None),
        )
        .distinct()
    )
    return list(scope.session.scalars(query.order_by(EnergyAccount.id)))


# --- interlock ------------------------------------------------------------------------------------


def interlocks_before(scope: Scope, device_id: UUID) -> list[str]:
    """Return the interlock of prepaid energy for devices that supply a room with an account."""
    return [SUPPLY] if accounts_behind(scope, device_id) else []


def refusal(scope: Scope, name: str, command: DeviceCommand) -> str | None:
    """Return why a supply may not be cut by a command now, an empty text when it may.

    Asked again in the moment before it is sent: a top-up that came meanwhile stops the command.
    """
    if name != SUPPLY:
        return None
    spec = spec_of(scope, scope.get(Device, command.device_id), command.name)
    if spec is not None and spec.effect is not Effect.CUT_SUPPLY:
        return ""
    for account in accounts_behind(scope, command.device_id):
        reason = _refusal_of(scope, account, command)
        if reason:
            return reason
    return ""


def _refusal_of(scope: Scope, account: EnergyAccount, command: DeviceCommand) -> str:
    is_protected = account.protection is not Protection.NONE
    if is_protected and (command.ground not in BY_PEOPLE or command.policy):
        return gettext(SAYS[Objection.PROTECTED])
    if command.ground is not Ground.ENERGY_ARREARS:
        return ""
    objection = why_not_cut(situation(scope, account), rules(scope))
    return gettext(SAYS[objection]) if objection else ""


def situation(scope: Scope, account: EnergyAccount, is_exam: bool | None = None) -> Situation:
    """Return how a room stands at this moment. is_exam: asked for when it is not given."""
    if is_exam is None:
        is_exam = PeriodKind.EXAM in periods(scope, scope.today)
    return Situation(
        balance=account.balance,
        is_known=account.problem is None and account.counted is not None,
        read_at=account.counted_at,
        warned_at=account.warned_at,
        empty_at=account.empty_at,
        protection=account.protection,
        is_exam=is_exam,
        local=scope.now.astimezone(scope.zone),
    )


# --- cutting --------------------------------------------------------------------------------------


def cut_empty(scope: Scope) -> int:
    """Order the cut of supplies whose balance is used up; return how many were ordered.

    None without a written rule (``prepaid.policy``). At most AT_ONCE at a time, the longest empty
    first; who cannot be cut keeps nobody behind him from it.
    """
    now = rules(scope)
    if not now.policy:
        return 0
    is_exam = PeriodKind.EXAM in periods(scope, scope.today)
    query = select(EnergyAccount).where(
        EnergyAccount.closed_on.is_(None),
        EnergyAccount.supply == Supply.ON,
        EnergyAccount.protection == Protection.NONE,
        EnergyAccount.balance <= 0,
        EnergyAccount.empty_at <= scope.now - now.grace,
        # What `why_not_cut` asks of the row itself, so that rooms in vain are not even loaded.
        EnergyAccount.warned_at.is_not(None),
        EnergyAccount.problem.is_(None),
        EnergyAccount.counted_at >= scope.now - now.fresh,
    )
    ordered = 0
    for account in _in_turn(scope, query, EnergyAccount.empty_at):
        if why_not_cut(situation(scope, account, is_exam), now) is None:
            ordered += cut(scope, account, CutReason.EMPTY)
        if ordered == AT_ONCE:
            break
    return ordered


def _in_turn(
    scope: Scope, query: Select[tuple[EnergyAccount]], since: InstrumentedAttribute[datetime | None]
) -> Iterator[EnergyAccount]:
    """Return all accounts of a query, by an instant that they have, locked AT_ONCE at a time."""
    keys = (since, EnergyAccount.id)
    query = query.order_by(*keys).limit(AT_ONCE).with_for_update(of=EnergyAccount)
    after: tuple[object, ...] | None = None
    while True:
        page = query if after is None else query.where(tuple_(*keys) > tuple_(*after))
        accounts = scope.session.scalars(page).all()
        # Taken before anybody changes them.
        after = (getattr(accounts[-1], since.key), accounts[-1].id) if accounts else None
        yield from accounts
        if len(accounts) < AT_ONCE:
            return


def cut(scope: Scope, account: EnergyAccount, why: CutReason) -> bool:
    """Order the cut of one supply by the community's written rule; tell whether it was ordered."""
    found = device_for(scope, account, Effect.CUT_SUPPLY)
    if found is None:
        return False
    is_empty = why is CutReason.EMPTY
    try:
        command = order_command(
            scope,
            found[0],
            found[1],
            reason=gettext("The prepaid energy is used up.") if is_empty
            else gettext("More power was taken than the room is allowed."),
            ground=Ground.ENERGY_ARREARS if is_empty else Ground.DORMITORY_RULE,
            policy=rules(scope).policy,
            wait_s=CUT_WAIT_S,
        )  # fmt: skip
    except Conflict as error:
        log.info("a supply was not cut", account=str(account.id), reason=translate_error(error))
        return False
    account.supply, account.cut_reason, account.cut_at = Supply.CUTTING, why, scope.now
    account.command_id = command.id
    scope.session.flush()
    return True


# --- restoring ------------------------------------------------------------------------------------


@service("energy_account.restore", title=("Restore the supply", "恢复供应"))
def restore_supply(scope: Scope, energy_account: EnergyAccount, reason: str) -> EnergyAccount:
    """Restore a supply on a person's word; what was empty has its grace again from now on.

    Raises Conflict when the supply is on, or no device could restore it.
    """
    account = scope.get(EnergyAccount, energy_account.id, lock=True)
    if account.supply is Supply.ON:
        raise Conflict(N_("The supply is on."))
    if not restore(scope, account, reason):
        raise Conflict(N_("The room's meter has no device that could restore the supply."))
    if account.empty_at is not None:
        account.empty_at = scope.now
    scope.session.flush()
    return account


def restore_if_paid(scope: Scope, account: EnergyAccount) -> None:
    """Restore a supply that ran empty as soon as there is money again, or it became protected."""
    if account.balance > 0:
        account.empty_at = None
    is_protected = account.protection is not Protection.NONE
    is_off = account.supply in (Supply.CUTTING, Supply.OFF)
    is_paid = account.cut_reason is CutReason.EMPTY and account.balance > 0
    if is_off and (is_paid or is_protected):
        restore(scope, account, gettext("Topped up."))
    scope.session.flush()


def restore(scope: Scope, account: EnergyAccount, reason: str) -> bool:
    """Order that a supply comes back, or take a cut back that was not sent; tell whether it did."""
    if _withdrawn(scope, account, reason):
        _is_on(account)
        return True
    found = device_for(scope, account, Effect.RESTORE_SUPPLY)
    if found is None:
        return False
    try:
        command = order_command(scope, *found, reason=reason[:200], wait_s=RESTORE_WAIT_S)
    except DougongError as error:
        log.warning(
            "a supply was not restored", account=str(account.id), reason=translate_error(error)
        )
        return False
    account.supply, account.command_id = Supply.RESTORING, command.id
    return True


def _withdrawn(scope: Scope, account: EnergyAccount, reason: str) -> bool:
    if account.supply is not Supply.CUTTING or account.command_id is None:
        return False
    command = scope.get(DeviceCommand, account.command_id, lock=True)
    if command.state not in (CommandState.PROPOSED, CommandState.QUEUED):
        return False
    withdraw_command(scope, command, reason)
    return True


def _is_on(account: EnergyAccount) -> None:
    account.supply, account.cut_reason = Supply.ON, None
    account.cut_at = account.restore_at = None


def restore_due(scope: Scope) -> int:
    """Order what is to be restored: paid, protected, or after too much power; return how many."""
    query = select(EnergyAccount).where(
        EnergyAccount.closed_on.is_(None),
        EnergyAccount.supply == Supply.OFF,
        EnergyAccount.cut_at.is_not(None),
        or_(
            (EnergyAccount.cut_reason == CutReason.EMPTY) & (EnergyAccount.balance > 0),
            EnergyAccount.protection != Protection.NONE,
            EnergyAccount.restore_at <= scope.now,
        ),
    )
    reason, done = gettext("Restored by rule."), 0
    for account in _in_turn(scope, query, EnergyAccount.cut_at):
        done += restore(scope, account, reason)
        if done == AT_ONCE:
            break
    scope.session.flush()
    return done


# --- how commands ended ---------------------------------------------------------------------------


def follow_commands(scope: Scope) -> int:
    """Bring the accounts to how their last commands ended; return how many changed."""
    query = (
        select(EnergyAccount, DeviceCommand)
        .join(DeviceCommand, DeviceCommand.id == EnergyAccount.command_id)
        .where(EnergyAccount.supply.in_((Supply.CUTTING, Supply.RESTORING)))
        .with_for_update(of=EnergyAccount)
    )
    rows = scope.session.execute(query).all()
    changed = sum(_follow(scope, account, command) for account, command in rows)
    scope.session.flush()
    return changed


def _follow(scope: Scope, account: EnergyAccount, command: DeviceCommand) -> bool:
    is_cutting = account.supply is Supply.CUTTING
    if command.state is CommandState.CONFIRMED:
        if is_cutting:
            account.supply = Supply.OFF
        else:
            _is_on(account)
            account.back_at = scope.now
        event = "supply_cut" if is_cutting else "supply_restored"
        scope.emit(event, account_id=account.id, room_id=account.room_id)
        return True
    is_unsure = (
        command.state is CommandState.UNKNOWN
        and command.deadline_at + UNSURE < scope.now
        and not is_cutting
    )
    if command.state not in OVER and not is_unsure:
        return False
    if is_cutting:
        _is_on(account)
    else:
        account.supply = Supply.OFF
    return True
