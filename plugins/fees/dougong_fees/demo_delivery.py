"""The demonstration's batch of unsold rooms that are being delivered to their buyers."""

from datetime import timedelta

from sqlalchemy import select

from dougong.db import Scope
from dougong.tenancy.models import Room, RoomState
from dougong_fees import services
from dougong_fees.services.deliveries import Expected, rooms_of

BUYERS = (
    ("欧阳雪", "邱志远"),
    ("王伟",),
    ("仇英",),
    ("单雄", "单晓梅"),
    ("逄锦",),
    ("江州市翠湖教育咨询有限公司",),
)


def load(scope: Scope) -> None:
    """Plan a batch of some unsold rooms: one was refused for a leak, the others are expected."""
    query = select(Room.code).where(Room.state == RoomState.UNSOLD).order_by(Room.sort_key)
    codes = scope.session.scalars(query.limit(len(BUYERS))).all()
    if not codes:
        return
    expected = [
        Expected(code, names, f"1390000{number:04}")
        for number, (code, names) in enumerate(zip(codes, BUYERS, strict=False), 1)
    ]
    first, last = scope.today - timedelta(days=3), scope.today + timedelta(days=11)
    basis = "商品房买卖合同第十一条：逾期三十日未办理的，视为交付"
    batch = services.plan_delivery(
        scope, "尾盘集中交付", (first, last), expected, last + timedelta(days=30), basis
    )
    refused = rooms_of(scope, batch)[0]
    services.refuse_delivery(scope, refused, "主卫闭水试验渗漏；阳台推拉门轨道变形，开发商限期整改")
