"""The demonstration's votes (one open, one counted) and public revenue of a few months."""

from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import func, select

from dougong.db import Scope, insert_rows
from dougong.tenancy.models import Building, CommunityKind, Room
from dougong_participation.models import (
    FundAccount,
    FundApplication,
    PublicRevenue,
    RevenueKind,
    Vote,
    VoteState,
)
from dougong_participation.services.fund import (
    answer_fund,
    paid_by_fund,
    share_out_fund,
    submit_fund,
)
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


# Yuan per square metre that buyers paid in, as cities publish for buildings with lifts.
RATE, FEN = Decimal("84.00"), Decimal("0.01")


def load(scope: Scope) -> None:
    """Write them; a community with unknown areas gets no open vote, and a campus no fund."""
    unknown = select(func.count()).where(func.coalesce(Room.built_area, 0) == 0)
    if scope.session.scalar(unknown.select_from(Room)) == 0:
        vote = Vote(
            title="是否使用维修资金更换 2 号楼电梯",
            text="2 号楼电梯运行已满 15 年，检验机构建议更换。\n预算 38 万元，从维修资金列支。",
            closes_on=scope.today + timedelta(days=12),
        )
        scope.session.add(vote)
        scope.session.flush()
        open_vote(scope, vote)
    else:
        vote = None
    if CommunityKind(scope.place.kind) is CommunityKind.ESTATE:
        first = scope.session.scalars(select(Building).order_by(Building.sort_key).limit(1)).first()
        _fund(scope, first, vote)
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


def _accounts(scope: Scope) -> None:
    """Mirror the fund's accounts of the rooms whose area is known."""
    rooms = scope.session.execute(
        select(Room.id, Room.built_area)
        .where(Room.room_kind.in_(("flat", "shop")), Room.built_area > 0)
        .order_by(Room.sort_key)
    ).all()
    paid_in = [(area * RATE).quantize(FEN) for _, area in rooms]
    interest = [(each * Decimal("0.031")).quantize(FEN) for each in paid_in]
    insert_rows(
        scope,
        FundAccount,
        {
            "room_id": [room for room, _ in rooms],
            "paid_in": paid_in,
            "interest": interest,
            "used": [Decimal(0)] * len(rooms),
            "balance": [a + b for a, b in zip(paid_in, interest, strict=True)],
            "as_of_on": [scope.today.replace(day=1)] * len(rooms),
            "source": ["市维修资金管理中心分户账导出（演示）"] * len(rooms),
        },
    )


def _fund(scope: Scope, building: Building | None, vote: Vote | None) -> None:
    """Mirror the fund; one work was paid by it in part, one waits for the owners' vote."""
    _accounts(scope)
    if building is None:
        return
    roof = FundApplication(
        title="1 号楼屋面防水翻修",
        text="屋面防水层老化，顶层 6 户渗漏。拆除旧防水层，重做 SBS 卷材两道，质保五年。",
        building_id=building.id,
        budget=Decimal("96800.00"),
        contractor="江州恒固防水工程有限公司",
        is_urgent=True,
        emergency="屋面渗漏危及顶层电气线路，房屋安全鉴定机构 2026-06 出具意见",
        disclosed_at=scope.now - timedelta(days=96),
    )
    lift = FundApplication(
        title="2 号楼电梯更新",
        text="更换曳引机、控制柜与轿门系统，保留导轨；工期 25 天。",
        budget=Decimal("380000.00"),
        vote_id=vote.id if vote else None,
    )
    scope.session.add_all([roof, lift])
    scope.session.flush()
    share_out_fund(scope, roof)
    submit_fund(scope, roof, "区房屋管理局维修资金科")
    answer_fund(scope, roof, "同意应急使用，按审核造价拨付", Decimal("92350.00"))
    paid_by_fund(scope, roof, Decimal("64645.00"))
    roof.submitted_on = scope.today - timedelta(days=110)


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
