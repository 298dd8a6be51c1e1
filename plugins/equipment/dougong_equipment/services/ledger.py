"""The ledger: kinds, life from commissioning to retirement, locks, cost, legal plans."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update

from dougong.db import Scope
from dougong.errors import Conflict, Invalid
from dougong.i18n import N_, current_locale, gettext
from dougong.services import service
from dougong_equipment.domain import law
from dougong_equipment.domain.kinds import CostKind, EquipmentState, TaskState
from dougong_equipment.errors import Locked
from dougong_equipment.models import (
    Equipment,
    EquipmentCost,
    EquipmentKind,
    MaintenancePlan,
    MaintenanceTask,
    Watcher,
)

RUNNING = (EquipmentState.IN_USE, EquipmentState.STANDBY)


def add_kinds(scope: Scope) -> None:
    """Write the kinds that a community starts with, those that it does not have yet."""
    known = set(scope.session.scalars(select(EquipmentKind.name)))
    for kind in law.kinds():
        values = {key: value for key, value in kind.items() if key != "name"}
        name = kind["name"]["en" if current_locale() == "en" else "zh"]
        if name not in known:
            scope.session.add(EquipmentKind(name=name, **values))
    scope.session.flush()


@service("equipment.commission", title=("Put into use", "投入使用"))
def commission(scope: Scope, equipment: Equipment, on: date | None = None) -> Equipment:
    """Put equipment into use, with the plans that the law wants of its kind.

    Raises Conflict for what is retired, Invalid without the registration code that its kind needs.
    """
    if equipment.state is EquipmentState.RETIRED:
        raise Conflict(N_("%(name)s is retired."), name=equipment.name)
    if equipment.kind.needs_registration and not equipment.registration:
        raise wrong("registration", gettext("This kind needs a registration code."))
    equipment.state = EquipmentState.IN_USE
    equipment.commissioned_on = on or equipment.commissioned_on or scope.today
    add_legal_plans(scope, equipment)
    scope.emit("equipment_commissioned", equipment_id=equipment.id)
    return equipment


def add_legal_plans(scope: Scope, equipment: Equipment) -> list[MaintenancePlan]:
    """Write the plans that the law wants of a piece of equipment and that it does not have yet."""
    if equipment.kind.statute is None:
        return []
    query = select(MaintenancePlan.name).where(MaintenancePlan.equipment_id == equipment.id)
    known = set(scope.session.scalars(query))
    locale = 0 if current_locale() == "en" else 1
    made = [
        MaintenancePlan(
            equipment_id=equipment.id,
            statute=check.statute,
            starts_on=law.first_due(check, equipment.commissioned_on or scope.today),
            **_as_wanted(check, locale),
        )
        for check in law.checks(equipment.kind.statute, scope.today, upkeep_of(scope))
        if known.isdisjoint(law.variants(check.name[locale]))
    ]
    scope.session.add_all(made)
    scope.session.flush()
    return made


def _as_wanted(check: law.LegalCheck, locale: int) -> dict[str, Any]:
    return {
        "name": check.name[locale],
        "source": f"{check.source} ({check.valid_from:%Y-%m-%d})"[:200],
        "rule": check.rule,
        "lead_days": check.lead_days,
        "horizon_days": max(law.HORIZON_DAYS, check.lead_days),
    }


def upkeep_of(scope: Scope) -> law.Upkeep:
    """Return how lifts are maintained in the community, as its settings say."""
    return law.Upkeep(
        scope.setting("equipment.lift_upkeep", ""),
        int(scope.setting("equipment.lift_upkeep_days", 15)),
        scope.setting("equipment.lift_upkeep_notice", ""),
    )


@service("maintenance_plan.follow_law", title=("Follow the rule in force", "按现行法定周期更新"))
def follow_law(scope: Scope, plan: MaintenancePlan) -> MaintenancePlan:
    """Give a legal plan the interval and source that hold here today.

    What nobody has begun is planned anew within the hour. Raises Conflict for a plan behind which
    no rule stands that is known here.
    """
    locale = 0 if current_locale() == "en" else 1
    names = law.variants(plan.name)
    wanted = law.checks(plan.statute, scope.today, upkeep_of(scope)) if plan.statute else []
    check = next((each for each in wanted if not names.isdisjoint(each.name)), None)
    if check is None:
        raise Conflict(N_("No rule that is known here stands behind this plan."))
    for name, value in _as_wanted(check, locale).items():
        setattr(plan, name, value)
    return plan


@service("equipment.stop", title=("Take out of service", "停用"))
def stop_equipment(scope: Scope, equipment: Equipment) -> Equipment:
    """Take equipment out of service; its plans rest. Raises Conflict unless it is in use."""
    if equipment.state not in (*RUNNING, EquipmentState.FAULTY):
        raise Conflict(N_("%(name)s is not in use."), name=equipment.name)
    equipment.state = EquipmentState.STOPPED
    return equipment


@service("equipment.retire", title=("Retire", "报废"))
def retire(
    scope: Scope, equipment: Equipment, reason: str, disposal_cost: Decimal = Decimal(0)
) -> Equipment:
    """Retire equipment for good: its plans end and open tasks are cancelled; its story stays.

    Raises Conflict when it is retired already or parts of it are not.
    """
    if equipment.state is EquipmentState.RETIRED:
        raise Conflict(N_("%(name)s is retired."), name=equipment.name)
    below = select(Equipment.id).where(
        Equipment.parent_id == equipment.id, Equipment.state != EquipmentState.RETIRED
    )
    if scope.session.scalars(below.limit(1)).first() is not None:
        raise Conflict(N_("Retire its parts first, or give them another place."))
    equipment.state, equipment.retired_on = EquipmentState.RETIRED, scope.today
    _end_plans(scope, equipment, reason)
    if disposal_cost > 0:
        add_cost(scope, equipment.id, CostKind.DISPOSAL, disposal_cost, note=reason)
    scope.emit("equipment_retired", equipment_id=equipment.id)
    scope.session.flush()
    return equipment


def _end_plans(scope: Scope, equipment: Equipment, reason: str) -> None:
    plans = update(MaintenancePlan).where(MaintenancePlan.equipment_id == equipment.id)
    tasks = update(MaintenanceTask).where(
        MaintenanceTask.equipment_id == equipment.id,
        MaintenanceTask.state.in_((TaskState.PLANNED, TaskState.OPEN)),
    )
    for change in (
        plans.values(is_active=False),
        tasks.values(state=TaskState.CANCELLED, note=reason[:500]),
    ):
        scope.session.execute(change.execution_options(synchronize_session="fetch"))


@service("equipment.lock", title=("Hang a lock on", "挂牌上锁"))
def lock(scope: Scope, equipment: Equipment, reason: str) -> Equipment:
    """Hang the actor's lock on equipment: nothing starts it from afar until he takes it off.

    Raises Conflict when somebody's lock hangs there already.
    """
    if equipment.locked_by:
        raise Locked(N_("%(name)s has locked it: %(why)s"), **_lock_words(equipment))
    equipment.locked_by, equipment.locked_why = scope.actor.name[:80], reason[:200]
    return equipment


@service("equipment.unlock", title=("Take the lock off", "解除挂牌"))
def unlock(scope: Scope, equipment: Equipment) -> Equipment:
    """Take the lock off. Raises Conflict for another's lock, unless one may retire equipment."""
    is_own = equipment.locked_by == scope.actor.name[:80]
    if equipment.locked_by and not is_own and not scope.may("equipment.equipment.retire"):
        raise Locked(N_("%(name)s has locked it: %(why)s"), **_lock_words(equipment))
    equipment.locked_by = equipment.locked_why = None
    return equipment


def _lock_words(equipment: Equipment) -> dict[str, str]:
    return {"name": equipment.locked_by or "", "why": equipment.locked_why or ""}


@service("equipment.record_hours", title=("Write down run hours", "登记运行小时"))
def record_hours(scope: Scope, equipment: Equipment, hours: Decimal) -> Equipment:
    """Write down what the hour counter shows. Raises Invalid for less than it showed before."""
    before = equipment.run_hours or Decimal(0)
    if hours < before:
        raise wrong("hours", gettext("It showed %(hours)s before.", hours=f"{before:.2f}"))
    equipment.run_hours = hours
    return equipment


def add_cost(
    scope: Scope,
    equipment_id: UUID,
    kind: CostKind,
    amount: Decimal,
    *,
    note: str | None = None,
    key: str | None = None,
) -> EquipmentCost | None:
    """Add to what a piece of equipment cost; None when the cost of this key is known already."""
    if key is not None:
        known = select(EquipmentCost.id).where(EquipmentCost.key == key)
        if scope.session.scalars(known).first() is not None:
            return None
    made = EquipmentCost(
        equipment_id=equipment_id,
        kind=kind,
        amount=amount,
        spent_on=scope.today,
        note=(note or "")[:200] or None,
        key=key,
    )
    scope.session.add(made)
    scope.session.flush()
    return made


def keep_cost(
    scope: Scope, equipment_id: UUID, kind: CostKind, amount: Decimal, *, key: str, note: str
) -> None:
    """Keep a cost under its key as it stands now: told again it changes, and never doubles."""
    query = select(EquipmentCost).where(EquipmentCost.key == key)
    known = scope.session.scalars(query.with_for_update(of=EquipmentCost)).first()
    if known is not None:
        known.amount = amount
    elif amount:
        add_cost(scope, equipment_id, kind, amount, note=note, key=key)


@service(
    "watcher.tell_me", title=("Tell me", "订阅提醒"), permission="equipment.maintenance_task.view"
)
def tell_me(scope: Scope, level: int = 1) -> Watcher:
    """Tell the actor of legal dates and missed rounds, from this level on (1 to 4)."""
    if scope.actor.user_id is None or level not in (1, 2, 3, 4):
        raise Invalid(N_("Only somebody who is signed in can be told."))
    query = select(Watcher).where(Watcher.user_id == scope.actor.user_id)
    known = scope.session.scalars(query).first()
    if known is None:
        known = Watcher(user_id=scope.actor.user_id, name=scope.actor.name[:120], level=level)
        scope.session.add(known)
    known.level = level
    scope.session.flush()
    return known


def path_of(equipment_id: UUID) -> Select[tuple[UUID]]:
    """Select the id of equipment and the ids of all that it is part of."""
    here = select(Equipment.id, Equipment.parent_id).where(Equipment.id == equipment_id)
    path = here.cte("path", recursive=True)
    path = path.union(
        select(Equipment.id, Equipment.parent_id).where(Equipment.id == path.c.parent_id)
    )
    return select(path.c.id)


def wrong(field: str, problem: str) -> Invalid:
    """Return the error for one wrong field."""
    return Invalid(N_("Some fields are not right yet."), fields={field: problem})
