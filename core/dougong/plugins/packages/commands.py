"""`dougong plugin …` for makers and operators: keys, packages, the index."""

import json
from pathlib import Path

import click

from dougong.db.scope import Actor
from dougong.errors import Conflict, DougongError
from dougong.i18n import N_, gettext, translate_error
from dougong.installation import Installation
from dougong.plugins import operations
from dougong.plugins.packages import index, signing, wheels
from dougong.plugins.packages.placing import fetch_plugin, place_wheel
from dougong.settings import Settings

ACTOR = Actor.system("command line")
FILE = click.Path(path_type=Path)
index_commands = click.Group("index", help="Make and take over signed lists of packages.")


class _Told(click.Command):
    """A command whose errors are told in people's words."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except DougongError as error:
            raise click.ClickException(translate_error(error)) from error


@click.command("key", cls=_Told)
@click.argument("path", type=FILE)
@click.option("--owner", required=True, help="Who signs with it, as people will read it.")
@click.option("--role", type=click.Choice(signing.ROLES), default="vendor")
def make_key(path: Path, owner: str, role: str) -> None:
    """Make a key pair: PATH, to be kept secret, and PATH.pub, to be handed out."""
    click.echo(signing.make_key(path, owner, role).line, nl=False)


@click.command("trust", cls=_Told)
@click.argument("public", type=FILE)
def trust(public: Path) -> None:
    """Let in what the owner of this public key signs."""
    key = signing.trust(Settings.from_environment().paths, public.read_text("utf-8"))
    click.echo(gettext(N_("%(owner)s is trusted (%(role)s)."), owner=key.owner, role=key.role))


@click.command("build", cls=_Told)
@click.argument("folder", type=FILE)
@click.option("--out", type=FILE, default=Path("dist"))
@click.option("--key", type=FILE, help="Sign with this private key.")
def build(folder: Path, out: Path, key: Path | None) -> None:
    """Build the wheel of a plugin, the same bytes every time, and sign it."""
    made = wheels.look_through(wheels.build_wheel(folder, out))
    click.echo(f"{made.path} sha256={made.sha256}")
    if key is not None:
        click.echo(index.sign_wheel(made, signing.read_private(key)))


@index_commands.command("build", cls=_Told)
@click.argument("folder", type=FILE)
@click.option("--key", type=FILE, required=True)
@click.option("--days", default=index.KEPT_DAYS, help="How long it is valid.")
def build_index(folder: Path, key: Path, days: int) -> None:
    """List the signed wheels of a folder, and what its revoked.toml revokes."""
    made = index.build_index(folder, signing.read_private(key), days)
    said = json.loads(made.read_text("utf-8"))["signed"]
    count = len(said["packages"])
    click.echo(f"{made}: {said['number']}, {count} packages, until {said['expires_at']}")


@index_commands.command("update", cls=_Told)
@click.argument("source", required=False)
@click.pass_context
def update_index(context: click.Context, source: str | None) -> None:
    """Take over the index of SOURCE (a folder or an https address) and what it revokes."""
    given = context.find_object(Installation)
    installation = given or Installation.open()
    try:
        gone = operations.revoke(installation, ACTOR, where(installation.settings, source))
    finally:
        if given is None:
            installation.close()
    for plugin in gone:
        click.echo(gettext(N_("%(plugin)s is revoked and out of use."), plugin=plugin))


def where(settings: Settings, source: str | None) -> str:
    """Return where packages come from; raises Conflict when nobody said so."""
    found = source or settings.plugin_index
    if not found:
        raise Conflict(N_("Say where the index is, or set DOUGONG_PLUGIN_INDEX."))
    return found


def bring(installation: Installation, name: str, *, unsigned: bool, source: str | None) -> str:
    """Put a wheel, or a plugin of the index, into the plugin directory; return the plugin's id.

    A plugin that is there already is left as it is. Raises NotFound when there is none, and
    Conflict for ``unsigned`` in production.
    """
    paths, plugins = installation.settings.paths, installation.plugins
    if unsigned and installation.settings.production:
        raise Conflict(N_("In production only signed packages are let in."))
    if name.endswith(".whl"):
        wheel = place_wheel(paths, Path(name), unsigned=unsigned)
    elif name in plugins.found and source is None:
        return name
    elif source is None and installation.settings.plugin_index is None:
        return plugins.entry(name).manifest.id
    else:
        wheel = fetch_plugin(paths, where(installation.settings, source), name)
    plugins.look_again()
    return wheel.plugin
