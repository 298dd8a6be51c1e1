"""Which devices run: read from the rows of every community where their driver's plugin is on."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from sqlalchemy import select, text

from dougong.capabilities import NotDeclared, check_declared
from dougong.db import Actor, Scope
from dougong.devices.certificates import Tls, Trust
from dougong.devices.contract import DeviceConfig, GatewayConfig, SimulatedDevice
from dougong.devices.models import Device, Gateway
from dougong.devices.registry import Drivers
from dougong.errors import Invalid
from dougong.i18n import N_, bilingual

if TYPE_CHECKING:
    from dougong.installation import Installation

PUSH_SECRET = "push_secret"
log = structlog.get_logger(__name__)
FINGERPRINTS = text(
    """
    select d.community_id, concat_ws(':',
        sum(hashtextextended(d::text, 0)), max(g.mark), coalesce(max(v.version), 0)) as mark
    from dougong.device d
    join (select community_id, sum(hashtextextended(g::text, 0)) as mark
          from dougong.gateway g group by community_id) g on g.community_id = d.community_id
    left join dougong.scope_version v on v.id = d.community_id
    group by d.community_id
    """
)


def drivers_of(installation: "Installation") -> tuple[Drivers, dict[str, str]]:
    """Return the drivers of the loaded plugins, and the plugin of each driver.

    One that cannot be imported, or whose plugin does not declare the capability ``devices``, is
    counted as a failure of its plugin.
    """
    plugins = installation.plugins
    owners = {
        entry.id: plugin for plugin in plugins.loaded for entry in plugins.manifest(plugin).drivers
    }

    def failed(driver: str, error: Exception) -> None:
        plugins.failed(owners[driver], f"driver {driver}", error)

    declared = []
    refused: dict[str, str] = {}
    for manifest in map(plugins.manifest, plugins.loaded):
        for entry in manifest.drivers:
            try:
                check_declared(manifest, "devices", f"[[drivers]] {entry.id}")
                declared.append((entry.id, entry.path))
            except NotDeclared as error:
                refused[entry.id] = str(error)
                failed(entry.id, error)
    drivers = Drivers.load(declared, failed)
    drivers.broken |= refused
    return drivers, owners


class Configuration:
    """The gateways of all communities; a community is read again only when it changed."""

    def __init__(self, installation: "Installation", owners: Mapping[str, str]) -> None:
        self.installation = installation
        self.owners = owners
        self.actor = Actor.system("devices")
        self._marks: dict[UUID, str] = {}
        self._known: dict[UUID, list[GatewayConfig]] = {}

    def read(self) -> list[GatewayConfig]:
        """Return every gateway to run now; one statement when nothing changed."""
        silenced = frozenset(self.installation.plugins.hooks.silenced)
        with self.installation.platform() as session:
            rows = session.execute(FINGERPRINTS)
            marks = {row.community_id: f"{row.mark}:{sorted(silenced)}" for row in rows}
        for community_id in [c for c in self._known if c not in marks]:
            del self._known[community_id]
        for community_id, mark in marks.items():
            if self._marks.get(community_id) != mark:
                with self.installation.scope(self.actor, community=community_id) as scope:
                    self._known[community_id] = read_gateways(scope, self.owners)
        self._marks = marks
        return [gateway for known in self._known.values() for gateway in known]


def read_gateways(scope: Scope, owners: Mapping[str, str]) -> list[GatewayConfig]:
    """Return the enabled gateways of a community with the devices that may run there.

    A device runs where the plugin of its driver is on; one whose driver nobody brings runs into a
    clear error in the host instead.
    """
    devices: dict[UUID, list[DeviceConfig]] = {}
    for device in scope.session.scalars(
        select(Device).where(Device.is_enabled).order_by(Device.name)
    ):
        if not is_switched_on(scope, owners.get(device.driver), device.building_id):
            continue
        try:
            devices.setdefault(device.gateway_id, []).append(device_config(device))
        except Invalid:
            log.error("secrets of a device cannot be read", device=str(device.id))
    gateways = scope.session.scalars(select(Gateway).where(Gateway.is_enabled))
    return [gateway_config(g, tuple(devices[g.id])) for g in gateways if g.id in devices]


def is_switched_on(scope: Scope, plugin: str | None, building_id: UUID | None) -> bool:
    """Tell whether a driver's plugin is on where the device hangs; True for an unknown driver."""
    if plugin is None:
        return True
    if plugin not in scope.enablement or plugin in scope.installation.plugins.hooks.silenced:
        return False
    buildings = scope.enablement[plugin]
    return buildings is None or building_id is None or building_id in buildings


def gateway_config(gateway: Gateway, devices: tuple[DeviceConfig, ...]) -> GatewayConfig:
    """Return a gateway's row as the host runs it."""
    return GatewayConfig(
        id=gateway.id,
        community_id=gateway.community_id,
        name=gateway.name,
        transport=gateway.transport,
        devices=devices,
        host=gateway.host,
        port=gateway.port,
        timeout_s=float(gateway.timeout_s),
        settle_s=float(gateway.settle_s),
        tls=tls_of(gateway),
    )


def tls_of(gateway: Gateway) -> Tls | None:
    """Return whom a gateway's line trusts, None for one without encryption."""
    if gateway.trust is Trust.NONE:
        return None
    return Tls(
        gateway.trust,
        gateway.certificate_name,
        gateway.authorities,
        gateway.certificate_sha256,
        gateway.identity,
    )


def device_config(device: Device) -> DeviceConfig:
    """Return a device's row as the host runs it, its secrets opened. Raises Invalid for those."""
    secrets: Any = json.loads(device.secrets) if device.secrets else {}
    if not isinstance(secrets, dict):
        raise Invalid(N_("The secrets of this device cannot be read; enter them again."))
    push_secret = secrets.pop(PUSH_SECRET, None)
    return DeviceConfig(
        id=device.id,
        community_id=device.community_id,
        name=device.name,
        driver=device.driver,
        profile=device.profile,
        settings={**device.settings, **secrets},
        serial=device.serial,
        poll_s=float(device.poll_s),
        is_vital=device.is_vital,
        push_key=device.push_key,
        push_secret=push_secret,
    )


def simulated_device(device: Device, drivers: Drivers) -> SimulatedDevice:
    """Return the device as a simulator plays it; raises KeyError, Invalid for wrong settings."""
    driver, config = drivers.working[device.driver], device_config(device)
    return SimulatedDevice(
        driver.profiles[device.profile],
        driver.settings.model_validate(config.settings),
        device.serial or "",
        **(device.simulation or {}),
    )


def point_title(installation: "Installation", device: Any, point: str) -> str:
    """Return what a device's model calls a point, the point itself where the driver is gone."""
    driver = drivers_of(installation)[0].working.get(device.driver)
    profile = driver.profiles.get(device.profile) if driver else None
    titles = {p.key: p.title for p in profile.points} if profile else {}
    title = titles.get(point)
    return str(bilingual(*title)) if title else point


def command_title(installation: "Installation", name: str, device: Any = None) -> str:
    """Return what people call a command: as its device's model says, else any that knows it."""
    working = drivers_of(installation)[0].working
    profiles = [profile for driver in working.values() for profile in driver.profiles.values()]
    own = working.get(device.driver) if device is not None else None
    if own is not None and device.profile in own.profiles:
        profiles.insert(0, own.profiles[device.profile])
    for profile in profiles:
        for spec in profile.commands:
            if spec.name == name and spec.title:
                return str(bilingual(*spec.title))
    return name
