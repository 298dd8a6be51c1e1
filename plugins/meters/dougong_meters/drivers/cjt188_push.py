"""Meters on a narrow-band network whose frames an operator's platform pushes (NB-IoT 表计).

``{"id": "<unique per message>", "at": "2026-11-24T08:00:00+08:00", "payload": "6810…16"}``: the
payload is the CJ/T 188 answer that the meter sent when it woke, in hexadecimal digits or base64.
It is answered with ``{"id": …, "accepted": true}``. Without an ``id`` the frame and its time are
the key, so that the platform's repetitions are stored once.
"""

import json
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from dougong.devices import Driver, Transport
from dougong.devices.contract import PushCodec, Request, Told
from dougong.devices.profiles import Profile
from dougong.devices.readings import Measured
from dougong_meters.drivers.cjt188 import (
    CjtAddress,
    CjtCodec,
    CjtSettings,
    CjtWrite,
    scan,
)
from dougong_meters.drivers.cjt188 import driver as asked


class CjtPushCodec(PushCodec):
    """The messages of one meter that sends CJ/T 188 frames by itself."""

    def __init__(self, profile: Profile, settings: CjtSettings, transport: Transport) -> None:
        self.profile = profile
        self.codec = CjtCodec(profile, settings, transport)

    def receive(self, body: bytes) -> Told:
        said = json.loads(body)
        if not isinstance(said, dict) or not isinstance(said.get("payload"), str):
            raise ValueError("a message is an object with a payload")
        at = datetime.fromisoformat(said["at"]) if said.get("at") else None
        if at is not None and at.tzinfo is None:
            raise ValueError("at needs its offset from UTC")
        key = said.get("id") or sha256(f"{at}{said['payload']}".encode()).hexdigest()
        if not isinstance(key, str) or len(key) > 100:
            raise ValueError("an id has at most 100 characters")
        measured = self._measured(_bytes(said["payload"]))
        return Told(key, device_time=at, measured=[_timed(m, at) for m in measured])

    def _measured(self, payload: bytes) -> list[Measured]:
        """Return what the frame says of the points behind its data identifier."""
        for request in self.codec.plan_reads(self.profile.points):
            found = self._answer(payload, request)
            if found is not None:
                return self.codec.decode(request, [found])
        raise ValueError("the payload is no frame of this meter")

    def _answer(self, payload: bytes, request: Request) -> bytes | None:
        """Return the frame; nobody asked for it, so the serial number in it is its own."""
        frame = scan(payload)[2]
        serial = frame.data[2] if frame is not None and len(frame.data) > 2 else 0
        fixed = self.codec.options.serial
        sequence = serial if fixed == "counting" else int(fixed)
        return self.codec.find_answer(payload, request, sequence).answer

    def reply(self, told: Told, decision: Mapping[str, Any] | None) -> bytes:
        return json.dumps({"id": told.key, "accepted": True, **(decision or {})}).encode()


def _bytes(payload: str) -> bytes:
    """Return the payload's bytes; raises ValueError when it is neither hexadecimal nor base64."""
    try:
        return bytes.fromhex(payload)
    except ValueError:
        return b64decode(payload, validate=True)


def _timed(measured: Measured, at: datetime | None) -> Measured:
    """Return the value with the message's time, unless the frame itself says one."""
    if measured.device_time is not None or at is None:
        return measured
    return Measured(measured.point, measured.value, measured.quality, at, measured.detail)


driver = Driver(
    id="cjt188_push",
    title=("CJ/T 188 meter that pushes", "CJ/T 188 主动上报表计（NB-IoT）"),
    transports=frozenset({Transport.HTTP_PUSH, Transport.MQTT_PUSH}),
    settings=CjtSettings,
    point_address=CjtAddress,
    command_address=CjtWrite,
    profiles={
        key: profile.model_copy(update={"commands": ()}) for key, profile in asked.profiles.items()
    },
    codec=CjtPushCodec,
)
