"""The demonstration's votes (one open, one counted) and public revenue of a few months."""

from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import func, select

from dougong.db import Scope, insert_rows
from dougong.tenancy.models import Room
from dougong_participation.domain.voting import Matter
from dougong_participation.models import PublicRevenue, RevenueKind, Vote, VoteState
from dougong_participation.services.votes import open_vote

INCOME, EXPENSE = RevenueKind.INCOME, RevenueKind.EXPENSE
ENTRIES = (
    (20, INCOME, "电梯轿厢广告（三季度）", "18600.00"),
    (35, INCOME, "公共车位临停分成", "9240.50"),
    (41, EXPENSE, "更换 3 栋单元门闭门器", "1860.00"),
    (68, INCOME, "快递柜场地费", "6000.00"),
    (90, INCOME, "电梯轿厢广告（二季度）", "18600.00"),
    (118, EXPENSE, "儿童乐园地垫更新", "12480.00"),
)


def load(scope: Scope) -> None:
    """Write them; a community with unknown areas gets no open vote. Six statements."""
    unknown = select(func.count()).where(func.coalesce(Room.built_area, 0) == 0)
    if scope.session.scalar(unknown.select_from(Room)) == 0:
        vote = Vote(
            title="是否使用维修资金更换 2 号楼电梯",
            text="1 号电梯运行已满 15 年，检验机构建议更换。\n预算 38 万元，从维修资金列支。",
            matter=Matter.GRAVE,
            closes_on=scope.today + timedelta(days=12),
        )
        scope.session.add(vote)
        scope.session.flush()
        open_vote(scope, vote)
    ended = scope.today - timedelta(days=130)
    scope.session.add(
        Vote(
            title="是否同意公共收益用于儿童乐园地垫更新",
            text="地垫磨损翘边，拟更换为 EPDM 地垫，预算 1.3 万元。",
            is_secret=True,
            state=VoteState.CLOSED,
            opened_at=scope.now - timedelta(days=151),
            closes_on=ended,
            closed_at=scope.now - timedelta(days=129),
            result=_result(),
        )
    )
    scope.session.flush()
    insert_rows(
        scope,
        PublicRevenue,
        {
            "kind": [kind.value for _, kind, _, _ in ENTRIES],
            "title": [title for _, _, title, _ in ENTRIES],
            "amount": [Decimal(amount) for _, _, _, amount in ENTRIES],
            "booked_on": [_on(scope, days) for days, _, _, _ in ENTRIES],
            "disclosed_at": [scope.now - timedelta(days=days - 1) for days, _, _, _ in ENTRIES],
        },
    )


def _on(scope: Scope, days_ago: int) -> date:
    return scope.today - timedelta(days=days_ago)


def _result() -> dict:
    return {
        "total": {"area": "41236.80", "owners": 402},
        "joined": {"area": "30115.42", "owners": 288},
        "by": {
            "in_favour": {"area": "24806.17", "owners": 241},
            "against": {"area": "3980.25", "owners": 35},
            "abstain": {"area": "1329.00", "owners": 12},
        },
        "has_quorum": True,
        "is_passed": True,
    }
