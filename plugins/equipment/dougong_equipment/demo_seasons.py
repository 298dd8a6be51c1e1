"""The demonstration's rounds of the seasons: before the rains, and around the Spring Festival."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from dougong.db import Scope, uuid7
from dougong_equipment.domain.kinds import ItemKind, Trade
from dougong_equipment.models import (
    Checklist,
    ChecklistItem,
    InspectionPlan,
    InspectionPoint,
    InspectionRoute,
    RouteStop,
)

# The first day of the lunar year. Source: 紫金山天文台 calendar.
SPRING_FESTIVALS = tuple(
    date(year, month, day)
    for year, month, day in (
        (2026, 2, 17), (2027, 2, 6), (2028, 1, 26), (2029, 2, 13), (2030, 2, 3), (2031, 1, 23),
        (2032, 2, 11),
    )
)  # fmt: skip


@dataclass(frozen=True)
class Season:
    """A round of a season: its places, what is looked at, and when."""

    name: str
    trade: Trade
    places: tuple[str, ...]
    checks: tuple[str, ...]
    starts_at: datetime
    rule: str
    window_minutes: int = 480


def seasons(scope: Scope) -> list[Season]:
    """Return the rounds of the seasons to come."""
    rains = date(scope.today.year + (scope.today.month >= 6), 6, 1)
    feast = next((day for day in SPRING_FESTIVALS if day > scope.today), None)

    def at(day: date, hour: int) -> datetime:
        return datetime.combine(day, time(hour), scope.zone)

    found = [
        Season(
            "防汛专项检查（6—9 月，每周）",
            Trade.EQUIPMENT,
            ("屋面雨水口", "车库坡道挡水板", "集水井与排污泵", "变配电室挡水门槛", "防汛物资库"),
            ("排水畅通、无杂物", "水泵自动与手动启停正常", "沙袋、挡水板、潜水泵数量与台账一致"),
            at(rains, 8),
            "FREQ=WEEKLY;BYMONTH=6,7,8,9",
        )
    ]  # fmt: skip
    if feast is not None:
        before = Season(
            "春节前安全大检查",
            Trade.SECURITY,
            ("消防控制室", "高层疏散楼梯", "配电间与电缆井", "地下车库充电区", "烟花禁放告示点"),
            ("消防设施完好、通道无堆物", "用电负荷正常、无飞线充电", "值班表与应急电话已张贴"),
            at(feast - timedelta(days=10), 9),
            "FREQ=DAILY;COUNT=1",
        )
        during = Season(
            "春节值班巡查（每日两次）",
            Trade.SECURITY,
            ("东门岗", "1 栋大堂", "地下车库", "消防泵房"),
            ("无燃放、无堆积可燃物", "门岗与监控值守到位", "水电气无跑冒滴漏"),
            at(feast - timedelta(days=1), 10),
            "FREQ=DAILY;BYHOUR=10,21;COUNT=16",
            120,
        )
        found += [before, during]
    return found


def plan_seasons(scope: Scope) -> None:
    """Write route, points, checklist and plan of each round of a season."""
    for season in seasons(scope):
        checklist = Checklist(id=uuid7(), name=season.name)
        route = InspectionRoute(id=uuid7(), name=season.name, trade=season.trade)
        points = [
            InspectionPoint(
                id=uuid7(), name=place, checklist_id=checklist.id, stay_s=30, photo_percent=50
            )
            for place in season.places
        ]
        scope.session.add_all([checklist, route])
        scope.session.flush()
        scope.session.add_all(points)
        scope.session.add_all(
            ChecklistItem(
                checklist_id=checklist.id, position=number, title=title, kind=ItemKind.CHECK, uom=""
            )
            for number, title in enumerate(season.checks, 1)
        )
        scope.session.flush()
        scope.session.add_all(
            RouteStop(route_id=route.id, point_id=point.id, position=number)
            for number, point in enumerate(points, 1)
        )
        scope.session.add(
            InspectionPlan(
                route_id=route.id,
                rule=season.rule,
                starts_at=season.starts_at,
                window_minutes=season.window_minutes,
            )
        )
    scope.session.flush()
