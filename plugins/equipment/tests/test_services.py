"""What people and jobs do with equipment, on a real database."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from dougong.db import Scope, uuid7
from dougong.db.scope import Actor
from dougong.devices import PointKind, Quality, Reading
from dougong.devices.commands import CommandState
from dougong.devices.contract import Transport
from dougong.devices.models import Device, DeviceCommand, DeviceValue, Gateway
from dougong.errors import Conflict, Invalid, NotAllowed
from dougong.services import change, create
from dougong.tenancy.operations import set_setting
from dougong_equipment import services
from dougong_equipment.domain.kinds import (
    AlarmState,
    Comparison,
    CostKind,
    EquipmentState,
    FaultState,
    Moment,
    RunState,
    TaskState,
)
from dougong_equipment.errors import Locked, NotEnough
from dougong_equipment.models import (
    Alarm,
    AlarmRule,
    ChecklistItem,
    Condition,
    ControlRun,
    ControlSchedule,
    Equipment,
    EquipmentCost,
    Fault,
    InspectionPlan,
    InspectionPoint,
    InspectionRound,
    InspectionRoute,
    MaintenancePlan,
    MaintenanceTask,
    PointVisit,
    RouteStop,
    SparePart,
    StockMove,
    SyncedWork,
    Watcher,
)
from dougong_equipment.services import alarms, commanding
from dougong_equipment.services.faults import follow_order
from dougong_equipment.services.life import lives
from dougong_equipment.services.syncing import Operation, perform

services_of_repairs = pytest.importorskip("dougong_repairs.services")
from dougong_repairs.errors import Objected  # noqa: E402 - where repairs is installed
from dougong_repairs.models import Technician, WorkOrder  # noqa: E402

NOON = datetime(2026, 6, 15, 4, tzinfo=UTC)


@pytest.fixture
def at(monkeypatch):
    """Return a function that sets the clock of every scope."""

    def go(instant):
        monkeypatch.setattr(Scope, "now", property(lambda self: instant))
        return instant

    return go


def all_of(scope, model, *conditions):
    return scope.session.scalars(select(model).where(*conditions).order_by(model.id)).all()


def test_a_lift_is_commissioned_with_its_code_and_what_the_law_wants(enter, stand):
    lift = stand("1 栋客梯", "乘客电梯")
    with enter() as scope:
        with pytest.raises(Invalid) as refused:
            services.commission(scope, scope.get(Equipment, lift))
        assert "registration" in refused.value.fields
        found = scope.get(Equipment, lift)
        change(scope, found, {"registration": "梯11江州(26)00001"})
        services.commission(scope, found)
        services.commission(scope, found)
        plans = all_of(scope, MaintenancePlan)
        assert (found.state, len(plans)) == (EquipmentState.IN_USE, 2)
        assert all(plan.statute == "lift" and plan.source for plan in plans)


def test_a_parent_is_retired_after_its_parts_and_its_plans_end(enter, stand):
    system = stand("供水系统", "其他设备", level="system")
    pump = stand(parent_id=system)
    with enter() as scope:
        plan = {"equipment_id": pump, "name": "保养", "rule": "FREQ=DAILY"}
        create(scope, MaintenancePlan, {**plan, "starts_on": scope.today})
        services.keep_calendar(scope)
        with pytest.raises(Conflict):
            services.retire(scope, scope.get(Equipment, system), "更新")
        services.retire(scope, scope.get(Equipment, pump), "更新", Decimal("300"))
        services.retire(scope, scope.get(Equipment, system), "更新")
        states = {task.state for task in all_of(scope, MaintenanceTask)}
        assert states == {TaskState.CANCELLED}
        assert [c.kind for c in all_of(scope, EquipmentCost)] == [CostKind.DISPOSAL]


def test_a_worker_down_for_a_week_loses_nothing_and_doubles_nothing(enter, stand, at):
    pump = stand()
    first = at(NOON)
    with enter() as scope:
        for name, catch_up in (("全补", "all"), ("补最近", "latest"), ("记漏", "skip")):
            values = {"equipment_id": pump, "name": name, "catch_up": catch_up, "lead_days": 0}
            values |= {"rule": "FREQ=DAILY", "starts_on": scope.today, "horizon_days": 0}
            create(scope, MaintenancePlan, values)
        assert services.keep_calendar(scope) == 3
    at(first + timedelta(days=8))
    with enter() as scope:
        assert services.keep_calendar(scope) == 24
        assert services.keep_calendar(scope) == 0
        count = select(MaintenanceTask.name, MaintenanceTask.state, func.count()).group_by(
            MaintenanceTask.name, MaintenanceTask.state
        )
        found = {(name, state.value): n for name, state, n in scope.session.execute(count)}
        assert found == {
            ("全补", "open"): 9,
            ("补最近", "open"): 3,
            ("补最近", "missed"): 6,
            ("记漏", "open"): 2,
            ("记漏", "missed"): 7,
        }
        days = select(func.count(func.distinct(MaintenanceTask.due_on)))
        assert scope.session.scalar(days.where(MaintenanceTask.name == "记漏")) == 9


def test_a_schedule_that_slept_a_week_runs_once_and_the_calendar_is_whole(
    installation, enter, stand, at, monkeypatch
):
    from dougong.jobs import schedules
    from dougong.jobs.models import Job

    run_schedules, entries = schedules.run_schedules, schedules._entries
    pump = stand()
    now = at(NOON)
    with enter() as scope:
        here = scope.community_id
        # Communities of other tests would have their week made up for as well.
        monkeypatch.setattr(
            schedules, "_entries", lambda i: (e for e in entries(i) if e.community_id == here)
        )
        values = {"equipment_id": pump, "name": "保养", "rule": "FREQ=DAILY", "catch_up": "all"}
        values |= {"starts_on": scope.today, "horizon_days": 0, "lead_days": 0}
        create(scope, MaintenancePlan, values)
        services.keep_calendar(scope)
    run_schedules(installation, now)
    later = at(now + timedelta(days=7))
    run_schedules(installation, later)
    run_schedules(installation, later)
    with enter() as scope:
        due = select(Job).where(Job.service == "equipment.maintenance_plan.keep")
        jobs = scope.session.scalars(due).all()
        assert len(jobs) == 1
        for _ in range(2):
            scope.call(jobs[0].service)
        assert len(all_of(scope, MaintenanceTask)) == 8


def test_a_changed_rule_takes_back_what_nobody_began(enter, stand, at):
    pump = stand()
    at(NOON)
    with enter() as scope:
        values = {"equipment_id": pump, "name": "保养", "rule": "FREQ=DAILY;INTERVAL=10"}
        plan = create(scope, MaintenancePlan, {**values, "starts_on": scope.today})
        services.keep_calendar(scope)
        before = all_of(scope, MaintenanceTask)
        change(scope, plan, {"rule": "FREQ=DAILY;INTERVAL=30"})
        services.keep_calendar(scope)
        after = all_of(scope, MaintenanceTask)
        assert (len(before), len(after)) == (7, 3)
        assert after[0].state is TaskState.OPEN


def test_run_hours_call_for_work_at_each_multiple(enter, stand):
    pump = stand()
    with enter() as scope:
        equipment = scope.get(Equipment, pump)
        values = {"equipment_id": pump, "name": "换油", "counter_every": "500"}
        create(scope, MaintenancePlan, {**values, "starts_on": scope.today})
        made = []
        for hours in ("480", "499.9", "500.1", "500.1", "1010"):
            services.record_hours(scope, equipment, Decimal(hours))
            made.append(services.keep_calendar(scope))
        assert made == [0, 0, 1, 0, 1]
        with pytest.raises(Invalid):
            services.record_hours(scope, equipment, Decimal(3))


def test_each_level_of_a_legal_date_warns_once_and_escalates(enter, stand, at):
    lift = stand("1 栋客梯", "乘客电梯")
    start = at(NOON)
    with enter() as scope:
        quiet, loud = uuid7(), uuid7()
        scope.session.add_all(
            [Watcher(name="王", user_id=quiet, level=1), Watcher(name="总", user_id=loud, level=4)]
        )
        due_on = scope.today + timedelta(days=31)
        values = {"equipment_id": lift, "name": "年检", "statute": "lift", "rule": "FREQ=YEARLY"}
        create(scope, MaintenancePlan, {**values, "starts_on": due_on, "horizon_days": 45})
        services.keep_calendar(scope)
    told = []
    for days in (0, 1, 2, 24, 25, 30, 31, 32, 40):
        at(start + timedelta(days=days))
        with enter() as scope:
            services.keep_calendar(scope)
            told.append(scope.session.scalars(select(MaintenanceTask.warned)).first())
    assert told == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    with enter() as scope:
        from dougong.messages.models import Message

        count = select(Message.user_id, func.count()).where(Message.user_id.in_([quiet, loud]))
        assert dict(scope.session.execute(count.group_by(Message.user_id)).all()) == {
            quiet: 4,
            loud: 1,
        }


def answers(scope, checklist, pressure, leak="ok"):
    lines = all_of(scope, ChecklistItem, ChecklistItem.checklist_id == checklist)
    return {str(line.id): pressure if line.kind == "number" else leak for line in lines}


def test_a_value_out_of_its_limits_becomes_a_fault_and_an_order(enter, stand, checklist):
    pump = stand()
    with enter() as scope:
        given = {"equipment_id": pump, "name": "保养", "checklist_id": checklist}
        task = services.create_task(scope, due_on=scope.today, **given)
        with pytest.raises(Invalid) as refused:
            services.finish_task(scope, task, {})
        assert set(refused.value.fields) == {"压力", "无渗漏"}
        with pytest.raises(Invalid):
            services.finish_task(scope, task, answers(scope, checklist, "高"))
        services.finish_task(scope, task, answers(scope, checklist, "0.52"))
        assert (task.state, task.is_fine) == (TaskState.DONE, False)
        [fault] = all_of(scope, Fault)
        assert "0.52" in fault.text
        assert fault.work_order == "1"
        with pytest.raises(Conflict):
            services.finish_task(scope, task, answers(scope, checklist, "0.4"))


def test_a_legal_check_needs_its_report_and_is_not_cancelled(enter, stand):
    lift = stand("1 栋客梯", "乘客电梯", registration="梯1")
    with enter() as scope:
        services.commission(scope, scope.get(Equipment, lift), scope.today - timedelta(days=360))
        services.keep_calendar(scope)
        yearly = MaintenanceTask.name == "电梯年度检验或自行检测"
        [task] = all_of(scope, MaintenanceTask, yearly, MaintenanceTask.state == TaskState.OPEN)
        with pytest.raises(Conflict):
            services.cancel_task(scope, task, "不想做")
        with pytest.raises(Invalid):
            services.finish_task(scope, task)
        assert services.finish_task(scope, task, report="JZ-2026-0412").report == "JZ-2026-0412"


def intervals(days):
    return {(later - day).days for day, later in zip(days, days[1:], strict=False)}


def test_upkeep_follows_what_the_supervision_admits_when_it_is_asked_to(
    installation, place, enter, stand
):
    lift = stand("1 栋客梯", "乘客电梯", registration="梯1")
    upkeep = MaintenancePlan.name.in_(["电梯半月维保", "电梯按需维保"])
    with enter() as scope:
        services.commission(scope, scope.get(Equipment, lift), scope.today)
        services.keep_calendar(scope)
    with installation.access() as session:
        for name, value in (("", "as_needed"), ("_days", 30), ("_notice", "某市监〔2026〕7号")):
            set_setting(session, place.community_id, f"equipment.lift_upkeep{name}", value)
    with enter() as scope:
        [plan] = all_of(scope, MaintenancePlan, upkeep)
        days = select(MaintenanceTask.due_on).where(MaintenanceTask.plan_id == plan.id)
        days = days.order_by(MaintenanceTask.due_on)
        services.keep_calendar(scope)
        assert plan.name == "电梯半月维保"
        assert intervals(scope.session.scalars(days).all()) == {15}
        services.follow_law(scope, plan)
        services.keep_calendar(scope)
        assert (plan.name, plan.rule) == ("电梯按需维保", "FREQ=DAILY;INTERVAL=30")
        assert "某市监〔2026〕7号" in plan.source
        assert intervals(scope.session.scalars(days).all()) == {30}
        services.commission(scope, scope.get(Equipment, lift))
        assert len(all_of(scope, MaintenancePlan, upkeep)) == 1
        own = create(scope, MaintenancePlan, {"equipment_id": lift, "name": "擦拭轿厢",
                     "rule": "FREQ=DAILY", "starts_on": scope.today})  # fmt: skip
        with pytest.raises(Conflict):
            services.follow_law(scope, own)


def test_a_fault_is_fixed_by_its_order_and_checked_again(enter, stand):
    pump = stand()
    with enter() as scope:
        equipment = scope.get(Equipment, pump)
        fault = services.report_fault(scope, equipment, "不启动", is_breakdown=True)
        assert equipment.state is EquipmentState.FAULTY
        with pytest.raises(Conflict):
            services.check_fault(scope, fault, True, 5)
        for _ in range(2):
            follow_order(scope, "repairs.work_order_finished", fault.work_order_id)
        assert (fault.state, equipment.state) == (FaultState.FIXED, EquipmentState.IN_USE)
        services.check_fault(scope, fault, False, 2, "仍有异响")
        assert fault.state is FaultState.OPEN
        services.fix_fault(scope, fault)
        services.check_fault(scope, fault, True, 5)
        assert (fault.state, fault.score) == (FaultState.CHECKED, 5)


@pytest.fixture
def route(enter, checklist):
    """Return the ids of a plan with two points, walked daily at ten."""
    with enter() as scope:
        route = create(scope, InspectionRoute, {"name": "机房", "trade": "equipment"})
        points = [
            create(scope, InspectionPoint, {"name": n, "checklist_id": checklist, "stay_s": 20})
            for n in ("水泵房", "配电室")
        ]
        for number, point in enumerate(points):
            values = {"route_id": route.id, "point_id": point.id, "position": number}
            create(scope, RouteStop, values)
        starts = datetime(2026, 6, 1, 2, tzinfo=UTC)
        values = {"route_id": route.id, "rule": "FREQ=DAILY", "starts_at": starts}
        create(scope, InspectionPlan, values)
        return [(point.id, point.code) for point in points]


def visit(scope, each, point, proof, came, checklist, pressure="0.4", stay=30):
    left = came + timedelta(seconds=stay)
    given = answers(scope, checklist, pressure)
    return services.visit_point(scope, each, point, came, left, proof, given)


def test_a_round_is_walked_with_proof_and_missed_without(enter, route, checklist, at):
    at(datetime(2026, 6, 15, 1, tzinfo=UTC))
    with enter() as scope:
        assert services.keep_rounds(scope) == 2
        assert services.keep_rounds(scope) == 0
    now = at(datetime(2026, 6, 15, 2, 30, tzinfo=UTC))
    (pump_room, code), (switch_room, other) = route
    with enter() as scope:
        services.keep_rounds(scope)
        each = all_of(scope, InspectionRound, InspectionRound.state == TaskState.OPEN)[0]
        came = now - timedelta(minutes=5)
        with pytest.raises(Invalid):
            visit(scope, each, pump_room, other, came, checklist)
        with pytest.raises(Invalid):
            visit(scope, each, pump_room, code, came, checklist, stay=5)
        with pytest.raises(Conflict):
            visit(scope, each, pump_room, code, came - timedelta(hours=3), checklist)
        address = f"https://x/equipment/at/{uuid7()}/{code}"
        seen = visit(scope, each, pump_room, address, came, checklist, "0.6")
        assert (seen.proof.value, seen.is_fine, each.state) == ("qr", False, TaskState.STARTED)
        with pytest.raises(Conflict):
            visit(scope, each, pump_room, code, came, checklist)
        assert len(all_of(scope, Fault)) == 1
        round_id = each.id
    at(datetime(2026, 6, 15, 5, tzinfo=UTC))
    with enter() as scope:
        services.keep_rounds(scope)
        each = scope.get(InspectionRound, round_id)
        assert (each.state, each.visited) == (TaskState.MISSED, 1)
        # Walked in time and sent late: the phone had no network.
        late = visit(scope, each, switch_room, "", now, checklist)
        assert (late.proof.value, each.state) == ("none", TaskState.DONE)


def test_rounds_of_a_week_without_worker_stand_as_missed(enter, route, at):
    at(datetime(2026, 6, 15, 1, tzinfo=UTC))
    with enter() as scope:
        services.keep_rounds(scope)
    at(datetime(2026, 6, 22, 1, tzinfo=UTC))
    with enter() as scope:
        services.keep_rounds(scope)
        states = [r.state.value for r in all_of(scope, InspectionRound)]
        assert sorted(states) == ["missed"] * 7 + ["planned"] * 2


def test_what_a_phone_sends_twice_is_done_once(enter, stand, checklist, worker):
    pump = stand()
    with enter() as scope:
        given = {"equipment_id": pump, "name": "保养", "checklist_id": checklist}
        task = services.create_task(scope, due_on=scope.today, **given).id
        values = {"answers": answers(scope, checklist, "0.4")}
    client = uuid7()
    for _ in range(3):
        with enter(worker) as scope:
            made = perform(scope, Operation(client, "finish", task, values))
            assert (made.is_done, made.problem) == (True, None)
    with enter(worker) as scope:
        again = perform(scope, Operation(uuid7(), "finish", task, values))
        assert (again.is_done, bool(again.problem)) == (False, True)
    with enter() as scope:
        assert len(all_of(scope, SyncedWork)) == 2


def test_stock_is_exact_and_never_negative(enter, stand):
    pump = stand()
    with enter() as scope:
        values = {"name": "密封", "minimum": "2", "unit_price": "186.00"}
        part = create(scope, SparePart, values)
        client = uuid7()
        for _ in range(2):
            services.receive_part(scope, part, Decimal("3.5"), client_id=client)
        assert part.stock == Decimal("3.5")
        services.use_part(scope, part, Decimal("2.5"), pump)
        with pytest.raises(NotEnough):
            services.use_part(scope, part, Decimal("1.001"))
        for wrong in ("0", "-1", "0.0001"):
            with pytest.raises(Invalid):
                services.use_part(scope, part, Decimal(wrong))
        services.count_part(scope, part, Decimal(4))
        moves = all_of(scope, StockMove)
        assert sum(move.quantity for move in moves) == part.stock == moves[-1].balance
        [cost] = all_of(scope, EquipmentCost)
        assert (cost.amount, cost.kind) == (Decimal("465.00"), CostKind.PARTS)


def test_the_life_of_a_pump_tells_mtbf_and_when_to_replace_it(enter, stand):
    pump = stand(price="28000", commissioned_on="2018-01-01")
    with enter() as scope:
        equipment = scope.get(Equipment, pump)
        for years in (3, 5, 6, 7, 7.6, 8.1):
            raised = datetime(2018, 1, 1, tzinfo=UTC) + timedelta(days=365.25 * years)
            scope.session.add(
                Fault(equipment_id=pump, text="漏水", raised_at=raised, is_breakdown=True,
                      fixed_at=raised + timedelta(hours=10), key=str(years))
            )  # fmt: skip
            services.add_cost(scope, pump, CostKind.REPAIR, Decimal(4200))
        scope.session.flush()
        [life] = lives(scope, [equipment])
        assert life.figures.mttr_h == pytest.approx(10)
        assert life.figures.breakdowns == 6
        assert life.repair == Decimal("4200.00")
        assert life.forecast.reason == "cost"


@pytest.fixture
def wired(enter, stand):
    """Return the ids of a fire pump and a sensor, each with its device."""
    made = {}
    with enter() as scope:
        gateway = create(
            scope, Gateway, {"name": "网关", "transport": Transport.TCP, "host": "x", "port": 1}
        )
        for name, profile in (("消防泵", "fire_pump"), ("传感器", "environment")):
            values = {"gateway_id": gateway.id, "name": name, "driver": "equipment_modbus"}
            made[name] = create(scope, Device, {**values, "profile": profile}).id
    pump = stand("消防泵", "消防水泵", device_id=made["消防泵"])
    sensor = stand("传感器", "环境传感器", device_id=made["传感器"])
    return pump, sensor, made


def reading(device, point, value, at):
    return Reading(device, point, value, Quality.GOOD, None, at, 1, "", PointKind.GAUGE)


def test_an_alarm_waits_its_delay_and_keeps_its_dead_band(enter, wired):
    _, sensor, devices = wired
    with enter() as scope:
        values = {"equipment_id": sensor, "name": "液位高", "point": "level", "delay_s": 60}
        values |= {"comparison": Comparison.ABOVE, "threshold": "1.5", "dead_band": "0.3"}
        create(scope, AlarmRule, values)
        states = []
        for seconds, level in ((0, "1.6"), (30, "1.4"), (60, "1.7"), (90, "1.7"), (125, "1.6"),
                               (130, "1.3"), (140, "1.1"), (150, "1.6")):  # fmt: skip
            instant = NOON + timedelta(seconds=seconds)
            said = reading(devices["传感器"], "level", Decimal(level), instant)
            alarms.take_readings(scope, [said])
            found = all_of(scope, Alarm)
            states.append([a.state.value for a in found])
        assert states == [
            ["pending"],
            ["over"],
            ["over", "pending"],
            ["over", "pending"],
            ["over", "raised"],
            ["over", "raised"],
            ["over", "over"],
            ["over", "over", "pending"],
        ]
        raised = all_of(scope, Alarm, Alarm.raised_at.is_not(None))[0]
        for _ in range(2):
            alarms.make_order(scope, raised.id)
        [fault] = all_of(scope, Fault)
        assert fault.work_order is not None


def test_an_order_is_not_done_while_its_alarm_stands_or_a_lock_hangs(enter, wired):
    _, sensor, devices = wired
    device = devices["传感器"]

    def ended(scope, fault):
        services_of_repairs.start_order(scope, fault_order(scope, fault))
        return services_of_repairs.finish_order(scope, fault_order(scope, fault)).state.value

    def fault_order(scope, fault):
        return scope.get(WorkOrder, fault.work_order_id, lock=True)

    with enter() as scope:
        values = {"equipment_id": sensor, "name": "液位高", "point": "level", "delay_s": 0}
        values |= {"comparison": Comparison.ABOVE, "threshold": "1.5", "dead_band": "0.3"}
        rule = create(scope, AlarmRule, values)
        for level in ("1.6", "1.2", "1.7"):
            alarms.take_readings(scope, [reading(device, "level", Decimal(level), scope.now)])
        for raised in all_of(scope, Alarm):
            alarms.make_order(scope, raised.id)
        over, stands = all_of(scope, Fault)
        technician = create(scope, Technician, {"name": "刘师傅"})
        for fault in (over, stands):
            services_of_repairs.dispatch_order(scope, fault_order(scope, fault), technician.id)
        equipment = services.lock(scope, scope.get(Equipment, sensor), "井内有人作业")
        with pytest.raises(Objected) as lock_hangs:
            ended(scope, over)
        assert "test" in lock_hangs.value.parameters["reason"]
        services.unlock(scope, equipment)
        assert services_of_repairs.finish_order(scope, fault_order(scope, over)).done_at
        with pytest.raises(Objected) as alarm_stands:
            ended(scope, stands)
        assert "液位高" in alarm_stands.value.parameters["reason"]
        change(scope, rule, {"is_active": False})
        assert services_of_repairs.finish_order(scope, fault_order(scope, stands)).done_at


def test_a_delay_ends_also_when_no_further_value_comes(enter, wired):
    _, sensor, devices = wired
    with enter() as scope:
        values = {"equipment_id": sensor, "name": "浸水", "point": "is_wet", "delay_s": 60}
        create(scope, AlarmRule, {**values, "comparison": Comparison.IS_ON})
        past = scope.now - timedelta(seconds=61)
        alarms.take_readings(scope, [reading(devices["传感器"], "is_wet", True, past)])
        assert services.watch(scope) == 1
        assert services.watch(scope) == 0
        assert all_of(scope, Alarm)[0].state is AlarmState.RAISED


def test_stopping_a_fire_pump_waits_for_a_second_person(enter, wired, engineer, second):
    pump, _, _ = wired
    with enter(engineer) as scope:
        started = services.control(scope, scope.get(Equipment, pump), "start", "试验")
        stopped = services.control(scope, scope.get(Equipment, pump), "stop", "试验结束")
        assert (started.state, stopped.state) == (CommandState.QUEUED, CommandState.PROPOSED)
        command = stopped.id
        with pytest.raises(NotAllowed):
            scope.call("dougong.device_command.approve", command=command)
    with enter(second) as scope:
        done = scope.call("dougong.device_command.approve", command=command)
        assert (done.state, done.approved_by) == (CommandState.QUEUED, "李工")


def test_nothing_starts_while_a_lock_hangs_or_a_condition_speaks_against_it(
    enter, wired, engineer, worker
):
    pump, sensor, devices = wired
    with enter() as scope:
        values = {"equipment_id": pump, "command": "start", "watched_id": sensor}
        values |= {"point": "is_wet", "comparison": Comparison.IS_ON, "name": "浸水禁启"}
        create(scope, Condition, values)

    def tries():
        with enter(engineer) as scope:
            return services.control(scope, scope.get(Equipment, pump), "start", "试验").id

    def says(value, age_s=0):
        with enter() as scope:
            device = devices["传感器"]
            query = select(DeviceValue).where(DeviceValue.device_id == device)
            row = scope.session.scalars(query).first() or DeviceValue(
                device_id=device, point="is_wet", point_kind=PointKind.STATE, sequence=1
            )
            row.value, row.quality = value, Quality.GOOD
            row.server_at = scope.now - timedelta(seconds=age_s)
            scope.session.add(row)

    with pytest.raises(Conflict):
        tries()
    says("true")
    with pytest.raises(Conflict):
        tries()
    says("false", age_s=900)
    with pytest.raises(Conflict):
        tries()
    says("false")
    command = tries()
    with enter() as scope:
        row = scope.session.scalars(select(DeviceCommand).where(DeviceCommand.id == command)).one()
        assert row.requires == ["equipment.conditions", "equipment.lock"]
        # What the host asks in the moment before it sends: the lock was hung in between.
        services.lock(scope, scope.get(Equipment, pump), "检修")
        assert "检修" in commanding.refusal(scope, "equipment.lock", row)
        assert commanding.refusal(scope, "equipment.conditions", row) == ""
        assert commanding.refusal(scope, "doors.other", row) is None
    with pytest.raises(Conflict):
        tries()
    with enter() as scope, pytest.raises(Locked):
        services.lock(scope, scope.get(Equipment, pump), "又锁")


def test_lighting_follows_the_sun_once_and_is_never_sent_late(enter, wired, at):
    pump, _, _ = wired
    # Sunset in Shanghai on 15 June 2026 is at 19:00 or so, 11:00 UTC.
    at(datetime(2026, 6, 15, 10, tzinfo=UTC))
    with enter() as scope:
        values = {"equipment_id": pump, "name": "日落", "command": "start"}
        values |= {"moment": Moment.SUNSET, "starts_on": scope.today}
        create(scope, ControlSchedule, values)
        assert services.run_schedules(scope) == 0
    at(datetime(2026, 6, 15, 11, 5, tzinfo=UTC))
    with enter() as scope:
        done = [services.run_schedules(scope) for _ in range(3)]
        runs = all_of(scope, ControlRun)
        assert done == [1, 0, 0], [(run.state, run.detail, run.due_at) for run in runs]
    at(datetime(2026, 6, 16, 12, 30, tzinfo=UTC))
    with enter() as scope:
        assert services.run_schedules(scope) == 0
        runs = all_of(scope, ControlRun)
        assert [run.state for run in runs] == [RunState.ORDERED, RunState.TOO_LATE]
        assert runs[0].due_at.hour in (10, 11)
        assert len(all_of(scope, DeviceCommand)) == 1


def test_a_point_is_visited_once_even_by_two_phones(enter, route, checklist, at):
    at(datetime(2026, 6, 15, 1, tzinfo=UTC))
    with enter() as scope:
        services.keep_rounds(scope)
    now = at(datetime(2026, 6, 15, 2, 30, tzinfo=UTC))
    with enter(Actor.system("test")) as scope:
        services.keep_rounds(scope)
        each = all_of(scope, InspectionRound, InspectionRound.state == TaskState.OPEN)[0]
        values = {"point": str(route[0][0]), "proof": route[0][1]}
        values |= {"arrived_at": (now - timedelta(minutes=4)).isoformat()}
        values |= {"left_at": (now - timedelta(minutes=3)).isoformat()}
        values |= {"answers": answers(scope, checklist, "0.4")}
        first, other = (
            perform(scope, Operation(uuid7(), "visit", each.id, values)) for _ in range(2)
        )
        assert (first.is_done, other.is_done) == (True, False)
        assert len(all_of(scope, PointVisit)) == 1


def test_an_interlock_that_fails_to_answer_refuses(enter, wired, engineer, monkeypatch):
    pump, _, _ = wired

    def broken(*arguments):
        raise RuntimeError("broken")

    monkeypatch.setattr(commanding, "interlocks_before", broken)
    with enter(engineer) as scope, pytest.raises(Conflict):
        services.control(scope, scope.get(Equipment, pump), "start", "试验")
    with enter() as scope:
        assert all_of(scope, DeviceCommand) == []
