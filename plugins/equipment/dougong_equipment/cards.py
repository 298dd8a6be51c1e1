"""Figures, hits and panels: what equipment shows on pages that are not its own."""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, or_, select

from dougong.db import Scope, member_label
from dougong.devices.commands import CommandState
from dougong.devices.models import DeviceCommand
from dougong.hookspecs import Asks, Card, Panel, SearchHit
from dougong.i18n import gettext
from dougong.tenancy.models import Building
from dougong_equipment.domain.kinds import AlarmState, EquipmentState, FaultState, TaskState
from dougong_equipment.models import (
    Alarm,
    Answer,
    ChecklistItem,
    Equipment,
    EquipmentKind,
    Fault,
    MaintenanceTask,
    PointVisit,
)
from dougong_equipment.services.life import Life, life_queries, lives_from

RUNS = (EquipmentState.IN_USE, EquipmentState.STANDBY, EquipmentState.FAULTY)
TO_DO = (TaskState.OPEN, TaskState.STARTED)


def dashboard(scope: Scope) -> Asks[Card]:
    """Return faulty equipment, legal dates that are near, and alarms."""
    if not scope.may("equipment.equipment.view"):
        return []
    soon = scope.today + timedelta(days=30)
    legal = select(
        func.count().filter(MaintenanceTask.due_on < scope.today),
        func.count().filter(MaintenanceTask.due_on >= scope.today),
    ).where(
        MaintenanceTask.statute.is_not(None),
        MaintenanceTask.state.in_((TaskState.PLANNED, *TO_DO)),
        MaintenanceTask.due_on <= soon,
    )
    alarms = select(func.count()).where(Alarm.state == AlarmState.RAISED)
    running = select(
        func.count(), func.count().filter(Equipment.state == EquipmentState.FAULTY)
    ).where(Equipment.state.in_(RUNS))
    commands = select(func.count()).where(
        DeviceCommand.state == CommandState.PROPOSED,
        DeviceCommand.device_id.in_(select(Equipment.device_id)),
    )
    dates, alarms, running, proposed = yield legal, alarms, running, commands
    late, near = dates.one()
    raised = alarms.scalar_one()
    return [
        *_proposals(scope, proposed.scalar_one()),
        _running(*running.one()),
        Card(
            gettext("Legal checks within 30 days"),
            str(near + late),
            note=gettext("%(count)s late", count=late) if late else "",
            tone="danger" if late else "warning" if near else "good",
            url=f"admin/equipment/maintenance_task/?state=planned,open,started&due_on.to={soon}",
            order=41,
        ),
        Card(
            gettext("Alarms of equipment"),
            str(raised),
            tone="danger" if raised else "good",
            url="admin/equipment/alarm/?state=raised",
            order=42,
        ),
    ]


def _proposals(scope: Scope, count: int) -> list[Card]:
    if not count or not scope.may("dougong.device_command.approve"):
        return []
    return [
        Card(
            gettext("Commands that wait for a second person"),
            str(count),
            tone="warning",
            url="admin/dougong/device_command/?state=proposed",
            order=39,
        )
    ]


def _running(total: int, faulty: int) -> Card:
    share = f"{100 * (total - faulty) / total:.1f} %" if total else "–"
    return Card(
        gettext("Equipment in order"),
        share,
        note=gettext("%(count)s faulty", count=faulty) if faulty else "",
        tone="warning" if faulty else "good",
        url="admin/equipment/equipment/?state=faulty",
        order=40,
    )


def search(scope: Scope, words: str, limit: int) -> list[SearchHit]:
    """Return equipment by name, number or registration code."""
    if not scope.may("equipment.equipment.view"):
        return []
    query = select(Equipment).where(
        or_(
            Equipment.name.contains(words, autoescape=True),
            Equipment.number.startswith(words, autoescape=True),
            Equipment.registration.startswith(words, autoescape=True),
        )
    )
    return [
        SearchHit(
            each.name,
            f"equipment/of/{each.id}",
            gettext("Equipment"),
            f"{each.number} · {member_label(each.state)}",
        )
        for each in scope.session.scalars(query.order_by(Equipment.name).limit(limit))
    ]


def panels(scope: Scope, record: Any) -> Asks[Panel]:
    """Return the life of equipment, the answers of a task or visit, what stands in a building."""
    if isinstance(record, Equipment):
        return (yield from equipment_panels(scope, record))
    if isinstance(record, MaintenanceTask):
        return (yield from _answers(Answer.task_id == record.id))
    if isinstance(record, PointVisit):
        return (yield from _answers(Answer.visit_id == record.id))
    if not isinstance(record, Building) or not scope.may("equipment.equipment.view"):
        return []
    query = select(Equipment.name, Equipment.number, Equipment.state)
    query = query.where(Equipment.building_id == record.id).order_by(Equipment.name)
    rows = [
        (each.name, f"{each.number} · {member_label(each.state)}")
        for each in (yield query.limit(8))
    ]
    url = f"admin/equipment/equipment/?building={record.id}"
    return [Panel(gettext("Equipment"), rows, url=url)] if rows else []


def _answers(condition: Any) -> Asks[Panel]:
    query = select(ChecklistItem.title, ChecklistItem.uom, Answer.value, Answer.is_fine)
    query = query.join(ChecklistItem, ChecklistItem.id == Answer.item_id)
    query = query.where(condition).order_by(Answer.id)
    words = {"ok": gettext("in order"), "wrong": gettext("not in order")}
    rows = [
        (a.title, f"{'' if a.is_fine else '⚠ '}{words.get(a.value, a.value)} {a.uom}")
        for a in (yield query)
    ]
    return [Panel(gettext("Checklist"), rows)] if rows else []


def equipment_panels(scope: Scope, equipment: Equipment) -> Asks[Panel]:
    """Return what is to be done, what was wrong, what it cost and may be expected of."""
    tasks = select(MaintenanceTask.due_on, MaintenanceTask.name, MaintenanceTask.state).where(
        MaintenanceTask.equipment_id == equipment.id,
        MaintenanceTask.state.in_((TaskState.PLANNED, *TO_DO)),
    )
    faults = select(Fault).where(Fault.equipment_id == equipment.id)
    costs, breakdowns, kinds, to_do, wrong = yield (
        *life_queries([equipment.id]),
        select(EquipmentKind).where(EquipmentKind.id == equipment.kind_id),
        tasks.order_by(MaintenanceTask.due_on).limit(5),
        faults.order_by(Fault.raised_at.desc()).limit(5),
    )
    kinds.all()  # the life reads the kind's years: the session knows it from now on
    found: list[Panel] = []
    rows = [(str(task.due_on), f"{task.name} · {member_label(task.state)}") for task in to_do]
    if rows:
        url = f"admin/equipment/maintenance_task/?equipment={equipment.id}"
        found.append(Panel(gettext("Maintenance"), rows, url=url))
    rows = [
        (f"{fault.raised_at.astimezone(scope.zone):%Y-%m-%d}", fault_words(fault))
        for fault in wrong.scalars()
    ]
    if rows:
        url = f"admin/equipment/fault/?equipment={equipment.id}"
        found.append(Panel(gettext("Faults and repairs"), rows, url=url))
    return [*found, life_panel(lives_from(scope, [equipment], costs, breakdowns)[0])]


def fault_words(fault: Fault) -> str:
    """Return a fault in a line."""
    number = (
        f" · {gettext('order %(number)s', number=fault.work_order)}" if fault.work_order else ""
    )
    mark = "" if fault.state is not FaultState.OPEN else "⚠ "
    return f"{mark}{fault.text} · {member_label(fault.state)}{number}"


def life_panel(life: Life) -> Panel:
    """Return what a piece of equipment cost, how reliable it was, and when to replace it."""
    years = gettext("%(years)s years", years=f"{life.age_y:.1f}")
    rows: list[tuple[Any, str]] = [
        (gettext("Age"), years),
        (gettext("Kept for (beside the purchase)"), f"¥{life.kept:,.2f}"),
        *reliability_rows(life, years),
    ]
    if words := forecast_words(life):
        told = gettext("%(when)s: %(why)s", when=words[0], why=words[1])
        rows.append((gettext("Replace"), told))
    return Panel(gettext("Whole life"), rows, order=10)


def reliability_rows(life: Life, years: str) -> list[tuple[Any, str]]:
    """Return MTBF, MTTR and availability, each with what it is reckoned from."""
    figures = life.figures
    if figures.availability is None:
        return []
    if not figures.breakdowns:
        return [("MTBF", gettext("it has not broken down in %(years)s", years=years))]
    count = figures.breakdowns
    between = gettext("%(count)s breakdowns in %(years)s", years=years, count=count)
    hours = f"{figures.still_h:,.0f}"
    still = gettext("%(hours)s h over %(count)s breakdowns", hours=hours, count=count)
    return [
        ("MTBF", f"{_hours(figures.mtbf_h)} ({between})"),
        ("MTTR", f"{_hours(figures.mttr_h)} ({still})"),
        (gettext("Availability"), f"{100 * figures.availability:.2f} %"),
    ]


def _hours(hours: float | None) -> str:
    if hours is None:
        return "–"
    if hours >= 24 * 60:
        return gettext("%(count)s days", count=round(hours / 24))
    return gettext("%(count)s h", count=f"{hours:.1f}")


def forecast_words(life: Life) -> list[str]:
    """Return when to replace a piece of equipment, and why."""
    ahead = life.forecast
    if ahead is None:
        return []
    when = gettext("in %(years)s years", years=f"{ahead.years_left:.1f}")
    if ahead.years_left <= 0:
        when = gettext("now")
    if ahead.reason == "cost":
        return [
            when,
            gettext(
                "%(count)s breakdowns so far, %(next)s expected next year at ¥%(cost)s each:"
                " repairs grow dearer than a new one",
                count=ahead.failures,
                next=f"{ahead.next_year:.1f}",
                cost=f"{life.repair:,.0f}",
            ),
        ]
    return [when, gettext("its design life ends then; repairs alone do not call for it")]
