"""Interlocks that plugins bring: which a command requires, and whether they agree now.

Asked when a command is ordered and approved, and once more before it is marked as sent.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from dougong.i18n import N_

if TYPE_CHECKING:
    from dougong.db import Scope
    from dougong.devices.models import DeviceCommand

SILENCE = "silence"
NOT_THERE = N_("An interlock that this command requires is not there.")


def interlocks_of(scope: "Scope", device_id: UUID, command: str) -> list[str]:
    """Return the names of the interlocks that plugins put before a command of a device.

    When a plugin does not answer, because it failed or is quarantined, the name of its silence
    stands among them, which nobody answers: the command is refused.
    """
    answers = scope.ask("command_interlocks", device_id=device_id, command=command)
    known = scope.installation.plugins.hooks.implementations("command_interlocks")
    asked = [one for one in known if one.plugin in scope.enablement]
    names = {name for answer in answers for name in answer}
    return sorted(names if len(answers) == len(asked) else {*names, SILENCE})


def objection(scope: "Scope", command: "DeviceCommand", names: Sequence[str]) -> str | None:
    """Return why the first of ``names`` refuses, None when all agree.

    A name that nobody answers refuses: a plugin that is off, or fails, is never a yes.
    """
    for name in names:
        answers = scope.ask("interlock_refusal", name=name, command=command)
        if not answers:
            return NOT_THERE
        reason = next((answer for answer in answers if answer), None)
        if reason is not None:
            return str(reason)
    return None
