"""The demonstration's counter: a shift that lacked a slip, and the drawer of last evening."""

import secrets
from datetime import datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from sqlalchemy import select

from dougong.db import Scope, uuid7
from dougong.tenancy.models import CommunityKind, Ownership, Person, Room
from dougong_desk.domain import ReleaseState, ShiftState, counted
from dougong_desk.models import ReleasePass, Shift
from dougong_desk.services.shifts import NOBODY

RELEASES = (
    (ReleaseState.LEFT, 5, ("双门冰箱 1 台", "实木餐桌 1 张", "餐椅 6 把"), "沪A58K21",
     {"decided_name": "客服中心 周敏", "gate_note": "核对无误"}),
    (ReleaseState.LEFT, 2, ("钢琴 1 架",), "苏E6M720",
     {"decided_name": "客服中心 周敏", "owner_word": "业主电话同意，已回拨登记号码核实"}),
    (ReleaseState.ISSUED, 0, ("三人沙发 1 组", "纸箱 14 个"), "沪D39X08", {}),
    (ReleaseState.REQUESTED, 0, ("洗衣机 1 台", "床垫 2 张"), None, {"owner_word": None}),
    (ReleaseState.REVOKED, 1, ("办公电脑 4 台",), None,
     {"decided_name": "客服中心 周敏", "reason": "搬家改期，重新申请"}),
)  # fmt: skip
PIECES = {"100": 6, "50": 3, "20": 2, "10": 4, "5": 3, "1": 12, "0.5": 4, "0.1": 5}


def load(scope: Scope, chance: Random) -> None:
    """Leave two shifts: one signed off without a slip, one with a drawer five jiao short."""
    if CommunityKind(scope.place.kind) is not CommunityKind.ESTATE:
        return
    if scope.session.scalars(select(Shift.id).limit(1)).first() is not None:
        return
    scope.session.add_all([_without_a_slip(scope), _last_evening(scope)])
    scope.session.flush()
    _releases(scope)


def _releases(scope: Scope) -> None:
    """Leave passes of each kind: gone, valid today, waiting for the owner's word, revoked."""
    rooms = scope.session.execute(
        select(Ownership.room_id, Person.id, Person.name)
        .join(Person, Person.id == Ownership.person_id)
        .join(Room, Room.id == Ownership.room_id)
        .where(Ownership.to_on.is_(None), Room.state == "occupied")
        .order_by(Room.sort_key, Ownership.id)
        .offset(9)
        .limit(len(RELEASES))
    ).all()
    for number, (row, about) in enumerate(zip(rooms, RELEASES, strict=False), 1):
        state, days_ago, items, plate, values = about
        day = scope.today - timedelta(days=days_ago)
        left = datetime.combine(day, time(10, 12), scope.zone)
        gone = {"left_at": left, "guard_name": "东门岗 老钱"}
        scope.session.add(
            ReleasePass(
                number=number,
                room_id=row.room_id,
                person_id=row.id if "owner_word" not in values else None,
                items="\n".join(items),
                bearer=row.name,
                plate=plate,
                from_on=day,
                until_on=day + timedelta(days=2),
                state=state,
                code=secrets.token_urlsafe(12),
                asked_name=row.name,
                **values,
                **(gone if state is ReleaseState.LEFT else {}),
            )
        )
    scope.session.flush()


def _shift(scope: Scope, days_ago: int, name: str, **values: Any) -> Shift:
    day = scope.today - timedelta(days=days_ago)
    return Shift(
        id=uuid7(datetime.combine(day, time(8, 30), scope.zone)),
        cashier_id=uuid7(),
        cashier_name=name,
        opened_at=datetime.combine(day, time(8, 30), scope.zone),
        closed_at=datetime.combine(day, time(17, 40), scope.zone),
        opening_float=Decimal("300.00"),
        after_entry_id=NOBODY,
        upto_entry_id=NOBODY,
        **values,
    )


def _without_a_slip(scope: Scope) -> Shift:
    total = counted(PIECES)
    return _shift(
        scope,
        2,
        "收费员小何",
        state=ShiftState.SIGNED_OFF,
        expected=total,
        counted=total,
        pieces=PIECES,
        pos_booked=Decimal("1560.00"),
        pos_slips=Decimal("1280.00"),
        pos_reason="一张 280.00 元签购单遗失，已调取收单机构流水核实到账",
        signed_by=uuid7(),
        signed_name="财务主管老周",
        takings=[
            {"channel": "cash", "count": 2, "taken": "320.00", "back": "0.00"},
            {"channel": "pos", "count": 5, "taken": "1560.00", "back": "0.00"},
        ],
    )


def _last_evening(scope: Scope) -> Shift:
    total = counted(PIECES)
    return _shift(
        scope,
        1,
        "收费员小吴",
        state=ShiftState.CLOSED,
        expected=total + Decimal("0.50"),
        counted=total,
        difference_reason="找零少收五角，当班赔付",
        pieces=PIECES,
        pos_booked=Decimal("1280.60"),
        pos_slips=Decimal("1280.60"),
        banked=Decimal("500.00"),
        bank_slip="ICBC-20261127-0031",
        takings=[
            {"channel": "cash", "count": 3, "taken": "560.00", "back": "0.00"},
            {"channel": "pos", "count": 4, "taken": "1280.60", "back": "0.00"},
        ],
    )
