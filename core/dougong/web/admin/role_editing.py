"""Making and changing a group's own roles: rights picked from what is declared, with a preview."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from flask import render_template, request, url_for

from dougong.access import clearances, own_roles
from dougong.access.models import Duty, Role
from dougong.access.own_roles import OPEN_TO_ALL, Wanted
from dougong.access.users import role_name
from dougong.db.clearance import declared
from dougong.db.columns import member_label
from dougong.db.rules import RecordRule, choosable
from dougong.db.scope import RESERVED, Grant, Scope
from dougong.errors import Conflict, Invalid, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.services import SERVICES
from dougong.web.admin import registry
from dougong.web.admin.menu import section_title
from dougong.web.admin.pages import blueprint, go
from dougong.web.admin.roles import group_scope, path_of
from dougong.web.app import current_installation

# Under which a manifest names rights that are neither a record's usual verb nor a service.
COLUMN = "dougong.role.permission"
VERBS = {
    "view": N_("see"),
    "create": N_("create"),
    "change": N_("change"),
    "delete": N_("delete"),
    "export": N_("download"),
    "portal": N_("use the portal"),
    "enable": N_("switch on"),
    "disable": N_("switch off"),
    "grant": N_("give"),
    "revoke": N_("end"),
    "rotate": N_("rotate"),
    "verify": N_("verify"),
    "work": N_("work with"),
}
WIDE = {
    "*": N_("Everything but the administrations"),
    "*.view": N_("See everything"),
    "*.create": N_("Create everything"),
    "*.change": N_("Change everything"),
    "*.delete": N_("Delete everything"),
    "*.export": N_("Download every list"),
}
KERNEL = {
    "audit": ("view", "verify"),
    "keys": ("view", "rotate"),
    "plugin": ("view", "enable", "disable"),
    "role": ("view", "change", "grant"),
    "session": ("view", "revoke"),
    "user": ("view", "create", "change"),
}


@dataclass(frozen=True)
class Right:
    """One permission as the form offers it. by: the wider pattern of the role that gives it."""

    name: str
    label: str
    is_chosen: bool
    by: str


@dataclass(frozen=True)
class Thing:
    """The permissions of one kind of record."""

    label: str
    rights: list[Right]


@dataclass(frozen=True)
class Area:
    """The permissions of the kernel, of the administrations, or of a plugin."""

    key: str
    label: str
    wide: str
    is_wide: bool
    things: list[Thing]

    @property
    def chosen(self) -> int:
        return sum(r.is_chosen or bool(r.by) for t in self.things for r in t.rights)

    @property
    def number(self) -> int:
        return sum(len(t.rights) for t in self.things)


@dataclass(frozen=True)
class RuleLine:
    """A record rule as the form offers it: of which kind of record, what it is called and says."""

    name: str
    kind: str
    title: str
    reason: str


EMPTY = Wanted("", "", Duty.BUSINESS, ())


# --- what is declared -----------------------------------------------------------------------------


def declared_permissions() -> dict[str, dict[str, list[str]]]:
    """Return verbs by kind of record, by plugin: of the kernel and of every plugin installed."""
    found: dict[str, dict[str, list[str]]] = {"dougong": {k: list(v) for k, v in KERNEL.items()}}
    plugins = current_installation().plugins
    for plugin in plugins.loaded:
        permissions = plugins.manifest(plugin).permissions
        found[plugin] = {thing: list(verbs) for thing, verbs in permissions.items()}
    for view in registry.views():
        plugin, _, thing = view.name().partition(".")
        verbs = ["view", "create", "change", "delete", "export"]
        if view.model.__kind__ == "platform":
            verbs = ["view"]
        found.setdefault(plugin, {}).setdefault(thing, []).extend(verbs)
    named = [s.permission for s in SERVICES.values()] + [p.permission for p in registry.pages()]
    for permission in named:
        plugin, _, rest = permission.partition(".")
        thing, _, verb = rest.partition(".")
        if plugin in found and verb and thing != "*":
            found[plugin].setdefault(thing, []).append(verb)
    return {
        plugin: {thing: list(dict.fromkeys(verbs)) for thing, verbs in sorted(things.items())}
        for plugin, things in found.items()
    }


def _names(found: dict[str, dict[str, list[str]]]) -> list[str]:
    return [
        f"{p}.{t}.{v}" for p, things in found.items() for t, verbs in things.items() for v in verbs
    ]


def _areas(permissions: list[str]) -> list[Area]:
    """Return the areas of the form, the administrations last."""
    areas: list[Area] = []
    reserved: list[Thing] = []
    for plugin, things in declared_permissions().items():
        made: list[Thing] = []
        for thing, verbs in things.items():
            rights = [_right(f"{plugin}.{thing}.{verb}", permissions) for verb in verbs]
            kept = Thing(_thing_label(plugin, thing), rights)
            is_reserved = f"{plugin}.{thing}.".startswith(RESERVED)
            (reserved if is_reserved else made).append(kept)
        wide = f"{plugin}.*"
        title = section_title(current_installation(), plugin)
        areas.append(Area(plugin, title, wide, wide in permissions, made))
    title = gettext(N_("What the administrations do"))
    return [*areas, Area("reserved", title, "", False, reserved)]


def _right(name: str, permissions: list[str]) -> Right:
    is_chosen = name in permissions
    wider = "" if is_chosen else next((p for p in permissions if _gives(p, name)), "")
    return Right(name, label_of(name), is_chosen, wider)


def _gives(pattern: str, name: str) -> bool:
    return Grant(frozenset({pattern})).allows(name)


def label_of(permission: str) -> str:
    """Return what people call the verb of a permission."""
    verb = permission.rpartition(".")[2]
    service = SERVICES.get(permission)
    if said := current_installation().plugins.words_for(COLUMN, permission):
        return said
    if verb in VERBS:
        return gettext(VERBS[verb])
    return str(service.title) if service is not None else verb.replace("_", " ")


def _thing_label(plugin: str, thing: str) -> str:
    if said := current_installation().plugins.words_for(COLUMN, f"{plugin}.{thing}"):
        return said
    view = registry.view_named(f"{plugin}.{thing}")
    own = {
        "approval": N_("Approvals"),
        "attachment": N_("Files"),
        "audit": N_("Audit log"),
        "exchange": N_("Imports and exports"),
        "export_file": N_("Exported files"),
        "health": N_("Health"),
        "import_run": N_("Imports"),
        "keys": N_("Keys"),
        "personal": N_("Personal data"),
        "plugin": N_("Plugins"),
        "role": N_("Roles"),
        "session": N_("Sessions and tokens"),
        "user": N_("Users"),
    }
    if plugin == "dougong" and thing in own:
        return gettext(own[thing])
    return str(view.label()) if view is not None else thing.replace("_", " ")


def full_label(permission: str) -> str:
    """Return a permission in words: what, and what may be done with it."""
    plugin, thing, _ = permission.split(".", 2)
    return f"{_thing_label(plugin, thing)} · {label_of(permission)}"


# --- pages ----------------------------------------------------------------------------------------


@blueprint.route("/roles/new", methods=["GET", "POST"])
def new_role() -> Any:
    """Show the form of a new role, maybe filled in from another one; preview it or create it."""
    scope = _changer()
    copied = _copied(scope)
    if request.method == "GET":
        start = own_roles.as_wanted(copied) if copied is not None else EMPTY
        return _form(scope, None, replace(start, name="", name_zh=""), copied)
    wanted = _wanted()
    try:
        own_roles.check(wanted)
        if "sure" not in request.form:
            return _form(scope, None, wanted, copied, is_preview=True)
        id = own_roles.create_role(scope, wanted, _columns_of(copied), copied)
    except (Invalid, Conflict) as error:
        return _form(scope, None, wanted, copied, error), error.status
    return go(url_for("admin.role", id=id, done="created"))


@blueprint.route("/roles/<uuid:id>/edit", methods=["GET", "POST"])
def edit_role(id: UUID) -> Any:
    """Show the form of a role of the group's own; preview a change or make it."""
    scope = _changer()
    role = clearances.role_line(scope, id).role
    if role.group_id is None:
        raise NotFound(N_("There is no such role of this group's own."))
    if request.method == "GET":
        return _form(scope, role, own_roles.as_wanted(role))
    wanted = _wanted()
    try:
        own_roles.check(wanted)
        if "sure" not in request.form:
            return _form(scope, role, wanted, is_preview=True)
        own_roles.change_role(scope, id, wanted)
    except (Invalid, Conflict) as error:
        return _form(scope, role, wanted, error=error), error.status
    return go(url_for("admin.role", id=id, done="changed"))


@blueprint.post("/roles/<uuid:id>/back")
def take_role_back(id: UUID) -> Any:
    """Put a role back as it was before its last change."""
    own_roles.take_back(_changer(), id)
    return go(url_for("admin.role", id=id, done="undone"))


@blueprint.post("/roles/<uuid:id>/remove")
def remove_role(id: UUID) -> Any:
    """Remove a role that nobody holds."""
    own_roles.remove_role(_changer(), id)
    return go(url_for("admin.role_list", done="deleted"))


def _changer() -> Scope:
    scope = group_scope()
    scope.require(own_roles.CHANGE)
    return scope


def _copied(scope: Scope) -> Role | None:
    """Return the role that the new one starts from, None for an empty one."""
    given = request.values.get("copy", "")
    try:
        return clearances.role_line(scope, UUID(given)).role if given else None
    except ValueError:
        raise NotFound(N_("There is no such role.")) from None


def _wanted() -> Wanted:
    form = request.form
    clean = {k: form.get(k, "").replace("\0", "").strip() for k in ("name", "name_zh", "duty")}
    try:
        duty = Duty(clean["duty"])
    except ValueError:
        raise NotFound(N_("There is no such page.")) from None
    chosen = tuple(dict.fromkeys(p[:200] for p in form.getlist("permission")))
    rules = tuple(dict.fromkeys(r[:200] for r in form.getlist("rule")))
    return Wanted(clean["name"] or clean["name_zh"], clean["name_zh"], duty, chosen, rules)


def _rules(wanted: Wanted) -> list[RuleLine]:
    """Return the record rules that a role may choose, and those that it has and nobody declares."""
    found = {
        name: RuleLine(name, _model_label(rule), str(rule.title), str(rule.reason))
        for name, rule in choosable().items()
    }
    gone = {name: RuleLine(name, name, name, "") for name in wanted.rules if name not in found}
    return sorted([*found.values(), *gone.values()], key=lambda line: (line.kind, line.title))


def _model_label(rule: RecordRule) -> str:
    view = registry.view_of(rule.model)
    return str(view.label()) if view is not None else rule.model.__tablename__


def _columns_of(role: Role | None) -> dict[str, str]:
    """Return what plugins declare of columns for the very role that is copied, by full name."""
    if role is None:
        return {}
    return {
        f"{view.name()}.{attribute}": levels[role.key]
        for view in registry.views()
        for attribute, levels in declared(view.model).items()
        if role.key in levels
    }


def _form(
    scope: Scope,
    role: Role | None,
    wanted: Wanted,
    copied: Role | None = None,
    error: Invalid | Conflict | None = None,
    *,
    is_preview: bool = False,
) -> str:
    before = list(role.permissions) if role is not None else []
    rules = set(role.rules) if role is not None else set()
    found = declared_permissions()
    title = role_name(role) if role is not None else gettext(N_("New role"))
    known = {*_names(found), *WIDE, *(f"{p}.*" for p in found)}
    return render_template(
        "admin/role_form.html",
        role=role,
        wanted=wanted,
        copied=copied,
        copies=[line.role for line in clearances.role_lines(scope)],
        role_name=role_name,
        areas=_areas(list(wanted.permissions)),
        wide={p: gettext(t) for p, t in WIDE.items()},
        kept=[p for p in wanted.permissions if p not in known],
        duties=[(d.value, member_label(d)) for d in Duty],
        difference=own_roles.difference(before, wanted.permissions, _names(found)),
        rules=_rules(wanted),
        narrowed=[r for r in _rules(wanted) if r.name in set(wanted.rules) - rules],
        widened=[
            r for r in _rules(own_roles.as_wanted(role)) if r.name in rules - set(wanted.rules)
        ]
        if role is not None
        else [],
        holders=own_roles.holders_of(scope, role.id) if role is not None else [],
        open_to_all=OPEN_TO_ALL,
        full_label=full_label,
        is_preview=is_preview,
        message=translate_error(error) if error else "",
        errors=getattr(error, "fields", {}),
        crumbs=path_of(scope, (title, None)),
    )
