"""Facts reach systems outside: signed, again until they arrive, never where they must not go."""

import asyncio
import hashlib
import hmac
import json
import re
import threading
import time
from datetime import date, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import select, text, update

from dougong import webhooks
from dougong.db import uuid7
from dougong.db.scope import Actor
from dougong.errors import Invalid
from dougong.events import emit
from dougong.jobs.process import queue_app
from dougong.services import create
from dougong.testing.pytest_plugin import with_settings
from dougong.webhooks.addresses import check_url
from dougong.webhooks.delivery import MOST_ATTEMPTS, pause
from dougong.webhooks.models import WebhookDelivery, WebhookState, WebhookSubscription
from dougong_fees import services as fees
from dougong_fees.models import Bill, Charge, FeeItem, FeePrice
from dougong_ledger.domain import PaymentChannel
from dougong_meters.models import Meter

DAY = date(2026, 1, 1)
SECRET = "a secret of the receiver"


class Receiver(ThreadingHTTPServer):
    """A receiver on a real socket; it answers with the statuses that it is given, then 200."""

    daemon_threads = True

    def __init__(self):
        self.requests, self.answers, self.delay_s = [], [], 0.0
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook?from=dougong"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), body))
        time.sleep(self.server.delay_s)
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.server.url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def site(installation, monkeypatch):
    """Return the installation with loopback allowed to webhooks."""
    allowed = with_settings(installation.settings, webhook_networks=("127.0.0.0/8",))
    monkeypatch.setattr(installation, "settings", allowed)
    return installation


def subscribe(site, place, url, events="meters.*"):
    with site.scope(Actor.system("test"), community=place.community_id) as scope:
        return scope.call(
            "dougong.webhook_subscription.create",
            name="ERP",
            url=url,
            secret=SECRET,
            events=events,
        ).id


def state_fact(site, place, name="meters.reading_rejected", **ids):
    """State a fact in a transaction of its own; return its id."""
    with site.scope(Actor.system("test"), community=place.community_id) as scope:
        return emit(scope, name, **ids)


def deliveries(site, place):
    with site.scope(Actor.system("test"), community=place.community_id) as scope:
        return scope.session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)).all()


def make_due(site, place):
    with site.scope(Actor.system("test"), community=place.community_id) as scope:
        scope.session.execute(update(WebhookDelivery).values(due_at=scope.now - timedelta(1)))


def test_a_fact_arrives_signed_and_once(site, place, receiver):
    subscribe(site, place, receiver.url)
    meter_id = str(uuid7())
    fact_id = state_fact(site, place, meter_id=meter_id)
    assert webhooks.deliver(site, place.community_id) == 1
    assert webhooks.deliver(site, place.community_id) == 0
    [(path, headers, body)] = receiver.requests
    assert path == "/hook?from=dougong"
    said = json.loads(body)
    assert said["event"] == headers["Dougong-Event"] == "meters.reading_rejected"
    assert (said["id"], said["ids"]) == (str(fact_id), {"meter_id": meter_id})
    now = int(time.time())
    signature = headers["Dougong-Signature"]
    assert webhooks.is_signed(SECRET, body, signature, now)
    assert not webhooks.is_signed(SECRET, body + b" ", signature, now)
    assert not webhooks.is_signed("another", body, signature, now)
    assert not webhooks.is_signed(SECRET, body, signature, now + 301)


def test_the_worker_brings_facts_of_a_service_to_a_receiver(site, place, receiver):
    subscribe(site, place, receiver.url)
    with site.scope(Actor.system("test"), community=place.community_id) as scope:
        meter = create(scope, Meter, {"serial": "1", "commodity": "water", "installed_on": DAY})
        reading = scope.call("meters.reading.record", meter=meter.id, value=Decimal(1))
        scope.call("meters.reading.reject", reading=reading.id, reason="misread")
    work_off(site)
    [(_path, headers, body)] = receiver.requests
    assert headers["Dougong-Event"] == "meters.reading_rejected"
    assert json.loads(body)["ids"] == {"reading_id": str(reading.id), "meter_id": str(meter.id)}


def test_published_and_paid_bills_reach_a_receiver_that_checks_the_signature(site, place, receiver):
    subscribe(site, place, receiver.url, "fees.bill_published, fees.bill_paid")
    with site.scope(Actor.system("test"), community=place.community_id) as scope:
        item = create(scope, FeeItem, {"code": "p", "name": "物业费", "method": "fixed"})
        create(scope, FeePrice, {"fee_item_id": item.id, "from_on": DAY, "unit_price": 100})
        about = {"room_id": place.room_ids[0], "fee_item_id": item.id, "from_on": DAY}
        create(scope, Charge, about)
        run = fees.create_run(scope, "一月", DAY, date(2026, 2, 1), date(2026, 2, 20))
        fees.publish_run(scope, run)
        scope.session.expire_all()
        bill = scope.session.scalars(select(Bill).where(Bill.run_id == run.id)).one()
        payment = fees.pay_bills(scope, bill, PaymentChannel.CASH, "webhook-0001")
    work_off(site)
    told = {}
    for _path, headers, body in receiver.requests:
        # As a receiver in any language would: the page says how, nothing of ours is called.
        at, mac = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers["Dougong-Signature"]).groups()
        signed = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256)
        assert hmac.compare_digest(signed.hexdigest(), mac)
        assert abs(time.time() - int(at)) < 300
        told[headers["Dougong-Event"]] = json.loads(body)["ids"]
    assert len(receiver.requests) == 2
    assert told == {
        "fees.bill_published": {"run_id": str(run.id)},
        "fees.bill_paid": {"bill_id": str(bill.id), "payment_id": str(payment.id)},
    }


def work_off(site):
    """Run a real worker until nothing is left to do."""

    async def run():
        queue = queue_app(site)
        async with queue.open_async():
            await queue.run_worker_async(wait=False, install_signal_handlers=False)

    asyncio.run(run())


def test_a_fact_of_a_transaction_that_fails_is_not_told(site, place, receiver):
    subscribe(site, place, receiver.url)
    with (
        pytest.raises(ZeroDivisionError),
        site.scope(Actor.system("test"), community=place.community_id) as scope,
    ):
        emit(scope, "meters.reading_rejected")
        scope.session.flush()
        raise ZeroDivisionError
    assert deliveries(site, place) == []


def test_only_wanted_facts_are_sent(site, place, receiver):
    subscribe(site, place, receiver.url, "ledger.*, fees.bill_paid")
    state_fact(site, place)
    assert deliveries(site, place) == []
    state_fact(site, place, "fees.bill_paid")
    assert [d.event for d in deliveries(site, place)] == ["fees.bill_paid"]


def test_what_fails_is_tried_again_with_growing_pauses(site, place, receiver):
    subscribe(site, place, receiver.url)
    state_fact(site, place)
    receiver.answers = [500, 302]
    assert webhooks.deliver(site, place.community_id) == 0
    [first] = deliveries(site, place)
    assert (first.state, first.attempts, first.status) == (WebhookState.WAITING, 1, 500)
    assert webhooks.deliver(site, place.community_id) == 0
    assert len(receiver.requests) == 1
    make_due(site, place)
    assert webhooks.deliver(site, place.community_id) == 0
    [second] = deliveries(site, place)
    assert second.error == "HTTP 302"
    assert second.due_at > first.due_at
    make_due(site, place)
    assert webhooks.deliver(site, place.community_id) == 1
    assert len(receiver.requests) == 3
    pauses = [pause(n).total_seconds() for n in range(1, MOST_ATTEMPTS)]
    assert 9 <= pauses[0] <= 11
    assert max(pauses) <= 6 * 3600 * 1.1
    assert 24 * 3600 < sum(pauses) < 4 * 24 * 3600


def test_a_delivery_is_given_up_and_can_be_sent_again(site, place, receiver):
    subscribe(site, place, receiver.url)
    state_fact(site, place)
    with site.scope(Actor.system("test"), community=place.community_id) as scope:
        scope.session.execute(update(WebhookDelivery).values(attempts=MOST_ATTEMPTS - 1))
    receiver.answers = [503]
    webhooks.deliver(site, place.community_id)
    [given_up] = deliveries(site, place)
    assert given_up.state is WebhookState.FAILED
    with site.scope(Actor.system("test"), community=place.community_id) as scope:
        scope.call("dougong.webhook_delivery.retry", delivery=given_up.id)
    assert webhooks.deliver(site, place.community_id) == 1


def test_a_receiver_that_is_gone_is_switched_off(site, place, receiver):
    subscription_id = subscribe(site, place, receiver.url)
    state_fact(site, place)
    receiver.answers = [410]
    webhooks.deliver(site, place.community_id)
    with site.scope(Actor.system("test"), community=place.community_id) as scope:
        assert not scope.get(WebhookSubscription, subscription_id).is_active


def test_a_slow_receiver_costs_no_more_than_the_deadline(site, place, receiver, monkeypatch):
    monkeypatch.setattr("dougong.webhooks.sending.DEADLINE_S", 0.3)
    subscribe(site, place, receiver.url)
    state_fact(site, place)
    receiver.delay_s = 2
    started = time.monotonic()
    assert webhooks.deliver(site, place.community_id) == 0
    assert time.monotonic() - started < 1.5
    assert "no answer" in deliveries(site, place)[0].error


def test_a_private_address_is_never_called(installation, place, receiver, monkeypatch):
    """Also when a public-looking name leads there, and only the sending finds out."""
    subscription_id = None
    with installation.scope(Actor.system("test"), community=place.community_id) as scope:
        made = scope.call(
            "dougong.webhook_subscription.create",
            name="ERP",
            url=f"https://localhost:{receiver.server_port}/",
            secret=SECRET,
            events="*",
        )
        subscription_id = made.id
    state_fact(installation, place)
    assert webhooks.deliver(installation, place.community_id) == 0
    assert "not a public address" in deliveries(installation, place)[0].error
    assert receiver.requests == []
    assert subscription_id


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://10.0.0.8/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:192.168.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://0.0.0.0/",
        "https://100.64.0.1/",
        "https://user:password@example.org/",
        "http://example.org/",
        "ftp://example.org/",
        "https://",
        "https://exa mple.org/",
        "https://example.org:99999/",
        "javascript:alert(1)",
    ],
)
def test_an_address_that_leads_inside_is_refused(url):
    with pytest.raises(Invalid):
        check_url(url, ())


def test_a_public_address_and_an_allowed_network_are_accepted():
    check_url("https://example.org/hook?a=1", ())
    check_url("https://[2606:4700::1111]/", ())
    check_url("http://10.1.2.3:8080/hook", ("10.1.0.0/16",))
    with pytest.raises(Invalid):
        check_url("http://10.2.2.3:8080/hook", ("10.1.0.0/16",))


def test_the_secret_is_ciphertext_in_the_database(site, place, receiver):
    subscribe(site, place, receiver.url)
    with site.scope(Actor.system("test"), community=place.community_id) as scope:
        stored = scope.session.execute(text("select secret from dougong.webhook_subscription"))
        assert SECRET.encode() not in bytes(stored.scalar_one())


def test_wrong_subscriptions_name_their_fields(site, place):
    with (
        pytest.raises(Invalid) as caught,
        site.scope(Actor.system("test"), community=place.community_id) as scope,
    ):
        scope.call(
            "dougong.webhook_subscription.create",
            name="ERP",
            url="https://10.0.0.1/",
            secret="short",
            events="everything!",
        )
    assert set(caught.value.fields) == {"url", "secret", "events"}
