"""`dougong …`: every command, imported only when it is called.

A plugin brings a command of its own name: the click object in its ``cli.py`` (`dougong repairs …`).
"""

import os
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

import click

from dougong.i18n import DEFAULT_LOCALE, use_locale

# A command's module; the command itself is the click object of that name inside it.
COMMANDS = {
    "up": "dougong.supervisor.commands",
    "down": "dougong.supervisor.commands",
    "reset": "dougong.supervisor.commands",
    "status": "dougong.supervisor.commands",
    "doctor": "dougong.doctor.commands",
    "backup": "dougong.backups.commands",
    "restore": "dougong.backups.commands",
    "user": "dougong.access.commands",
    "token": "dougong.web.api.commands",
    "plugin": "dougong.plugins.commands",
    "keys": "dougong.privacy.commands",
    "privacy": "dougong.privacy.commands",
    "audit": "dougong.audit.commands",
    "devices": "dougong.devices.commands_cli",
    "demo": "dougong.demo.commands",
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = [*COMMANDS, *sorted(_plugin_modules())]
        return [name for name in names if self.get_command(ctx, name) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name) or _plugin_modules().get(cmd_name)
        if module is None or not _is_there(module):
            return None
        return _named(import_module(module), cmd_name)


def _plugin_modules() -> dict[str, str]:
    """Return where the command of each installed plugin would stand; the kernel's names win."""
    return {p.name: f"{p.value}.cli" for p in entry_points(group="dougong.plugins")}


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _named(module: Any, name: str) -> click.Command | None:
    for value in vars(module).values():
        if isinstance(value, click.Command) and value.name == name:
            return value
    return None


@click.command(cls=LazyGroup)
@click.version_option(package_name="dougong", prog_name="dougong")
@click.pass_context
def main(context: click.Context) -> None:
    """Run and look after a Dougong installation."""
    from dougong.supervisor.child import log_to_stderr

    log_to_stderr()
    context.with_resource(use_locale(_language()))
    if context.invoked_subcommand != "up":
        _speak_of_what_runs()


def _language() -> str:
    """Return the terminal's language where it is ours; Chinese where it says nothing."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    told = next((value for name in names if (value := os.environ.get(name))), "")
    return "en" if told.lower().startswith("en") else DEFAULT_LOCALE


def _speak_of_what_runs() -> None:
    """Make links lead to the supervisor that runs, whatever port it found free."""
    from dougong.settings import Settings
    from dougong.supervisor import state

    paths = Settings.from_environment().paths
    url = state.read(paths).get("url") if paths.home.exists() else None
    if url:
        os.environ.setdefault("DOUGONG_URL", url)


if __name__ == "__main__":
    main()
