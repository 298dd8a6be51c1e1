"""Imports a plugin so that its failure stays its own: package, mappers, hooks, all or nothing.

Each plugin has its own SQLAlchemy registry, so one that cannot be configured harms nobody; what a
failed plugin left behind (tables, services, modules) is taken out again.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar
from weakref import WeakSet

from sqlalchemy.orm import RelationshipProperty, registry

from dougong.db.base import METADATA, Row
from dougong.db.rules import RULES
from dougong.i18n import N_, add_catalogues, gettext
from dougong.plugins.discovery import Found, package_folder
from dougong.plugins.hooks import Hooks
from dougong.services import SERVICES

_forgotten: "WeakSet[type]" = WeakSet()
# What else keeps things of a plugin: called with its id when its code is forgotten.
WHEN_FORGOTTEN: list[Callable[[str], None]] = []
PARTS = ("hookspecs", "models", "services", "hooks")


class LoadError(Exception):
    """Why a plugin cannot be loaded. point: ``import``, ``mapper`` or ``hooks``."""

    def __init__(self, point: str, reason: str) -> None:
        super().__init__(reason)
        self.point = point


def load(found: Found, hooks: Hooks) -> None:
    """Import a plugin and register its hooks; raises LoadError, and leaves nothing behind then."""
    point = "import"
    try:
        _put_on_path(found)
        parts = {part: import_part(found, part) for part in PARTS}
        point = "mapper"
        _configure(found.manifest.package)
        point = "hooks"
        if parts["hookspecs"]:
            hooks.declare(found.manifest.id, parts["hookspecs"])
        if parts["hooks"]:
            hooks.register(found.manifest.id, parts["hooks"])
    except (Exception, SystemExit) as error:
        forget(found, hooks)
        raise LoadError(point, describe(error)) from error
    locale = found.folder / "locale"
    if locale.is_dir():
        add_catalogues(locale)


def import_part(found: Found, part: str) -> ModuleType | None:
    """Return a module of the plugin's package, None when there is no such file."""
    name = f"{found.manifest.package}.{part}"
    return importlib.import_module(name) if find_spec(name) is not None else None


def describe(error: BaseException) -> str:
    """Return an error in one line, with the file and line of the innermost frame."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    where = ""
    if traceback is not None:
        code = traceback.tb_frame.f_code
        where = f" ({code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno})"
    text = " ".join(str(error).split())[:400]
    return f"{type(error).__name__}: {text}{where}" if text else f"{type(error).__name__}{where}"


def forget(found: Found, hooks: Hooks) -> None:
    """Take out whatever loading left behind: hooks, services, mappers, tables and modules."""
    plugin, package = found.manifest.id, found.manifest.package
    hooks.unregister(plugin)
    for tell in WHEN_FORGOTTEN:
        tell(plugin)
    for name in [n for n in SERVICES if n.startswith(f"{plugin}.")]:
        del SERVICES[name]
    gone = list(models(package))
    for model in gone:
        RULES.pop(model, None)
    tables = {t for t in METADATA.tables.values() if t.schema == found.manifest.schema}
    tables |= {model.__table__ for model in gone}
    for each in registries(package):
        each.dispose(cascade=True)
    _forgotten.update(gone)
    for table in tables:
        METADATA.remove(table)
    for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
        del sys.modules[name]
    PluginFinder.folders.pop(package, None)


def models(package: str) -> Iterator[Any]:
    """Yield every class with a table that a package has defined."""
    waiting: list[Any] = [Row]
    while waiting:
        for cls in waiting.pop().__subclasses__():
            waiting.append(cls)
            is_of_package = cls.__module__.partition(".")[0] == package
            if is_of_package and "__mapper__" in vars(cls) and cls not in _forgotten:
                yield cls


def registries(package: str) -> set[registry]:
    """Return the SQLAlchemy registries that a package's models belong to."""
    return {cls.registry for cls in models(package)}


class PluginFinder:
    """Lets Python find the packages of plugin directories; it is asked last, so shadows nothing."""

    folders: ClassVar[dict[str, Path]] = {}

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return where the package ``name`` lies when a plugin directory holds it."""
        if name not in cls.folders:
            return None
        return PathFinder.find_spec(name, [str(cls.folders[name].parent)])


def _put_on_path(found: Found) -> None:
    package = found.manifest.package
    if not found.is_on_path:
        PluginFinder.folders[package] = found.folder
        if PluginFinder not in sys.meta_path:
            sys.meta_path.append(PluginFinder)
        importlib.invalidate_caches()
    there = package_folder(package)
    if there is None or there.resolve() != found.folder.resolve():
        raise ImportError(
            gettext(
                N_("another package named %(package)s is in the way: %(there)s"),
                package=package,
                there=there,
            )
        )


def _configure(package: str) -> None:
    owners = registries(package)
    for model in models(package):
        for name, attribute in vars(model).items():
            relation = getattr(attribute, "property", None)
            if isinstance(relation, RelationshipProperty):
                _refuse_way_back(model, name, relation, owners)
        for key in model.__table__.foreign_keys:
            key.column  # noqa: B018 - raises when the other table is not there
    for each in owners:
        each.configure(cascade=True)


def _refuse_way_back(
    model: type, name: str, relation: RelationshipProperty[Any], owners: set[registry]
) -> None:
    """Refuse a relation that would add an attribute to another distribution's class."""
    target: Any = relation.argument
    if isinstance(target, str) or not (relation.backref or relation.back_populates):
        return
    target = target if isinstance(target, type) else target()
    if getattr(target, "registry", None) not in owners:
        raise TypeError(
            gettext(
                N_("%(model)s.%(name)s has a way back on %(target)s, which belongs to another"),
                model=model.__name__,
                name=name,
                target=getattr(target, "__name__", target),
            )
        )
