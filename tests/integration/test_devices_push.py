"""Devices that push over HTTP: authenticated, kept once, answered after the commit."""

import hmac
import json
import time
from datetime import timedelta
from hashlib import sha256
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from dougong.db.scope import Actor
from dougong.devices import Transport
from dougong.devices.models import (
    Device,
    DeviceEvent,
    DeviceHealth,
    DevicePoint,
    DeviceValue,
    Gateway,
)
from dougong.devices.recording import one_writer
from dougong.devices.services import set_secrets
from dougong.web.app import create_app
from dougong_meters.models import Meter, Reading

SECRET = "a-secret-of-one-meter"


@pytest.fixture(scope="module")
def client(installation):
    return create_app(installation).test_client()


@pytest.fixture
def meter(installation, community):
    """Return the push name of a water meter on a narrow-band network."""
    name = f"nb-{uuid4().hex[:12]}"
    with installation.scope(Actor.system(), community=community) as scope:
        gateway = Gateway(name="operator", transport=Transport.HTTP_PUSH)
        scope.session.add(gateway)
        scope.session.flush()
        device = Device(gateway_id=gateway.id, name=name, driver="json_push",
                        profile="nb_water_meter", push_key=name)  # fmt: skip
        water = Meter(serial=name, commodity="water", installed_on=scope.today)
        scope.session.add_all([device, water])
        scope.session.flush()
        scope.session.add(
            DevicePoint(
                device_id=device.id,
                point="volume",
                subject_kind="meters.meter",
                subject_id=water.id,
            )
        )
        set_secrets(scope, device, "push_secret", SECRET)
    return name


def message(litres=12345, key="m1", at="2026-11-20T03:00:00+08:00", **values):
    return json.dumps({"id": key, "at": at, "values": {"litres": litres, **values}}).encode()


def signed(body, at=None, secret=SECRET):
    at = int(time.time()) if at is None else at
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, sha256).hexdigest()
    return f"t={at},v1={mac}"


def push(client, community, name, body, credential=SECRET):
    return client.post(
        f"/push/{community}/{name}", data=body, headers={"Authorization": f"Bearer {credential}"}
    )


def count(installation, community, model):
    with installation.scope(Actor.system(), community=community) as scope:
        return scope.session.scalar(select(func.count()).select_from(model))


def test_a_message_is_stored_and_answered(installation, client, community, meter):
    answer = push(client, community, meter, message(battery=3.6))
    assert (answer.status_code, answer.json) == (200, {"id": "m1", "accepted": True})
    with installation.scope(Actor.system(), community=community) as scope:
        values = {v.point: v.value for v in scope.session.scalars(select(DeviceValue))}
        reading = scope.session.scalars(select(Reading)).one()
        health = scope.session.scalars(select(DeviceHealth)).one()
    assert values == {"volume": "12.345", "battery": "3.6"}
    assert reading.read_at.isoformat() == "2026-11-19T19:00:00+00:00"
    assert health.is_ok


def test_the_same_message_is_answered_again_and_stored_once(installation, client, community, meter):
    for _ in range(3):
        assert push(client, community, meter, message()).json["accepted"]
    assert count(installation, community, DeviceEvent) == 1
    assert count(installation, community, Reading) == 1


def test_a_signature_stands_for_the_secret(client, community, meter):
    body = message()
    assert push(client, community, meter, body, signed(body)).status_code == 200


@pytest.mark.parametrize(
    "credential",
    [
        lambda body: "wrong",
        lambda body: "",
        lambda body: signed(body, secret="another device's secret"),
        lambda body: signed(body + b" "),
        lambda body: signed(body, at=int(time.time()) - 3600),
        lambda body: signed(body, at=int(time.time()) + 3600),
    ],
    ids=["wrong", "none", "foreign-secret", "other-body", "old", "from-the-future"],
)
def test_a_stranger_is_refused_and_nothing_is_stored(
    installation, client, community, meter, credential
):
    body = message()
    answer = push(client, community, meter, body, credential(body))
    assert answer.status_code == 403
    assert count(installation, community, DeviceEvent) == 0


def test_an_unknown_device_and_an_unknown_community_look_the_same(client, community, place, meter):
    answers = {
        push(client, where, name, message()).get_data(as_text=True).partition("trace")[0]
        for where, name in (
            (community, "nobody"),
            (place.other_community_id, meter),
            (uuid4(), meter),
        )
    }
    assert len(answers) == 1


def test_without_authorization_it_is_refused(client, community, meter):
    assert client.post(f"/push/{community}/{meter}", data=message()).status_code == 403


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"id": 1, "values": {}}', b'{"id": "a", "values": 3}', b"\xff\xfe",
     b'{"id": "a", "at": "2026-11-20T03:00:00", "values": {}}', b"[" * 5000],
    ids=["empty", "broken", "list", "no-id", "no-values", "no-text", "no-offset", "deep"],
)  # fmt: skip
def test_a_message_that_says_nothing_is_invalid(client, community, meter, body):
    assert push(client, community, meter, body).status_code == 422


def test_a_value_that_is_no_number_is_kept_as_bad(installation, client, community, meter):
    assert push(client, community, meter, message(litres="12")).status_code == 200
    with installation.scope(Actor.system(), community=community) as scope:
        value = scope.session.scalars(select(DeviceValue)).one()
    assert (value.value, value.quality) == (None, "bad_data")


def test_a_clock_ahead_is_uncertain_and_counts_for_no_bill(installation, client, community, meter):
    with installation.scope(Actor.system(), community=community) as scope:
        ahead = (scope.now + timedelta(days=2)).isoformat()
    push(client, community, meter, message(at=ahead))
    assert count(installation, community, Reading) == 0


def test_a_disabled_device_is_a_stranger(installation, client, community, meter):
    with installation.scope(Actor.system(), community=community) as scope:
        scope.session.scalars(select(Device)).one().is_enabled = False
    assert push(client, community, meter, message()).status_code == 403


def test_a_device_is_answered_within_two_seconds_even_when_its_message_cannot_be_stored_now(
    installation, client, community, meter
):
    """Somebody else writes for long: the device hears in time that it must try again."""
    with installation.scope(Actor.system(), community=community) as scope:
        one_writer(scope)
        began = time.monotonic()
        answer = push(client, community, meter, message())
        took = time.monotonic() - began
    assert answer.status_code == 503
    assert took < 2
    assert push(client, community, meter, message()).status_code == 200
    assert count(installation, community, Reading) == 1
