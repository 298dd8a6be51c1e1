"""Each morning the gateways' bills are compared with the books; what differs is dealt with."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text

from dougong.errors import Conflict, Invalid
from dougong_ledger import services as ledger
from dougong_ledger.channels import ChannelUnsure
from dougong_ledger.domain import CHANNEL_FEES, SUSPENSE, Reconciliation
from dougong_ledger.matching import DayState, ExceptionKind
from dougong_ledger.models import Payment, ReconciliationDay, ReconciliationException

BOTH = pytest.mark.parametrize("provider", ["wechat_pay", "alipay"])
CHINA = ZoneInfo("Asia/Shanghai")


def paid(stage, provider, key, amount="12.34", *, tells=True):
    gateway = stage.gateway(provider)
    attempt = stage.start(stage.order(amount, key), provider)
    gateway.pay(attempt.trade_no, tells=False)
    if tells:
        assert gateway.notify(attempt.trade_no)
    return attempt.trade_no


def a_day_passes(stage, gateway):
    """Move what happened today to yesterday, on both sides."""
    for trade in gateway.trades.values():
        if trade.paid_at:
            trade.paid_at -= 86_400
        for back in trade.refunds.values():
            back.at -= 86_400
    with stage.installation.databases.engine("migrator").begin() as connection:
        for statement in (
            "update ledger.payment set paid_at = paid_at - interval '1 day'",
            "update ledger.channel_return set done_at = done_at - interval '1 day'",
            "update ledger.payment_attempt set asked_at = asked_at - interval '1 day'",
        ):
            connection.execute(text("set local role dougong_owner"))
            connection.execute(
                text(f"{statement} where community_id = :c"), {"c": stage.place.community_id}
            )


def yesterday():
    return datetime.now(CHINA).date() - timedelta(days=1)


def fetch(stage, provider):
    with stage.scope() as scope:
        day = ledger.fetch_day(scope, provider, yesterday())
        found = scope.session.scalars(
            select(ReconciliationException).order_by(ReconciliationException.kind)
        ).all()
        return day, found


def payments(stage):
    with stage.scope() as scope:
        query = select(Payment.reconciliation).order_by(Payment.id)
        return scope.session.scalars(query).all()


@BOTH
def test_a_day_that_agrees_is_balanced_and_its_fees_are_booked_once(stage, provider):
    paid(stage, provider, "day-order-1")
    paid(stage, provider, "day-order-2", "100.00")
    with stage.scope() as scope:
        first = scope.session.scalars(select(Payment).order_by(Payment.id)).first()
        ledger.refund_payment(scope, first, Decimal("2.34"), "多交", "refund-day-1")
    with stage.scope() as scope:
        from dougong_ledger.models import ChannelReturn

        ledger.send_return(scope, scope.session.scalars(select(ChannelReturn)).one())
    a_day_passes(stage, stage.gateway(provider))
    for _ in range(2):
        day, found = fetch(stage, provider)
        assert (day.state, found) == (DayState.BALANCED, [])
    assert (day.their_amount, day.our_amount) == (Decimal("112.34"), Decimal("112.34"))
    assert (day.their_refunds, day.our_refunds) == (Decimal("2.34"), Decimal("2.34"))
    assert set(payments(stage)) == {Reconciliation.MATCHED}
    with stage.scope() as scope:
        trial = ledger.trial_balance(scope)
        assert trial.is_balanced and trial.balance(CHANNEL_FEES) == day.fees == Decimal("0.66")
        assert ledger.unreconciled(scope)[0] == 0


@BOTH
def test_what_is_missing_here_is_booked_after_the_gateway_confirms_it(stage, provider):
    paid(stage, provider, "lost-notice-1", tells=False)
    a_day_passes(stage, stage.gateway(provider))
    day, [found] = fetch(stage, provider)
    assert (day.state, found.kind) == (DayState.OPEN, ExceptionKind.MISSING_HERE)
    with stage.scope() as scope:
        scope.call("ledger.reconciliation_exception.book", reconciliation_exception=found.id)
        assert ledger.balance_of(scope, stage.place.person_ids[0]) == Decimal("12.34")
        assert scope.get(ReconciliationDay, day.id).state is DayState.BALANCED
    with pytest.raises(Conflict), stage.scope() as scope:
        scope.call("ledger.reconciliation_exception.book", reconciliation_exception=found.id)


def test_a_payment_whose_order_was_lost_goes_to_the_suspense_account(stage):
    from dataclasses import replace

    from dougong_ledger.domain import community_mark

    number = paid(stage, "wechat_pay", "before-restore", tells=False)
    trade = stage.wechat_pay.trades[number]
    lost = replace(trade, number=community_mark(stage.place.community_id) + "lost0000000")
    stage.wechat_pay.trades[lost.number] = lost
    stage.wechat_pay.bill_lacks.add(number)
    other = replace(trade, number="another0system000000")
    stage.wechat_pay.bill_adds.append(other)
    a_day_passes(stage, stage.wechat_pay)
    other.paid_at -= 86_400
    day, [found] = fetch(stage, "wechat_pay")
    assert (found.kind, found.attempt_id, day.their_count) == (ExceptionKind.MISSING_HERE, None, 1)
    with stage.scope() as scope:
        scope.call("ledger.reconciliation_exception.book", reconciliation_exception=found.id)
        assert ledger.trial_balance(scope).balance(SUSPENSE) == Decimal("12.34")


@BOTH
def test_what_is_missing_there_is_asked_about(stage, provider):
    number = paid(stage, provider, "midnight-0001")
    stage.gateway(provider).bill_lacks.add(number)
    a_day_passes(stage, stage.gateway(provider))
    _, [found] = fetch(stage, provider)
    assert found.kind is ExceptionKind.MISSING_THERE
    assert payments(stage) == [Reconciliation.DIFFERS]
    with stage.scope() as scope:
        scope.call("ledger.reconciliation_exception.ask", reconciliation_exception=found.id)
    assert payments(stage) == [Reconciliation.MATCHED]


def test_another_amount_blocks_refunds_until_somebody_says_why(stage):
    number = paid(stage, "alipay", "differs-0001")
    stage.alipay.bill_alters[number] = 1
    a_day_passes(stage, stage.alipay)
    _, [found] = fetch(stage, "alipay")
    assert (found.kind, found.their_amount) == (ExceptionKind.AMOUNT_DIFFERS, Decimal("0.01"))
    with pytest.raises(Conflict, match="another amount"), stage.scope() as scope:
        payment = scope.session.scalars(select(Payment)).one()
        ledger.refund_payment(scope, payment, Decimal("1.00"), "退", "refund-blocked")
    with pytest.raises(Invalid), stage.scope() as scope:
        scope.call(
            "ledger.reconciliation_exception.close", reconciliation_exception=found.id, note=" "
        )
    with stage.scope() as scope:
        scope.call(
            "ledger.reconciliation_exception.close",
            reconciliation_exception=found.id,
            note="渠道确认为账单错误",
        )
    assert payments(stage) == [Reconciliation.MATCHED]
    with stage.installation.platform() as session:
        told = session.execute(
            text("select count(*) from dougong.audit_event where verb = :v and chain_id = :c"),
            {"v": "ledger.reconciliation_exception.close", "c": stage.place.community_id},
        ).scalar()
    assert told >= 1


def test_a_bill_that_was_changed_on_the_way_is_not_believed(stage, monkeypatch):
    paid(stage, "wechat_pay", "tampered-0001")
    a_day_passes(stage, stage.wechat_pay)
    honest = stage.wechat_pay.bill

    def dishonest():
        answer = honest()
        token = next(reversed(stage.wechat_pay.bills))
        stage.wechat_pay.bills[token] = stage.wechat_pay.bills[token].replace(b"12.34", b"99.99")
        return answer

    stage.wechat_pay.app.view_functions["bill"] = dishonest
    try:
        with pytest.raises(ChannelUnsure, match="not the one"):
            fetch(stage, "wechat_pay")
    finally:
        stage.wechat_pay.app.view_functions["bill"] = honest


def test_the_schedule_fetches_what_is_missing_and_a_day_without_trade_is_balanced(stage):
    with stage.scope() as scope:
        assert ledger.fetch_all(scope) == 14
    with stage.scope() as scope:
        assert ledger.fetch_all(scope) == 0
        states = set(scope.session.scalars(select(ReconciliationDay.state)))
        assert states == {DayState.BALANCED}
    with pytest.raises(Invalid), stage.scope() as scope:
        ledger.fetch_day(scope, "alipay", date(2999, 1, 1))
