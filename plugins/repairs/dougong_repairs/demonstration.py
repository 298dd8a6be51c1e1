"""The demonstration's technicians, places and three months of repairs, written in bulk."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import select

from dougong.db import Scope, insert_rows, uuid7
from dougong.tenancy.models import Building, Ownership, Room
from dougong_repairs import demonstration_costs
from dougong_repairs.domain.triage import judge
from dougong_repairs.models import (
    BuildingPosition,
    Technician,
    TechnicianSkill,
    WorkOrder,
    WorkOrderPart,
    WorkOrderStep,
)
from dougong_repairs.services import create_report_point
from dougong_repairs.services.judging import coded_verdict

DESK = "前台小李"
DAYS, A_DAY = 84, 2
OPEN_NOW = ("reported", "reported", "dispatched", "accepted", "in_progress", "paused", "done")
HOURS = {"emergency": (15, 4), "urgent": (30, 8), "normal": (120, 24), "low": (480, 72)}
TEXTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
PARTS = (("水龙头阀芯", 18), ("角阀", 25), ("漏电保护器", 86), ("门合页", 22), ("声控开关", 35))


@dataclass
class Rows:
    """Columns of the tables that are written at the end, a statement each."""

    orders: dict[str, list[Any]] = field(default_factory=dict)
    steps: dict[str, list[Any]] = field(default_factory=dict)
    parts: dict[str, list[Any]] = field(default_factory=dict)

    @staticmethod
    def add(columns: dict[str, list[Any]], values: dict[str, Any]) -> None:
        """Add a row to columns."""
        for name, value in values.items():
            columns.setdefault(name, []).append(value)


@dataclass(frozen=True)
class Ground:
    """Who lives where, and who repairs what."""

    people: Sequence[tuple[UUID, UUID, UUID]]
    able: dict[str, list[tuple[UUID, str]]]


def load(scope: Scope, chance: Random) -> None:
    """Write technicians, positions, codes and orders of the last three months."""
    buildings = scope.session.scalars(select(Building).order_by(Building.sort_key)).all()
    _positions(scope, buildings)
    ground = Ground(_people(scope, chance), _technicians(scope, buildings))
    if not ground.people:
        return
    rows = Rows()
    for days_ago in range(DAYS, 0, -1):
        for _ in range(A_DAY):
            _past(scope, chance, ground, rows, days_ago)
    _trapped(scope, ground, rows)
    for minutes, state in enumerate(OPEN_NOW):
        _present(scope, chance, ground, rows, state, 20 + minutes * 37)
    reasons = {text: coded_verdict(judge(text)) for text in set(rows.orders["text"])}
    rows.orders["triage_reason"] = [reasons[text] for text in rows.orders["text"]]
    insert_rows(scope, WorkOrder, rows.orders)
    insert_rows(scope, WorkOrderStep, rows.steps)
    insert_rows(scope, WorkOrderPart, rows.parts)
    demonstration_costs.load(scope)


def _positions(scope: Scope, buildings: Sequence[Building]) -> None:
    insert_rows(
        scope,
        BuildingPosition,
        {
            "building_id": [b.id for b in buildings],
            "east_m": [n % 4 * 90 for n in range(len(buildings))],
            "south_m": [n // 4 * 70 for n in range(len(buildings))],
        },
    )
    for building in buildings[:4]:
        create_report_point(scope, f"{building.name} 大堂", building.id)
    create_report_point(scope, "地下车库 A 区")


def _people(scope: Scope, chance: Random) -> list[tuple[UUID, UUID, UUID]]:
    rows = scope.session.execute(
        select(Room.id, Room.building_id, Ownership.person_id)
        .join(Ownership, Ownership.room_id == Room.id)
        .where(Ownership.to_on.is_(None), Room.state == "occupied")
        .order_by(Room.sort_key, Ownership.id)
        .limit(300)
    ).all()
    people = [(room, building, person) for room, building, person in rows]
    chance.shuffle(people)
    return people


def _technicians(scope: Scope, buildings: Sequence[Building]) -> dict[str, list[tuple[UUID, str]]]:
    made = TEXTS["technician"]
    ids = [uuid7() for _ in made]
    insert_rows(
        scope,
        Technician,
        {
            "id": ids,
            "name": [t["name"] for t in made],
            "is_on_shift": [t["is_on_shift"] for t in made],
            "last_building_id": [
                buildings[n % len(buildings)].id if buildings else None for n in range(len(made))
            ],
        },
    )
    skills = [(id, c, n) for id, t in zip(ids, made, strict=True) for c, n in t["skills"].items()]
    insert_rows(
        scope,
        TechnicianSkill,
        {
            "technician_id": [s[0] for s in skills],
            "category": [s[1] for s in skills],
            "level": [s[2] for s in skills],
        },
    )
    names = {id: t["name"] for id, t in zip(ids, made, strict=True)}
    able: dict[str, list[tuple[UUID, str]]] = {}
    for id, category, level in skills:
        able.setdefault(category, []).extend([(id, names[id])] * level)
    return able


def _order(ground: Ground, rows: Rows, kind: dict[str, Any], at: datetime) -> dict[str, Any]:
    number = len(rows.orders.get("number", ())) + 1
    room, building, person = ground.people[number * 7 % len(ground.people)]
    respond, resolve = HOURS[kind["urgency"]]
    is_public = kind["category"] in ("public_area", "elevator", "fire_safety")
    due, fixed = timedelta(minutes=respond), timedelta(hours=resolve)
    return {
        "id": uuid7(at),
        "number": number,
        "category": kind["category"],
        "urgency": kind["urgency"],
        "source": ("portal", "portal", "phone", "desk", "qr")[number % 5],
        "room_id": None if is_public else room,
        "building_id": building,
        "place": "公共区域" if is_public else None,
        "person_id": None if number % 5 == 4 else person,
        "reported_at": at,
        "respond_due_at": at + due,
        "respond_warn_at": at + due * 3 / 4,
        "resolve_due_at": at + fixed,
        "resolve_warn_at": at + fixed * 3 / 4,
        **dict.fromkeys(
            (
                "technician_id",
                "dispatched_at",
                "responded_at",
                "paused_at",
                "resolve_left_s",
                "warn_left_s",
                "pause_reason",
                "done_at",
                "closed_at",
                "solution",
                "rating",
                "rating_note",
                "dispatch_reason",
            )
        ),
        "triage_confidence": 82 + number % 17,
    }


def _step(
    rows: Rows, order: dict[str, Any], verb: str, at: datetime, by: str, *said: str | None
) -> None:
    states = {"report": "reported", "dispatch": "dispatched", "accept": "accepted"}
    states |= {"start": "in_progress", "finish": "done", "rate": "closed", "pause": "paused"}
    rows.add(
        rows.steps,
        {
            "id": uuid7(at),
            "work_order_id": order["id"],
            "verb": verb,
            "state": states[verb],
            "taken_at": at,
            "author": by,
            "note": said[0] if said else None,
        },
    )


def _past(scope: Scope, chance: Random, ground: Ground, rows: Rows, days_ago: int) -> None:
    """One repair that is over: faster in later weeks, as the trade's own figures were."""
    kind = chance.choice(TEXTS["report"])
    at = _at(scope, days_ago, 7 + chance.randrange(13), chance.randrange(60))
    order = _order(ground, rows, kind, at)
    limit = HOURS[kind["urgency"]][1]
    hours = limit * (0.15 + chance.random() * (0.5 + days_ago / DAYS * 0.7))
    technician, name = chance.choice(ground.able[kind["category"]])
    begun = at + timedelta(minutes=5 + chance.randrange(80))
    done = min(at + timedelta(hours=hours + 0.5), scope.now - timedelta(minutes=30))
    rating = chance.choices((5, 4, 3, 2, None), (46, 26, 10, 5, 13))[0]
    notes = [n["texts"] for n in TEXTS["note"] if n["rating"] == rating]
    order |= {
        "text": chance.choice(kind["texts"]),
        "state": "closed",
        "technician_id": technician,
        "dispatched_at": at + timedelta(minutes=3),
        "responded_at": min(begun, done),
        "done_at": done,
        "closed_at": done + timedelta(hours=3),
        "solution": chance.choice(kind["solutions"]),
        "rating": rating,
        "rating_note": chance.choice(notes[0]) if notes and chance.random() < 0.5 else None,
    }
    rows.add(rows.orders, order)
    _step(rows, order, "report", at, DESK if order["source"] in ("desk", "phone") else "业主")
    _step(rows, order, "dispatch", at + timedelta(minutes=3), "自动派单", name)
    _step(rows, order, "start", min(begun, done), name)
    _step(rows, order, "finish", done, name, order["solution"])
    if chance.random() < 0.4:
        part, price = chance.choice(PARTS)
        sold = {"work_order_id": order["id"], "name": part, "quantity": 1, "unit_price": price}
        rows.add(rows.parts, sold)


def _trapped(scope: Scope, ground: Ground, rows: Rows) -> None:
    """The night with people trapped in a lift."""
    at = _at(scope, 9, 23, 12)
    kind = {"category": "elevator", "urgency": "emergency"}
    order = _order(ground, rows, kind, at)
    technician, name = ground.able["elevator"][0]
    done = at + timedelta(minutes=24)
    order |= {
        "text": "3 栋 1 号电梯困人，里面有一位老人和一个孩子，按铃有应答",
        "state": "closed",
        "technician_id": technician,
        "dispatched_at": at + timedelta(minutes=1),
        "responded_at": at + timedelta(minutes=4),
        "done_at": done,
        "closed_at": done + timedelta(hours=9),
        "solution": "盘车放人，两人平安；轿门联锁触点烧蚀已更换，次日维保复检合格",
        "rating": 5,
        "rating_note": "二十分钟就出来了，一直有人在外面陪着说话",
    }
    rows.add(rows.orders, order)
    _step(rows, order, "report", at, DESK)
    _step(rows, order, "dispatch", at + timedelta(minutes=1), "自动派单", name)
    _step(rows, order, "start", at + timedelta(minutes=4), name)
    _step(rows, order, "finish", done, name, order["solution"])


def _present(
    scope: Scope, chance: Random, ground: Ground, rows: Rows, state: str, minutes: int
) -> None:
    """One repair that somebody is at."""
    kind = TEXTS["report"][minutes % len(TEXTS["report"])]
    at = scope.now - timedelta(minutes=minutes)
    order = _order(ground, rows, kind, at)
    technician, name = ground.able[kind["category"]][0]
    order |= {"text": kind["texts"][0], "state": state}
    _step(rows, order, "report", at, "业主")
    if state != "reported":
        order |= {"technician_id": technician, "dispatched_at": at + timedelta(minutes=4)}
        order["dispatch_reason"] = "skill=3;load=0;distance=90"
        _step(rows, order, "dispatch", at + timedelta(minutes=4), "自动派单", name)
    if state in ("accepted", "in_progress", "paused", "done"):
        order["responded_at"] = at + timedelta(minutes=9)
        _step(rows, order, "accept", at + timedelta(minutes=9), name)
    if state in ("in_progress", "paused", "done"):
        _step(rows, order, "start", at + timedelta(minutes=15), name)
    if state == "paused":
        order |= {"pause_reason": "no_parts", "paused_at": at + timedelta(minutes=18)}
        order |= {"resolve_left_s": 20_000, "warn_left_s": 14_000}
        _step(rows, order, "pause", at + timedelta(minutes=18), name, "等配件到货")
    if state == "done":
        order |= {"done_at": at + timedelta(minutes=19), "solution": kind["solutions"][0]}
        _step(rows, order, "finish", at + timedelta(minutes=19), name, kind["solutions"][0])
    rows.add(rows.orders, order)


def _at(scope: Scope, days_ago: int, hour: int, minute: int) -> datetime:
    day = scope.today - timedelta(days=days_ago)
    return datetime.combine(day, time(hour, minute), scope.zone)
