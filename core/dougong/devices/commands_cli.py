"""`dougong devices …`: list devices, ask one now, play simulated ones."""

import asyncio
import json
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import select, text

from dougong.db.scope import Actor
from dougong.devices import simulators
from dougong.devices.configuration import device_config, drivers_of, gateway_config
from dougong.devices.contract import Codec, GatewayConfig, LineError
from dougong.devices.models import Device
from dougong.devices.profiles import find_profile
from dougong.devices.readings import Measured, judge_identity
from dougong.devices.registry import Drivers
from dougong.devices.transports import Line
from dougong.errors import DougongError, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.installation import Installation

ACTOR = Actor.system("command line")
LIST = text(
    """
    select d.id, c.name as community, g.name as gateway, d.name, d.driver, d.profile, d.is_enabled,
           h.is_ok, h.last_ok_at, h.detail,
           (select count(*) from dougong.device_value v
            where v.community_id = d.community_id and v.device_id = d.id and v.quality = 'good')
               as good
    from dougong.device d
    join dougong.community c on c.id = d.community_id
    join dougong.gateway g on g.community_id = d.community_id and g.id = d.gateway_id
    left join dougong.device_health h on h.community_id = d.community_id and h.subject_id = d.id
    order by c.name, g.name, d.name
    """
)
devices_commands = click.Group("devices", help="List devices, ask them, play simulated ones.")


def _running(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the installation, and tell people errors in their words."""

    @wraps(command)
    @click.pass_context
    def run(context: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        given = context.find_object(Installation)
        installation = given or Installation.open()
        try:
            return command(installation, *args, **kwargs)
        except DougongError as error:
            raise click.ClickException(translate_error(error)) from error
        finally:
            if given is None:
                installation.close()

    return run


@devices_commands.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@_running
def list_devices(installation: Installation, as_json: bool) -> None:
    """Show every device, the gateway that it is behind, and whether it answers."""
    with installation.platform(ACTOR) as session:
        rows = [dict(row) for row in session.execute(LIST).mappings()]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, default=str, ensure_ascii=False))
        return
    table = Table(*(gettext(c) for c in COLUMNS))
    for row in rows:
        table.add_row(
            row["community"], row["gateway"], row["name"], f"{row['driver']}/{row['profile']}",
            _standing(row), str(row["last_ok_at"] or "")[:19], row["detail"] or "",
        )  # fmt: skip
    Console().print(table)


COLUMNS = (
    N_("Community"),
    N_("Gateway"),
    N_("Device"),
    N_("Driver"),
    N_("Answers"),
    N_("Last answer"),
    N_("Detail"),
)


def _standing(row: dict[str, Any]) -> str:
    if not row["is_enabled"]:
        return gettext(N_("not in use"))
    if row["is_ok"] is None:
        return gettext(N_("never asked"))
    return gettext(N_("yes")) if row["is_ok"] else gettext(N_("no"))


@devices_commands.command("poll")
@click.argument("device")
@_running
def poll(installation: Installation, device: str) -> None:
    """Ask one device (name, serial or id) for all its points now; nothing is stored."""
    drivers, _ = drivers_of(installation)
    gateway = _find(installation, device)
    try:
        measured = asyncio.run(ask(gateway, drivers))
    except LineError as error:
        raise click.ClickException(translate_error(error)) from error
    for found in measured:
        value = "" if found.value is None else str(found.value)
        click.echo(f"{found.point:24} {value:>20}  {found.quality:12} {found.detail}".rstrip())


def _find(installation: Installation, name: str) -> GatewayConfig:
    """Return the gateway of a device with that device alone; raises NotFound."""
    with installation.platform(ACTOR) as session:
        rows = session.execute(
            text(
                "select id, community_id from dougong.device"
                " where name = :n or serial = :n or cast(id as text) = :n limit 1"
            ),
            {"n": name},
        ).all()
    if not rows:
        raise NotFound(N_("There is no device %(name)s."), name=name)
    with installation.scope(ACTOR, community=rows[0].community_id) as scope:
        device = scope.session.scalars(select(Device).where(Device.id == rows[0].id)).one()
        return gateway_config(device.gateway, (device_config(device),))


async def ask(gateway: GatewayConfig, drivers: Drivers) -> list[Measured]:
    """Return what the one device behind ``gateway`` says at all its points; raises LineError."""
    (device,) = gateway.devices
    driver = drivers.working.get(device.driver)
    if driver is None:
        raise NotFound(N_("There is no driver %(driver)s."), driver=device.driver)
    codec = driver.open(device.profile, device.settings, gateway.transport)
    if not isinstance(codec, Codec):
        raise NotFound(N_("This device tells by itself and cannot be asked."))
    profile = find_profile(driver, device.profile, gateway.transport)
    line = Line.to(gateway.transport, gateway.host, gateway.port, gateway.settle_s, gateway.tls)
    measured: list[Measured] = []
    try:
        for request in codec.plan_reads(profile.points):
            answers = await line.ask(codec, request, gateway.timeout_s)
            measured += codec.decode(request, answers)
    finally:
        line.close()
    return judge_identity(measured, profile.identity, device.serial)


@devices_commands.command("simulate")
@click.option("--farm", is_flag=True, help="The sixty meters of the farm, without a database.")
@click.option("--first-port", default=simulators.FIRST_PORT, show_default=True)
def simulate(farm: bool, first_port: int) -> None:
    """Play the demonstration's devices on real sockets until interrupted."""
    if not farm:
        simulators.main()
        return
    installation = Installation.open()
    drivers, _ = drivers_of(installation)
    installation.close()
    gateways = simulators.farm(first_port)
    for line in _lines(gateways):
        click.echo(line)
    try:
        asyncio.run(simulators.run_farm(drivers.working, gateways))
    except KeyboardInterrupt:
        click.echo()


def _lines(gateways: Iterable[simulators.FarmGateway]) -> Iterable[str]:
    for gateway in gateways:
        yield f"{simulators.LOOPBACK}:{gateway.port}  {gateway.name}  {len(gateway.meters)}"
