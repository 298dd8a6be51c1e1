"""The clocks of an order on the community's working calendar."""

from datetime import time

from sqlalchemy import select

from dougong.db import Scope
from dougong.workdays import announced_days
from dougong_repairs.domain import clocks
from dougong_repairs.domain.clocks import Clock, WorkingTime
from dougong_repairs.domain.kinds import Urgency
from dougong_repairs.domain.states import Effect
from dougong_repairs.models import CalendarDay, WorkOrder

RESPOND_MINUTES = {"emergency": 15, "urgent": 30, "normal": 120, "low": 480}
RESOLVE_HOURS = {"emergency": 4, "urgent": 8, "normal": 24, "low": 72}


def working_time(scope: Scope) -> WorkingTime:
    """Return when people work here: settings, the announced days, and the community's own."""
    own = scope.session.execute(select(CalendarDay.day_on, CalendarDay.is_working))
    weekdays = range(7) if scope.setting("repairs.works_weekends", False) else range(5)
    return WorkingTime(
        _clock_time(scope.setting("repairs.opens", "08:00"), time(8)),
        _clock_time(scope.setting("repairs.closes", "18:00"), time(18)),
        frozenset(weekdays),
        scope.zone,
        announced_days() | dict(own.all()),
    )


def _clock_time(text: str, otherwise: time) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        return otherwise


def calendar_for(scope: Scope, urgency: Urgency) -> WorkingTime | None:
    """Return the calendar of an urgency; emergencies run round the clock."""
    return None if urgency is Urgency.EMERGENCY else working_time(scope)


def start_clocks(scope: Scope, order: WorkOrder) -> None:
    """Start both clocks now, by the order's urgency."""
    calendar, key = calendar_for(scope, order.urgency), order.urgency.value
    minutes = int(scope.setting(f"repairs.respond_minutes_{key}", RESPOND_MINUTES[key]))
    hours = int(scope.setting(f"repairs.resolve_hours_{key}", RESOLVE_HOURS[key]))
    respond = clocks.start(scope.now, minutes, calendar)
    resolve = clocks.start(scope.now, hours * 60, calendar)
    order.respond_due_at, order.respond_warn_at = respond.due_at, respond.warn_at
    order.resolve_due_at, order.resolve_warn_at = resolve.due_at, resolve.warn_at
    order.alarm_level = 0


def apply(scope: Scope, order: WorkOrder, effects: frozenset[Effect]) -> None:
    """Do to the order's clocks and hands what a step says."""
    if Effect.CLOCKS_RUN in effects:
        _run_on(scope, order)
    if Effect.CLOCKS_STOP in effects:
        _stand_still(scope, order)
    if Effect.RESPONDED in effects and order.responded_at is None:
        order.responded_at = scope.now
    if Effect.RESOLVED in effects:
        order.done_at = scope.now
    if Effect.CLOCKS_ANEW in effects:
        order.responded_at = order.done_at = order.closed_at = order.dispatched_at = None
        start_clocks(scope, order)
    if Effect.HANDS_EMPTY in effects:
        order.technician_id = None
    if effects & {Effect.HANDS_EMPTY, Effect.RESOLVED}:
        order.help_wanted_at = None


def _stand_still(scope: Scope, order: WorkOrder) -> None:
    clock = Clock(order.resolve_due_at, order.resolve_warn_at)
    order.paused_at = scope.now
    order.resolve_left_s, order.warn_left_s = clocks.left(
        clock, scope.now, calendar_for(scope, order.urgency)
    )


def _run_on(scope: Scope, order: WorkOrder) -> None:
    if order.paused_at is None:
        return
    clock = Clock(order.resolve_due_at, order.resolve_warn_at)
    remaining = (order.resolve_left_s or 0, order.warn_left_s or 0)
    clock = clocks.run_on(clock, remaining, scope.now, calendar_for(scope, order.urgency))
    order.resolve_due_at, order.resolve_warn_at = clock.due_at, clock.warn_at
    order.paused_at = order.resolve_left_s = order.warn_left_s = order.pause_reason = None
