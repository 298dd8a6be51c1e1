"""`dougong plugin …`: everything that people do with plugins, on the command line."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from dougong.db.scope import Actor
from dougong.errors import DougongError, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.installation import Installation
from dougong.plugins import archive, operations
from dougong.plugins.loader import LoadError
from dougong.plugins.packages.commands import bring, build, index_commands, make_key, trust
from dougong.plugins.scaffold import scaffold
from dougong.plugins.upgrades import Plan

ACTOR = Actor.system("command line")
plugin_commands = click.Group("plugin", help="List, install, switch on and look after plugins.")
for _command in (build, make_key, trust, index_commands):
    plugin_commands.add_command(_command)


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
        except LoadError as error:
            raise click.ClickException(str(error)) from error
        finally:
            if given is None:
                installation.close()

    return run


@plugin_commands.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@_running
def list_plugins(installation: Installation, as_json: bool) -> None:
    """Show every plugin that is known, its version and where it stands."""
    plugins = installation.plugins
    names = sorted({*plugins.found, *plugins.standings, *plugins.errors})
    if as_json:
        for name in names:
            standing = plugins.standing(name)
            fields = {"plugin": name, "version": standing.version, "state": standing.state}
            click.echo(json.dumps({**fields, "reason": standing.reason}, ensure_ascii=False))
        return
    table = Table("plugin", "version", "state", "name", "reason", box=None)
    for name in names:
        standing = plugins.standing(name)
        title = str(plugins.found[name].manifest.name) if name in plugins.found else ""
        table.add_row(name, standing.version, standing.state.value, title, standing.reason)
    Console().print(table)


@plugin_commands.command("show")
@click.argument("plugin")
@_running
def show(installation: Installation, plugin: str) -> None:
    """Show a plugin's manifest, where it stands and where it is on."""
    manifest = installation.plugins.manifest(plugin)
    standing = installation.plugins.standing(plugin)
    click.echo(f"{plugin} {manifest.version}: {standing.state.value} {standing.reason}".rstrip())
    click.echo(json.dumps(manifest.model_dump(mode="json"), ensure_ascii=False, indent=2))
    with installation.access() as session:
        rows = session.execute(
            text(
                "select c.name, cardinality(e.building_ids) from dougong.plugin_enablement e"
                " join dougong.community c on c.id = e.community_id"
                " where e.plugin = :plugin order by c.name"
            ),
            {"plugin": plugin},
        ).all()
    for name, buildings in rows:
        where = gettext(N_("all buildings")) if buildings is None else f"{buildings} 栋"
        click.echo(f"  {name}: {where}")


@plugin_commands.command("install")
@click.argument("plugin")
@click.option("--from", "source", help="Fetch it from this index: a folder or an https address.")
@click.option("--unsigned", is_flag=True, help="Let a wheel in that nobody signed (developers).")
@_running
def install(installation: Installation, plugin: str, source: str | None, unsigned: bool) -> None:
    """Install a plugin and what it needs: by id, from the index, or from a wheel."""
    plugin = bring(installation, plugin, unsigned=unsigned, source=source)
    newest = installation.plugins.manifest(plugin).version
    known = installation.plugins.standing(plugin)
    if known.is_working and known.version != newest:
        note = N_("%(plugin)s %(version)s is there now; run “dougong plugin upgrade %(plugin)s”.")
        click.echo(gettext(note, plugin=plugin, version=newest))
        return
    for each in operations.install(installation, ACTOR, plugin):
        click.echo(gettext(N_("%(plugin)s is installed."), plugin=each))


@plugin_commands.command("enable")
@click.argument("plugin")
@click.option("--community", required=True, help="Name or id of the community.")
@click.option("--building", "buildings", multiple=True, help="Code or id; again for more.")
@_running
def enable(
    installation: Installation, plugin: str, community: str, buildings: tuple[str, ...]
) -> None:
    """Switch a plugin on in a community, or only in some of its buildings."""
    community_id = find_community(installation, community)
    ids = find_buildings(installation, community_id, buildings) if buildings else None
    operations.enable(installation, ACTOR, plugin, community_id, ids)
    click.echo(gettext(N_("%(plugin)s is switched on."), plugin=plugin))


@plugin_commands.command("disable")
@click.argument("plugin")
@click.option("--community", required=True, help="Name or id of the community.")
@_running
def disable(installation: Installation, plugin: str, community: str) -> None:
    """Switch a plugin off in a community; its rows stay."""
    operations.disable(installation, ACTOR, plugin, find_community(installation, community))
    click.echo(gettext(N_("%(plugin)s is switched off."), plugin=plugin))


@plugin_commands.command("upgrade")
@click.argument("plugin")
@click.option("--dry-run", is_flag=True, help="Print the SQL that would run, and its locks.")
@_running
def upgrade(installation: Installation, plugin: str, dry_run: bool) -> None:
    """Bring a plugin's schema (``dougong`` for the kernel's) to its code."""
    if dry_run:
        print_plan(operations.dry_run(installation, ACTOR, plugin))
        return
    if plugin == "dougong":
        installation.migrate()
        return
    statements = operations.upgrade(installation, ACTOR, plugin)
    click.echo(gettext(N_("%(count)s statements ran."), count=len(statements)))


def print_plan(plan: Plan) -> None:
    """Print a plan as an SQL script whose comments say what each statement locks."""
    for finding in plan.findings:
        if finding.lock:
            click.echo(f"-- {gettext(N_('lock'))}: {finding.lock}")
        if finding.warning is not None:
            click.echo(f"-- {gettext(N_('warning'))}: {finding.warning}")
        click.echo(f"{finding.statement};\n")


@plugin_commands.command("uninstall")
@click.argument("plugin")
@_running
def uninstall(installation: Installation, plugin: str) -> None:
    """Put a plugin's data aside, so that it can be restored."""
    made = archive.uninstall(installation, ACTOR, plugin)
    rows = sum(table["rows"] for table in made.tables.values())
    click.echo(
        gettext(N_("%(rows)s rows are kept in %(schema)s."), rows=rows, schema=made.archive_schema)
    )


@plugin_commands.command("restore")
@click.argument("plugin")
@click.option("--dry-run", is_flag=True, help="Print the SQL that would run, and its locks.")
@_running
def restore(installation: Installation, plugin: str, dry_run: bool) -> None:
    """Bring back what uninstalling put aside; exit 1 when something was lost meanwhile."""
    if dry_run:
        print_plan(archive.dry_run(installation, ACTOR, plugin))
        return
    result = archive.restore(installation, ACTOR, plugin)
    click.echo(gettext(N_("%(rows)s rows are back."), rows=result.rows))
    for table in result.changed:
        click.echo(gettext(N_("%(table)s differs from what was put aside."), table=table))
    for orphans in result.orphans:
        click.echo(
            gettext(
                N_("%(count)s rows of %(table)s refer to what is gone (%(constraint)s)."),
                count=orphans.count,
                table=orphans.table,
                constraint=orphans.constraint,
            )
        )
    if result.changed or result.orphans:
        sys.exit(1)


@plugin_commands.command("quarantine")
@click.argument("plugin")
@click.option("--reason", required=True)
@_running
def quarantine(installation: Installation, plugin: str, reason: str) -> None:
    """Take a plugin out of use everywhere."""
    operations.quarantine(installation, ACTOR, plugin, reason)


@plugin_commands.command("release")
@click.argument("plugin")
@_running
def release(installation: Installation, plugin: str) -> None:
    """Put a quarantined plugin back into use."""
    operations.release(installation, ACTOR, plugin)


@plugin_commands.command("repairs")
@_running
def repairs(installation: Installation) -> None:
    """Show what a person must put right; exit 1 when there is anything."""
    found = operations.repairs(installation)
    for issue in found:
        click.echo(f"{issue.plugin} · {issue.point}: {issue.reason}")
        click.echo(f"  → {gettext(issue.advice)}")
    if found:
        sys.exit(1)


@plugin_commands.command("new")
@click.argument("plugin")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("plugins"))
def new(plugin: str, folder: Path) -> None:
    """Write a new plugin that keeps records and passes the conformance suite."""
    try:
        for path in scaffold(plugin, folder):
            click.echo(path)
    except DougongError as error:
        raise click.ClickException(translate_error(error)) from error


# --- finding places by what people call them ----------------------------------------------------


def find_community(installation: Installation, name: str) -> UUID:
    """Return the id of the community with this name or id; raises NotFound."""
    with installation.access() as session:
        found = (
            session.execute(
                text("select id from dougong.community where name = :name or id::text = :name"),
                {"name": name},
            )
            .scalars()
            .all()
        )
    if len(found) != 1:
        raise NotFound(N_("There is no single community named %(name)s."), name=name)
    return found[0]


def find_buildings(
    installation: Installation, community_id: UUID, names: tuple[str, ...]
) -> list[UUID]:
    """Return the ids of the buildings with these codes or ids; raises NotFound."""
    with installation.scope(ACTOR, community=community_id) as scope:
        rows = scope.session.execute(
            text(
                "select id, code from dougong.building where code = any(:names)"
                " or id::text = any(:names)"
            ),
            {"names": list(names)},
        ).all()
    missing = set(names) - {str(row.id) for row in rows} - {row.code for row in rows}
    if missing:
        raise NotFound(N_("There is no building %(name)s."), name=", ".join(sorted(missing)))
    return [row.id for row in rows]
