"""The demonstration's dated rules: paid early, a year for eleven months, rooms left empty."""

from datetime import date
from decimal import Decimal

from sqlalchemy import select

from dougong.db import Scope
from dougong.errors import Conflict
from dougong.tenancy.models import Room
from dougong_fees import services
from dougong_fees.domain.periods import add_months
from dougong_fees.domain.states import BillState
from dougong_fees.models import Bill, Charge, FeeItem, FeeRule, RuleKind
from dougong_ledger.domain import PaymentChannel

SINCE = date(2026, 1, 1)
YEARS, EMPTY = 3, 2


def load(scope: Scope) -> None:
    """Give the property fee its rules; some owners pay a year ahead, some rooms are empty."""
    query = select(FeeItem).where(FeeItem.code == "property")
    item = scope.session.scalars(query).one_or_none()
    if item is None:
        return
    ahead = _rules(scope, item)
    following = add_months(scope.today.replace(day=1), 1)
    rooms = scope.session.scalars(
        select(Room)
        .join(Charge, Charge.room_id == Room.id)
        .where(Charge.fee_item_id == item.id)
        .order_by(Room.sort_key)
        .offset(20)
        .limit(YEARS + EMPTY)
    ).all()
    for room in rooms[:YEARS]:
        _pay_ahead(scope, room, ahead, following)
    for room in rooms[YEARS:]:
        proof = "连续六个月水、电表未走字，管家上门核实有照片"
        vacancy = services.declare_vacancy(scope, room.id, add_months(following, -6), proof)
        services.approve_vacancy(scope, vacancy)
    services.recognise_prepayments(scope)


def _rules(scope: Scope, item: FeeItem) -> FeeRule:
    about = {"fee_item_id": item.id, "from_on": SINCE}
    ahead = FeeRule(
        kind=RuleKind.PREPAID,
        pay_months=11,
        get_months=12,
        is_full_price_on_return=True,
        basis="物业服务合同第十条：一次预缴十一个月，享十二个月服务",
        **about,
    )
    early = FeeRule(
        kind=RuleKind.PROMPT,
        share=Decimal("0.02"),
        days_before=10,
        basis="物业服务合同第十条：早于截止日十天缴清，优惠百分之二",
        **about,
    )
    vacancy = FeeRule(
        kind=RuleKind.VACANCY,
        share=Decimal("0.3"),
        wait_months=6,
        most_months=24,
        basis="业主大会2025年第四次决议：空置满六个月的，按七成收取",
        **about,
    )
    scope.session.add_all([ahead, early, vacancy])
    scope.session.flush()
    return ahead


def _pay_ahead(scope: Scope, room: Room, rule: FeeRule, from_on: date) -> None:
    try:
        with scope.session.begin_nested():
            made = services.offer_prepayment(scope, room, rule, from_on)
    except Conflict:
        # An owner who moves in or out within the year pays month by month.
        return
    bill = scope.get(Bill, made.bill_id)
    if bill.state is BillState.OPEN:
        services.pay_bills(scope, bill, PaymentChannel.BANK_TRANSFER, f"demo-ahead-{bill.id}")
