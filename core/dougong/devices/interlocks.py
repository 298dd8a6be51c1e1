"""Interlocks: why a command must not be sent, decided before the first byte.

The kernel's own always hold, whoever sends and whatever a plugin says. A command may name further
ones in ``requires``; a name that nobody knows refuses, so that a missing plugin is never a yes.
"""

import re
from collections.abc import Callable, Mapping

from dougong.devices.commands import Command, CommandSpec, Effect, Ground
from dougong.devices.contract import DeviceConfig
from dougong.i18n import N_

# What people write when they mean property fees, and when they mean any debt.
PROPERTY_FEES = re.compile(
    r"物业\s*(管理)?\s*服?务?\s*费|property\s+(management\s+)?fees?|management\s+fees?",
    re.IGNORECASE,
)
ARREARS = re.compile(r"欠\s*费|欠\s*缴|催\s*缴|催\s*费|arrears|overdue|unpaid", re.IGNORECASE)
# What gives somebody his supply or his way, whatever he owes.
GIVING = (Effect.RESTORE_SUPPLY, Effect.OPEN_DOOR, Effect.OPEN_BARRIER)
Interlock = Callable[[Command, CommandSpec, DeviceConfig], str | None]


def no_cut_for_property_fees(
    command: Command, spec: CommandSpec, device: DeviceConfig
) -> str | None:
    """Refuse to cut water, power or heat, or to block a card, to make somebody pay property fees.

    So is every other command on that ground, for a pump that is stopped cuts the water as well;
    only what gives something back is let through.
    Source: Civil Code of the PRC (民法典), article 944 paragraph 3, for supplies; that a card opens
    the way to one's own home makes blocking it the same pressure (物业费催交).
    """
    if spec.effect in GIVING:
        return None
    written = f"{command.reason} {command.policy or ''}"
    if command.ground is Ground.PROPERTY_FEES or PROPERTY_FEES.search(written):
        if spec.effect is Effect.BLOCK_ACCESS:
            return N_("No card is blocked to collect property fees; the law forbids such pressure.")
        if spec.effect is Effect.CUT_SUPPLY:
            return N_("The law forbids cutting a supply to collect property fees.")
        return N_("No device is told anything to collect property fees.")
    return None


def arrears_are_of_energy(command: Command, spec: CommandSpec, device: DeviceConfig) -> str | None:
    """Refuse a cut for arrears that does not say that they are of this very energy."""
    is_cut = spec.effect is Effect.CUT_SUPPLY
    if is_cut and ARREARS.search(command.reason) and command.ground is not Ground.ENERGY_ARREARS:
        return N_("A supply is cut for arrears only when its own energy is not paid.")
    return None


def cut_says_why(command: Command, spec: CommandSpec, device: DeviceConfig) -> str | None:
    """Refuse to cut a supply without a ground and a reason."""
    if spec.effect is Effect.CUT_SUPPLY and (command.ground is None or not command.reason):
        return N_("Cutting a supply needs a ground and a reason.")
    return None


def cut_spares_vital_loads(command: Command, spec: CommandSpec, device: DeviceConfig) -> str | None:
    """Refuse to cut lifts, fire pumps, emergency light."""
    if spec.effect is Effect.CUT_SUPPLY and device.is_vital:
        return N_("This supply feeds vital equipment and is never cut remotely.")
    return None


def cut_needs_two(command: Command, spec: CommandSpec, device: DeviceConfig) -> str | None:
    """Refuse to cut a supply on one person's word; a written policy stands in for the second."""
    if spec.effect is not Effect.CUT_SUPPLY or command.policy:
        return None
    if not command.approved_by or command.approved_by == command.actor:
        return N_("Cutting a supply needs a second person or a policy.")
    return None


def danger_needs_two(command: Command, spec: CommandSpec, device: DeviceConfig) -> str | None:
    """Refuse what is dangerous on one person's word; a written policy stands in for the second."""
    if not spec.two_persons or command.policy:
        return None
    if not command.approved_by or command.approved_by == command.actor:
        return N_("This command is dangerous and needs a second person or a policy.")
    return None


def blocking_says_why(command: Command, spec: CommandSpec, device: DeviceConfig) -> str | None:
    """Refuse to block somebody's card without a reason, and for any debt."""
    if spec.effect is not Effect.BLOCK_ACCESS:
        return None
    if not command.reason:
        return N_("Blocking a card needs a reason.")
    if ARREARS.search(command.reason):
        return N_("No card is blocked because somebody owes money.")
    return None


def opening_says_why(command: Command, spec: CommandSpec, device: DeviceConfig) -> str | None:
    """Refuse to open a door or barrier without a reason."""
    if spec.effect in (Effect.OPEN_DOOR, Effect.OPEN_BARRIER) and not command.reason:
        return N_("Opening from afar needs a reason.")
    return None


KERNEL: tuple[Interlock, ...] = (
    no_cut_for_property_fees,
    arrears_are_of_energy,
    cut_says_why,
    cut_spares_vital_loads,
    cut_needs_two,
    danger_needs_two,
    blocking_says_why,
    opening_says_why,
)


def refusal(
    command: Command, spec: CommandSpec, device: DeviceConfig, known: Mapping[str, Interlock]
) -> str | None:
    """Return why the command must not be sent, None when every interlock agrees.

    known: further interlocks by name; names that are not in it are judged by the store.
    """
    for interlock in KERNEL:
        reason = interlock(command, spec, device)
        if reason is not None:
            return reason
    for name in command.requires:
        reason = known[name](command, spec, device) if name in known else None
        if reason is not None:
            return reason
    return None
