"""Users and their roles, and why someone cannot see something."""

from typing import Any
from uuid import UUID

from flask import render_template, request, url_for
from sqlalchemy import select

from dougong.access import delegations, leaving, users
from dougong.access.models import Role
from dougong.db.narrowing import rule_condition
from dougong.db.rules import RULES
from dougong.db.scope import Scope
from dougong.errors import DougongError, NotFound
from dougong.i18n import N_, gettext, translate_error
from dougong.web.admin import registry
from dougong.web.admin.menu import ADMINISTRATION, menu_page, section_title
from dougong.web.admin.pages import Crumb, blueprint, go
from dougong.web.admin.role_editing import full_label
from dougong.web.admin.views import RecordView
from dougong.web.app import current_installation, require_scope

menu_page(
    "admin.user_list",
    ("Users and roles", "用户与角色"),
    "dougong.user.view",
    section=ADMINISTRATION,
    icon="shield",
    order=50,
    only_in="group",
)


@blueprint.get("/users")
def user_list() -> str:
    """Show the logins of this group with their roles."""
    return _page()


def _page(error: DougongError | None = None, link: str = "") -> str:
    scope = _group_scope()
    words = request.args.get("q", "").replace("\0", "").strip()[:60]
    path: list[Crumb] = [(gettext(N_("Users and roles")), None)]
    return render_template(
        "admin/users.html",
        users=users.users_of(scope, words),
        roles=users.roles_of(scope) if scope.may("dougong.role.view") else [],
        role_name=users.role_name,
        communities=scope.place.communities,
        words=words,
        message=translate_error(error) if error else "",
        errors=getattr(error, "fields", {}),
        link=link,
        given=request.form,
        crumbs=[(scope.place.name, url_for("admin.dashboard")), *path],
    )


def _group_scope() -> Scope:
    scope = require_scope()
    if scope.community_id is not None:
        raise NotFound(N_("Users are looked after on the group's pages."))
    scope.require("dougong.user.view")
    return scope


@blueprint.post("/users")
def invite() -> Any:
    """Create a login and show the link that signs it in once."""
    scope = _group_scope()
    form = request.form
    try:
        link = users.invite(
            scope,
            form.get("login", ""),
            form.get("name", ""),
            form.get("role", ""),
            _community(form.get("place", "")),
        )
    except DougongError as error:
        return _page(error), error.status
    return _page(link=link)


@blueprint.post("/users/<uuid:id>/<verb>")
def change_user(id: UUID, verb: str) -> Any:
    """Lock or open a login, give it a role, or make a link for it."""
    scope = _group_scope()
    try:
        if verb == "link":
            return _page(link=users.new_link(scope, id))
        if verb in ("lock", "open"):
            users.set_active(scope, id, verb == "open")
        elif verb == "role":
            place = _community(request.form.get("place", ""))
            users.give_role(scope, id, request.form.get("role", ""), place)
        else:
            raise NotFound(N_("There is no such page."))
    except DougongError as error:
        return _page(error), error.status
    return go(url_for("admin.user_list"))


@blueprint.route("/users/<uuid:id>/leave", methods=["GET", "POST"])
def leave(id: UUID) -> Any:
    """Show what somebody who leaves has open, then end his rights and give it on."""
    scope = _group_scope()
    if request.method == "GET":
        return _leaving(scope, id)
    try:
        chosen = request.form.get("successor", "")
        given = leaving.leave(scope, id, _login(chosen) if chosen else None)
    except DougongError as error:
        return _leaving(scope, id, error), error.status
    return go(url_for("admin.leave", id=id, given=given))


def _leaving(scope: Scope, id: UUID, error: DougongError | None = None) -> str:
    found = leaving.leaver(scope, id)
    path: list[Crumb] = [(gettext(N_("Users and roles")), url_for("admin.user_list"))]
    return render_template(
        "admin/leave.html",
        leaver=found,
        colleagues=[p for p in delegations.people(scope) if p.may_stand_in and p.id != id],
        given=request.args.get("given", 0, int) if "given" in request.args else None,
        message=translate_error(error) if error else "",
        errors=getattr(error, "fields", {}),
        crumbs=[(scope.place.name, url_for("admin.dashboard")), *path, (found.name, None)],
    )


def _login(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise NotFound(N_("There is no such user here.")) from None


@blueprint.post("/users/roles/<uuid:id>/take")
def take_role(id: UUID) -> Any:
    """Take a role back."""
    users.take_role(_group_scope(), id)
    return go(url_for("admin.user_list"))


def _community(value: str) -> UUID | None:
    try:
        return UUID(value) if value else None
    except ValueError:
        raise NotFound(N_("There is no such community.")) from None


# --- why ------------------------------------------------------------------------------------------


@blueprint.get("/why")
def why() -> str:
    """Explain what the actor may do at an address, and what is missing."""
    scope = require_scope()
    path = request.args.get("path", "")[:300]
    return render_template(
        "admin/why.html",
        path=path,
        answers=explain(scope, path),
        roles=_roles_here(scope),
        crumbs=[(scope.place.name, url_for("admin.dashboard")), (gettext(N_("Why?")), None)],
    )


def _roles_here(scope: Scope) -> list[tuple[str, list[str]]]:
    """Return the actor's roles at this place with what each allows, in words."""
    with current_installation().access() as session:
        named = {role.key: users.role_name(role) for role in session.scalars(select(Role))}
    here = [g for g in scope.actor.grants if g.reaches(scope.group_id, scope.community_id)]
    return [(named.get(g.role, g.role) or "—", sorted(map(_words, g.permissions))) for g in here]


def _words(permission: str) -> str:
    """Return a permission in words; a pattern stays what it is."""
    return permission if "*" in permission else full_label(permission)


def explain(scope: Scope, path: str) -> list[tuple[bool, str]]:
    """Return the steps from address to record, each with whether it holds, until one does not."""
    parts = path.split("/")
    if len(parts) < 6 or parts[3] != "admin":
        return [(False, gettext(N_("This address is no list or record of the admin.")))]
    plugin, name = parts[4], f"{parts[4]}.{parts[5]}"
    view = registry.view_named(name)
    if plugin not in current_installation().plugins.found and plugin != "dougong":
        return [(False, gettext(N_("There is no plugin %(plugin)s."), plugin=plugin))]
    title = section_title(current_installation(), plugin)
    if plugin not in scope.enabled:
        return [(False, gettext(N_("%(plugin)s is not switched on here."), plugin=title))]
    steps = [(True, gettext(N_("The plugin %(plugin)s is switched on here."), plugin=title))]
    if view is None:
        return [*steps, (False, gettext(N_("It has no records called %(name)s."), name=parts[5]))]
    rest = [part for part in parts[6:] if part]
    wanted = {"new": "create", "import": "create", "edit": "change", "delete": "delete"}
    verbs = ["view", *(wanted[part] for part in rest if part in wanted)]
    for verb in verbs:
        steps.append(_explain_verb(scope, view, verb))
        if not steps[-1][0]:
            return steps
    return steps + _explain_record(scope, view.model, rest[0] if rest else "")


def _explain_verb(scope: Scope, view: type[RecordView], verb: str) -> tuple[bool, str]:
    """Return whether the actor may do a verb on a list's records here, and why."""
    permission = f"{view.name()}.{verb}"
    said = full_label(permission)
    if not scope.may(permission):
        text = N_("None of your roles holds %(permission)s. Ask your security administrator.")
        return False, gettext(text, permission=said)
    if view.may(scope, verb):
        return True, gettext(N_("You hold %(permission)s."), permission=said)
    if scope.community_id is None and view.model.__kind__ == "community":
        text = N_("You hold %(permission)s, but a group's page writes nothing. Open a community.")
        return False, gettext(text, permission=said)
    return False, gettext(N_("Nobody does this by hand: what happens writes these records."))


def _explain_record(scope: Scope, model: Any, identity: str) -> list[tuple[bool, str]]:
    try:
        id = UUID(identity)
    except ValueError:
        return []
    query = select(model.id).where(model.id == id)
    if scope.session.scalars(query).first() is not None:
        return [(True, gettext(N_("The record is there and you may see it.")))]
    hidden = scope.session.scalars(query.execution_options(without_rules=True)).first()
    if hidden is None:
        text = N_(
            "There is no such record in this community, or it belongs to a building that your"
            " roles or this plugin do not reach."
        )
        return [(False, gettext(text))]
    rules = [r for r in RULES.get(model, ()) if rule_condition(scope, r) is not None]
    return [(False, str(rule.reason)) for rule in rules]
