"""What people do with plugins: install, switch on and off, upgrade, put aside, quarantine.

Command line and admin call these. Each checks that the actor may do it, happens in one transaction
of the access role, is audited, and is honoured by every process at its next request.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from dougong.db.scope import Actor
from dougong.errors import Conflict, DougongError, NotAllowed
from dougong.i18n import N_
from dougong.plugins import records
from dougong.plugins.loader import LoadError, describe
from dougong.plugins.models import PluginEnablement, PluginState, RepairIssue
from dougong.plugins.packages.index import accept
from dougong.plugins.records import REPAIR_REVOKED, Standing
from dougong.plugins.solver import dependants
from dougong.plugins.upgrades import Plan, Report, plan, upgrade_one
from dougong.tenancy.operations import PLATFORM, bump_version, community_facts

if TYPE_CHECKING:
    from dougong.installation import Installation

ON = "plugin_enabled"


def require(actor: Actor, verb: str, facts: Any = None) -> None:
    """Raise NotAllowed unless the actor may do ``verb`` with plugins, in a community if given.

    What touches the whole installation needs a fresh proof as well.
    """
    permission = f"dougong.plugin.{verb}"
    allowed = (
        actor.may(permission, facts.group_id, facts.id)
        if facts
        else any(g.group_id is None and g.allows(permission) for g in actor.grants)
    )
    if not allowed:
        raise NotAllowed(N_("You may not do this here (%(permission)s)."), permission=permission)
    if facts is None and verb != "view":
        actor.require_proof(permission)


# --- the installation ---------------------------------------------------------------------------


def install(
    installation: "Installation", actor: Actor, plugin: str, report: Report | None = None
) -> list[str]:
    """Install an available plugin and what it needs; return the ids that were installed.

    Raises Conflict with the reason when it does not fit or its code or migration fails; then it is
    as available as before. Running processes serve it from their next generation on.
    """
    require(actor, "install")
    plugins = installation.plugins
    plugins.entry(plugin)
    done: list[str] = []
    for each in _with_needed(installation, plugin):
        if plugins.standing(each).state == PluginState.INSTALLED:
            continue
        if plugins.standing(each).state == PluginState.ARCHIVED:
            raise Conflict(N_("%(plugin)s is archived; restore it."), plugin=each)
        _install_one(installation, actor, each, report)
        done.append(each)
    return done


def _with_needed(installation: "Installation", plugin: str) -> list[str]:
    plugins = installation.plugins
    if plugin in plugins.errors:
        raise Conflict(
            N_("%(plugin)s cannot be used: %(reason)s"),
            plugin=plugin,
            reason=plugins.errors[plugin],
        )
    manifests = {p: f.manifest for p, f in plugins.found.items()}
    return [p for p in plugins.order if p == plugin or plugin in dependants(manifests, p)]


def _install_one(
    installation: "Installation", actor: Actor, plugin: str, report: Report | None
) -> None:
    plugins = installation.plugins
    try:
        upgrade_one(plugins, installation, plugin, report, actor=actor, verb="install")
    except Exception as error:  # the plugin boundary: its modules and revisions have run
        if plugin in plugins.loaded:
            plugins.unload(plugin)
        is_told = isinstance(error, LoadError | DougongError)
        raise Conflict(
            N_("%(plugin)s cannot be used: %(reason)s"),
            plugin=plugin,
            reason=str(error) if is_told else describe(error),
        ) from error
    with installation.access(actor) as session:
        bump_version(session, PLATFORM)


def install_everything(
    installation: "Installation", report: Report | None = None, only: set[str] | None = None
) -> list[str]:
    """Install every plugin that was found and fits; for tests and the demonstration.

    only: these, and what they need. One that cannot be installed is left out; its standing says
    why.
    """
    actor, done = Actor.system("install"), []
    plugins = installation.plugins
    for plugin in [p for p in plugins.order if only is None or p in only]:
        try:
            done += install(installation, actor, plugin, report)
        except Conflict as error:
            plugins.errors[plugin] = str(error)
    return done


def upgrade(
    installation: "Installation",
    actor: Actor,
    plugin: str,
    report: Report | None = None,
) -> list[str]:
    """Bring an installed plugin's schema to its code; return the statements that ran."""
    require(actor, "upgrade")
    standing = installation.plugins.standing(plugin)
    if plugin not in installation.plugins.standings or standing.state == PluginState.ARCHIVED:
        raise Conflict(N_("%(plugin)s is not installed."), plugin=plugin)
    statements = upgrade_one(installation.plugins, installation, plugin, report, actor=actor)
    with installation.access(actor) as session:
        bump_version(session, PLATFORM)
    return statements


def dry_run(installation: "Installation", actor: Actor, plugin: str) -> Plan:
    """Return what `upgrade` (or `install`) would execute now, with locks and warnings.

    Raises Conflict for an archived plugin: that one is restored, see `archive.dry_run`.
    """
    require(actor, "view")
    if installation.plugins.standing(plugin).state == PluginState.ARCHIVED:
        raise Conflict(N_("%(plugin)s is archived; restore it."), plugin=plugin)
    return plan(installation, plugin)


# --- where it is on -----------------------------------------------------------------------------


def enable(
    installation: "Installation",
    actor: Actor,
    plugin: str,
    community_id: UUID,
    buildings: Sequence[UUID] | None = None,
) -> None:
    """Switch a plugin on in a community, or only in some of its buildings.

    Raises Conflict when it does not work or what it needs is not on there, and Invalid for a
    building of another community.
    """
    with installation.access(actor) as session:
        facts = community_facts(session, community_id)
        require(actor, "enable", facts)
        _check_enable(installation, session, plugin, community_id, buildings)
        records.name_verb(session, "enable")
        write_enablement(session, plugin, community_id, buildings)
    _tell(installation, actor, plugin, community_id)


def disable(installation: "Installation", actor: Actor, plugin: str, community_id: UUID) -> None:
    """Switch a plugin off in a community; its rows stay. Raises Conflict when others need it."""
    with installation.access(actor) as session:
        facts = community_facts(session, community_id)
        require(actor, "disable", facts)
        needing = sorted(_dependants(installation, plugin) & set(_on(session, community_id)))
        if needing:
            raise Conflict(
                N_("%(plugin)s is needed there by: %(others)s."),
                plugin=plugin,
                others=", ".join(needing),
            )
        records.name_verb(session, "disable")
        session.execute(
            delete(PluginEnablement).where(
                PluginEnablement.plugin == plugin,
                PluginEnablement.community_id == community_id,
            )
        )
        bump_version(session, community_id, facts.group_id)


def write_enablement(
    session: Session, plugin: str, community_id: UUID, buildings: Iterable[UUID] | None
) -> None:
    """Write the row that switches a plugin on, and make every process read it."""
    write_enablements(session, [plugin], community_id, buildings)


def write_enablements(
    session: Session,
    plugins: Sequence[str],
    community_id: UUID,
    buildings: Iterable[UUID] | None = None,
) -> None:
    """Write the rows that switch plugins on, and make every process read them, once."""
    ids = None if buildings is None else sorted(set(buildings))
    row = insert(PluginEnablement)
    kept = row.on_conflict_do_update(
        index_elements=["plugin", "community_id"],
        set_={"building_ids": row.excluded.building_ids},
    )
    values = [
        {"plugin": plugin, "community_id": community_id, "building_ids": ids} for plugin in plugins
    ]
    if values:
        session.execute(kept, values)
    group_id = session.execute(
        text("select group_id from dougong.community where id = :id"), {"id": community_id}
    ).scalar_one()
    bump_version(session, community_id, group_id)


def _check_enable(
    installation: "Installation",
    session: Session,
    plugin: str,
    community_id: UUID,
    buildings: Sequence[UUID] | None,
) -> None:
    plugins = installation.plugins
    manifest, standing = plugins.manifest(plugin), plugins.standing(plugin)
    if not standing.is_working or plugin not in plugins.loaded:
        raise Conflict(
            N_("%(plugin)s does not work here now (%(state)s)."),
            plugin=plugin,
            state=str(standing.state),
        )
    on = _on(session, community_id)
    wanted = None if buildings is None else frozenset(buildings)
    for needed in manifest.depends:
        if needed not in on or not _covers(on[needed], wanted):
            raise Conflict(
                N_("%(plugin)s needs %(needed)s; switch that on first."),
                plugin=plugin,
                needed=needed,
            )
    if buildings is not None:
        _check_buildings(installation, community_id, buildings)


def _covers(have: frozenset[UUID] | None, wanted: frozenset[UUID] | None) -> bool:
    return have is None or (wanted is not None and wanted <= have)


def _check_buildings(
    installation: "Installation", community_id: UUID, buildings: Sequence[UUID]
) -> None:
    from dougong.tenancy.models import Building

    with installation.scope(Actor.system("plugins"), community=community_id) as scope:
        for building in buildings:
            scope.get(Building, building)


def _on(session: Session, community_id: UUID) -> dict[str, frozenset[UUID] | None]:
    return {
        plugin: None if buildings is None else frozenset(buildings)
        for _id, plugin, buildings in records.enabled_rows(session, [community_id])
    }


def _dependants(installation: "Installation", plugin: str) -> set[str]:
    manifests = {p: f.manifest for p, f in installation.plugins.found.items()}
    return dependants(manifests, plugin)


def _tell(installation: "Installation", actor: Actor, plugin: str, community_id: UUID) -> None:
    """Tell the plugin, in a transaction of its own; a failure there is counted, not raised."""
    plugins = installation.plugins
    if not any(i.plugin == plugin for i in plugins.hooks.implementations(ON)):
        return
    try:
        with installation.scope(actor, community=community_id) as scope:
            plugins.hooks.tell(scope, plugin, ON)
    except Exception:  # noqa: BLE001 - the plugin boundary; `tell` has counted it
        return


# --- what goes wrong ----------------------------------------------------------------------------


def quarantine(installation: "Installation", actor: Actor, plugin: str, reason: str) -> None:
    """Take a plugin out of use everywhere until somebody releases it."""
    require(actor, "quarantine")
    _set_state(installation, actor, plugin, PluginState.QUARANTINED, "quarantine", reason)
    installation.plugins.hooks.silenced.add(plugin)


def release(installation: "Installation", actor: Actor, plugin: str) -> None:
    """Put a quarantined plugin back into use and forget its failures."""
    require(actor, "quarantine")
    plugins = installation.plugins
    if plugins.standing(plugin).state != PluginState.QUARANTINED:
        raise Conflict(N_("%(plugin)s is not in quarantine."), plugin=plugin)
    try:
        plugins.import_code(plugin)
    except LoadError as error:
        raise Conflict(
            N_("%(plugin)s cannot be used: %(reason)s"), plugin=plugin, reason=str(error)
        ) from error
    _set_state(installation, actor, plugin, PluginState.INSTALLED, "release", "")
    plugins.hooks.silenced.discard(plugin)


def revoke(installation: "Installation", actor: Actor, source: str) -> list[str]:
    """Accept the index of a source; return the installed plugins that it puts out of use.

    They are off in every process at its next request, and are not loaded at the next start.
    """
    require(actor, "install")
    plugins = installation.plugins
    accept(installation.settings.paths, source)
    gone = []
    for plugin, standing in list(plugins.standings.items()):
        reason = plugins.revocation(plugin)
        if reason is None or standing.state in (PluginState.ARCHIVED, PluginState.REVOKED):
            continue
        _set_state(installation, actor, plugin, PluginState.REVOKED, "revoke", reason)
        plugins.hooks.silenced.add(plugin)
        gone.append(plugin)
    return gone


def _set_state(
    installation: "Installation",
    actor: Actor,
    plugin: str,
    state: PluginState,
    verb: str,
    reason: str,
) -> None:
    plugins = installation.plugins
    if plugin not in plugins.standings:
        raise Conflict(N_("%(plugin)s is not installed."), plugin=plugin)
    known = plugins.standings[plugin]
    standing = Standing(state, reason, known.version, known.content_hash)
    with installation.access(actor) as session:
        records.name_verb(session, verb, reason)
        records.write_standing(session, plugin, standing)
        if state == PluginState.REVOKED:
            records.open_repair(session, plugin, "revocation", reason, REPAIR_REVOKED)
        if state == PluginState.INSTALLED:
            records.resolve_repairs(session, plugin)
            session.execute(
                text("delete from dougong.plugin_failure where plugin = :p"), {"p": plugin}
            )
    plugins.standings[plugin] = standing


def repairs(installation: "Installation") -> list[RepairIssue]:
    """Return what a person must put right, newest first."""
    with installation.access() as session:
        return list(
            session.scalars(
                select(RepairIssue)
                .where(RepairIssue.resolved_at.is_(None))
                .order_by(RepairIssue.opened_at.desc())
            )
        )


def resolve(installation: "Installation", actor: Actor, issue_id: UUID) -> None:
    """Take an entry off the repairs page because a person has dealt with it."""
    require(actor, "quarantine")
    with installation.access(actor) as session:
        session.execute(
            text("update dougong.repair_issue set resolved_at = now() where id = :id"),
            {"id": issue_id},
        )
