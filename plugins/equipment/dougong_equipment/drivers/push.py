"""Equipment that tells by itself: JSON over MQTT or HTTP (`dougong.devices.json_push`)."""

from pathlib import Path

from dougong.devices import Driver, Transport
from dougong.devices.json_push import JsonPushCodec, PushAddress, PushSettings
from dougong.devices.profiles import read_profiles

PROFILES = Path(__file__).with_name("profiles") / "push"

driver = Driver(
    id="equipment_push",
    title=("Equipment that pushes JSON", "JSON 上报设备"),
    transports=frozenset({Transport.HTTP_PUSH, Transport.MQTT_PUSH}),
    settings=PushSettings,
    point_address=PushAddress,
    profiles=read_profiles(PROFILES, PushAddress),
    codec=JsonPushCodec,
)
