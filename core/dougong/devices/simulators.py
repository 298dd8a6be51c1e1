"""Simulated gateways on real sockets: the farm of sixty meters, and the simulator process.

Which meters the farm has is fixed, so that demo data can be written before any of them runs.
``main(settings)`` is what the supervisor starts: it plays every device that has a ``simulation``,
on the port of its gateway's row.
"""

import asyncio
import errno
import logging
import signal
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select, text

from dougong.db import Actor
from dougong.devices.certificates import Identity, Trust, make_identity
from dougong.devices.configuration import drivers_of, simulated_device
from dougong.devices.contract import Driver, SimulatedDevice, Transport
from dougong.devices.models import Device, Gateway
from dougong.devices.registry import Drivers
from dougong.devices.simulated import Faults, SimulatedGateway
from dougong.devices.store import AWAY
from dougong.devices.trial_partners import play_partners
from dougong.pulse import keep_beating
from dougong.services import entered
from dougong.settings import Settings

if TYPE_CHECKING:
    from dougong.installation import Installation

log = logging.getLogger(__name__)

FIRST_PORT = 15020
LOOPBACK = "127.0.0.1"
LOOK_AGAIN_S = 5.0


@dataclass(frozen=True)
class FarmMeter:
    """One simulated meter: what a row of the device table needs. start_kwh: its register."""

    serial: str
    settings: Mapping[str, Any]
    load_kw: float
    start_kwh: float


@dataclass(frozen=True)
class FarmGateway:
    """One simulated gateway with its meters."""

    name: str
    transport: Transport
    driver: str
    profile: str
    port: int
    meters: tuple[FarmMeter, ...]


def farm(first_port: int = FIRST_PORT) -> tuple[FarmGateway, ...]:
    """Return the sixty meters: 20 Modbus TCP, 20 Modbus RTU-over-TCP, 20 DL/T 645 over TCP."""
    kinds = [("Modbus TCP", Transport.TCP, "modbus", "three_phase_meter", 4),
             ("Modbus RTU", Transport.RTU_TCP, "modbus", "three_phase_meter", 2),
             ("DL/T 645", Transport.RTU_TCP, "dlt645", "single_phase_meter", 2)]  # fmt: skip
    gateways: list[FarmGateway] = []
    for kind, (title, transport, driver, profile, count) in enumerate(kinds):
        each = 20 // count
        for number in range(count):
            meters = tuple(_meter(driver, kind, number * each + i, i) for i in range(each))
            port = first_port + len(gateways)
            name = f"{title} {number + 1}"
            gateways.append(FarmGateway(name, transport, driver, profile, port, meters))
    return tuple(gateways)


def _meter(driver: str, kind: int, number: int, place: int) -> FarmMeter:
    if driver == "dlt645":
        serial = f"2026{kind}{number:07d}"
        settings: dict[str, Any] = {"address": serial, "password": "123456"}
    else:
        serial = f"26{kind}{number:05d}"
        settings = {"device_id": place + 1}
    load_kw = 0.2 + (number * 7 % 20) * 0.12
    return FarmMeter(serial, settings, load_kw, 800 + (number * 137 + kind * 53) % 4000)


def simulated_devices(driver: Driver, gateway: FarmGateway) -> list[SimulatedDevice]:
    """Return the meters of a gateway, ready for the driver's simulator."""
    profile = driver.profiles[gateway.profile]
    return [
        SimulatedDevice(
            profile, driver.settings(**meter.settings), meter.serial, meter.load_kw, meter.start_kwh
        )
        for meter in gateway.meters
    ]


def simulator(
    driver: Driver, gateway: FarmGateway, faults: Faults | None = None, host: str = "127.0.0.1"
) -> SimulatedGateway:
    """Return the server that plays a gateway; raises ValueError without a simulator."""
    if driver.simulator is None:
        raise ValueError(f"the driver {driver.id} has no simulator")
    responder = driver.simulator(simulated_devices(driver, gateway), gateway.transport)
    return SimulatedGateway(responder, faults, host, gateway.port)


async def run_farm(
    drivers: Mapping[str, Driver],
    gateways: Sequence[FarmGateway] | None = None,
    *,
    faults: Faults | None = None,
    host: str = "127.0.0.1",
    started: asyncio.Event | None = None,
) -> None:
    """Play the farm until cancelled; gateways of drivers that are not there are left out."""
    async with AsyncExitStack() as running:
        for gateway in gateways if gateways is not None else farm():
            if gateway.driver in drivers:
                served = simulator(drivers[gateway.driver], gateway, faults, host)
                await running.enter_async_context(served)
        if started is not None:
            started.set()
        await asyncio.Event().wait()


# --- the process ----------------------------------------------------------------------------------

PLAYED = text(
    """
    select d.community_id, concat_ws(':', sum(hashtextextended(d::text, 0)), max(g.mark)) as mark
    from dougong.device d
    join (select community_id, sum(hashtextextended(g::text, 0)) as mark
          from dougong.gateway g group by community_id) g on g.community_id = d.community_id
    where d.simulation is not null group by d.community_id
    """
)


@dataclass(frozen=True)
class Part:
    """One gateway to play: where it listens, and its devices as the simulator knows them.

    fingerprint: what the gateway's row trusts; the simulator writes it there.
    """

    gateway_id: UUID
    community_id: UUID
    transport: Transport
    port: int
    driver: str
    devices: tuple[SimulatedDevice, ...]
    is_encrypted: bool = False
    fingerprint: str = field(default="", compare=False)


@dataclass
class Players:
    """Plays the simulated gateways that the database names, and follows what changes there."""

    installation: "Installation"
    drivers: Drivers
    running: dict[UUID, tuple[Part, SimulatedGateway]] = field(default_factory=dict)
    marks: dict[UUID, str] = field(default_factory=dict)

    async def follow(self) -> None:
        """Start, stop and change simulators until they fit the rows."""
        marks = await asyncio.to_thread(self._read_marks)
        if marks == self.marks:
            return
        parts = {p.gateway_id: p for p in await asyncio.to_thread(self._read_parts, list(marks))}
        for gateway_id, (part, served) in list(self.running.items()):
            if parts.get(gateway_id) != part:
                await served.stop()
                del self.running[gateway_id]
        for part in parts.values():
            if part.gateway_id not in self.running:
                await self._play(part)
        self.marks = marks

    async def stop(self) -> None:
        """Stop every simulator."""
        for _, served in self.running.values():
            await served.stop()
        self.running.clear()

    def _read_marks(self) -> dict[UUID, str]:
        with self.installation.platform() as session:
            return {row.community_id: row.mark for row in session.execute(PLAYED)}

    def _read_parts(self, communities: Sequence[UUID]) -> list[Part]:
        parts: list[Part] = []
        for community_id in communities:
            with self.installation.scope(Actor.system("simulators"), community=community_id) as s:
                found: dict[UUID, list[Device]] = {}
                query = select(Device).where(
                    Device.simulation.is_not(None), Device.driver.in_(list(self.drivers.working))
                )
                for device in s.session.scalars(query.order_by(Device.name)):
                    found.setdefault(device.gateway_id, []).append(device)
                parts += [self._part(s.get(Gateway, g), own) for g, own in found.items()]
        return parts

    def _part(self, gateway: Gateway, devices: Sequence[Device]) -> Part:
        played = tuple(simulated_device(device, self.drivers) for device in devices)
        return Part(gateway.id, gateway.community_id, gateway.transport, gateway.port,
                    devices[0].driver, played, gateway.trust is Trust.PINNED,
                    gateway.certificate_sha256)  # fmt: skip

    async def _play(self, part: Part) -> None:
        make = self.drivers.working[part.driver].simulator
        if make is None:
            return
        proof = await asyncio.to_thread(self._identity, part) if part.is_encrypted else None
        served = SimulatedGateway(
            make(part.devices, part.transport), None, LOOPBACK, part.port,
            proof.serving() if proof else None,
        )  # fmt: skip
        try:
            await served.start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            served.port = 0
            await served.start()
            log.warning("port %d is taken, a simulator answers on %d", part.port, served.port)
        if served.port != part.port:
            await asyncio.to_thread(self._write, part, port=served.port)
        if proof is not None and part.fingerprint != proof.fingerprint:
            await asyncio.to_thread(self._write, part, certificate_sha256=proof.fingerprint)
        self.running[part.gateway_id] = (part, served)

    def _identity(self, part: Part) -> Identity:
        """Return with what a simulated gateway proves who it is; the same after a restart."""
        path = self.installation.settings.paths.home / "simulators" / f"{part.gateway_id}.pem"
        if path.exists():
            return Identity.read(path.read_text(encoding="ascii"))
        made = make_identity(LOOPBACK)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(0o600)
        path.write_text(made.pem, encoding="ascii")
        return made

    def _write(self, part: Part, **values: Any) -> None:
        """Write the port that was free, or the certificate, into the gateway's row.

        The device host follows it.
        """
        actor = Actor.system("simulators")
        with (
            self.installation.scope(actor, community=part.community_id) as scope,
            entered(scope, "dougong.gateway.change", None),
        ):
            gateway = scope.get(Gateway, part.gateway_id, lock=True)
            for name, value in values.items():
                setattr(gateway, name, value)


def main(settings: Settings | None = None) -> int:
    """Play the demonstration's devices until told to stop; return the exit code."""
    from dougong.installation import Installation

    settings = settings or Settings.from_environment()
    installation = Installation.open(settings)
    try:
        asyncio.run(run(installation))
    finally:
        installation.close()
    return 0


async def run(installation: "Installation", stop: asyncio.Event | None = None) -> None:
    """Play until ``stop`` is set (or the process is told to end)."""
    if stop is None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    players = Players(installation, drivers_of(installation)[0])
    partners = await asyncio.to_thread(play_partners, installation)
    beating = asyncio.create_task(keep_beating())
    try:
        while not stop.is_set():
            try:
                await players.follow()
            except AWAY as error:
                log.warning("the database is away: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_AGAIN_S)
    finally:
        beating.cancel()
        if partners is not None:
            partners.shutdown()
        await players.stop()
