"""Doing maintenance: begin, fill in the checklist, finish; what is wrong becomes a fault."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from dougong.db import Scope
from dougong.errors import Conflict
from dougong.files import attachments_of
from dougong.i18n import N_, gettext
from dougong.services import service
from dougong_equipment.domain.kinds import FaultSource, TaskState
from dougong_equipment.models import Equipment, MaintenanceTask
from dougong_equipment.services.answers import items_of, keep_answers, read_answers, wrong_words
from dougong_equipment.services.clock import happened_at
from dougong_equipment.services.faults import order_repair, raise_fault
from dougong_equipment.services.ledger import wrong

WORK = "equipment.maintenance_task.work"
TO_DO = (TaskState.OPEN, TaskState.STARTED)


@service("maintenance_task.create", title=("New task", "临时任务"))
def create_task(
    scope: Scope,
    equipment_id: UUID,
    name: str,
    due_on: date,
    checklist_id: UUID | None = None,
    id: UUID | None = None,
) -> MaintenanceTask:
    """Make a task outside of any plan."""
    equipment = scope.get(Equipment, equipment_id)
    task = MaintenanceTask(
        equipment_id=equipment.id,
        name=name,
        due_on=due_on,
        opens_on=min(due_on, scope.today),
        checklist_id=checklist_id,
        key=f"once {equipment.id} {scope.now.isoformat()}",
        **({"id": id} if id else {}),
    )
    scope.session.add(task)
    scope.session.flush()
    return task


@service("maintenance_task.start", title=("Begin", "开始"), permission=WORK)
def start_task(scope: Scope, task: MaintenanceTask, at: datetime | None = None) -> MaintenanceTask:
    """Begin a task. Raises Conflict unless it is to be done.

    at: when it was begun on a phone without network.
    """
    _need(task, (TaskState.OPEN,))
    task.state, task.started_at = TaskState.STARTED, happened_at(scope, at)
    return task


@service("maintenance_task.finish", title=("Finish", "完成"), permission=WORK)
def finish_task(
    scope: Scope,
    task: MaintenanceTask,
    answers: dict[str, Any] | None = None,
    note: str = "",
    report: str = "",
    at: datetime | None = None,
) -> MaintenanceTask:
    """Finish a task with the answers to its checklist, by the lines' ids.

    What is out of its limits becomes a fault, and a work order where repairs is on. report: the
    number of the inspector's report, which a legal check cannot do without. at: when it was done
    on a phone without network. Raises Invalid naming the lines that are missing, Conflict unless
    the task is to be done.
    """
    _need(task, TO_DO)
    if is_inspection(task) and not report.strip():
        raise wrong("report", gettext("A legal check needs the number of its report."))
    photos = len(attachments_of(scope, task))
    found = read_answers(items_of(scope, task.checklist_id), answers or {}, photos)
    keep_answers(scope, found, task_id=task.id)
    done_at = happened_at(scope, at)
    task.started_at = min(task.started_at or done_at, done_at)
    task.state, task.done_at, task.done_by = TaskState.DONE, done_at, scope.actor.name[:80]
    task.note, task.report = note.strip()[:500] or None, report.strip()[:60] or None
    task.is_fine = all(answer.is_fine for answer in found)
    scope.session.flush()
    scope.emit("maintenance_done", task_id=task.id)
    if not task.is_fine:
        _find_fault(scope, task, wrong_words(found))
    return task


def _find_fault(scope: Scope, task: MaintenanceTask, words: str) -> None:
    fault = raise_fault(
        scope,
        f"task {task.id}",
        words,
        FaultSource.TASK,
        equipment_id=task.equipment_id,
        building_id=task.equipment.building_id,
    )
    order_repair(scope, fault)


def is_inspection(task: MaintenanceTask) -> bool:
    """Tell whether an inspector writes a report: upkeep that recurs within weeks has none."""
    is_upkeep = task.plan is not None and "DAILY" in (task.plan.rule or "")
    return task.statute is not None and not is_upkeep


@service("maintenance_task.cancel", title=("Cancel", "取消任务"))
def cancel_task(scope: Scope, task: MaintenanceTask, reason: str) -> MaintenanceTask:
    """Cancel a task with a reason. Raises Conflict for a legal one, or one that has ended."""
    _need(task, (TaskState.PLANNED, *TO_DO))
    if task.statute is not None:
        raise Conflict(N_("What the law wants cannot be cancelled; retire or stop the equipment."))
    if not reason.strip():
        raise wrong("reason", gettext("Why?"))
    task.state, task.note = TaskState.CANCELLED, reason.strip()[:500]
    return task


def _need(task: MaintenanceTask, states: tuple[TaskState, ...]) -> None:
    if task.state not in states:
        raise Conflict(N_("This task has ended or is not open yet."))
