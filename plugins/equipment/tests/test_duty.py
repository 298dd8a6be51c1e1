"""Shifts and their hand-over, rounds made up for, visits checked again, contractors, costs."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from dougong.errors import Conflict, NotAllowed
from dougong.services import create
from dougong_equipment import services
from dougong_equipment.domain.kinds import FaultSource, Proof, ShiftState, TaskState, Trade
from dougong_equipment.models import (
    Answer,
    ChecklistItem,
    Contractor,
    ContractorWarning,
    Equipment,
    EquipmentCost,
    Fault,
    InspectionPlan,
    InspectionPoint,
    InspectionRound,
    InspectionRoute,
    MaintenancePlan,
    PointVisit,
    RouteStop,
    ShiftNote,
)
from dougong_equipment.services.contracts import warn_of_contracts
from dougong_equipment.services.faults import follow_order
from dougong_equipment.services.shifts import own_shifts
from dougong_equipment.services.syncing import Operation, perform


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
