"""A community whose legal entity has accounts at two played gateways; a product that listens."""

import re
from dataclasses import dataclass
from decimal import Decimal

import pytest

from dougong.db import Actor
from dougong.installation import Installation
from dougong.settings import Settings
from dougong.testing.gateways import (
    AlipayGateway,
    CampusCardGateway,
    Member,
    WechatPayGateway,
    new_key,
    public_pem,
    serving,
)
from dougong.testing.gateways.trades import private_pem
from dougong.testing.pytest_plugin import with_settings
from dougong.web.app import create_app
from dougong_ledger import services as ledger
from dougong_ledger.channels import Way
from dougong_online_payment.models import MerchantAccount, Provider

SYSTEM = Actor.system("test")
NOTICE_KEY = "0123456789abcdef0123456789abcdef"


@dataclass
class Stage:
    """Both gateways, the product that they notify, and the place where it happens."""

    installation: Installation
    wechat_pay: WechatPayGateway
    alipay: AlipayGateway
    campus_card: CampusCardGateway
    place: object

    def gateway(self, provider):
        return getattr(self, provider)

    def scope(self, actor=SYSTEM):
        return self.installation.scope(actor, community=self.place.community_id)

    def order(self, amount="12.34", key="order-0001", person=0):
        with self.scope() as scope:
            who = self.place.person_ids[person]
            item = ledger.OrderItem("ledger.wallet", who, "充值", Decimal(amount))
            return ledger.open_order(scope, "ledger", "充值", [item], key, who).id

    def start(self, order_id, provider="wechat_pay", way="qr"):
        from dougong_ledger.models import PaymentAttempt

        with self.scope() as scope:
            start = ledger.Start(Way(way), "http://127.0.0.1/back")
            attempt_id = ledger.start_payment(scope, order_id, provider, start)
            scope.session.expire_all()
            return scope.get(PaymentAttempt, attempt_id)

    def one(self, query):
        with self.scope() as scope:
            return scope.session.execute(query).scalar()


@pytest.fixture(scope="module")
def keys():
    return {name: new_key() for name in ("wechat_pay", "alipay", "campus_card", "merchant")}


@pytest.fixture(scope="module")
def gateways(keys):
    ours = public_pem(keys["merchant"])
    wechat_pay = WechatPayGateway(
        [Member("1600000001", "wxapp1", ours, "ABCDEF", NOTICE_KEY, "the-accounts-secret")],
        keys["wechat_pay"],
        pauses_s=(0.1, 0.2),
    )  # fmt: skip
    alipay = AlipayGateway(
        [Member("2088000000000001", "2026000000000001", ours)], keys["alipay"], pauses_s=(0.1, 0.2)
    )
    campus_card = CampusCardGateway(
        [Member("42010001", "card", ours)], keys["campus_card"], pauses_s=(0.1, 0.2)
    )
    return wechat_pay, alipay, campus_card


@pytest.fixture(scope="module")
def partners(gateways):
    from werkzeug.exceptions import NotFound
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    paths = ("/wechat_pay", "/alipay", "/campus_card")
    apps = {path: gateway.app for path, gateway in zip(paths, gateways, strict=True)}
    with serving(DispatcherMiddleware(NotFound(), apps)) as address:
        yield address


@pytest.fixture(scope="module")
def product(installation, settings: Settings, partners):
    """The product with a web server of its own, told where the played gateways are."""
    port = int(partners.rpartition(":")[2])
    waiting = {}

    def late(environ, start_response):
        return waiting["app"](environ, start_response)

    with serving(late) as address:
        own = Installation.open(with_settings(settings, trial_port=port, url=address))
        waiting["app"] = create_app(own)
        yield own
        own.close()


@pytest.fixture
def stage(product, gateways, partners, place, keys):
    with product.access() as session:
        from sqlalchemy import text

        entity_id = session.execute(
            text("select legal_entity_id from dougong.community where id = :id"),
            {"id": place.community_id},
        ).scalar()
    for gateway in gateways:
        gateway.is_mute = False
        gateway.bill_adds, gateway.bill_lacks, gateway.bill_alters = [], set(), {}
    with product.scope(SYSTEM, group=place.group_id, group_write=True) as scope:
        for provider, gateway in zip(Provider, gateways, strict=True):
            member = next(iter(gateway.members.values()))
            usual = "/gateway.do" if provider is Provider.ALIPAY else ""
            scope.session.add(
                MerchantAccount(
                    legal_entity_id=entity_id,
                    provider=provider,
                    number=member.number,
                    app_id=member.app_id,
                    serial=member.serial or None,
                    private_key=private_pem(keys["merchant"]),
                    notice_key=member.notice_key or None,
                    platform_key=public_pem(gateway.key),
                    platform_key_id=getattr(gateway, "key_id", None),
                    base_url=f"{partners}/{provider.value}{usual}",
                    app_secret=member.app_secret or None,
                    app_url=f"{partners}/{provider.value}",
                )
            )
    return Stage(product, *gateways, place)


@dataclass
class Owner:
    """The first person of the place, signed in."""

    browser: object
    base: str

    def pay(self, order_id, provider, **more):
        """Choose a channel on the page of an order."""
        page = self.browser.get(f"{self.base}/pay/{order_id}").get_data(as_text=True)
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
        sent = {"csrf_token": token, "provider": provider}
        return self.browser.post(f"{self.base}/pay/{order_id}", data=sent, **more)


@pytest.fixture
def owner(stage):
    from dougong.access.operations import create_user, link_person
    from dougong.db import uuid7
    from dougong.testing.people import sign_in

    app = create_app(stage.installation)
    with stage.installation.access() as session:
        user = create_user(session, f"o{uuid7().hex}", "owner")
        link_person(session, user.id, stage.place.community_id, stage.place.person_ids[0])
        actor = Actor(user.id, user.name)
    base = f"/c/{stage.place.community_id}/ledger"
    return Owner(sign_in(app, stage.installation, actor), base)
