"""Owners pay through both channels; notices come twice, late, forged, wrong; money moves once."""

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx
import pytest
from sqlalchemy import func, select

from dougong.db import Actor
from dougong.errors import NotAllowed
from dougong.testing.gateways import new_key, public_pem
from dougong.testing.gateways.trades import private_pem, signature
from dougong_ledger import services as ledger
from dougong_ledger.channels import ChannelRefused, ChannelUnsure
from dougong_ledger.domain import SUSPENSE, AttemptState, ReturnState, SurplusState
from dougong_ledger.models import (
    ChannelNotice,
    ChannelReturn,
    Payment,
    PaymentAttempt,
    SurplusPayment,
)
from dougong_online_payment import health, services
from dougong_online_payment.models import MerchantAccount

SYSTEM = Actor.system("test")
BOTH = pytest.mark.parametrize("provider", ["wechat_pay", "alipay"])
YUAN = Decimal("12.34")


def state_of(stage, attempt):
    return stage.one(select(PaymentAttempt.state).where(PaymentAttempt.id == attempt.id))


def wallet(stage, person=0):
    with stage.scope() as scope:
        return ledger.balance_of(scope, stage.place.person_ids[person])


def is_balanced(stage):
    with stage.scope() as scope:
        return ledger.trial_balance(scope).is_balanced


@BOTH
@pytest.mark.parametrize("way", ["qr", "phone"])
def test_an_owner_pays_once_whatever_is_told_how_often(stage, provider, way):
    gateway = stage.gateway(provider)
    attempt = stage.start(stage.order(), provider, way)
    shown = attempt.prepared["qr"] or attempt.prepared["url"]
    assert attempt.state is AttemptState.WAITING and shown.startswith("http")
    if way == "phone":
        httpx.get(shown, follow_redirects=True, trust_env=False).raise_for_status()
    gateway.pay(attempt.trade_no, tells=False)
    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(lambda _: gateway.notify(attempt.trade_no), range(6)))
    assert wallet(stage) == YUAN and is_balanced(stage)
    assert stage.one(select(func.count()).select_from(Payment)) == 1
    assert stage.one(select(Payment.provider)) == provider


@BOTH
def test_the_payers_page_pays_and_tells(stage, provider):
    gateway = stage.gateway(provider)
    attempt = stage.start(stage.order(), provider)
    page = httpx.get(attempt.prepared["qr"], trust_env=False)
    assert "12.34" in page.text
    httpx.post(attempt.prepared["qr"], trust_env=False).raise_for_status()
    until = time.monotonic() + 30
    while wallet(stage) != YUAN and time.monotonic() < until:
        time.sleep(0.05)
    assert wallet(stage) == YUAN and gateway.trades[attempt.trade_no].state == "paid"


@BOTH
def test_the_same_bytes_again_are_acknowledged_and_do_nothing(stage, provider):
    gateway = stage.gateway(provider)
    attempt = stage.start(stage.order(), provider)
    trade = gateway.pay(attempt.trade_no, tells=False)
    headers, body = gateway.notice(trade)
    assert [gateway.post(trade.notify_url, headers, body) for _ in range(3)] == [True] * 3
    assert stage.one(select(func.count()).select_from(ChannelNotice)) == 1
    assert wallet(stage) == YUAN


def refused(stage, gateway, trade, headers, body):
    before = stage.one(select(func.count()).select_from(ChannelNotice))
    taken = gateway.post(trade.notify_url, headers, body)
    after = stage.one(select(func.count()).select_from(ChannelNotice))
    return not taken and before == after == 0 and wallet(stage) == 0


@BOTH
def test_a_changed_notice_is_refused(stage, provider):
    gateway = stage.gateway(provider)
    attempt = stage.start(stage.order(), provider)
    trade = gateway.pay(attempt.trade_no, tells=False)
    headers, body = gateway.notice(trade)
    assert refused(stage, gateway, trade, headers, body[:-3] + bytes([body[-3] ^ 1]) + body[-2:])
    assert refused(stage, gateway, trade, headers, b"")
    assert refused(stage, gateway, trade, {}, body) or provider == "alipay"


def test_an_old_notice_another_key_and_another_merchants_notice_are_refused(stage, keys):
    gateway = stage.wechat_pay
    attempt = stage.start(stage.order())
    trade = gateway.pay(attempt.trade_no, tells=False)
    headers, body = gateway.notice(trade)
    old = str(int(time.time()) - 301)
    message = b"%b\n%b\n%b\n" % (old.encode(), headers["Wechatpay-Nonce"].encode(), body)
    late = {**headers, "Wechatpay-Timestamp": old, "Wechatpay-Signature": signature(gateway.key,
            message)}  # fmt: skip
    assert refused(stage, gateway, trade, late, body)
    assert refused(stage, gateway, trade, {**headers, "Wechatpay-Serial": "PUB_KEY_ID_x"}, body)
    at, nonce = headers["Wechatpay-Timestamp"].encode(), headers["Wechatpay-Nonce"].encode()
    message = b"%b\n%b\n%b\n" % (at, nonce, body)
    forged = {**headers, "Wechatpay-Signature": signature(keys["merchant"], message)}
    assert refused(stage, gateway, trade, forged, body)


WRONG = {
    "wechat_pay": {
        "amount": {"amount": {"total": 1, "currency": "CNY"}},
        "merchant": {"mchid": "1999999999"},
        "currency": {"amount": {"total": 1234, "currency": "USD"}},
    },
    "alipay": {
        "amount": {"total_amount": "0.01"},
        "merchant": {"seller_id": "2088999999999999"},
        "currency": {"trans_currency": "USD"},
    },
}


@BOTH
@pytest.mark.parametrize("what", ["amount", "currency", "merchant"])
def test_a_genuine_notice_about_something_else_blocks_and_books_nothing(stage, provider, what):
    gateway = stage.gateway(provider)
    attempt = stage.start(stage.order(), provider)
    trade = gateway.pay(attempt.trade_no, tells=False)
    told = WRONG[provider][what]
    told = {**gateway.told(trade), **told} if provider == "wechat_pay" else told
    headers, body = gateway.notice(trade, told)
    assert gateway.post(trade.notify_url, headers, body)
    assert (state_of(stage, attempt), wallet(stage)) == (AttemptState.BLOCKED, 0)
    with stage.scope() as scope:
        ledger.ask_about(scope, attempt.id)
    assert (state_of(stage, attempt), wallet(stage)) == (AttemptState.PAID, YUAN)


@BOTH
def test_a_gateway_that_does_not_answer_leaves_unknown_and_asking_resolves_it(stage, provider):
    gateway = stage.gateway(provider)
    gateway.is_mute = True
    attempt = stage.start(stage.order(), provider)
    assert attempt.state is AttemptState.UNKNOWN and attempt.trade_no in gateway.trades
    gateway.is_mute = False
    gateway.pay(attempt.trade_no, tells=False)
    with stage.scope() as scope:
        ledger.ask_about(scope, attempt.id)
    assert (state_of(stage, attempt), wallet(stage)) == (AttemptState.PAID, YUAN)


@BOTH
def test_an_attempt_at_a_dead_order_is_closed_at_the_gateway(stage, provider):
    from dougong_ledger.models import PaymentOrder

    order_id = stage.order()
    attempt = stage.start(order_id, provider)
    with stage.scope() as scope:
        ledger.cancel_order(scope, scope.get(PaymentOrder, order_id))
    with stage.scope() as scope:
        ledger.ask_about(scope, attempt.id)
    assert stage.gateway(provider).trades[attempt.trade_no].state == "closed"
    assert state_of(stage, attempt) is AttemptState.CLOSED


def pay_twice(stage):
    """Pay one order through both channels; return the attempt that came second."""
    order_id = stage.order()
    first, second = (stage.start(order_id, p) for p in ("wechat_pay", "alipay"))
    for gateway, attempt in ((stage.wechat_pay, first), (stage.alipay, second)):
        gateway.pay(attempt.trade_no, tells=False)
        assert gateway.notify(attempt.trade_no)
    return second


def test_who_pays_twice_gets_it_back_when_two_people_agree(stage):
    second = pay_twice(stage)
    assert wallet(stage) == YUAN
    with stage.scope() as scope:
        surplus = scope.session.scalars(select(SurplusPayment)).one()
        assert (surplus.amount, surplus.provider) == (YUAN, "alipay")
        assert ledger.trial_balance(scope).balance(SUSPENSE) == YUAN
    clerk, manager = stage.place.actor("ledger.*"), stage.place.actor("ledger.*")
    with stage.scope(clerk) as scope:
        scope.call("ledger.surplus_payment.propose", surplus_payment=surplus.id, reason="重复支付")
    with pytest.raises(NotAllowed), stage.scope(clerk) as scope:
        scope.call("ledger.surplus_payment.approve", surplus_payment=surplus.id)
    with stage.scope(manager) as scope:
        scope.call("ledger.surplus_payment.approve", surplus_payment=surplus.id)
    send_returns(stage)
    send_returns(stage)
    trade = stage.alipay.trades[second.trade_no]
    assert (len(trade.refunds), trade.refunded_fen) == (1, 1234)
    with stage.scope() as scope:
        assert scope.session.scalars(select(SurplusPayment.state)).one() is SurplusState.REFUNDED
        trial = ledger.trial_balance(scope)
        assert (trial.balance(SUSPENSE), trial.balance("1012.alipay")) == (0, 0)
        assert trial.is_balanced and trial.balance("1012.wechat_pay") == YUAN


def send_returns(stage):
    with stage.scope() as scope:
        for back in scope.session.scalars(select(ChannelReturn)):
            ledger.send_return(scope, back)


@BOTH
def test_a_refund_goes_back_through_its_channel_once(stage, provider):
    gateway = stage.gateway(provider)
    attempt = stage.start(stage.order(), provider)
    gateway.pay(attempt.trade_no, tells=False)
    gateway.notify(attempt.trade_no)
    with stage.scope() as scope:
        payment = scope.session.scalars(select(Payment)).one()
        ledger.refund_payment(scope, payment, Decimal("2.34"), "多交", "refund-0001")
    gateway.is_mute = True
    send_returns(stage)
    assert stage.one(select(ChannelReturn.state)) is ReturnState.UNKNOWN
    gateway.is_mute = False
    send_returns(stage)
    assert stage.one(select(ChannelReturn.state)) is ReturnState.DONE
    assert gateway.trades[attempt.trade_no].refunded_fen == 234
    assert wallet(stage) == Decimal("10.00") and is_balanced(stage)


@BOTH
def test_the_connection_is_tested_and_errors_are_plain(stage, provider):
    place = {"group": stage.place.group_id, "group_write": True}
    query = select(MerchantAccount).where(MerchantAccount.provider == provider)
    with stage.installation.scope(SYSTEM, **place) as scope:
        account = scope.session.scalars(query).one()
        good = account.private_key, account.platform_key
        assert [f.is_well for f in health.checks(stage.installation)] == [True, False]
        services.test_connection(scope, account)
        assert account.tested_at is not None
        account.private_key = private_pem(new_key())
        scope.session.flush()
        with pytest.raises(ChannelRefused, match="refuses our signature"):
            services.test_connection(scope, account)
        account.private_key, account.platform_key = good[0], public_pem(new_key())
        scope.session.flush()
        with pytest.raises(ChannelUnsure, match="not signed with the gateway's key"):
            services.test_connection(scope, account)
        account.private_key, account.platform_key = "-----BEGIN PRIVATE KEY-----nonsense", good[1]
        scope.session.flush()
        with pytest.raises(ChannelRefused, match="cannot be read: this is no RSA key"):
            services.test_connection(scope, account)


def test_an_owner_pays_in_the_portal_and_comes_back_to_his_attempt(stage, owner):
    base, order_id = f"/c/{stage.place.community_id}/ledger", stage.order()
    shown = owner.pay(order_id, "alipay", follow_redirects=True)
    browser = owner.browser
    assert "data:image/svg" in shown.text and shown.status_code == 200
    number = stage.one(select(PaymentAttempt.trade_no))
    stage.alipay.pay(number, tells=False)
    back = browser.get(f"{base}/pay/{order_id}/returned", follow_redirects=True)
    assert f"{base}/pay/{order_id}/receipt" in back.text and wallet(stage) == YUAN
    assert browser.get(f"{base}/pay/{order_id}/receipt").data.startswith(b"%PDF")
    strange = stage.order(key="not-his-order", person=1)
    assert browser.get(f"{base}/pay/{strange}").status_code == 404
