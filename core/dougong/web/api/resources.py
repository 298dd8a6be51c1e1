"""What the JSON API offers: which models with which verbs, and which services.

A plugin exposes a model by listing its permissions in the manifest; the verbs listed there are the
verbs of the API, less those that the model's admin view does not offer. The kernel, which has no
manifest, exposes the models that have an admin view.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from dougong.db.base import InCommunity, InGroup, Row
from dougong.db.migrator import KERNEL
from dougong.db.scope import Scope
from dougong.errors import NotAllowed, NotFound
from dougong.i18n import N_
from dougong.installation import Installation
from dougong.services import SERVICES, Service, plugin_of_module
from dougong.tenancy.models import Community
from dougong.web.api.inputs import is_expressible

VERBS = ("view", "create", "change", "delete")
MOST_KNOWN = 256
_known: WeakKeyDictionary[Any, dict[Any, "dict[str, Resource]"]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Resource:
    """A model in the API: ``/v1/<plugin>/<name>``."""

    plugin: str
    name: str
    model: Any
    verbs: frozenset[str]

    @property
    def path(self) -> str:
        return f"/v1/{self.plugin}/{self.name}"

    @cached_property
    def schema_name(self) -> str:
        """Return the stem of the schemas' names in the document: ``MetersMeter``."""
        return "".join(p.title() for p in f"{self.plugin}_{self.name}".split("_"))

    def permission(self, verb: str) -> str:
        return f"{self.plugin}.{self.name}.{verb}"

    def offered(self, scope: Scope) -> frozenset[str]:
        """Return the verbs that make sense in this kind of place: a group writes only its own."""
        kind = "group" if scope.community_id is None else "community"
        return self.verbs if self.model.__kind__ == kind else self.verbs & {"view"}

    def require(self, scope: Scope, verb: str) -> None:
        """Raise NotAllowed unless the actor may do ``verb`` here."""
        scope.require(self.permission(verb))
        if verb in self.verbs and verb not in self.offered(scope):
            raise NotAllowed(
                N_("Choose a community first; a group page writes no rows.")
                if scope.community_id is None
                else N_("This belongs to the property group and is changed there.")
            )


def resources(scope: Scope) -> dict[str, Resource]:
    """Return the resources of the plugins that are on in the scope, by ``<plugin>.<name>``."""
    plugins = scope.installation.plugins
    known = _known.setdefault(plugins, {})
    key = (plugins.generation, scope.enabled)
    if key not in known:
        if len(known) >= MOST_KNOWN:
            known.clear()
        known[key] = _resources(scope)
    return known[key]


def _resources(scope: Scope) -> dict[str, Resource]:
    found = {}
    for model in _models():
        plugin = plugin_of_module(model.__module__)
        verbs = _verbs(scope.installation, plugin, model.__tablename__)
        if plugin in scope.enabled and "view" in verbs:
            made = Resource(plugin, model.__tablename__, model, verbs)
            found[f"{plugin}.{made.name}"] = made
    return dict(sorted(found.items()))


def resource(scope: Scope, plugin: str, name: str) -> Resource:
    """Return one resource; raises NotFound where it is not offered."""
    found = resources(scope).get(f"{plugin}.{name}")
    if found is None:
        raise NotFound(N_("There is no such page."))
    return found


def services(scope: Scope) -> dict[str, Service]:
    """Return the public services of the plugins that are on in the scope, by full name.

    A service that replaces creating, changing or deleting a model is behind the model's address.
    """
    exposed = resources(scope)
    return {
        name: found
        for name, found in sorted(SERVICES.items())
        if found.is_public
        and found.plugin in scope.enabled
        and not _is_generic(found.name, exposed)
        and is_expressible(found)
    }


def service_named(scope: Scope, name: str) -> Service:
    """Return one public service; raises NotFound where it is not offered."""
    found = services(scope).get(name)
    if found is None:
        raise NotFound(N_("There is no such page."))
    return found


def _is_generic(name: str, exposed: Mapping[str, Resource]) -> bool:
    stem, _, verb = name.rpartition(".")
    return verb in VERBS and stem in exposed


def _verbs(installation: Installation, plugin: str, name: str) -> frozenset[str]:
    """Return what may be done with a model through the API at all."""

    from dougong.web.admin.registry import view_named

    view = view_named(f"{plugin}.{name}")
    if plugin == KERNEL.id:
        verbs = frozenset(VERBS) if view is not None else frozenset()
    elif plugin in installation.plugins.found:
        manifest = installation.plugins.manifest(plugin)
        verbs = frozenset(VERBS) & frozenset(manifest.permissions.get(name, ()))
    else:
        verbs = frozenset()
    if view is None:
        return verbs
    refused = {v for v in VERBS if not getattr(view, f"can_{v}", True)}
    return verbs - refused


def _models() -> Iterator[Any]:
    """Yield the mapped classes whose module is still the loaded one."""
    import sys

    yield Community
    waiting: list[type[Row]] = [InCommunity, InGroup]
    while waiting:
        for model in waiting.pop().__subclasses__():
            waiting.append(model)
            module = sys.modules.get(model.__module__)
            if hasattr(model, "__table__") and getattr(module, model.__name__, None) is model:
                yield model
