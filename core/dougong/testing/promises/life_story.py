"""Takes a plugin through its whole life in a process and on a database of its own.

Usage: python -m dougong.testing.promises.life_story <plugin> [<template>]. Reads the environment
like every process of Dougong, and prints what it saw as one line of JSON. The template is a
database with nothing but the kernel, to be copied. Installing and uninstalling loads
and unloads code, which a process that runs other tests would miss afterwards.
"""

import json
import sys
from typing import Any

from sqlalchemy import func, select

from dougong.db.base import METADATA
from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor
from dougong.installation import Installation
from dougong.plugins import archive, operations
from dougong.services import SERVICES
from dougong.settings import Settings
from dougong.testing.factories import Place, make_place
from dougong.testing.planting import rows, workshop
from dougong.testing.promises.samples import fill_tables
from dougong.web.admin import registry

ACTOR = Actor.system("conformance")


def tell(installation: Installation, plugin: str) -> dict[str, Any]:
    """Return what happened to ``plugin`` from its installation to the end of its restoration."""
    story: dict[str, Any] = {}
    for needed in installation.plugins.order:
        if needed in installation.plugins.manifest(plugin).depends:
            operations.install(installation, ACTOR, needed)
    _install(installation, plugin, story)
    place = make_place(installation)
    _switch(installation, plugin, place, story)
    with installation.scope(ACTOR, community=place.community_id) as scope:
        story["filled"] = fill_tables(scope, installation.plugins.manifest(plugin).package)
    story["seen_elsewhere"] = _seen_elsewhere(installation, plugin, place)
    _archive(installation, plugin, story)
    story["failures"] = [
        f"{point}: {reason}"
        for point, reason in rows(
            installation, "select point, reason from dougong.plugin_failure", role="access"
        )
    ]
    for _plugin, _module in installation.plugins.modules("admin"):
        pass
    story["views"] = _views(plugin)
    installation.plugins.unload(plugin)
    story["left"] = _left(installation, plugin)
    return story


def _install(installation: Installation, plugin: str, story: dict[str, Any]) -> None:
    ran: list[str] = []
    upgrade = installation.migrator.upgrade

    def listening(*arguments: Any) -> list[str]:
        statements = upgrade(*arguments)
        ran.extend(statements)
        return statements

    planned = operations.dry_run(installation, ACTOR, plugin).statements
    migrator: Any = installation.migrator
    migrator.upgrade = listening
    operations.install(installation, ACTOR, plugin)
    migrator.upgrade = upgrade
    story["planned_and_run"] = [len(planned), len(ran), planned == ran]
    story["left_to_do"] = operations.dry_run(installation, ACTOR, plugin).statements


def _switch(installation: Installation, plugin: str, place: Place, story: dict[str, Any]) -> None:
    """Switch the plugin off, on and on again; note where a second process saw it."""
    other, seen = Installation.open(installation.settings), []
    for act in ("disable", "enable", "disable", "enable"):
        getattr(operations, act)(installation, ACTOR, plugin, place.community_id)
        with other.scope(ACTOR, community=place.community_id) as scope:
            seen.append(plugin in scope.enabled)
    other.close()
    story["seen"] = seen


def _seen_elsewhere(installation: Installation, plugin: str, place: Place) -> list[str]:
    from dougong.plugins.loader import models

    seen = []
    with installation.scope(ACTOR, community=place.other_community_id) as scope:
        known = models(installation.plugins.manifest(plugin).package)
        for table in (model.__table__ for model in known if model.__kind__ == "community"):
            if count := scope.session.scalar(select(func.count()).select_from(table)):
                seen.append(f"{table.name}: {count} rows")
    return seen


def _archive(installation: Installation, plugin: str, story: dict[str, Any]) -> None:
    schema = installation.plugins.manifest(plugin).schema
    made = archive.uninstall(installation, ACTOR, plugin)
    story["archived_rows"] = sum(t["rows"] for t in made.tables.values())
    story["schema_left"] = bool(
        rows(installation, "select 1 from pg_namespace where nspname = :s", s=schema)
    )
    story["loaded_after_uninstall"] = plugin in installation.plugins.loaded
    result = archive.restore(installation, ACTOR, plugin)
    story["restored_rows"] = result.rows
    story["changed"] = list(result.changed)
    story["orphans"] = [o.constraint for o in result.orphans]
    story["works_again"] = installation.plugins.standing(plugin).is_working


def _left(installation: Installation, plugin: str) -> list[str]:
    manifest = installation.plugins.manifest(plugin)
    left = [name for name in SERVICES if name.startswith(f"{plugin}.")]
    left += [name for name, table in METADATA.tables.items() if table.schema == manifest.schema]
    left += [name for name in sys.modules if name.partition(".")[0] == manifest.package]
    left += _views(plugin)
    hooks = installation.plugins.hooks
    for name in hooks.names:
        left += [name for i in hooks.implementations(name) if i.plugin == plugin]
    return left


def _views(plugin: str) -> list[str]:
    """Return what the admin keeps of a plugin: its views and its pages in the menu."""
    views = [view.name() for view in registry.views() if view.plugin() == plugin]
    return views + [page.endpoint for page in registry.pages() if page.plugin == plugin]


def main() -> int:
    """Tell the story of the plugin named on the command line."""
    plugin, template = sys.argv[1], next(iter(sys.argv[2:]), None)
    settings = Settings.from_environment()
    server = EmbeddedPostgres(settings.paths.home, settings.paths.keys, fast=True)
    with workshop(server, *settings.plugin_paths, template=template) as installation:
        story = tell(installation, plugin)
    print(json.dumps(story, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
