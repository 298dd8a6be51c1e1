"""Puts maintenance on the calendar: by rule, by counter, once each, also after a long sleep."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import contains_eager

from dougong.db import Scope, insert_rows
from dougong.devices.models import DeviceValue
from dougong.messages import notify
from dougong.services import service
from dougong_equipment.domain.kinds import CatchUp, EquipmentState, TaskState
from dougong_equipment.domain.recurrence import (
    Lead,
    crossings,
    due_days,
    standing,
    warning_level,
)
from dougong_equipment.models import (
    Equipment,
    EquipmentKind,
    MaintenancePlan,
    MaintenanceTask,
    Watcher,
)
from dougong_equipment.services import ledger
from dougong_equipment.services.contracts import warn_of_contracts
from dougong_equipment.services.ledger import wrong
from dougong_equipment.services.warranty import warn_of_warranty

RESTING = (EquipmentState.RETIRED, EquipmentState.STOPPED, EquipmentState.PLANNED)
TASK_COLUMNS = (
    "equipment_id", "plan_id", "checklist_id", "name", "statute", "due_on", "opens_on", "state",
    "key",
)  # fmt: skip
Counters = dict[tuple[UUID, str], Decimal]


@service("maintenance_plan.keep", title=("Bring the calendar up to date", "更新保养排期"))
def keep_calendar(scope: Scope) -> int:
    """Put on the calendar what is due, open what is near, warn of legal dates.

    Runs every hour; what was slept through follows from each plan's ``catch_up``. Running twice
    makes nothing twice. Equipment that was written down as in use gets the plans that the law
    wants. Returns how many tasks were made.
    """
    for equipment in scope.session.scalars(_without_legal_plans()).all():
        ledger.add_legal_plans(scope, equipment)
    query = (
        select(MaintenancePlan)
        .join(Equipment, Equipment.id == MaintenancePlan.equipment_id)
        .where(MaintenancePlan.is_active, Equipment.state.not_in(RESTING))
        .with_for_update(of=MaintenancePlan)
    )
    plans = scope.session.scalars(query).all()
    counters = _counters(scope, plans)
    rows: list[tuple[Any, ...]] = []
    for plan in plans:
        rows += _by_rule(scope, plan)
        rows += _by_counter(scope, plan, counters)
    scope.session.flush()
    made = _insert(scope, rows)
    _open(scope)
    warn(scope)
    warn_of_contracts(scope)
    warn_of_warranty(scope)
    return made


def _without_legal_plans() -> Select[tuple[Equipment]]:
    legal = select(MaintenancePlan.id).where(
        MaintenancePlan.equipment_id == Equipment.id, MaintenancePlan.statute.is_not(None)
    )
    return (
        select(Equipment)
        .join(EquipmentKind, EquipmentKind.id == Equipment.kind_id)
        .where(EquipmentKind.statute.is_not(None), Equipment.state.not_in(RESTING), ~legal.exists())
        .options(contains_eager(Equipment.kind))
    )


def _insert(scope: Scope, rows: Sequence[tuple[Any, ...]]) -> int:
    if not rows:
        return 0
    columns = dict(zip(TASK_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    return insert_rows(scope, MaintenanceTask, columns, on_conflict="do nothing")


def _by_rule(scope: Scope, plan: MaintenancePlan) -> Iterator[tuple[Any, ...]]:
    """Return the tasks of a plan that its calendar does not hold yet."""
    if not plan.rule:
        return
    lead = Lead(plan.lead_days, plan.horizon_days, plan.grace_days)
    said = f"{plan.rule} {plan.starts_on} {lead}"[:300]
    if plan.planned_by is not None and plan.planned_by != said:
        _take_back(scope, plan)
    until, after = scope.today + lead.reach, plan.planned_until_on
    if after is not None and after >= until:
        return
    try:
        days = due_days(plan.rule, plan.starts_on, after, until)
    except ValueError:
        return
    found = standing(days, scope.today, lead, CatchUp.LATEST if after is None else plan.catch_up)
    if after is None:  # what lies before the plan was made is the latest at most, never a backlog
        found = [(day, state) for day, state in found if state is not TaskState.MISSED]
    plan.planned_until_on, plan.planned_by = until, said
    for day, state in found:
        opens_on = day - timedelta(days=plan.lead_days)
        yield _row(plan, day, opens_on, state, f"{plan.id} {day}")


def _row(
    plan: MaintenancePlan, due_on: date, opens_on: date, state: TaskState, key: str
) -> tuple[Any, ...]:
    return (
        plan.equipment_id, plan.id, plan.checklist_id, plan.name, plan.statute, due_on, opens_on,
        state, key,
    )  # fmt: skip


def _take_back(scope: Scope, plan: MaintenancePlan) -> None:
    """Take back what is planned and not open yet: the rule has changed."""
    ahead = delete(MaintenanceTask).where(
        MaintenanceTask.plan_id == plan.id, MaintenanceTask.state == TaskState.PLANNED
    )
    scope.session.execute(ahead)
    last = select(MaintenanceTask.due_on).where(MaintenanceTask.plan_id == plan.id)
    known = scope.session.scalar(last.order_by(MaintenanceTask.due_on.desc()).limit(1))
    yesterday = scope.today - timedelta(days=1)
    plan.planned_until_on = max(known or yesterday, yesterday)


def _counters(scope: Scope, plans: Sequence[MaintenancePlan]) -> Counters:
    """Return what counters of equipment show, by equipment and point; at most two statements."""
    wanted = {p.equipment_id for p in plans if p.counter_every}
    if not wanted:
        return {}
    query = (
        select(Equipment.id, DeviceValue.point, DeviceValue.value)
        .join(DeviceValue, DeviceValue.device_id == Equipment.device_id)
        .where(Equipment.id.in_(wanted), DeviceValue.value.is_not(None))
    )
    found: Counters = {}
    for row in scope.session.execute(query):
        try:
            found[row.id, row.point] = Decimal(row.value)
        except ArithmeticError:
            continue
    hours = select(Equipment.id, Equipment.run_hours).where(
        Equipment.id.in_(wanted), Equipment.run_hours.is_not(None)
    )
    for row in scope.session.execute(hours):
        found.setdefault((row.id, "run_hours"), row.run_hours)
    return found


def _by_counter(
    scope: Scope, plan: MaintenancePlan, counters: Counters
) -> Iterator[tuple[Any, ...]]:
    """Return the tasks that a counter calls for since it was seen last."""
    now = counters.get((plan.equipment_id, plan.counter_point or "run_hours"))
    if plan.counter_every is None or now is None:
        return
    before, plan.counter_seen = plan.counter_seen, now
    if before is None:
        return
    for multiple in crossings(before, now, plan.counter_every, plan.catch_up):
        due_on = scope.today + timedelta(days=plan.lead_days)
        yield _row(plan, due_on, scope.today, TaskState.OPEN, f"{plan.id} n{multiple}")


def _open(scope: Scope) -> None:
    near = (
        update(MaintenanceTask)
        .where(MaintenanceTask.state == TaskState.PLANNED, MaintenanceTask.opens_on <= scope.today)
        .values(state=TaskState.OPEN)
        .execution_options(synchronize_session=False)
    )
    scope.session.execute(near)


def warn(scope: Scope) -> int:
    """Warn of legal dates at 30, 7 and 1 day, and when they are over; return how many warnings.

    Each level once for each task; who slept through two levels gets the louder one.
    """
    query = select(MaintenanceTask).where(
        MaintenanceTask.statute.is_not(None),
        MaintenanceTask.state.in_((TaskState.PLANNED, TaskState.OPEN, TaskState.STARTED)),
        MaintenanceTask.due_on <= scope.today + timedelta(days=30),
        MaintenanceTask.warned < 4,
    )
    told = 0
    watchers = scope.session.execute(select(Watcher.user_id, Watcher.level)).all()
    for task in scope.session.scalars(query.with_for_update(of=MaintenanceTask)).all():
        level = warning_level(task.due_on, scope.today)
        if level <= task.warned:
            continue
        task.warned = level
        told += 1
        scope.emit("legal_check_due", task_id=task.id)
        for user_id in [w.user_id for w in watchers if w.level <= level]:
            _tell(scope, user_id, task, level)
    scope.session.flush()
    return told


def _tell(scope: Scope, user_id: UUID, task: MaintenanceTask, level: int) -> None:
    notify(
        scope,
        user_id,
        "equipment:legal_check_due",
        {
            "work": task.name,
            "equipment": task.equipment.name,
            "due_on": task.due_on.isoformat(),
            "days": abs((task.due_on - scope.today).days),
            "is_over": level == 4,
        },
        key=f"equipment {task.id} {level} {user_id}",
        is_urgent=level >= 3,
        link=f"admin/equipment/maintenance_task/{task.id}/",
    )


def check_rule(rule: str, starts_on: date) -> None:
    """Raise Invalid, naming the field, for a rule that cannot be read."""
    try:
        due_days(rule, starts_on, None, starts_on)
    except ValueError as error:
        raise wrong("rule", str(error)) from error
