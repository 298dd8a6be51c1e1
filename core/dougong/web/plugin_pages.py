"""The admin's pages about plugins: what there is, where it is on, and what must be put right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Blueprint, Flask, Response, g, redirect, render_template, request, url_for
from sqlalchemy import select

from dougong.db.columns import member_label
from dougong.db.scope import Actor, Scope
from dougong.errors import Conflict, DougongError, NotFound
from dougong.i18n import N_, gettext, ngettext, translate_error
from dougong.installation import Installation
from dougong.plugins import PluginState, archive, operations
from dougong.plugins.loader import LoadError
from dougong.plugins.manifest import Manifest
from dougong.plugins.models import RepairIssue
from dougong.plugins.records import enabled_rows
from dougong.plugins.watching import read_usage
from dougong.privacy.purposes import NoticeEntry, notice
from dougong.tenancy.models import Building
from dougong.web.admin.menu import ADMINISTRATION, menu_page
from dougong.web.app import current_installation, require_scope

VIEW = "dougong.plugin.view"
TONES = {
    PluginState.INSTALLED: "good",
    PluginState.AVAILABLE: "plain",
    PluginState.ARCHIVED: "plain",
    PluginState.NEEDS_UPGRADE: "warning",
}
blueprint = Blueprint("plugins", __name__, url_prefix="/<scope:scope>/plugins")


def install(app: Flask, installation: Installation) -> None:
    """Add the pages and their place in the menu."""
    menu_page(
        "plugins.overview",
        ("Plugins", "插件"),
        VIEW,
        section=ADMINISTRATION,
        icon="package",
        order=10,
    )
    menu_page(
        "plugins.repairs",
        ("Plugin repairs", "插件故障"),
        VIEW,
        section=ADMINISTRATION,
        icon="tool",
        order=11,
    )
    app.register_blueprint(blueprint)


@dataclass(frozen=True)
class Line:
    """One plugin as the overview shows it.

    on: community → its only buildings, None for all of them.
    """

    id: str
    title: str
    description: str
    version: str
    state: PluginState
    reason: str
    manifest: Manifest | None
    on: dict[UUID, list[UUID] | None]

    @property
    def state_label(self) -> str:
        return member_label(self.state)

    @property
    def tone(self) -> str:
        return TONES.get(self.state, "danger")


def lines(installation: Installation, communities: Sequence[UUID]) -> list[Line]:
    """Return every plugin that is known, those that need somebody first."""
    plugins = installation.plugins
    with installation.access() as session:
        rows = enabled_rows(session, communities)
    found = []
    for plugin in sorted({*plugins.found, *plugins.standings, *plugins.errors}):
        standing = plugins.standing(plugin)
        manifest = plugins.found[plugin].manifest if plugin in plugins.found else None
        found.append(
            Line(
                plugin,
                str(manifest.name) if manifest else plugin,
                str(manifest.description or "") if manifest else "",
                standing.version,
                standing.state,
                standing.reason,
                manifest,
                {community: buildings for community, p, buildings in rows if p == plugin},
            )
        )
    return sorted(found, key=lambda line: (line.tone != "danger", line.title))


def line_of(installation: Installation, plugin: str, communities: Sequence[UUID]) -> Line:
    """Return one plugin; raises NotFound."""
    for line in lines(installation, communities):
        if line.id == plugin:
            return line
    raise NotFound(N_("There is no plugin %(plugin)s."), plugin=plugin)


def allowed(scope: Scope) -> dict[str, bool]:
    """Return what the actor may do: here, and with the whole installation."""
    here = {verb: scope.may(f"dougong.plugin.{verb}") for verb in ("enable", "disable")}
    platform = [grant for grant in scope.actor.grants if grant.group_id is None]
    verbs = ("install", "upgrade", "uninstall", "quarantine")
    return here | {v: any(p.allows(f"dougong.plugin.{v}") for p in platform) for v in verbs}


# --- pages ----------------------------------------------------------------------------------------


@blueprint.get("/")
def overview() -> str:
    """Show every plugin, its state and where it is on."""
    scope = _reader()
    return render_template(
        "plugins/overview.html",
        lines=lines(current_installation(), scope.readable),
        may=allowed(scope),
        open_repairs=len(operations.repairs(current_installation())),
        where=_where(scope),
    )


@blueprint.get("/<plugin>/")
def details(plugin: str) -> str:
    """Show one plugin: what it is, what it keeps of people, and the buildings where it is on."""
    return _details(plugin)


def _details(plugin: str, problem: str = "") -> str:
    scope, installation = _reader(), current_installation()
    line = line_of(installation, plugin, scope.readable)
    buildings = []
    if scope.community_id is not None:
        buildings = list(scope.session.scalars(select(Building).order_by(Building.sort_key)))
    return render_template(
        "plugins/details.html",
        line=line,
        may=allowed(scope),
        buildings=buildings,
        chosen=set(line.on.get(scope.community_id or scope.group_id) or ()),
        communities=getattr(scope.place, "communities", ()),
        issues=[i for i in operations.repairs(installation) if i.plugin == plugin],
        problem=problem,
        origin=_origin(installation, plugin),
        personal=_personal(installation, plugin),
        needs=_needs(installation, line),
        where=_where(scope),
    )


def _needs(installation: Installation, line: Line) -> list[str]:
    """Return the names of the plugins that a plugin needs."""
    found = installation.plugins.found
    wanted = line.manifest.depends if line.manifest else ()
    return [str(found[p].manifest.name) if p in found else p for p in wanted]


def _personal(installation: Installation, plugin: str) -> list[NoticeEntry]:
    """Return what a plugin keeps of people; nothing before its tables are known."""
    return [e for e in notice(installation.plugins, {plugin}) if e.plugin == plugin]


@blueprint.get("/<plugin>/plan")
def plan(plugin: str) -> str:
    """Show what installing, upgrading or restoring would execute now, and the locks."""
    _reader()
    installation = current_installation()
    is_archived = installation.plugins.standing(plugin).state == PluginState.ARCHIVED
    planned = archive.dry_run if is_archived else operations.dry_run
    try:
        made = planned(installation, g.actor, plugin)
    except LoadError as error:
        return _details(plugin, str(error))
    except Conflict as error:
        return _details(plugin, translate_error(error))
    return render_template(
        "plugins/plan.html", plan=made, line=line_of(installation, plugin, require_scope().readable)
    )


@blueprint.get("/repairs")
def repairs() -> str:
    """Show what a person must put right, newest first."""
    scope, installation = _reader(), current_installation()
    return render_template(
        "plugins/repairs.html",
        issues=operations.repairs(installation),
        titles={line.id: line.title for line in lines(installation, ())},
        quarantined={
            plugin
            for plugin, standing in installation.plugins.standings.items()
            if standing.state == PluginState.QUARANTINED
        },
        may=allowed(scope),
        advice=_advice,
    )


@blueprint.get("/time")
def time_taken() -> str:
    """Show what the code of plugins took, the dearest first."""
    _reader()
    installation = current_installation()
    return render_template(
        "plugins/time.html",
        taken=read_usage(installation),
        titles={line.id: line.title for line in lines(installation, ())},
    )


# --- doing ----------------------------------------------------------------------------------------


@blueprint.post("/<plugin>/enable")
def enable(plugin: str) -> Any:
    """Switch a plugin on here: everywhere, or in the buildings that were ticked."""
    chosen = [UUID(value) for value in request.form.getlist("building")]
    community = _community()
    return _do(
        plugin,
        lambda: operations.enable(
            current_installation(),
            g.actor,
            plugin,
            community,
            chosen if request.form.get("only") else None,
        ),
    )


@blueprint.post("/<plugin>/disable")
def disable(plugin: str) -> Any:
    """Switch a plugin off here; its rows stay."""
    community = _community()
    return _do(
        plugin, lambda: operations.disable(current_installation(), g.actor, plugin, community)
    )


Act = Callable[[Installation, Actor, str], Any]
ACTS: dict[str, Act] = {
    "install": operations.install,
    "upgrade": operations.upgrade,
    "uninstall": archive.uninstall,
    "restore": archive.restore,
    "release": operations.release,
}


@blueprint.post("/<plugin>/do/<act>")
def act(plugin: str, act: str) -> Any:
    """Install, upgrade, put aside, bring back or release a plugin of the installation."""
    if act not in ACTS:
        raise NotFound(N_("There is no such page."))
    return _do(plugin, lambda: ACTS[act](current_installation(), g.actor, plugin))


@blueprint.post("/repairs/<uuid:issue>")
def resolve(issue: UUID) -> Response:
    """Take an entry off the repairs page."""
    operations.resolve(current_installation(), g.actor, issue)
    return redirect(url_for("plugins.repairs"), 303)  # type: ignore[return-value]


def _do(plugin: str, work: Callable[[], Any]) -> Any:
    """Do something with a plugin, and show the plugin again with what was wrong, if anything."""
    _reader()
    try:
        work()
    except LoadError as error:
        return _details(plugin, str(error)), 409
    except DougongError as error:
        if error.status in (403, 404):
            raise
        return _details(plugin, translate_error(error)), error.status
    return redirect(url_for("plugins.details", plugin=plugin, done=1), 303)


def _reader() -> Scope:
    scope = require_scope()
    scope.require(VIEW)
    return scope


def _community() -> UUID:
    community = require_scope().community_id
    if community is None:
        raise NotFound(N_("Choose a community first."))
    return community


def _where(scope: Scope) -> Callable[[Line], str]:
    """Return what says in words where a plugin is on, as this page sees it."""

    def words(line: Line) -> str:
        if not line.on:
            return gettext(N_("off"))
        if scope.community_id is None:
            return ngettext("in %(num)d community", "in %(num)d communities", len(line.on))
        buildings = line.on.get(scope.community_id)
        if buildings is None:
            return gettext(N_("on in all buildings"))
        return ngettext("on in %(num)d building", "on in %(num)d buildings", len(buildings))

    return words


def _origin(installation: Installation, plugin: str) -> tuple[str, str]:
    """Return in words where a plugin's code comes from, and the tone to say it in."""
    if plugin not in installation.plugins.found:
        return "–", "plain"
    origin = installation.plugins.origin(plugin)
    words = {
        "signed": gettext(N_("signed by %(maker)s"), maker=origin.maker),
        "unsigned": gettext(N_("not signed")),
        "altered": gettext(N_("altered after signing")),
        "local": gettext(N_("installed on this machine by its operator")),
    }
    tones = {"signed": "good", "local": "plain"}
    return words[origin.kind], tones.get(origin.kind, "danger")


def _advice(issue: RepairIssue) -> str:
    return gettext(issue.advice)
