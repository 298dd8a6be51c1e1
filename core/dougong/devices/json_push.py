"""Devices that tell by themselves: JSON over HTTP or MQTT, as operators' platforms push it.

``{"id": "<unique per message>", "at": "2026-11-24T08:00:00+08:00", "values": {"litres": 12345}}``
is answered with ``{"id": …, "accepted": true}``.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from dougong.devices.contract import PushCodec, Told, Transport
from dougong.devices.profiles import Profile
from dougong.devices.readings import Measured, Point, PointKind, Quality


class PushSettings(BaseModel):
    """Nothing needs to be set: how the device proves who it is belongs to the transport."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PushAddress(BaseModel):
    """Where a value lies: its name in ``values``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)


class JsonPushCodec(PushCodec):
    """The messages of one device that pushes JSON."""

    def __init__(self, profile: Profile, settings: PushSettings, transport: Transport) -> None:
        self.profile = profile

    def receive(self, body: bytes) -> Told:
        said = json.loads(body, parse_float=Decimal, parse_int=Decimal)
        if not isinstance(said, dict) or not isinstance(said.get("values"), dict):
            raise ValueError("a message is an object with values")
        key = said.get("id")
        if not isinstance(key, str) or not 0 < len(key) <= 100:
            raise ValueError("a message has an id of at most 100 characters")
        at = datetime.fromisoformat(said["at"]) if said.get("at") else None
        if at is not None and at.tzinfo is None:
            raise ValueError("at needs its offset from UTC")
        values = said["values"]
        points = [p for p in self.profile.points if p.address.name in values]
        return Told(key, device_time=at, measured=[_measure(p, values, at) for p in points])

    def reply(self, told: Told, decision: Mapping[str, Any] | None) -> bytes:
        return json.dumps({"id": told.key, "accepted": True, **(decision or {})}).encode()


def _measure(point: Point, values: Mapping[str, Any], at: datetime | None) -> Measured:
    raw = values[point.address.name]
    if point.kind is PointKind.STATE and isinstance(raw, bool):
        return Measured(point.key, raw, Quality.GOOD, at)
    if not isinstance(raw, Decimal):
        return Measured(point.key, None, Quality.BAD_DATA, at, "not a number")
    return point.measure(raw, at)
