"""The state machine of a renovation, declared once: who may take which step from where.

A step that is not here cannot be taken. Other plugins object to steps with the hook
``renovation_objections`` and act on them by events; they do not change the table.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class ApplicationState(StrEnum):
    """Where a renovation stands."""

    SUBMITTED = "submitted"
    RETURNED = "returned"
    AGREED = "agreed"
    SIGNED = "signed"
    UNDERWAY = "underway"
    STOPPED = "stopped"
    FINISHED = "finished"
    ACCEPTED = "accepted"
    SETTLED = "settled"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


SUBMITTED, RETURNED = ApplicationState.SUBMITTED, ApplicationState.RETURNED
AGREED, SIGNED = ApplicationState.AGREED, ApplicationState.SIGNED
UNDERWAY, STOPPED = ApplicationState.UNDERWAY, ApplicationState.STOPPED
FINISHED, ACCEPTED = ApplicationState.FINISHED, ApplicationState.ACCEPTED
SETTLED, REFUSED = ApplicationState.SETTLED, ApplicationState.REFUSED
WITHDRAWN = ApplicationState.WITHDRAWN

WORKING = frozenset({UNDERWAY, STOPPED})
BEFORE_PERMIT = frozenset({SUBMITTED, RETURNED, AGREED, SIGNED})
OVER = frozenset({SETTLED, REFUSED, WITHDRAWN})


class Part(StrEnum):
    """The part that somebody has in a renovation."""

    OWNER = "owner"
    DESK = "desk"


@dataclass(frozen=True)
class Step:
    """One verb: from which states to which (None: it stays), by whom, as which fact."""

    sources: frozenset[ApplicationState]
    target: ApplicationState | None
    by: frozenset[Part]
    fact: str


def _step(
    sources: Iterable[ApplicationState], target: ApplicationState | None, by: str, fact: str
) -> Step:
    return Step(frozenset(sources), target, frozenset(map(Part, by.split())), fact)


STEPS: dict[str, Step] = {
    "send_back": _step({SUBMITTED}, RETURNED, "desk", "sent_back"),
    "submit_again": _step({RETURNED}, SUBMITTED, "owner desk", "submitted"),
    "agree": _step({SUBMITTED}, AGREED, "desk", "agreed"),
    "refuse": _step({SUBMITTED, RETURNED}, REFUSED, "desk", "refused"),
    "sign": _step({AGREED}, SIGNED, "owner desk", "signed"),
    "take_deposit": _step({SIGNED}, None, "desk", "deposit_taken"),
    "permit": _step({SIGNED}, UNDERWAY, "desk", "permitted"),
    "extend": _step(WORKING, None, "desk", "extended"),
    "stop": _step({UNDERWAY}, STOPPED, "desk", "stopped"),
    "go_on": _step({STOPPED}, UNDERWAY, "desk", "resumed"),
    "report_finished": _step({UNDERWAY}, FINISHED, "owner desk", "finished"),
    "find_defects": _step({FINISHED}, UNDERWAY, "desk", "defective"),
    "accept": _step({FINISHED}, ACCEPTED, "desk", "accepted"),
    "settle": _step({ACCEPTED, WITHDRAWN}, SETTLED, "desk", "settled"),
    "withdraw": _step(BEFORE_PERMIT, WITHDRAWN, "owner desk", "withdrawn"),
}


def next_state(state: ApplicationState, verb: str) -> ApplicationState | None:
    """Return the state after ``verb``, None when it is not allowed from ``state``."""
    step = STEPS[verb]
    return (step.target or state) if state in step.sources else None


def may_take(verb: str, parts: Iterable[Part]) -> bool:
    """Tell whether somebody with these parts in the renovation may take the step."""
    return not STEPS[verb].by.isdisjoint(parts)


def possible(state: ApplicationState, parts: Iterable[Part]) -> list[str]:
    """Return the verbs that somebody with these parts may take now, in the table's order."""
    held = frozenset(parts)
    return [v for v, step in STEPS.items() if state in step.sources and step.by & held]


def sources(verb: str) -> tuple[str, ...]:
    """Return the states from which a step can be taken, as the admin's buttons want them."""
    return tuple(sorted(STEPS[verb].sources))
