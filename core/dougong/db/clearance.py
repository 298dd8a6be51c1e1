"""What an actor may see and set of a record: by role, column by column. The only place that says.

A personal value belongs to a class (its mask); a role shows the class in ``full``, as a ``mask``,
or lets it ``hide``. Any column can be ``write`` (as the permissions say), ``read`` or ``hide``: a
role says so for ``<plugin>.<model>.<attribute>``, else the plugin's declaration, ``restricted``.
List, details, form, cells, bulk edit, history, export, import and API all ask here, and so do the
generic services that write.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dougong.db.base import plugin_of_module

if TYPE_CHECKING:
    from dougong.db.scope import Grant, Scope

PERSONAL = ("full", "mask", "hide")
LEVELS = ("write", "read", "hide")
EVERYONE = "*"
VERBS = ("view", "create", "change")


def restricted(*, read: Iterable[str] = (), hide: Iterable[str] = ()) -> dict[str, Any]:
    """Return a column's ``info`` that narrows it for roles, ``*`` for all that are not named.

    ``info=label("Cost", "成本") | restricted(hide=("guard",), read=("*",))``. That holds until an
    administrator says otherwise on the page of the role; who is in neither may write.
    """
    return {"restricted": {**dict.fromkeys(read, "read"), **dict.fromkeys(hide, "hide")}}


def declared(model: Any) -> dict[str, Mapping[str, str]]:
    """Return what the plugin declares: level by role, by attribute; personal ones plainly named."""
    found = {}
    for attribute in model.__mapper__.column_attrs:
        info = attribute.columns[0].info
        if "restricted" in info:
            found[info.get("encrypted") or attribute.key] = info["restricted"]
    return found


def personal_level(scope: "Scope", field_class: str) -> str:
    """Return ``full``, ``mask`` or ``hide`` for a class of personal values; ``mask`` when unsaid.

    The widest of an actor's roles counts. On group pages the narrowest of the communities does.
    """
    found = []
    for grants in scope.grants_here:
        said = [g.clearance.get(field_class, g.clearance.get(EVERYONE, "")) for g in grants]
        found.append(next((level for level in PERSONAL if level in said), "mask"))
    return max(found, key=PERSONAL.index)


def column_levels(scope: "Scope", model: Any) -> dict[str, str]:
    """Return ``read`` or ``hide`` by attribute, for the columns that the actor may not write.

    A relation goes by its id column, a personal value by its plain name.
    """
    stem = f"{plugin_of_module(model.__module__)}.{model.__tablename__}"
    own, levels = declared(model), {}
    places = [_of_the_model(grants, stem) for grants in scope.grants_here]
    said = {
        name.removeprefix(f"{stem}.")
        for grants in places
        for grant in grants
        for name in grant.clearance
        if name.startswith(f"{stem}.")
    }
    for name in {*own, *said}:
        level = max((_widest(g, stem, name, own) for g in places), key=LEVELS.index)
        if level != "write":
            levels[name] = level
    for name, field in model.__encrypted__.items():
        if scope.clearance(field.mask) == "hide":
            levels[name] = "hide"
    return levels


def _of_the_model(grants: Iterable["Grant"], stem: str) -> list["Grant"]:
    """Return the grants that let someone do anything with a model's records."""
    return [g for g in grants if any(g.allows(f"{stem}.{verb}") for verb in VERBS)]


def _widest(
    grants: list["Grant"], stem: str, name: str, own: Mapping[str, Mapping[str, str]]
) -> str:
    roles = own.get(name, {})
    if any("**" in grant.permissions for grant in grants):
        return "write"
    if not grants:
        return roles.get(EVERYONE, "write")
    return min(
        (
            grant.clearance.get(f"{stem}.{name}")
            or roles.get(grant.role)
            or roles.get(EVERYONE, "write")
            for grant in grants
        ),
        key=LEVELS.index,
    )
