"""Meters that tell by themselves: JSON over HTTP or MQTT (`dougong.devices.json_push`)."""

from pathlib import Path

from dougong.devices import Driver, Transport
from dougong.devices.json_push import JsonPushCodec, PushAddress, PushSettings
from dougong.devices.profiles import read_profiles

PROFILES = Path(__file__).with_name("profiles") / "json_push"

driver = Driver(
    id="json_push",
    title=("Meter that pushes JSON", "JSON 上报表计"),
    transports=frozenset({Transport.HTTP_PUSH, Transport.MQTT_PUSH}),
    settings=PushSettings,
    point_address=PushAddress,
    profiles=read_profiles(PROFILES, PushAddress),
    codec=JsonPushCodec,
)
