"""Messages of devices that tell by themselves: over HTTP here, over MQTT in the device process.

``POST /push/<community>/<push name>`` with ``Authorization: Bearer <secret>``, or
``Bearer t=<seconds since 1970>,v1=<HMAC-SHA256 of "t.body" in hex>`` for a device that shall not
send its secret. The answer leaves after the commit: what a device was told is stored is stored.
A message that comes again is answered again and stored once.
"""

import hmac
import re
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import Flask, Response, current_app, request
from psycopg.errors import QueryCanceled
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from dougong.db import Actor, Scope
from dougong.devices.configuration import device_config, drivers_of, is_switched_on
from dougong.devices.contract import DeviceConfig, Event, Health, PushCodec, Told, Transport
from dougong.devices.models import Device
from dougong.devices.profiles import Profile, find_profile
from dougong.devices.readings import Measured, Quality, Reading
from dougong.devices.recording import (
    one_writer,
    record_events,
    record_health,
    record_readings,
)
from dougong.devices.registry import Drivers
from dougong.errors import DeviceError, Invalid, NotAllowed, NotFound
from dougong.i18n import N_
from dougong.services import entered

if TYPE_CHECKING:
    from dougong.installation import Installation

WINDOW_S = 300
MOST_BYTES = 2 * 1024 * 1024
SIGNED = re.compile(r"^t=(\d{1,12}),v1=([0-9a-f]{64})$")
UNKNOWN = N_("This device is not known here, or its secret is wrong.")


def install(app: Flask, installation: "Installation") -> None:
    """Add the address to which devices push."""
    receiver = Receiver(installation)

    @app.post("/push/<uuid:community_id>/<push_key>", endpoint="device_push")
    def push(community_id: UUID, push_key: str) -> Response:
        header = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if (request.content_length or 0) > MOST_BYTES:
            raise Invalid(N_("The message is too large."))
        body = request.get_data(cache=False)
        try:
            answer = receiver.receive(community_id, push_key, body, header)
        except OperationalError as error:
            if not isinstance(error.orig, QueryCanceled):
                raise
            raise DeviceError(N_("This cannot be stored at the moment; send it again.")) from error
        return current_app.response_class(answer, mimetype="application/json")


class Receiver:
    """Takes messages of devices in, one or several of a community in a transaction."""

    def __init__(self, installation: "Installation") -> None:
        self.installation = installation
        self._loaded: tuple[int, Drivers, Mapping[str, str]] | None = None

    def receive(
        self, community_id: UUID, push_key: str, body: bytes, credential: str | None
    ) -> bytes:
        """Store what a message says and return the answer for the device.

        credential: what the device showed; None when the broker has checked who it is. Raises
        NotAllowed for a stranger, Invalid for a message that says nothing.
        """
        (answer,) = self._take(community_id, [(push_key, body)], credential)
        return answer

    def receive_together(
        self, community_id: UUID, messages: Sequence[tuple[str, bytes]]
    ) -> list[bytes]:
        """Store messages that the broker has checked in one transaction; return their answers.

        messages: push name and body. Raises what `receive` raises for any of them, and has then
        stored none: the caller gives them one by one.
        """
        return self._take(community_id, messages, None)

    def _take(
        self, community_id: UUID, messages: Sequence[tuple[str, bytes]], credential: str | None
    ) -> list[bytes]:
        _, drivers, owners = self._drivers()
        try:
            with (
                self.installation.scope(Actor.system("device"), community=community_id) as scope,
                entered(scope, "dougong.device.receive", None),
            ):
                scope.session.execute(text("set local statement_timeout = '1500ms'"))
                heard = _hear(scope, drivers, owners, messages, credential)
                _keep(scope, heard)
                return [each.codec.reply(each.told, None) for each in heard]
        except NotFound as error:
            raise NotAllowed(UNKNOWN) from error

    def _drivers(self) -> tuple[int, Drivers, Mapping[str, str]]:
        generation = self.installation.plugins.generation
        if self._loaded is None or self._loaded[0] != generation:
            self._loaded = (generation, *drivers_of(self.installation))
        return self._loaded


@dataclass(frozen=True)
class Heard:
    """A message that was understood, and who it is from."""

    config: DeviceConfig
    profile: Profile
    codec: PushCodec
    told: Told


def _hear(
    scope: Scope,
    drivers: Drivers,
    owners: Mapping[str, str],
    messages: Sequence[tuple[str, bytes]],
    credential: str | None,
) -> list[Heard]:
    """Return what messages say, and who says it; raises NotAllowed, Invalid."""
    devices = _known(scope, {push_key for push_key, _ in messages}, owners)
    heard = []
    for push_key, body in messages:
        config = device_config(devices[push_key])
        if credential is not None:
            _check(config, body, credential)
        codec, profile = _codec(drivers, config, devices[push_key].gateway.transport)
        heard.append(Heard(config, profile, codec, _read(codec, body)))
    return heard


def _known(scope: Scope, push_keys: Set[str], owners: Mapping[str, str]) -> dict[str, Device]:
    """Return devices by push name; raises NotAllowed when one may not push here."""
    query = select(Device).where(Device.push_key.in_(sorted(push_keys)), Device.is_enabled)
    found = {str(device.push_key): device for device in scope.session.scalars(query)}
    for push_key in push_keys:
        device = found.get(push_key)
        if (
            device is None
            or not device.gateway.is_enabled
            or not device.gateway.transport.is_push
            or not is_switched_on(scope, owners.get(device.driver), device.building_id)
        ):
            raise NotAllowed(UNKNOWN)
    return found


def _check(config: DeviceConfig, body: bytes, credential: str) -> None:
    """Raise NotAllowed unless the credential is the device's secret or a fresh signature by it."""
    secret = (config.push_secret or "").encode()
    if not secret:
        raise NotAllowed(UNKNOWN)
    signed = SIGNED.match(credential)
    if signed is None:
        if not hmac.compare_digest(credential.encode(), secret):
            raise NotAllowed(UNKNOWN)
        return
    at, given = signed.groups()
    right = hmac.new(secret, f"{at}.".encode() + body, sha256).hexdigest()
    if not hmac.compare_digest(given, right) or abs(time.time() - int(at)) > WINDOW_S:
        raise NotAllowed(UNKNOWN)


def _codec(
    drivers: Drivers, config: DeviceConfig, transport: Transport
) -> tuple[PushCodec, Profile]:
    driver = drivers.working.get(config.driver)
    if driver is None:
        raise NotFound(N_("There is no driver %(driver)s."), driver=config.driver)
    codec = driver.open(config.profile, config.settings, transport)
    if not isinstance(codec, PushCodec):
        raise NotFound(N_("This device is asked and does not tell."))
    return codec, find_profile(driver, config.profile, transport)


def _read(codec: PushCodec, body: bytes) -> Told:
    try:
        return codec.receive(body)
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
        raise Invalid(N_("The message says nothing: %(reason)s"), reason=str(error)) from error


def _keep(scope: Scope, heard: Sequence[Heard]) -> None:
    """Store what was not told before: the events, their readings, that the devices are well."""
    one_writer(scope)
    now = scope.now
    events = [
        Event(h.config.id, h.told.type, h.told.key, now, h.told.device_time, h.told.data,
              h.told.media)
        for h in heard
    ]  # fmt: skip
    fresh = [heard[place] for place in record_events(scope, events)]
    if not fresh:
        return
    first = int(now.timestamp() * 1_000_000)
    said = [(h, found) for h in fresh for found in h.told.measured]
    readings = [
        _reading(
            h.config, h.profile, _judged(found, now, h.profile.clock_tolerance_s), now, first + i
        )
        for i, (h, found) in enumerate(said)
    ]
    if readings:
        record_readings(scope, readings)
    well = {h.config.id: Health(h.config.id, True, now, now) for h in fresh}
    record_health(scope, list(well.values()))


def _judged(found: Measured, now: datetime, tolerance_s: float) -> Measured:
    """Return the value, uncertain when its time lies ahead: late is normal for a sleeping meter."""
    at = found.device_time
    if at is None or found.quality is not Quality.GOOD:
        return found
    ahead_s = (at - now).total_seconds()
    if ahead_s <= tolerance_s:
        return found
    return Measured(
        found.point, found.value, Quality.UNCERTAIN, at, f"its clock is {ahead_s:.0f} s ahead"
    )


def _reading(
    config: DeviceConfig, profile: Profile, found: Measured, now: datetime, sequence: int
) -> Reading:
    point: Any = profile.point(found.point)
    return Reading(
        config.id,
        found.point,
        found.value,
        found.quality,
        found.device_time,
        now,
        sequence,
        point.uom,
        point.kind,
        found.detail,
    )
