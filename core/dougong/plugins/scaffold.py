"""Writes the files of a new plugin: one that keeps records and passes the conformance suite."""

import re
from importlib.resources import files
from pathlib import Path
from string import Template

from dougong.errors import Conflict, Invalid
from dougong.i18n import N_
from dougong.plugins.manifest import ID

SAMPLE = Path(str(files("dougong.plugins"))) / "sample"


def scaffold(plugin: str, folder: Path, title: str | None = None) -> list[Path]:
    """Write the plugin ``plugin`` into ``folder/<plugin>``; return the files, in order.

    Raises Invalid for an id that cannot be one, and Conflict when the folder is there already.
    """
    if not re.match(ID, plugin):
        raise Invalid(N_("%(plugin)s is not an id: small letters, digits and _."), plugin=plugin)
    target = folder / plugin
    if target.exists():
        raise Conflict(N_("%(folder)s is there already."), folder=str(target))
    words = {"plugin": plugin, "title": title or plugin.replace("_", " ").capitalize()}
    written = []
    for source in sorted(SAMPLE.rglob("*.txt")):
        relative = source.relative_to(SAMPLE).with_suffix("")
        parts = [f"dougong_{plugin}" if part == "package" else part for part in relative.parts]
        path = target.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(source.read_text("utf-8")).safe_substitute(words), "utf-8")
        written.append(path)
    return written
