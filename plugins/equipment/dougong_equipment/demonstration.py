"""The demonstration's lifts, pump room, fire pumps, lighting and rounds, with years of story."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope, insert_rows, uuid7
from dougong.devices.contract import Transport
from dougong.devices.models import Device, Gateway
from dougong.devices.simulators import LOOPBACK
from dougong.tenancy.models import Building
from dougong_equipment.demo_rules import plan_work
from dougong_equipment.domain.kinds import (
    CostKind,
    EquipmentState,
    FaultSource,
    FaultState,
    Level,
    Urgency,
)
from dougong_equipment.domain.numbers import new_number
from dougong_equipment.models import Contractor, Equipment, EquipmentCost, EquipmentKind, Fault
from dougong_equipment.models.ledger import new_code
from dougong_equipment.services import ledger

PORT, POLL_S = 15080, 20
LIFTS = 6
FAULTS = {
    "乘客电梯": (
        ("门机故障，反复开关门", 6, 380),
        ("平层误差大", 5, 260),
        ("运行中异响，导靴磨损", 8, 640),
        ("困人后停梯，门锁回路断开", 3, 900),
    ),
    "生活给水泵": (("机械密封漏水", 9, 520), ("变频器过热报警", 7, 860), ("轴承异响", 16, 740)),
    "排污泵": (("叶轮缠堵跳闸", 4, 1_150), ("电机绕组进水，返厂维修", 30, 2_100)),
    "风机": (("皮带断裂", 5, 240), ("轴承温度高停机", 8, 560)),
}
CONTRACTORS = (
    ("江州安达电梯维保有限公司", "91330100MA27XA3P1K", "孙经理", "13800010231", "WB-2026-011", 96,
     "特种设备生产许可证（电梯安装含修理）", 640),
    ("江州久安消防技术服务有限公司", "91330100MA2B0QJ52T", "吴经理", "13800010267", "WB-2026-018",
     213, "消防技术服务机构（维护保养检测）", 24),
)  # fmt: skip
DEVICES = (
    ("1# 生活给水泵", "pump", {"is_running": True, "pressure": 0.42, "current": 18.6}, 9120),
    ("2# 生活给水泵", "pump", {"is_running": False, "pressure": 0.42, "current": 0}, 8740),
    ("1# 消防水泵", "fire_pump", {"is_running": False, "pressure": 0.85, "current": 0}, 212),
    ("地下车库排风机", "fan", {"is_running": True, "speed": 60, "bearing_temperature": 46}, 9230),
    ("小区景观照明", "lighting", {"is_on": False, "level": 80, "power": 0}, 6420),
    ("水泵房环境传感器", "environment", {"temperature": 17.4, "humidity": 61, "level": 0.62}, 0),
)  # fmt: skip


@dataclass
class Rows:
    """Columns of a table that are written at the end in one statement."""

    columns: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, **values: Any) -> UUID:
        """Add a row; every row names the same columns. Return its id."""
        values.setdefault("id", uuid7())
        for name, value in values.items():
            self.columns.setdefault(name, []).append(value)
        made: UUID = values["id"]
        return made


@dataclass
class Story:
    """What is written: equipment, its faults, its cost."""

    scope: Scope
    chance: Random
    kinds: dict[str, UUID]
    equipment: Rows = field(default_factory=Rows)
    faults: Rows = field(default_factory=Rows)
    costs: Rows = field(default_factory=Rows)

    def stands(self, name: str, kind: str, years: float, price: int, **more: Any) -> UUID:
        """Write a piece of equipment that has been in use for some years."""
        since = self.scope.today - timedelta(days=int(years * 365.25))
        values: dict[str, Any] = {
            "level": Level.EQUIPMENT,
            "state": EquipmentState.IN_USE,
            **dict.fromkeys(
                ("parent_id", "building_id", "floor", "place", "maker", "model", "serial",
                 "registration", "supplier", "contractor_id", "device_id", "run_hours")
            ),
            "post": "工程主管",
            "purchased_on": since - timedelta(days=90),
            "commissioned_on": since,
            "warranty_until_on": since + timedelta(days=730),
        }  # fmt: skip
        values |= {"name": name, "kind_id": self.kinds[kind], "price": Decimal(price), **more}
        made = self.equipment.add(number=new_number(), code=new_code(), **values)
        self._broke_down(made, kind, years, values["building_id"])
        return made

    def _broke_down(self, equipment: UUID, kind: str, years: float, building: Any) -> None:
        """Write breakdowns that come faster as the equipment ages, and what they cost."""
        number = 0
        while kind in FAULTS:
            number += 1
            age = 2.1 * number ** (1 / 1.8) * self.chance.uniform(0.9, 1.1)
            if age >= years or number > 12:
                return
            words, hours, cost = self.chance.choice(FAULTS[kind])
            at = self.scope.now - timedelta(days=(years - age) * 365.25)
            fixed = at + timedelta(hours=hours * self.chance.uniform(0.6, 1.5))
            self._fault(equipment, building, words, at, fixed)
            amount = Decimal(int(cost * self.chance.uniform(0.8, 1.3)))
            self.costs.add(
                equipment_id=equipment,
                kind=CostKind.REPAIR,
                amount=amount,
                spent_on=fixed.date(),
                note=words,
            )

    def _fault(
        self, equipment: UUID, building: Any, words: str, at: datetime, fixed: datetime
    ) -> None:
        self.faults.add(
            id=uuid7(at),
            equipment_id=equipment,
            building_id=building,
            text=words,
            source=FaultSource.STAFF,
            urgency=Urgency.NORMAL,
            is_breakdown=True,
            state=FaultState.CHECKED,
            raised_at=at,
            due_on=(at + timedelta(days=3)).date(),
            fixed_at=fixed,
            checked_at=fixed + timedelta(hours=20),
            score=self.chance.choice((5, 5, 4)),
            key=f"demo {uuid7()}",
        )


def load(scope: Scope, chance: Random) -> None:
    """Write equipment, its story, plans, rounds, alarms and parts."""
    ledger.add_kinds(scope)
    kinds = {k.name: k.id for k in scope.session.scalars(select(EquipmentKind))}
    if "乘客电梯" not in kinds:
        return
    story = Story(scope, chance, kinds)
    buildings = scope.session.scalars(select(Building).order_by(Building.sort_key)).all()
    devices = _devices(scope)
    lifts_by, fire_by = _contractors(scope)
    _lifts(story, buildings[:LIFTS], lifts_by)
    _water(story, devices)
    _fire(story, devices, fire_by)
    _rest(story, devices, buildings)
    insert_rows(scope, Equipment, story.equipment.columns)
    insert_rows(scope, Fault, story.faults.columns)
    insert_rows(scope, EquipmentCost, story.costs.columns)
    plan_work(scope, chance)


def _contractors(scope: Scope) -> tuple[UUID, UUID]:
    """Write who maintains lifts and fire protection; a qualification ends within the month."""
    lifts, fire = (
        Contractor(
            id=uuid7(), name=name, credit_code=code, contact=contact, phone=phone,
            contract_no=number, starts_on=scope.today - timedelta(days=365 - left),
            ends_on=scope.today + timedelta(days=left), licence=licence,
            licensed_until_on=scope.today + timedelta(days=licensed),
        )
        for name, code, contact, phone, number, left, licence, licensed in CONTRACTORS
    )  # fmt: skip
    scope.session.add_all([lifts, fire])
    scope.session.flush()
    return lifts.id, fire.id


def _devices(scope: Scope) -> dict[str, UUID]:
    gateway = Gateway(
        name="设备监控网关", transport=Transport.TCP, host=LOOPBACK, port=PORT, settle_s=Decimal(1)
    )
    scope.session.add(gateway)
    scope.session.flush()
    since = datetime.combine(scope.today, time(), scope.zone).timestamp()
    rows = [
        Device(
            gateway_id=gateway.id,
            name=name,
            driver="equipment_modbus",
            profile=profile,
            settings={"device_id": number + 1},
            poll_s=POLL_S,
            is_vital=profile == "fire_pump",
            simulation={
                "load_kw": 1.0 if values.get("is_running") or values.get("is_on") else 0.0,
                "start": start,
                "since": since,
                "values": {**values, **({"is_wet": False} if profile == "environment" else {})},
            },
        )
        for number, (name, profile, values, start) in enumerate(DEVICES)
    ]
    scope.session.add_all(rows)
    scope.session.flush()
    return {row.name: row.id for row in rows}


def _lifts(story: Story, buildings: Sequence[Building], lifts_by: UUID) -> None:
    system = story.stands("电梯系统", "其他设备", 9, 0, level=Level.SYSTEM)
    for number, building in enumerate(buildings):
        lift = story.stands(
            f"{building.name} 1 号客梯",
            "乘客电梯",
            4.9 + number * 1.7,
            218_000,
            parent_id=system,
            building_id=building.id,
            place="1 单元电梯厅",
            maker="江南电梯有限公司",
            model="TKJ 1000/1.75",
            serial=f"JN{2015 + number}{number:04}",
            registration=f"梯11江州({15 + number}){3107 + number:05}",
            contractor_id=lifts_by,
            supplier="江南电梯有限公司",
        )
        parts = {"parent_id": lift, "level": Level.COMPONENT, "building_id": building.id}
        story.stands(f"{building.name} 1 号客梯曳引机", "其他设备", 4.9, 36_000, **parts)


def _water(story: Story, devices: dict[str, UUID]) -> None:
    here = {"place": "地下一层水泵房", "floor": -1, "supplier": "江州泵业有限公司"}
    system = story.stands(
        "二次供水系统", "其他设备", 9, 0, level=Level.SYSTEM, place="地下一层水泵房"
    )
    here["parent_id"] = system
    for number in (1, 2, 3):
        name = f"{number}# 生活给水泵"
        story.stands(
            name, "生活给水泵", 8.4 - number, 28_600, maker="江州泵业", model="CDL32-60",
            device_id=devices.get(name), run_hours=Decimal(8600 + 260 * number), **here,
        )  # fmt: skip
    story.stands(
        "气压罐", "压力容器（气压罐）", 6.2, 19_800, registration="容15江州(20)00418", **here
    )
    story.stands("生活给水倒流防止器", "倒流防止器", 5.1, 4_200, model="HS41X DN150", **here)
    story.stands(
        "水泵房环境传感器", "环境传感器", 1.4, 1_280, device_id=devices["水泵房环境传感器"],
        warranty_until_on=story.scope.today + timedelta(days=21), **here
    )  # fmt: skip
    story.stands("1# 排污泵", "排污泵", 6.6, 6_400, model="50WQ15-20", **here)


def _fire(story: Story, devices: dict[str, UUID], fire_by: UUID) -> None:
    here: dict[str, Any] = {"place": "地下一层消防泵房", "floor": -1, "maker": "江州消防设备厂"}
    here["contractor_id"] = fire_by
    here["parent_id"] = story.stands(
        "消防系统", "其他设备", 9, 0, level=Level.SYSTEM, place="消防控制室"
    )
    for number in (1, 2):
        name = f"{number}# 消防水泵"
        story.stands(
            name, "消防水泵", 9, 46_000, model="XBD8.5/40", device_id=devices.get(name),
            state=EquipmentState.IN_USE if number == 1 else EquipmentState.STANDBY, **here,
        )  # fmt: skip
    here |= {"place": "消防控制室", "floor": 1}
    story.stands("火灾自动报警主机", "火灾自动报警系统", 9, 128_000, model="JB-QB-5000", **here)


def _rest(story: Story, devices: dict[str, UUID], buildings: Sequence[Building]) -> None:
    story.stands(
        "地下车库排风机", "风机", 9, 13_500, place="地下车库 B 区", floor=-1, maker="江州风机厂",
        model="HTFC-II-25", device_id=devices["地下车库排风机"],
    )  # fmt: skip
    story.stands(
        "小区景观照明", "公共照明", 4.2, 36_000, place="中心花园", maker="江州照明",
        device_id=devices["小区景观照明"],
    )  # fmt: skip
    story.stands(
        "3# 排污泵（新购）", "排污泵", 0, 6_900, place="备品库", model="50WQ20-22",
        state=EquipmentState.PLANNED, purchased_on=story.scope.today - timedelta(days=12),
        commissioned_on=None, warranty_until_on=story.scope.today + timedelta(days=353),
    )  # fmt: skip
    story.stands("1# 配电柜", "配电柜", 9, 78_000, place="变配电室", model="GGD", floor=-1)
    for building in buildings[:LIFTS]:
        story.stands(
            f"{building.name} 防雷装置", "防雷装置", 9, 9_000, building_id=building.id, place="屋面"
        )
