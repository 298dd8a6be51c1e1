"""`dougong …`: every command, imported only when it is called.

A plugin brings a command of its own name: the click object in its ``cli.py`` (`dougong repairs …`).
What a command is good for is read from its source: the list of commands runs none of their code,
so it is there at once, and also when a plugin is broken.
"""

import ast
import os
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

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
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_modules())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name) or _plugin_modules().get(cmd_name)
        if module is None or not _source(module):
            return None
        return _named(import_module(module), cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        modules = _modules()
        width = formatter.width - 6 - max(map(len, modules))
        described = [click.Command(n, help=_help(m, n)) for n, m in modules.items()]
        with formatter.section("Commands"):
            formatter.write_dl([(c.name or "", c.get_short_help_str(width)) for c in described])


def _modules() -> dict[str, str]:
    """Return the module of every command that there is, the kernel's first."""
    plugins = {n: m for n, m in sorted(_plugin_modules().items()) if _source(m)}
    return {**COMMANDS, **{n: m for n, m in plugins.items() if n not in COMMANDS}}


def _plugin_modules() -> dict[str, str]:
    """Return where the command of each installed plugin would stand; the kernel's names win."""
    return {p.name: f"{p.value}.cli" for p in entry_points(group="dougong.plugins")}


def _source(module: str) -> Path | None:
    """Return the file of a module below a package, None where there is none; imports neither."""
    package, *folders, last = module.split(".")
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None
    for root in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(root, *folders, f"{last}.py")
        if file.is_file():
            return file
    return None


def _help(module: str, name: str) -> str:
    """Return what the command called ``name`` in the module's source says that it does."""
    source = _source(module)
    try:
        body = ast.parse(source.read_bytes()).body if source else []
    except (OSError, SyntaxError, ValueError):
        return ""
    return next((text for node in body if (text := _help_of(node, name))), "")


def _help_of(node: ast.stmt, name: str) -> str:
    """Return the help of ``@click.command(name)`` over a function or ``= Group(name, help=…)``."""
    if isinstance(node, ast.FunctionDef):
        return (ast.get_docstring(node) or "") if _names(node.decorator_list, name) else ""
    if isinstance(node, ast.Assign) and (call := _names([node.value], name)):
        told = (k.value for k in call.keywords if k.arg == "help")
        return next((str(v.value) for v in told if isinstance(v, ast.Constant)), "")
    return ""


def _names(calls: list[ast.expr], name: str) -> ast.Call | None:
    """Return the call of which the first argument is ``name``."""
    for call in calls:
        if isinstance(call, ast.Call) and call.args:
            first = call.args[0]
            if isinstance(first, ast.Constant) and first.value == name:
                return call
    return None


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
    from dougong.i18n import use_locale
    from dougong.supervisor.child import log_to_stderr

    log_to_stderr()
    context.with_resource(use_locale(_language()))
    if context.invoked_subcommand != "up":
        _speak_of_what_runs()


def _language() -> str:
    """Return the terminal's language where it is ours; Chinese where it says nothing."""
    from dougong.i18n import DEFAULT_LOCALE

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
