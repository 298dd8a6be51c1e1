"""Encrypted lines as they run: rows, the host, simulators, warnings of what ends."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from dougong.db.scope import Actor
from dougong.devices import LineError, LineLost, LineUnreachable, SimulatedDevice
from dougong.devices.certificates import Identity, Tls, Trust, make_identity
from dougong.devices.configuration import drivers_of
from dougong.devices.models import Device, DeviceHealth, DeviceValue, Gateway
from dougong.devices.process import host_of
from dougong.devices.simulated import SimulatedGateway
from dougong.devices.simulators import Players
from dougong.devices.transports import Line
from dougong.doctor.work import devices as examine_devices
from dougong_meters.drivers.modbus import driver as modbus

SYSTEM = Actor.system("test")


def served(identity, callers=""):
    profile = modbus.profiles["three_phase_meter"]
    device = SimulatedDevice(profile, modbus.settings(device_id=1), "26000001")
    tls = identity.serving(callers)
    return SimulatedGateway(modbus.simulator([device], "tcp"), tls=tls)


async def read(port, tls):
    """Return what the meter says of its voltage over a line that trusts as ``tls`` says."""
    codec = modbus.open("three_phase_meter", {"device_id": 1}, "tcp")
    (request,) = codec.plan_reads([modbus.profiles["three_phase_meter"].point("voltage_a")])
    line = Line("127.0.0.1", port, tls=tls)
    try:
        return codec.decode(request, await line.ask(codec, request, 5))[0].value
    finally:
        line.close()


def test_a_device_that_wants_to_know_who_calls_is_told():
    authority = make_identity("authority")
    gateway, ours = make_identity("127.0.0.1", authority), make_identity("dougong", authority)
    tls = Tls(Trust.AUTHORITY, authorities=authority.certificate, identity=ours.pem)

    async def run():
        async with served(gateway, callers=authority.certificate) as server:
            assert await read(server.port, tls) is not None
            with pytest.raises((LineLost, LineUnreachable)):
                await read(server.port, Tls(Trust.AUTHORITY, authorities=authority.certificate))
            assert server.requests == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    "tls",
    [Tls(Trust.AUTHORITY, authorities="nonsense"), Tls(Trust.PINNED, identity="nonsense")],
    ids=["authorities", "identity"],
)
def test_certificates_that_are_none_are_said_and_nothing_is_sent(tls):
    async def run():
        async with served(make_identity("127.0.0.1")) as server:
            with pytest.raises(LineError, match="cannot be read") as caught:
                await read(server.port, tls)
            assert not caught.value.was_sent

    asyncio.run(run())


# `pytest.warns` passes on what asyncio says of the socket that the handshake left behind.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_older_versions_of_the_protocol_are_refused():
    identity = make_identity("127.0.0.1")

    async def run():
        server = served(identity)
        server.tls.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        server.tls.maximum_version = ssl.TLSVersion.TLSv1_1
        async with server:
            with pytest.raises(LineUnreachable):
                await read(server.port, Tls(Trust.PINNED, fingerprint=identity.fingerprint))

    with pytest.warns(DeprecationWarning):
        asyncio.run(run())


@pytest.fixture
def gateway(installation, community):
    """Return the id of an encrypted gateway with one simulated meter, not played yet."""
    with installation.scope(SYSTEM, community=community) as scope:
        made = Gateway(name="basement", transport="tcp", host="127.0.0.1", port=0,
                       trust=Trust.PINNED, identity=make_identity("dougong").pem)  # fmt: skip
        scope.session.add(made)
        scope.session.flush()
        scope.session.add(
            Device(gateway_id=made.id, name="meter", driver="modbus", profile="three_phase_meter",
                   settings={"device_id": 1}, serial="26000001", poll_s=1, simulation={})
        )  # fmt: skip
        return made.id


def test_a_simulated_gateway_shows_its_certificate_and_is_read(installation, community, gateway):
    async def run():
        drivers = drivers_of(installation)[0]
        players = Players(installation, drivers)
        host = host_of(installation, flush_s=0.05, reload_s=0.2)
        try:
            await players.follow()
            port, pin = row()
            await players.follow()
            assert (port, pin) == row() and len(pin) == 95
            async with host, asyncio.timeout(60):
                while not await asyncio.to_thread(is_read):
                    await asyncio.sleep(0.05)
        finally:
            host.store.spool.close()
            await players.stop()

    def row():
        with installation.scope(SYSTEM, community=community) as scope:
            found = scope.get(Gateway, gateway)
            return found.port, found.certificate_sha256

    def is_read():
        with installation.scope(SYSTEM, community=community) as scope:
            health = scope.session.scalars(
                select(DeviceHealth).where(DeviceHealth.subject_id == gateway)
            ).first()
            values = select(DeviceValue).where(DeviceValue.quality == "good")
            return (
                health is not None
                and health.certificate_ends_at is not None
                and scope.session.scalars(values).first() is not None
            )

    asyncio.run(run())
    kept = installation.settings.paths.home / "simulators" / f"{gateway}.pem"
    assert kept.stat().st_mode & 0o077 == 0
    assert Identity.read(kept.read_text()).pem == kept.read_text()


def test_our_key_is_sealed_in_the_database(installation, community, gateway):
    with installation.scope(SYSTEM, community=community) as scope:
        raw = scope.session.execute(
            text("select identity from dougong.gateway where id = :id"), {"id": gateway}
        ).scalar_one()
        assert b"PRIVATE KEY" not in bytes(raw)
        assert "PRIVATE KEY" in scope.get(Gateway, gateway).identity


def test_a_certificate_that_ends_soon_is_a_finding(installation, community, gateway):
    def health(days):
        with installation.scope(SYSTEM, community=community) as scope:
            ends_at = datetime.now(UTC) + timedelta(days=days)
            scope.session.query(DeviceHealth).delete()
            scope.session.add(
                DeviceHealth(subject_id=gateway, is_ok=True, since_at=scope.now,
                             last_ok_at=scope.now, certificate_ends_at=ends_at)
            )  # fmt: skip

    def findings():
        return [f for f in examine_devices(installation) if "basement" in f.detail]

    health(400)
    assert not findings()
    health(12)
    assert [f.is_well for f in findings()] == [False]
