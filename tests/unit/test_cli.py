"""The list of commands: read from their sources, so that it is there at once."""

import subprocess
import sys
from importlib import import_module

import click
import pytest

from dougong import cli

LOOK = """
import sys
from dougong.cli import main
try:
    main(["--help"])
finally:
    print("imported", sorted(
        n for n in sys.modules
        if n in ("sqlalchemy", "flask", "babel") or n.startswith(("dougong.", "dougong_"))
    ))
"""


def test_the_list_of_commands_runs_none_of_their_code():
    answer = subprocess.run(
        [sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=60
    )
    assert "imported ['dougong.cli']" in answer.stdout, answer.stdout + answer.stderr
    for name in cli.COMMANDS:
        assert f"\n  {name} " in answer.stdout


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_what_is_told_of_a_command_is_what_the_command_says(name):
    command = cli._named(import_module(cli.COMMANDS[name]), name)
    assert command is not None
    told = click.Command(name, help=cli._help(cli.COMMANDS[name], name))
    assert told.get_short_help_str(200) == command.get_short_help_str(200) != ""


def test_a_plugin_that_is_gone_or_broken_does_not_spoil_the_list(tmp_path, monkeypatch):
    package = tmp_path / "dougong_shaky"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('never imported')")
    (package / "cli.py").write_text("def (")
    monkeypatch.syspath_prepend(tmp_path)
    modules = {"shaky": "dougong_shaky.cli", "gone": "dougong_gone.cli"}
    monkeypatch.setattr(cli, "_plugin_modules", lambda: modules)
    assert cli.main.list_commands(click.Context(cli.main)) == [*cli.COMMANDS, "shaky"]
    assert "shaky" in cli.main.get_help(click.Context(cli.main))
