"""Inside WeChat: the app says who pays, the payment is prepared for him, the app's window pays."""

import html
import json
import re
from decimal import Decimal
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from sqlalchemy import select

from dougong.db import Actor
from dougong_ledger import services as ledger
from dougong_ledger.channels import ChannelRefused
from dougong_ledger.domain import AttemptState
from dougong_ledger.models import PaymentAttempt
from dougong_online_payment.gateways import WechatPay
from dougong_online_payment.models import MerchantAccount, Provider

WECHAT = "Mozilla/5.0 (Linux; Android 9) Chrome/66.0.3359.126 Mobile MicroMessenger/8.0.1"
SYSTEM = Actor.system("test")


@pytest.fixture
def inside(owner):
    owner.browser.environ_base["HTTP_USER_AGENT"] = WECHAT
    return owner


def address(page):
    return html.unescape(re.search(r'href="([^"]+)" data-go', page.text)[1])


def ask_who(inside, order_id):
    """Choose WeChat; return where the app sends the browser back to."""
    chosen = inside.pay(order_id, "wechat_pay", follow_redirects=True)
    told = httpx.get(address(chosen), trust_env=False)
    assert told.status_code == 302, told.text
    return urlsplit(told.headers["Location"])


def enter(inside, order_id):
    back = ask_who(inside, order_id)
    return inside.browser.get(f"{back.path}?{back.query}", follow_redirects=True)


def prepared(page):
    return json.loads(html.unescape(re.search(r'data-prepared="([^"]+)"', page.text)[1]))


def test_an_owner_pays_inside_wechat(stage, inside):
    order_id = stage.order()
    page = enter(inside, order_id)
    script = prepared(page)
    assert set(script) == {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}
    assert "wechat_bridge.js" in page.text and "data:image" not in page.text
    assert stage.wechat_pay.pay_in_app({**script, "timeStamp": "1"}).endswith(":fail")
    assert stage.wechat_pay.pay_in_app(script).endswith(":ok")
    watched = re.search(r'data-watch="([^"]+)"', page.text)[1]
    said = inside.browser.post(
        watched.removesuffix("/state"), headers={"X-CSRF-Token": token(page)}
    )
    assert said.status_code == 303 and inside.browser.get(watched).json == {"state": "paid"}
    with stage.scope() as scope:
        assert ledger.balance_of(scope, stage.place.person_ids[0]) == Decimal("12.34")
    done = inside.browser.get(said.location, follow_redirects=True)
    assert f"/pay/{order_id}/receipt" in done.text


def token(page):
    return re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]


def test_a_code_of_another_session_is_refused_and_a_used_one_is_said(stage, inside):
    order_id = stage.order()
    back = ask_who(inside, order_id)
    asked = {name: values[0] for name, values in parse_qs(back.query).items()}
    for state in ("", "0" * 32, asked["state"][:-1]):
        forged = urlencode({**asked, "state": state})
        assert inside.browser.get(f"{back.path}?{forged}").status_code == 403
    other = back.path.replace(str(order_id), str(stage.order(key="another-order")))
    assert inside.browser.get(f"{other}?{back.query}").status_code == 403
    assert stage.one(select(PaymentAttempt.id)) is None
    inside.browser.get(f"{back.path}?{back.query}")
    again = inside.browser.get(f"{back.path}?{back.query}")
    assert "40029" in again.text and "data-go" not in again.text


def test_only_the_apps_own_channel_is_offered_inside_it(stage, inside, owner):
    page = inside.browser.get(f"{inside.base}/pay/{stage.order()}").text
    assert "wechat_pay" in page and "alipay" not in page


def test_without_an_official_account_a_code_is_left(stage, inside):
    with stage.installation.scope(SYSTEM, group=stage.place.group_id, group_write=True) as scope:
        query = select(MerchantAccount).where(MerchantAccount.provider == Provider.WECHAT_PAY)
        scope.session.scalars(query).one().app_secret = None
    shown = inside.pay(stage.order(), "wechat_pay", follow_redirects=True)
    assert "data:image/svg" in shown.text and "⋯" in shown.text


def test_a_payer_whom_the_app_did_not_name_is_refused(stage, inside):
    order_id = stage.order()
    with stage.scope() as scope:
        start = ledger.Start(
            next(w for w in WechatPay.ways if w == "in_app"), "http://x/", payer="o1"
        )
        with pytest.raises(ChannelRefused):
            ledger.start_payment(scope, order_id, "wechat_pay", start)
    assert stage.one(select(PaymentAttempt.state)) is AttemptState.CLOSED
