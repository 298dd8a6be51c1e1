"""The plugin that promises are checked on: its manifest, code, models and where it runs."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from inspect import isfunction
from pathlib import Path
from types import ModuleType
from typing import Any

from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.plugins.loader import models
from dougong.plugins.manifest import Manifest
from dougong.plugins.operations import disable
from dougong.testing.factories import Place, make_place
from dougong.web.admin.registry import views

CHINESE = ("\u4e00", "\u9fff")


@dataclass
class Subject:
    """One installed plugin of a test installation.

    template: a database with nothing but the kernel on the same server, which saves the plugin's
    life from migrating the kernel again.
    """

    installation: Installation
    plugin: str
    template: str | None = None

    @property
    def manifest(self) -> Manifest:
        return self.installation.plugins.manifest(self.plugin)

    @property
    def folder(self) -> Path:
        return self.installation.plugins.found[self.plugin].folder

    @cached_property
    def sources(self) -> dict[Path, ast.Module]:
        """Return the syntax tree of every module, revisions and tests apart."""
        return {
            path: ast.parse(path.read_text("utf-8"))
            for path in sorted(self.folder.rglob("*.py"))
            if "migrations" not in path.parts
        }

    @cached_property
    def templates(self) -> dict[Path, str]:
        return {p: p.read_text("utf-8") for p in sorted(self.folder.rglob("templates/**/*.html"))}

    @cached_property
    def models(self) -> list[Any]:
        return sorted(models(self.manifest.package), key=lambda m: m.__name__)

    @cached_property
    def shown_models(self) -> list[Any]:
        """Return the models that have a view in the admin; others are parts of those."""
        for _plugin, _module in self.installation.plugins.modules("admin"):
            pass
        shown = {view.model for view in views()}
        return [model for model in self.models if model in shown]

    @cached_property
    def modules(self) -> list[ModuleType]:
        """Return the plugin's modules that are imported."""
        package = self.manifest.package
        return [
            module
            for name, module in sorted(sys.modules.items())
            if name == package or name.startswith(f"{package}.")
        ]

    @cached_property
    def services(self) -> dict[str, Any]:
        """Return the plugin's services by full name: the functions as their callers see them."""
        return {
            function.service.name: function
            for module in self.modules
            for function in vars(module).values()
            if isfunction(function)
            and hasattr(function, "service")
            and function.__module__ == module.__name__
        }

    @cached_property
    def place(self) -> Place:
        """Return a community in which every installed plugin is switched on."""
        return make_place(self.installation)

    @cached_property
    def place_without_plugins(self) -> Place:
        """Return a community in which every plugin is switched off."""
        made = make_place(self.installation)
        for plugin in reversed(self.installation.plugins.installed):
            disable(self.installation, Actor.system("test"), plugin, made.community_id)
        return made

    @cached_property
    def life(self) -> dict[str, Any]:
        """Return what a process of its own saw of the plugin's life, from installing to restoring.

        See `dougong.testing.promises.life_story`; it unloads code, which this process still needs.
        """
        settings = self.installation.settings
        server = dict(p.split("=", 1) for p in (settings.database or "").split())
        environment = {
            **os.environ,
            "DOUGONG_HOME": str(settings.paths.home),
            "DOUGONG_DATABASE": settings.database or "",
            "DOUGONG_PLUGIN_PATH": os.pathsep.join(map(str, settings.plugin_paths)),
        }
        done = subprocess.run(
            [
                *(sys.executable, "-m", "dougong.testing.promises.life_story", self.plugin),
                *([self.template] if self.template else []),
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            return {"failed": f"{server.get('dbname')}: {done.stderr.strip()[-1500:]}"}
        return json.loads(done.stdout.splitlines()[-1])

    def where(self, path: Path, node: ast.AST | None = None) -> str:
        """Return a file's name within the plugin, with the line of a node."""
        line = f":{node.lineno}" if node is not None and hasattr(node, "lineno") else ""
        return f"{path.relative_to(self.folder)}{line}"

    def nodes(self) -> Iterator[tuple[Path, ast.AST]]:
        """Yield every node of the plugin's code with its file."""
        for path, tree in self.sources.items():
            for node in ast.walk(tree):
                yield path, node

    def calls(self, name: str) -> Iterator[tuple[Path, ast.Call]]:
        """Yield every call of a method or function ``name`` in the plugin's code."""
        for path, node in self.nodes():
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
                if called == name:
                    yield path, node

    def imports(self) -> Iterator[tuple[Path, ast.stmt, str, str]]:
        """Yield (file, statement, module, name) of every import; name is empty for a module."""
        for path, node in self.nodes():
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield path, node, alias.name, ""
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    yield path, node, node.module, alias.name


def has_chinese(text: str) -> bool:
    """Tell whether a text holds Chinese characters."""
    return any(CHINESE[0] <= c <= CHINESE[1] for c in text)
