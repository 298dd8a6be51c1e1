"""The one answer to "is this plugin on here?", for pages, API, jobs, devices and files alike."""

from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import Flask, g

from dougong.db.migrator import KERNEL
from dougong.errors import NotFound
from dougong.i18n import N_

if TYPE_CHECKING:
    from dougong.db.scope import Scope
    from dougong.installation import Installation


def is_open(plugin: str, scope: "Scope", building: UUID | None = None) -> bool:
    """Tell whether ``plugin`` is on in the scope, and in ``building`` when one is given."""
    if plugin == KERNEL.id:
        return True
    if plugin not in scope.enablement:
        return False
    switched = scope.enablement[plugin]
    return switched is None or building is None or building in switched


def gate(plugin: str, scope: "Scope", building: UUID | None = None) -> None:
    """Raise NotFound unless ``plugin`` is on here: what is off looks like what does not exist."""
    if not is_open(plugin, scope, building):
        raise NotFound(N_("%(plugin)s is not switched on here."), plugin=plugin)


def guard_views(app: Flask, installation: "Installation") -> None:
    """Put the gate before every view of a plugin, and count what it raises.

    Called once all pages are there. Views are recognised by the module of their code or of their
    model, so that a plugin cannot forget to ask.
    """
    for endpoint, view in list(app.view_functions.items()):
        plugin = owner_of_view(installation, view)
        if plugin != KERNEL.id:
            app.view_functions[endpoint] = _guarded(installation, plugin, endpoint, view)


def _guarded(
    installation: "Installation", plugin: str, endpoint: str, view: Callable[..., Any]
) -> Callable[..., Any]:
    @wraps(view)
    def run(*args: Any, **kwargs: Any) -> Any:
        scope = g.get("scope")
        if scope is not None:
            gate(plugin, scope)
        elif not installation.plugins.standing(plugin).is_working:
            raise NotFound(N_("%(plugin)s is not switched on here."), plugin=plugin)
        with installation.plugins.boundary(plugin, f"view {endpoint}"):
            return view(*args, **kwargs)

    return run


def owner_of_view(installation: "Installation", view: Any) -> str:
    """Return the plugin whose code answers a request; ``dougong`` for the kernel.

    Admin views are instances of kernel or plugin classes: their model's module counts as well.
    """
    for holder in _holders(view):
        for module in (
            getattr(getattr(holder, "model", None), "__module__", ""),
            getattr(holder, "__module__", ""),
            type(holder).__module__,
        ):
            owner = installation.plugins.owner_of(module or "")
            if owner != KERNEL.id:
                return owner
    return KERNEL.id


def _holders(view: Any) -> Iterator[Any]:
    """Yield the function behind a view, and the objects that it is bound to."""
    waiting, seen = [view], 0
    while waiting and seen < 20:
        holder = waiting.pop()
        seen += 1
        yield holder
        if isinstance(holder, partial):
            waiting += [holder.func, *holder.args]
        for name in ("__wrapped__", "__self__", "view_class"):
            if (inner := getattr(holder, name, None)) is not None:
                waiting.append(inner)
