"""Upgrades: the kernel first, then plugins in order of dependency; one that fails stops only those
that need it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dougong
from dougong.db.migrator import KERNEL
from dougong.db.scope import Actor
from dougong.errors import DougongError
from dougong.i18n import N_, gettext
from dougong.plugins import records
from dougong.plugins.loader import LoadError, describe
from dougong.plugins.locks import Finding, examine
from dougong.plugins.models import PluginState
from dougong.plugins.records import Standing
from dougong.plugins.solver import dependants

if TYPE_CHECKING:
    from dougong.plugins import Plugins

log = logging.getLogger(__name__)

Report = Callable[[str, int, int], None]
REPAIR = N_("Look at the reason, install a version that works, and upgrade again.")
BLOCKED = N_("it needs %(needed)s, whose upgrade failed")


@dataclass(frozen=True)
class Plan:
    """What an upgrade of one plugin would execute now, statement by statement."""

    plugin: str
    findings: list[Finding]

    @property
    def statements(self) -> list[str]:
        return [finding.statement for finding in self.findings]


def plan(installation: Any, plugin: str) -> Plan:
    """Return exactly the statements that `upgrade_one` would execute, with their locks.

    Raises NotFound for an unknown plugin and LoadError for one whose code cannot be imported:
    policies and grants follow from its models.
    """
    plugins, migrator = installation.plugins, installation.migrator
    distribution = KERNEL if plugin == KERNEL.id else plugins.distribution(plugin)
    if plugin != KERNEL.id:
        plugins.import_code(plugin)
    with migrator.databases.engine("migrator").connect() as connection:
        try:
            statements = migrator.plan(distribution, connection)
        except Exception as error:  # a revision is the plugin's code
            raise LoadError("migration", describe(error)) from error
    return Plan(plugin, examine(statements))


def upgrade_one(
    plugins: "Plugins",
    installation: Any,
    plugin: str,
    report: Report | None = None,
    *,
    actor: Actor | None = None,
    verb: str = "upgrade",
) -> list[str]:
    """Migrate one plugin and record its new standing; return the statements that ran.

    actor, verb: who does it and what it is called, for the audit log. Raises LoadError, Conflict
    (its tables stay in use) or the database's error; the standing then says why.
    A revoked version is refused.
    """
    if reason := plugins.revocation(plugin):
        raise LoadError("revocation", reason)
    try:
        plugins.import_code(plugin)
        statements = installation.migrator.upgrade(
            plugins.distribution(plugin),
            (lambda done, total: report(plugin, done, total)) if report else None,
        )
    except Exception as error:  # a revision is the plugin's code: it may raise anything
        _record_failure(plugins, installation, plugin, error)
        raise
    _stand(plugins, installation, plugin, PluginState.INSTALLED, "", (actor, verb))
    return statements


def upgrade_everything(plugins: "Plugins", installation: Any, report: Report | None = None) -> None:
    """Upgrade the kernel, then every installed plugin; failures are recorded, not raised."""
    installation.migrator.upgrade(
        KERNEL, (lambda done, total: report(KERNEL.id, done, total)) if report else None
    )
    plugins.load(installation)
    stuck: dict[str, str] = {}
    manifests = {plugin: found.manifest for plugin, found in plugins.found.items()}
    for plugin in [p for p in plugins.order if p in plugins.loaded]:
        if plugin in stuck:
            reason = gettext(BLOCKED, needed=stuck[plugin])
            _stand(plugins, installation, plugin, PluginState.NEEDS_UPGRADE, reason)
            continue
        try:
            upgrade_one(plugins, installation, plugin, report)
        except Exception:
            log.exception("plugin %s could not be upgraded", plugin)
            stuck |= dict.fromkeys(dependants(manifests, plugin) - set(stuck), plugin)


def _record_failure(
    plugins: "Plugins", installation: Any, plugin: str, error: BaseException
) -> None:
    state = PluginState.ERROR if isinstance(error, LoadError) else PluginState.NEEDS_UPGRADE
    reason = str(error) if isinstance(error, LoadError | DougongError) else describe(error)
    if plugin in plugins.standings:
        _stand(plugins, installation, plugin, state, reason)


def _stand(
    plugins: "Plugins",
    installation: Any,
    plugin: str,
    state: PluginState,
    reason: str = "",
    done: tuple[Actor | None, str] | None = None,
) -> None:
    """Record the outcome of an upgrade, when it differs from what is known.

    done: who upgraded it and by which verb; None when it was not upgraded.
    """
    known, found = plugins.standing(plugin), plugins.found[plugin]
    version = found.manifest.version if done else known.version
    content = plugins.hashes[plugin] if done else known.content_hash
    standing = Standing(state, reason, version, content)
    if plugins.standings.get(plugin) == standing:
        return
    actor, verb = done or (None, "upgrade")
    plugins.standings[plugin] = standing
    with installation.access(actor) as session:
        records.name_verb(session, verb, reason or f"{version} on {dougong.__version__}")
        records.write_standing(session, plugin, standing)
        if reason:
            records.open_repair(session, plugin, "migration", reason, REPAIR)
        else:
            records.resolve_repairs(
                session, plugin, ("import", "mapper", "hooks", "migration", "revocation")
            )
