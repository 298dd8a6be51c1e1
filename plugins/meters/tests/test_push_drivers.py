"""Meters that tell by themselves: what their messages say, and what is no message."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from dougong.devices import Quality, Transport
from dougong.testing.drivers import PushConformance, Pushed
from dougong_meters.drivers.cjt188_push import driver
from dougong_meters.drivers.json_push import driver as json_push

FRAME = "681001000005080000811690 1F00002301002C000000002C00000000000000000048 16".replace(" ", "")


def receive(payload, address="00000805000001", **more):
    codec = driver.open("water_valve_meter", {"address": address}, Transport.MQTT_PUSH)
    said = {"id": "m1", "at": "2026-11-24T08:00:00+08:00", "payload": payload, **more}
    return codec.receive(json.dumps(said).encode())


@pytest.mark.parametrize(
    "payload", [FRAME, b64encode(bytes.fromhex(FRAME)).decode()], ids=["hex", "base64"]
)
def test_a_pushed_frame_is_read_with_the_time_of_its_message(payload):
    told = receive(payload)
    said = {m.point: m for m in told.measured}
    assert (told.key, said["volume"].value) == ("m1", Decimal(123))
    assert said["volume"].device_time == datetime(2026, 11, 24, tzinfo=UTC)
    assert said["clock"].quality is Quality.BAD_DATA


def test_a_message_without_an_id_is_known_by_its_frame_and_time():
    first, again = (receive(FRAME, id=None) for _ in range(2))
    later = receive(FRAME, id=None, at="2026-11-25T08:00:00+08:00")
    assert first.key == again.key != later.key


@pytest.mark.parametrize(
    ("payload", "more"),
    [
        (FRAME[:-2], {}),
        (FRAME.replace("4816", "4916"), {}),
        ("nonsense!", {}),
        (FRAME, {"address": "00000805000002"}),
        (FRAME, {"at": "2026-11-24T08:00:00"}),
        (FRAME, {"id": "x" * 101}),
    ],
    ids=["cut", "checksum", "no-bytes", "another-meter", "no-offset", "long-id"],
)
def test_what_is_no_frame_of_this_meter_says_nothing(payload, more):
    with pytest.raises(ValueError, match=r"."):
        receive(payload, **more)


class TestCjtPush(PushConformance):
    driver, profile, transport = driver, "water_valve_meter", Transport.MQTT_PUSH
    messages = (
        Pushed(
            json.dumps({"id": "m1", "at": "2026-11-24T08:00:00+08:00", "payload": FRAME}).encode(),
            {"volume": "123", "is_cut": "false"},
            "m1",
            datetime(2026, 11, 24, tzinfo=UTC),
        ),
        Pushed(json.dumps({"payload": FRAME}).encode(), {"volume": "123", "clock": None}),
    )

    @classmethod
    def settings(cls, number):
        return {"address": "00000805000001"}


class TestJsonPush(PushConformance):
    driver, profile, transport = json_push, "nb_water_meter", Transport.HTTP_PUSH
    messages = (
        Pushed(
            b'{"id": "a", "at": "2026-11-24T08:00:00+08:00", "values": {"litres": 12345}}',
            {"volume": "12.345"},
            "a",
            datetime(2026, 11, 24, tzinfo=UTC),
        ),
        Pushed(b'{"id": "b", "values": {"litres": "many", "battery": 3.6, "tamper": true}}',
               {"volume": None, "battery": "3.6", "is_tampered": "true"}, "b"),
    )  # fmt: skip
