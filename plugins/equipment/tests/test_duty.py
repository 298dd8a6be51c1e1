"""Shifts and their hand-over, rounds made up for, visits checked again, contractors, costs."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from dougong.db import uuid7
from dougong.errors import Conflict, NotAllowed
from dougong.messages.models import Message
from dougong.services import create
from dougong_equipment import services
from dougong_equipment.domain.kinds import (
    EquipmentState,
    FaultSource,
    Proof,
    ShiftState,
    TaskState,
    Trade,
)
from dougong_equipment.models import (
    Answer,
    ChecklistItem,
    Contractor,
    ContractorWarning,
    Equipment,
    EquipmentCost,
    EquipmentKind,
    Fault,
    InspectionPlan,
    InspectionPoint,
    InspectionRound,
    InspectionRoute,
    MaintenancePlan,
    MaintenanceTask,
    PointVisit,
    RouteStop,
    ShiftNote,
    SparePart,
    Watcher,
)
from dougong_equipment.services import ledger
from dougong_equipment.services.contracts import warn_of_contracts
from dougong_equipment.services.faults import follow_order
from dougong_equipment.services.shifts import own_shifts
from dougong_equipment.services.syncing import Operation, perform
from dougong_equipment.services.warranty import warn_of_warranty


def all_of(scope, model):
    return scope.session.scalars(select(model).order_by(model.id)).all()


def test_a_shift_is_handed_over_with_what_is_open_and_taken_over(enter, worker, engineer):
    with enter(worker) as scope:
        shift = services.begin_shift(scope, Trade.SECURITY, "东门岗").id
    for _ in range(2):  # a phone says it twice
        with enter(worker) as scope:
            note = Operation(shift, "shift_note", shift, {"text": "快递车已劝离"})
            assert perform(scope, note).is_done
    with enter(engineer) as scope:
        with pytest.raises(Conflict):
            services.begin_shift(scope, Trade.SECURITY, "东门岗")
        with pytest.raises(NotAllowed):
            scope.call("equipment.shift.hand_over", shift=shift, words="都好")
    with enter(worker) as scope:
        over = scope.call("equipment.shift.hand_over", shift=shift, words="钥匙 3 串")
        assert over.state is ShiftState.HANDED_OVER
        assert "待巡检 0" in over.open_words
        assert [note.text for note in all_of(scope, ShiftNote)] == ["快递车已劝离"]
    with enter(engineer) as scope:
        services.begin_shift(scope, Trade.SECURITY, "东门岗", "少一台对讲机")
        first = own_shifts(scope)
        assert [each.post for each in first] == ["东门岗"]
    with enter() as scope:
        before, now = all_of(scope, type(over))
        assert (before.state, before.taken_by, before.objection) == (
            ShiftState.TAKEN_OVER,
            "王工",
            "少一台对讲机",
        )
        assert now.state is ShiftState.ON_DUTY


@pytest.fixture
def missed(enter):
    """Return the ids of a missed round of two points, and of the point that was not reached."""
    with enter() as scope:
        route = create(scope, InspectionRoute, {"name": "夜巡", "trade": "security"})
        points = [create(scope, InspectionPoint, {"name": name}) for name in ("东门", "西门")]
        for number, point in enumerate(points):
            values = {"route_id": route.id, "point_id": point.id, "position": number + 1}
            create(scope, RouteStop, values)
        start = scope.now - timedelta(hours=5)
        values = {"route_id": route.id, "rule": "FREQ=DAILY", "starts_at": start}
        plan = create(scope, InspectionPlan, values)
        row = InspectionRound(
            plan_id=plan.id, route_id=route.id, starts_at=start, points=2, visited=1,
            closes_at=start + timedelta(hours=2), state=TaskState.MISSED,
        )  # fmt: skip
        scope.session.add(row)
        scope.session.flush()
        came = start + timedelta(minutes=3)
        visit = PointVisit(
            round_id=row.id, point_id=points[0].id, arrived_at=came, left_at=came,
            proof=Proof.QR, visited_by="老马",
        )  # fmt: skip
        scope.session.add(visit)
        scope.session.flush()
        return row.id, points[0].id, points[1].id


def test_a_missed_round_is_made_up_for_at_the_points_that_were_not_reached(enter, missed):
    round_id, reached, other = missed
    with enter() as scope:
        again = services.make_up_round(scope, scope.get(InspectionRound, round_id))
        assert (again.points, again.state) == (1, TaskState.OPEN)
        now = scope.now
        with pytest.raises(Conflict):
            services.visit_point(scope, again, reached, now, now)
        services.visit_point(scope, again, other, now, now)
        assert again.state is TaskState.DONE
        with pytest.raises(Conflict):
            services.make_up_round(scope, scope.get(InspectionRound, round_id))
        with pytest.raises(Conflict):
            services.make_up_round(scope, again)


def test_a_visit_that_a_supervisor_does_not_agree_with_becomes_a_finding(enter, engineer, missed):
    with enter(engineer) as scope:
        [visit] = all_of(scope, PointVisit)
        services.check_visit(scope, visit, is_fine=False, score=2, remark="灭火器被遮挡")
        assert (visit.is_fine, visit.score, visit.checked_by) == (True, 2, "王工")
        with pytest.raises(Conflict):
            services.check_visit(scope, visit, is_fine=True, score=5)
        [fault] = all_of(scope, Fault)
        assert (fault.source, "灭火器被遮挡" in fault.text) == (FaultSource.ROUND, True)


def test_the_end_of_a_contract_is_warned_of_once_at_each_level_and_anew_when_renewed(enter):
    with enter() as scope:
        day = scope.today
        values = {"name": "安达电梯", "ends_on": day + timedelta(days=20), "phone": "13800000231"}
        values["licensed_until_on"] = day - timedelta(days=1)
        made = create(scope, Contractor, values)
        assert [warn_of_contracts(scope) for _ in range(2)] == [2, 0]
        made.ends_on = day + timedelta(days=6)
        assert warn_of_contracts(scope) == 1
        made.ends_on = day + timedelta(days=400)
        assert warn_of_contracts(scope) == 0
        assert sorted(w.level for w in all_of(scope, ContractorWarning)) == [1, 2, 4]


@pytest.fixture
def told(enter):
    """Return the id of somebody who is told from the first level on, and what he was told."""
    user_id = uuid7()
    with enter() as scope:
        scope.session.add(Watcher(name="王", user_id=user_id, level=1))

    def subjects(scope):
        query = select(Message).where(Message.user_id == user_id).order_by(Message.id)
        return [message.subject for message in scope.session.scalars(query)]

    return subjects


def test_the_end_of_a_warranty_is_told_once_at_each_level_while_it_can_be_claimed(
    enter, stand, told
):
    with enter() as scope:
        day = scope.today
    pump = stand(warranty_until_on=day + timedelta(days=25))
    stand("2# 生活给水泵", warranty_until_on=day + timedelta(days=28))
    stand("3# 生活给水泵", warranty_until_on=day - timedelta(days=1))
    with enter() as scope:
        services.report_fault(scope, scope.get(Equipment, pump), "密封渗水")
        assert [warn_of_warranty(scope) for _ in range(2)] == [2, 0]
        scope.get(Equipment, pump).warranty_until_on = day + timedelta(days=5)
        assert [warn_of_warranty(scope) for _ in range(2)] == [1, 0]
        scope.get(Equipment, pump).warranty_until_on = day
        assert warn_of_warranty(scope) == 1
        scope.get(Equipment, pump).warranty_until_on = day + timedelta(days=395)
        assert warn_of_warranty(scope) == 0
        subjects = told(scope)
    assert subjects == [
        "25 天后质保到期：1# 生活给水泵、2# 生活给水泵",
        "5 天后质保到期：1# 生活给水泵",
        "0 天后质保到期：1# 生活给水泵",
    ]


def test_a_part_below_its_minimum_is_told_once_each_time_it_falls(enter, told):
    with enter() as scope:
        part = create(scope, SparePart, {"name": "密封", "minimum": "2", "uom": "件"})
        services.receive_part(scope, part, Decimal(3))
        for count in ("1", "1", "0.5"):
            services.use_part(scope, part, Decimal(count))
        assert (part.is_low, told(scope)) == (True, ["备件低于下限：密封"])
        services.receive_part(scope, part, Decimal(4))
        assert not part.is_low
        services.use_part(scope, part, Decimal(3))
        assert told(scope) == ["备件低于下限：密封"] * 2


def test_equipment_is_bought_before_it_is_used_and_the_law_begins_with_its_use(enter, place):
    with enter() as scope:
        ledger.add_kinds(scope)
        query = select(EquipmentKind.id).where(EquipmentKind.name == "乘客电梯")
        values = {"kind_id": scope.session.scalars(query).one(), "registration": "梯11"}
        bought = create(scope, Equipment, {**values, "name": "新梯"})
        used = create(scope, Equipment, {**values, "name": "旧梯", "commissioned_on": "2020-05-01"})
        states = (EquipmentState.PLANNED, EquipmentState.IN_USE)
        assert (bought.state, used.state) == states
        services.keep_calendar(scope)
        planned = {plan.equipment_id for plan in all_of(scope, MaintenancePlan)}
        assert planned == {used.id}
        services.commission(scope, bought)
        services.keep_calendar(scope)
        plans = [plan.equipment_id for plan in all_of(scope, MaintenancePlan)]
        assert plans.count(bought.id) == plans.count(used.id) == 2


def test_what_a_phone_says_happened_is_when_it_happened(enter, worker, stand):
    pump = stand()
    with enter(worker) as scope:
        now = scope.now
        shift = services.begin_shift(scope, Trade.SECURITY, "东门岗")
        shift.begun_at = now - timedelta(hours=8)
    with enter() as scope:
        task = services.create_task(scope, pump, "保养", scope.today)
    came, ahead, long_ago = (now + timedelta(hours=h) for h in (-3, 2, -24 * 9))
    with enter(worker) as scope:
        scope.call("equipment.shift.hand_over", shift=shift.id, words="无")
        for at in (came, ahead):
            values = {"text": "巡楼一次", "at": at.isoformat()}
            perform(scope, Operation(uuid7(), "shift_note", shift.id, values))
        for verb, at in (("start", came), ("finish", long_ago)):
            perform(scope, Operation(uuid7(), verb, task.id, {"at": at.isoformat()}))
        assert [note.noted_at for note in all_of(scope, ShiftNote)] == [came]
        done = scope.get(MaintenanceTask, task.id)
        assert (done.started_at, done.done_at >= now) == (came, True)


def test_what_an_order_cost_becomes_cost_of_its_equipment_as_it_stands(enter, stand):
    pump = stand()
    with enter() as scope:
        fault = services.report_fault(scope, scope.get(Equipment, pump), "漏水")
        order = fault.work_order_id
        for kind, quantity, price in (("part", "2", "186.00"), ("labour", "1.5", "60.00")):
            scope.call(
                "repairs.work_order.add_part", work_order=order, name=kind, kind=kind,
                quantity=quantity, unit_price=price,
            )  # fmt: skip
        for _ in range(2):
            follow_order(scope, "repairs.work_order_finished", order)
        costs = {c.kind.value: c.amount for c in all_of(scope, EquipmentCost)}
        assert costs == {"parts": Decimal("372.00"), "repair": Decimal("90.00")}
        scope.call("repairs.work_order.add_part", work_order=order, name="垫片", unit_price="8.00")
        follow_order(scope, "repairs.work_order_closed", order)
        costs = {c.kind.value: c.amount for c in all_of(scope, EquipmentCost)}
        assert costs == {"parts": Decimal("380.00"), "repair": Decimal("90.00")}


def test_a_plan_needs_a_trigger_and_an_answer_one_subject(enter, stand, checklist):
    pump = stand()
    with enter() as scope:
        item = scope.session.scalars(select(ChecklistItem.id)).first()
        for row in (
            MaintenancePlan(equipment_id=pump, name="无周期", starts_on=scope.today),
            Answer(item_id=item, value="ok"),
        ):
            with pytest.raises(IntegrityError), scope.session.begin_nested():
                scope.session.add(row)
                scope.session.flush()
