"""The state machine of a work order, declared once: who may take which step from where.

A step that is not here cannot be taken. Other plugins object to steps with the hook
``work_order_objections`` and act on them by events; they do not change the table.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum

from dougong_repairs.domain.kinds import OrderState

REOPENED_WITHIN = timedelta(days=7)
URGED_EVERY = timedelta(minutes=30)
RATINGS = range(1, 6)

REPORTED, DISPATCHED = OrderState.REPORTED, OrderState.DISPATCHED
ACCEPTED, IN_PROGRESS = OrderState.ACCEPTED, OrderState.IN_PROGRESS
PAUSED, CONTRACTED = OrderState.PAUSED, OrderState.CONTRACTED
DONE, CLOSED = OrderState.DONE, OrderState.CLOSED
RETURNED, CANCELLED = OrderState.RETURNED, OrderState.CANCELLED

WAITING = frozenset({REPORTED, RETURNED})
WITH_TECHNICIAN = frozenset({DISPATCHED, ACCEPTED, IN_PROGRESS, PAUSED})
OPEN = WAITING | WITH_TECHNICIAN | {CONTRACTED}


class Part(StrEnum):
    """The part that somebody has in an order."""

    OWNER = "owner"
    TECHNICIAN = "technician"
    DISPATCHER = "dispatcher"
    SYSTEM = "system"


class Effect(Enum):
    """What a step does to the order's clocks and hands."""

    RESPONDED = "the clock of the response stops"
    RESOLVED = "the clock of the repair stops"
    CLOCKS_STOP = "the clocks stand still"
    CLOCKS_RUN = "the clocks run on"
    CLOCKS_ANEW = "both clocks start again"
    HANDS_EMPTY = "nobody has the order"


@dataclass(frozen=True)
class Step:
    """One verb: from which states to which (None: it stays), by whom, with what effects."""

    sources: frozenset[OrderState]
    target: OrderState | None
    by: frozenset[Part]
    effects: frozenset[Effect] = frozenset()


def _step(
    sources: Iterable[OrderState], target: OrderState | None, by: str, *effects: Effect
) -> Step:
    return Step(frozenset(sources), target, frozenset(map(Part, by.split())), frozenset(effects))


STEPS: dict[str, Step] = {
    "dispatch": _step(WAITING | {DISPATCHED}, DISPATCHED, "dispatcher system"),
    "grab": _step(WAITING, ACCEPTED, "technician", Effect.RESPONDED),
    "accept": _step({DISPATCHED}, ACCEPTED, "technician dispatcher", Effect.RESPONDED),
    "start": _step({ACCEPTED, DISPATCHED}, IN_PROGRESS, "technician dispatcher", Effect.RESPONDED),
    "pause": _step({ACCEPTED, IN_PROGRESS}, PAUSED, "technician dispatcher", Effect.CLOCKS_STOP),
    "resume": _step({PAUSED}, IN_PROGRESS, "technician dispatcher", Effect.CLOCKS_RUN),
    "finish": _step(
        {ACCEPTED, IN_PROGRESS, CONTRACTED},
        DONE,
        "technician dispatcher",
        Effect.RESPONDED,
        Effect.RESOLVED,
    ),
    "give_back": _step(
        WITH_TECHNICIAN, RETURNED, "technician", Effect.CLOCKS_RUN, Effect.HANDS_EMPTY
    ),
    "transfer": _step(WITH_TECHNICIAN, DISPATCHED, "technician dispatcher", Effect.CLOCKS_RUN),
    "hand_over": _step(
        WAITING | WITH_TECHNICIAN,
        CONTRACTED,
        "dispatcher",
        Effect.RESPONDED,
        Effect.CLOCKS_RUN,
        Effect.HANDS_EMPTY,
    ),
    "urge": _step(OPEN, None, "owner dispatcher"),
    "rate": _step({DONE}, CLOSED, "owner"),
    "close": _step({DONE}, CLOSED, "dispatcher system"),
    "reopen": _step(
        {DONE, CLOSED}, REPORTED, "owner dispatcher", Effect.CLOCKS_ANEW, Effect.HANDS_EMPTY
    ),
    "cancel": _step(WAITING | {DISPATCHED}, CANCELLED, "owner dispatcher", Effect.HANDS_EMPTY),
    "drop": _step(WITH_TECHNICIAN | {CONTRACTED}, CANCELLED, "dispatcher", Effect.HANDS_EMPTY),
}


def next_state(state: OrderState, verb: str) -> OrderState | None:
    """Return the state after ``verb``, None when it is not allowed from ``state``."""
    step = STEPS[verb]
    if state not in step.sources:
        return None
    return step.target or state


def may_take(verb: str, parts: Iterable[Part]) -> bool:
    """Tell whether somebody with these parts in the order may take the step."""
    held = set(parts)
    return Part.SYSTEM in held or not STEPS[verb].by.isdisjoint(held)


def possible(state: OrderState, parts: Iterable[Part]) -> list[str]:
    """Return the verbs that somebody with these parts may take now, in the table's order."""
    held = frozenset(parts)
    return [v for v, step in STEPS.items() if state in step.sources and may_take(v, held)]


def may_reopen(state: OrderState, done_at: datetime | None, now: datetime) -> bool:
    """Tell whether an order may still be reopened: within seven days of its end."""
    return state in (DONE, CLOSED) and done_at is not None and now - done_at <= REOPENED_WITHIN


def may_urge(urged_at: datetime | None, now: datetime) -> bool:
    """Tell whether somebody may be urged again: at most every half hour."""
    return urged_at is None or now - urged_at >= URGED_EVERY
