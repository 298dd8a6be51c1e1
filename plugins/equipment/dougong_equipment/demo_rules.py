"""The demonstration's plans, checklists, rounds, alarms, interlocks, schedules and parts."""

from datetime import datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope, insert_rows, uuid7
from dougong_equipment import demo_past
from dougong_equipment.demo_seasons import plan_seasons
from dougong_equipment.domain.kinds import (
    Comparison,
    ItemKind,
    Moment,
    MoveKind,
    Proof,
    ShiftState,
    TaskState,
    Trade,
    Urgency,
)
from dougong_equipment.models import (
    AlarmRule,
    Checklist,
    ChecklistItem,
    Condition,
    ControlSchedule,
    Equipment,
    InspectionPlan,
    InspectionPoint,
    InspectionRound,
    InspectionRoute,
    MaintenancePlan,
    MaintenanceTask,
    PointVisit,
    RouteStop,
    Shift,
    ShiftNote,
    SparePart,
    StockMove,
)
from dougong_equipment.services import keep_calendar, keep_rounds, ledger

LISTS: dict[str, tuple[tuple[str, ItemKind, Any, Any, str], ...]] = {
    "水泵月度保养": (
        ("出口压力", ItemKind.NUMBER, "0.35", "0.50", "MPa"),
        ("轴承温度", ItemKind.NUMBER, None, "75", "°C"),
        ("机械密封无渗漏", ItemKind.CHECK, None, None, ""),
        ("现场照片", ItemKind.PHOTO, None, None, ""),
    ),
    "机房巡检": (
        ("室内温度", ItemKind.NUMBER, "5", "40", "°C"),
        ("地面无积水", ItemKind.CHECK, None, None, ""),
        ("设备无异响异味", ItemKind.CHECK, None, None, ""),
    ),
    "公共区域巡查": (
        ("消防通道畅通", ItemKind.CHECK, None, None, ""),
        ("照明完好", ItemKind.CHECK, None, None, ""),
    ),
}
ROUTES = (
    ("地下机房巡检", Trade.EQUIPMENT, "机房巡检", ("水泵房", "消防泵房", "变配电室", "排风机房"),
     "FREQ=DAILY", time(8, 30), 180),
    ("夜间安保巡逻", Trade.SECURITY, "公共区域巡查", ("东门岗", "中心花园", "地下车库", "西门岗"),
     "FREQ=DAILY;BYHOUR=22,2", time(22), 90),
    ("大堂保洁巡查", Trade.CLEANING, "公共区域巡查", ("1 栋大堂", "2 栋大堂", "3 栋大堂"),
     "FREQ=DAILY;BYHOUR=9,14,17", time(9), 120),
)  # fmt: skip
SHIFT_NOTES = (
    ((1, "访客 12 人登记，均已核实。"), (6, "快递车在消防通道停留，已劝离。")),
    ((3, "西侧围栏照明一盏不亮，已报修。"), (7, "地下车库巡逻正常，无异常人员。")),
)
PARTS = (
    ("机械密封", "CDL32", "件", "A-01", "3", "2", "186.00"),
    ("电梯门机皮带", "TKJ-1000", "条", "A-02", "1", "2", "240.00"),
    ("交流接触器", "CJX2-65", "个", "B-01", "6", "3", "98.50"),
    ("LED 灯头", "E27 12W", "个", "B-03", "42", "20", "16.80"),
    ("风机三角带", "B-2261", "条", "A-04", "4", "2", "45.00"),
    ("浮球开关", "KEY-5", "个", "A-05", "2", "2", "68.00"),
)


def plan_work(scope: Scope, chance: Random) -> None:
    """Write what keeps equipment going, and let the calendar follow."""
    equipment = {e.name: e for e in scope.session.scalars(select(Equipment))}
    lists = _checklists(scope)
    _plans(scope, equipment, lists)
    _rounds(scope, chance, lists)
    plan_seasons(scope)
    _shifts(scope)
    _alarms(scope, equipment)
    _parts(scope)
    scope.session.flush()
    keep_calendar(scope)
    keep_rounds(scope)
    demo_past.write(scope, chance, equipment)


def _checklists(scope: Scope) -> dict[str, UUID]:
    made = {name: Checklist(id=uuid7(), name=name) for name in LISTS}
    scope.session.add_all(made.values())
    scope.session.flush()
    scope.session.add_all(
        ChecklistItem(
            checklist_id=made[name].id,
            position=position + 1,
            title=title,
            kind=kind,
            lowest=None if lowest is None else Decimal(lowest),
            highest=None if highest is None else Decimal(highest),
            uom=uom,
            is_required=kind is not ItemKind.PHOTO,
        )
        for name, lines in LISTS.items()
        for position, (title, kind, lowest, highest, uom) in enumerate(lines)
    )
    return {name: row.id for name, row in made.items()}


def _plans(scope: Scope, equipment: dict[str, Equipment], lists: dict[str, UUID]) -> None:
    # Spread over the year as real ones are: each legal day is some weeks from the next.
    for number, each in enumerate(sorted(equipment.values(), key=lambda e: e.name)):
        for plan in ledger.add_legal_plans(scope, each):
            plan.starts_on = plan.starts_on.replace(day=1) + timedelta(days=number * 11 % 330)
    for number in (1, 2, 3):
        pump = equipment[f"{number}# 生活给水泵"]
        monthly = {"equipment_id": pump.id, "name": "水泵月度保养", "rule": "FREQ=MONTHLY"}
        starts = scope.today.replace(day=1) - timedelta(days=200)
        checked = {"checklist_id": lists["水泵月度保养"], "starts_on": starts}
        plan = MaintenancePlan(id=uuid7(), **monthly, **checked)
        hours = {"equipment_id": pump.id, "name": "更换润滑脂（每 2000 小时）"}
        hours |= {"counter_every": Decimal(2000), "counter_point": "run_hours"}
        scope.session.add_all([plan, MaintenancePlan(starts_on=scope.today, **hours)])
        scope.session.flush()
        _history(scope, plan)


def _history(scope: Scope, plan: MaintenancePlan) -> None:
    for month in range(1, 7):
        due_on = scope.today - timedelta(days=30 * month)
        done_at = datetime.combine(due_on, time(10, 20), scope.zone)
        task = MaintenanceTask(
            equipment_id=plan.equipment_id, plan_id=plan.id, name=plan.name, due_on=due_on,
            opens_on=due_on - timedelta(days=3), state=TaskState.DONE, done_at=done_at,
            started_at=done_at - timedelta(minutes=35), done_by="维修刘师傅", is_fine=True,
            key=f"demo {uuid7()}",
        )  # fmt: skip
        scope.session.add(task)


def _rounds(scope: Scope, chance: Random, lists: dict[str, UUID]) -> None:
    for name, trade, checklist, places, rule, at, window in ROUTES:
        route = InspectionRoute(id=uuid7(), name=name, trade=trade)
        points = [
            InspectionPoint(
                id=uuid7(), name=place, checklist_id=lists[checklist], stay_s=20, photo_percent=20
            )
            for place in places
        ]
        # The first point of each route has an NFC tag beside its code.
        points[0].tag = ":".join(f"{byte:02x}" for byte in (4, *chance.randbytes(6)))
        scope.session.add_all([route, *points])
        scope.session.flush()
        first = datetime.combine(scope.today - timedelta(days=30), at, scope.zone)
        plan = InspectionPlan(
            id=uuid7(), route_id=route.id, rule=rule, starts_at=first, window_minutes=window
        )
        stops = [
            RouteStop(route_id=route.id, point_id=point.id, position=n + 1)
            for n, point in enumerate(points)
        ]
        scope.session.add_all([plan, *stops])
        scope.session.flush()
        _walked(scope, chance, plan, points)


def _walked(
    scope: Scope, chance: Random, plan: InspectionPlan, points: list[InspectionPoint]
) -> None:
    """Write the rounds of the last ten days; one of fifteen was missed."""
    rounds: dict[str, list[Any]] = {}
    visits: dict[str, list[Any]] = {}
    for days in range(10, 0, -1):
        at = plan.starts_at + timedelta(days=30 - days)
        is_missed = chance.random() < 1 / 15
        count = len(points) // 2 if is_missed else len(points)
        row = {
            "id": uuid7(at), "plan_id": plan.id, "route_id": plan.route_id, "starts_at": at,
            "closes_at": at + timedelta(minutes=plan.window_minutes), "points": len(points),
            "visited": count, "state": TaskState.MISSED if is_missed else TaskState.DONE,
            "done_at": None if is_missed else at + timedelta(minutes=9 * count),
        }  # fmt: skip
        _add(rounds, row)
        for number, point in enumerate(points[:count]):
            came = at + timedelta(minutes=4 + 9 * number)
            proof = Proof.NFC if point.tag else Proof.QR
            visit = {
                "round_id": row["id"], "point_id": point.id, "arrived_at": came,
                "left_at": came + timedelta(seconds=95), "is_fine": True, "visited_by": "赵师傅",
                "proof": Proof.NONE if chance.random() < 0.05 else proof,
            }  # fmt: skip
            _add(visits, visit)
    insert_rows(scope, InspectionRound, rounds)
    insert_rows(scope, PointVisit, visits)


def _add(columns: dict[str, list[Any]], values: dict[str, Any]) -> None:
    for name, value in values.items():
        columns.setdefault(name, []).append(value)


def _shifts(scope: Scope) -> None:
    """Write the shifts of the last four days at the east gate, handed over day and night."""
    first = datetime.combine(scope.today - timedelta(days=4), time(8), scope.zone)
    names = ("保安老马", "保安小周")
    shifts: dict[str, list[Any]] = {}
    notes: dict[str, list[Any]] = {}
    for number in range(8):
        at = first + timedelta(hours=12 * number)
        over = at + timedelta(hours=12)
        shift = {
            "id": uuid7(at), "trade": Trade.SECURITY, "post": "东门岗", "begun_at": at,
            "state": ShiftState.TAKEN_OVER if number < 7 else ShiftState.HANDED_OVER,
            "ended_at": over, "taken_at": over + timedelta(minutes=3) if number < 7 else None,
            "held_by": names[number % 2], "taken_by": names[1 - number % 2] if number < 7 else None,
            "hand_over": "钥匙 3 串、对讲机 2 台已清点，道闸正常。",
            "open_words": "待巡检 0，本班漏检 0，未完整改 0",
        }  # fmt: skip
        _add(shifts, shift)
        for hours, words in SHIFT_NOTES[number % 2]:
            when = at + timedelta(hours=hours)
            note = {"id": uuid7(when), "shift_id": shift["id"], "noted_at": when}
            _add(notes, {**note, "noted_by": shift["held_by"], "text": words})
    insert_rows(scope, Shift, shifts)
    insert_rows(scope, ShiftNote, notes)


def _alarms(scope: Scope, equipment: dict[str, Equipment]) -> None:
    sensor, pump = equipment["水泵房环境传感器"], equipment["1# 生活给水泵"]
    fire, lamp = equipment["1# 消防水泵"], equipment["小区景观照明"]
    scope.session.add_all(
        [
            AlarmRule(equipment_id=sensor.id, name="水泵房地面浸水", point="is_wet",
                      comparison=Comparison.IS_ON, delay_s=60, urgency=Urgency.EMERGENCY),
            AlarmRule(equipment_id=sensor.id, name="集水坑液位高", point="level", delay_s=120,
                      comparison=Comparison.ABOVE, threshold=Decimal("1.5"),
                      dead_band=Decimal("0.3")),
            AlarmRule(equipment_id=pump.id, name="供水压力低", point="pressure", delay_s=180,
                      comparison=Comparison.BELOW, threshold=Decimal("0.30"),
                      dead_band=Decimal("0.05"), is_breakdown=True),
            AlarmRule(equipment_id=fire.id, name="消防泵故障", point="is_faulty", delay_s=10,
                      comparison=Comparison.IS_ON, urgency=Urgency.EMERGENCY, is_breakdown=True),
            Condition(equipment_id=pump.id, command="start", watched_id=sensor.id, point="is_wet",
                      comparison=Comparison.IS_ON, name="水泵房浸水时禁止启动"),
            ControlSchedule(equipment_id=lamp.id, name="日落后开灯", command="turn_on",
                            moment=Moment.SUNSET, offset_minutes=10, starts_on=scope.today),
            ControlSchedule(equipment_id=lamp.id, name="日出前关灯", command="turn_off",
                            moment=Moment.SUNRISE, offset_minutes=-15, starts_on=scope.today),
            ControlSchedule(equipment_id=equipment["地下车库排风机"].id, name="早高峰排风",
                            command="start", moment=Moment.CLOCK, at=time(6, 30),
                            starts_on=scope.today),
        ]
    )  # fmt: skip


def _parts(scope: Scope) -> None:
    for name, model, uom, shelf, stock, minimum, price in PARTS:
        part = SparePart(
            id=uuid7(), name=name, model=model, uom=uom, shelf=shelf, stock=Decimal(stock),
            minimum=Decimal(minimum), unit_price=Decimal(price),
            is_low=Decimal(stock) < Decimal(minimum),
        )  # fmt: skip
        scope.session.add(part)
        scope.session.flush()
        scope.session.add(
            StockMove(
                part_id=part.id, kind=MoveKind.COUNT, quantity=Decimal(stock),
                balance=Decimal(stock), moved_at=scope.now, moved_by="仓管员", note="期初盘点",
            )
        )  # fmt: skip
