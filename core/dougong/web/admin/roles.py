"""The roles of a group: what each may do, and what it sees of records, column by column."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import render_template, request, url_for

from dougong.access import clearances, own_roles
from dougong.access.users import role_name
from dougong.db.clearance import declared
from dougong.db.rules import RULES
from dougong.db.scope import Grant, Scope
from dougong.errors import NotFound
from dougong.i18n import N_, gettext
from dougong.services.approvals import approvals, model_of
from dougong.web.admin import registry
from dougong.web.admin.menu import ADMINISTRATION, menu_page
from dougong.web.admin.pages import Crumb, blueprint, go
from dougong.web.admin.views import RecordView
from dougong.web.app import require_scope

menu_page(
    "admin.role_list",
    ("Roles and fields", "角色与字段"),
    "dougong.role.view",
    section=ADMINISTRATION,
    icon="key",
    order=52,
    only_in="group",
)


@dataclass(frozen=True)
class ColumnLine:
    """A column on a role's page. own: what holds when the group says nothing of it."""

    name: str
    label: str
    own: str
    said: str


@blueprint.get("/roles")
def role_list() -> str:
    """Show the roles with what they hold."""
    scope = group_scope()
    return render_template(
        "admin/roles.html",
        lines=clearances.role_lines(scope),
        role_name=role_name,
        crumbs=path_of(scope),
    )


@blueprint.get("/users/roles/<uuid:id>")
def role(id: UUID) -> str:
    """Show one role, and its columns of one kind of record."""
    scope = group_scope()
    line = clearances.role_line(scope, id)
    view = _chosen()
    return render_template(
        "admin/role.html",
        line=line,
        role_name=role_name,
        views=sorted(registry.views(), key=lambda v: v.label()),
        view=view,
        columns=_columns(view, line) if view is not None else [],
        classes=_classes(line),
        labels=_labels(line),
        holders=own_roles.holders_of(scope, id),
        rules=_rules(line.role.rules),
        limits=_limits(line),
        crumbs=path_of(scope, (role_name(line.role), None)),
    )


@blueprint.post("/users/roles/<uuid:id>")
def set_role(id: UUID) -> Any:
    """Say what a role may do with the columns that the form lists."""
    scope = group_scope()
    view = _chosen()
    line = clearances.role_line(scope, id)
    known = {c.name for c in _columns(view, line)} if view is not None else set(_classes(line))
    clearances.say(scope, id, {k: v for k, v in request.form.items() if k in known})
    chosen: dict[str, Any] = {"view": view.name()} if view is not None else {}
    return go(url_for("admin.role", id=id, done="changed", **chosen))


@dataclass(frozen=True)
class LimitLine:
    """How much a role may approve. own: the role's limit in yuan; said: the group's, ``-`` none."""

    permission: str
    label: str
    own: str | None
    said: str


def _limits(line: clearances.RoleLine) -> list[LimitLine]:
    """Return the approvals about an amount that a role may give, by what they are about."""
    grant = Grant(frozenset(line.role.permissions))
    found = []
    for each in approvals():
        if each.approves is None or not each.approves.amount or not grant.allows(each.permission):
            continue
        view = registry.view_of(model_of(each))
        label = f"{view.label()} · {each.title}" if view is not None else str(each.title)
        said = line.limits.get(each.permission, "")
        own = line.role.limits.get(each.permission)
        found.append(
            LimitLine(each.permission, label, own, clearances.NO_LIMIT if said is None else said)
        )
    return sorted(found, key=lambda each: each.label)


@blueprint.post("/users/roles/<uuid:id>/limits")
def set_limits(id: UUID) -> Any:
    """Say how much a role may approve."""
    scope = group_scope()
    line = clearances.role_line(scope, id)
    known = {each.permission for each in _limits(line)}
    given = {k: v.strip().replace(",", "") for k, v in request.form.items() if k in known}
    clearances.limit(scope, id, given)
    return go(url_for("admin.role", id=id, done="changed"))


def group_scope() -> Scope:
    """Return the scope of a group's page about roles; raises NotFound in a community."""
    scope = require_scope()
    if scope.community_id is not None:
        raise NotFound(N_("Roles are looked after on the group's pages."))
    scope.require("dougong.role.view")
    return scope


def path_of(scope: Scope, *further: Crumb) -> list[Crumb]:
    """Return the crumbs of a page below the roles."""
    here = url_for("admin.role_list") if further else None
    place: Crumb = (scope.place.name, url_for("admin.dashboard"))
    return [place, (gettext(N_("Roles and fields")), here), *further]


def _rules(chosen: list[str]) -> list[tuple[str, str]]:
    """Return the record rules that hold for a role: the kind of record, and the reason in words."""
    found = []
    for model, rules in RULES.items():
        view = registry.view_of(model)
        label = view.label() if view is not None else model.__name__
        held = [rule for rule in rules if rule.title is None or rule.full_name in chosen]
        found += [(label, str(rule.reason)) for rule in held]
    return sorted(found)


def _chosen() -> type[RecordView] | None:
    return registry.view_named(request.args.get("view", ""))


def _columns(view: type[RecordView], line: clearances.RoleLine) -> list[ColumnLine]:
    own, found = declared(view.model), []
    for column in view.all_columns().values():
        name = f"{view.name()}.{column.attribute}"
        by_role = own.get(column.attribute, {})
        level = by_role.get(line.role.key) or by_role.get("*", "write")
        level = line.role.clearance.get(name, level)
        found.append(ColumnLine(name, str(column.label), level, line.said.get(name, "")))
    return found


def _classes(line: clearances.RoleLine) -> dict[str, ColumnLine]:
    """Return the classes of personal values that any model has."""
    names = {"phone": N_("Phone numbers"), "id_number": N_("Identity numbers")}
    names |= {"name": N_("Names"), "all": N_("Other personal values")}
    used = {field.mask for view in registry.views() for field in view.model.__encrypted__.values()}
    own = line.role.clearance
    return {
        name: ColumnLine(
            name,
            gettext(names[name]) if name in names else name,
            own.get(name, own.get("*", "mask")),
            line.said.get(name, ""),
        )
        for name in sorted(used)
    }


def _labels(line: clearances.RoleLine) -> list[tuple[str, str, str, str]]:
    """Return what the group says already: view's name, its label, the column, the level."""
    found = []
    for name, level in sorted(line.said.items()):
        stem, _, attribute = name.rpartition(".")
        view = registry.view_named(stem)
        if view is not None:
            labels = {c.attribute: str(c.label) for c in view.all_columns().values()}
            found.append((stem, view.label(), labels.get(attribute, attribute), level))
    return found
