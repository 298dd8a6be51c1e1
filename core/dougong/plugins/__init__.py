"""Plugins: found, ordered, loaded, switched on per community; a broken one harms nobody else.

`Plugins` is what one process knows of them. What people do with plugins (install, enable, upgrade,
uninstall …) is in `dougong.plugins.operations`.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

import dougong
from dougong.capabilities import watch_capabilities
from dougong.db.linter import allow_references
from dougong.db.migrator import KERNEL, Distribution
from dougong.db.servers import is_away
from dougong.errors import DougongError, NotFound
from dougong.i18n import N_, gettext
from dougong.plugins import records
from dougong.plugins.discovery import Discovered, Found, discover
from dougong.plugins.hooks import Hooks
from dougong.plugins.loader import LoadError, describe, forget, import_part, load
from dougong.plugins.manifest import Manifest
from dougong.plugins.models import PluginState
from dougong.plugins.packages.index import accepted
from dougong.plugins.packages.placing import Origin, origin_of
from dougong.plugins.records import REPAIR_REVOKED, Standing
from dougong.plugins.solver import solve
from dougong.plugins.usage import Call, Spent, TookTooLong, Usage
from dougong.settings import Settings

log = logging.getLogger(__name__)

Enablement = Mapping[str, frozenset[UUID] | None]
Report = Callable[[str, int, int], None]
TRIED = {
    PluginState.INSTALLED,
    PluginState.NEEDS_UPGRADE,
    PluginState.ERROR,
    PluginState.REVOKED,
}
LOAD_POINTS = ("import", "mapper", "hooks", "migration", "revocation")
OUT_OF_USE = {PluginState.QUARANTINED, PluginState.REVOKED}
REPAIR_LOAD = N_("Install a version of the plugin that works, or uninstall it.")
REPAIR_UPGRADE = N_("Run “dougong plugin upgrade” and look at what it says.")
REPAIR_SLOW = N_("Ask its maker for a faster version; see the page “Time of plugins”.")
REPAIR_FAILURES = N_("Install a version that works, then release the plugin from quarantine.")


class Plugins:
    """The plugins of one process.

    found: the version of each plugin that would be used. standings: where each known plugin
    stands. loaded: the ids of those whose code runs here, dependencies first. hashes: of the code
    that was loaded. generation: moves when what is loaded changes.
    """

    failures_until_quarantine = 5
    slow_until_repair, slow_until_quarantine = 5, 20

    def __init__(self, settings: Settings, discovered: Discovered) -> None:
        self.settings = settings
        self.discovered = discovered
        self.found: dict[str, Found] = {}
        self.errors: dict[str, str] = {}
        self.order: tuple[str, ...] = ()
        self.standings: dict[str, Standing] = {}
        self.loaded: list[str] = []
        self.hashes: dict[str, str] = {}
        self.generation = 0
        self.usage = Usage(self._took_too_much)
        self.hooks = Hooks(self.failed, self.usage)
        self._installation: Any = None
        self._choose(())

    @classmethod
    def discover(cls, settings: Settings) -> "Plugins":
        """Return the plugins that are there, in versions that fit together; nothing is imported."""
        return cls(settings, _look(settings))

    def look_again(self) -> None:
        """Find what has come into the plugin directory meanwhile; what is loaded stays."""
        self.discovered = _look(self.settings)
        self._choose(tuple(self.standings))

    def _choose(self, preferred: tuple[str, ...]) -> None:
        """Pick one version of each plugin; note why the others are refused."""
        candidates = {
            plugin: [f.manifest for f in versions]
            for plugin, versions in self.discovered.candidates.items()
            if plugin not in self.settings.disabled_plugins
        }
        solution = solve(candidates, dougong.__version__, preferred)
        self.errors = dict(self.discovered.errors)
        self.order = solution.order
        for plugin, versions in self.discovered.candidates.items():
            chosen = solution.chosen.get(plugin, versions[0].manifest)
            self.found[plugin] = next(f for f in versions if f.manifest == chosen)
            if plugin in solution.refused:
                self.errors[plugin] = solution.explain(plugin)
            elif plugin in self.settings.disabled_plugins:
                self.errors[plugin] = "DOUGONG_DISABLED_PLUGINS"

    # --- what there is ----------------------------------------------------------------------

    @property
    def installed(self) -> list[str]:
        """Return the ids of the plugins that are installed and work, dependencies first."""
        return [p for p in self.loaded if self.standing(p).is_working]

    def manifest(self, plugin: str) -> Manifest:
        """Return the manifest of a plugin that was found; raises NotFound."""
        return self.entry(plugin).manifest

    def entry(self, plugin: str) -> Found:
        """Return where a plugin was found; raises NotFound."""
        if plugin not in self.found:
            raise NotFound(N_("There is no plugin %(plugin)s."), plugin=plugin)
        return self.found[plugin]

    def standing(self, plugin: str) -> Standing:
        """Return where a plugin stands; one that nobody installed is available."""
        if plugin in self.standings:
            return self.standings[plugin]
        reason = self.errors.get(plugin, "")
        state = PluginState.ERROR if reason else PluginState.AVAILABLE
        version = self.found[plugin].manifest.version if plugin in self.found else ""
        return Standing(state, reason, version)

    def owner_of(self, module: str) -> str:
        """Return the id of the plugin that a module belongs to; ``dougong`` for the kernel."""
        package = module.partition(".")[0]
        for plugin, found in self.found.items():
            if found.manifest.package == package:
                return plugin
        return KERNEL.id

    def capabilities_of(self, package: str) -> tuple[str, ...]:
        """Return what the plugin with this package declares that it does; net hosts apart."""
        return next(
            (f.manifest.capabilities for f in self.found.values() if f.manifest.package == package),
            (),
        )

    def default_of(self, setting: str) -> Any:
        """Return the default that a plugin's manifest declares for ``<plugin>.<key>``, or None."""
        plugin, _, key = setting.partition(".")
        found = self.found.get(plugin)
        entry = found.manifest.settings.get(key) if found else None
        return entry.default if entry else None

    def words_for(self, column: str, value: str) -> str | None:
        """Return what people read for a value that a plugin's manifest declares under ``[words]``.

        column: ``<plugin>.<table>.<column>``, where it is kept. None when nobody declares it.
        """
        found = self.found.get(value.partition(".")[0])
        words = found.manifest.words.get(column, {}).get(value) if found else None
        return str(words) if words is not None else None

    def distribution(self, plugin: str) -> Distribution:
        """Return what the migrator needs to know of a plugin."""
        found = self.entry(plugin)
        return Distribution(plugin, found.manifest.schema, found.folder / "migrations/versions")

    # --- loading ----------------------------------------------------------------------------

    def load(self, installation: Any) -> None:
        """Import the installed plugins; one that fails is set aside with its reason.

        Safe to call again: only what is not loaded yet is tried.
        """
        self._installation = installation
        watch_capabilities(self.capabilities_of)
        recorded = records.read_standings(installation)
        if recorded is None:
            return
        self.standings = recorded
        self._choose(tuple(recorded))
        for plugin in self._in_order(recorded):
            if plugin not in self.loaded and recorded[plugin].state in TRIED:
                self._load_one(plugin)

    def _in_order(self, plugins: Mapping[str, Any]) -> list[str]:
        """Return known plugins in order of loading; those that cannot be used come last."""
        return [p for p in self.order if p in plugins] + [p for p in plugins if p not in self.order]

    def _load_one(self, plugin: str) -> None:
        if reason := self.revocation(plugin):
            self._stand(plugin, PluginState.REVOKED, reason, "revocation", REPAIR_REVOKED)
            return
        try:
            self.import_code(plugin)
        except LoadError as error:
            self._stand(plugin, PluginState.ERROR, str(error), error.point, REPAIR_LOAD)
            return
        try:
            is_behind = self._is_behind(plugin)
        except Exception as error:  # noqa: BLE001 - a revision is the plugin's code
            self.broken(plugin, "migration", error)
            return
        if is_behind:
            reason = f"{self.standings[plugin].version} → {self.manifest(plugin).version}"
            self._stand(plugin, PluginState.NEEDS_UPGRADE, reason, "migration", REPAIR_UPGRADE)
        elif not self.standings[plugin].is_working:
            self._stand(plugin, PluginState.INSTALLED)

    def import_code(self, plugin: str) -> None:
        """Import a plugin's code and register its hooks; raises LoadError."""
        if plugin in self.loaded:
            return
        if plugin not in self.found:
            raise LoadError("import", self.errors.get(plugin, "its package is not there"))
        if plugin in self.errors:
            raise LoadError("import", self.errors[plugin])
        self._check_origin(plugin)
        missing = [n for n in self.found[plugin].manifest.depends if n not in self.loaded]
        if missing:
            raise LoadError("import", f"it needs {', '.join(missing)}, which is not loaded")
        load(self.found[plugin], self.hooks)
        needed = self.found[plugin].manifest.depends
        schemas = tuple(self.manifest(n).schema for n in needed)
        allow_references(self.found[plugin].manifest.schema, schemas)
        self.loaded.append(plugin)
        self.hashes[plugin] = self.found[plugin].content_hash()
        self.generation += 1

    def origin(self, plugin: str) -> Origin:
        """Return where a plugin's code comes from, and whether it is as its maker signed it."""
        return origin_of(self.settings.paths, self.entry(plugin).folder)

    def _check_origin(self, plugin: str) -> None:
        """Raise LoadError for a package that was altered, and in production for an unsigned one."""
        kind = self.origin(plugin).kind
        if kind == "altered":
            raise LoadError("import", gettext(N_("its package is not what its maker signed")))
        if kind == "unsigned" and self.settings.production:
            raise LoadError("import", gettext(N_("its package is not signed")))
        if reason := self.revocation(plugin):
            raise LoadError("import", reason)

    def revocation(self, plugin: str) -> str | None:
        """Return why the version that was found must not run, None when it may."""
        index = accepted(self.settings.paths)
        if index is None or plugin not in self.found:
            return None
        return index.reason_against(plugin, self.found[plugin].manifest.version)

    def unload(self, plugin: str) -> None:
        """Forget a plugin's code in this process; others learn it by a new generation."""
        if plugin in self.loaded:
            self.loaded.remove(plugin)
        forget(self.found[plugin], self.hooks)
        self.generation += 1

    def _is_behind(self, plugin: str) -> bool:
        """Tell whether the database lacks revisions of the code; read only when code changed."""
        if self.standings[plugin].content_hash == self.hashes[plugin]:
            return False
        migrator = self._installation.migrator
        with migrator.databases.engine("migrator").connect() as connection:
            return migrator.pending(self.distribution(plugin), connection)

    def _stand(
        self, plugin: str, state: PluginState, reason: str = "", point: str = "", advice: str = ""
    ) -> None:
        """Record a standing that this process found out, with a repair entry when it is bad."""
        known = self.standings.get(plugin, Standing(state))
        if (known.state, known.reason) == (state, reason):
            return
        standing = Standing(state, reason, known.version, known.content_hash)
        self.standings[plugin] = standing
        level = logging.INFO if state == PluginState.INSTALLED else logging.WARNING
        log.log(level, "plugin %s: %s %s", plugin, state.value, reason)
        with self._installation.access() as session:
            records.name_verb(session, "load", reason)
            records.write_standing(session, plugin, standing)
            if advice:
                records.open_repair(session, plugin, point, reason, advice)
            else:
                records.resolve_repairs(session, plugin, LOAD_POINTS)

    def modules(self, part: str) -> Iterator[tuple[str, ModuleType]]:
        """Yield (plugin, module) for every loaded plugin that has a module ``part``.

        For parts that not every process needs: ``admin``, ``web``, ``api``, ``cli``. A plugin whose
        module cannot be imported is set aside.
        """
        for plugin in list(self.loaded):
            try:
                module = import_part(self.found[plugin], part)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the plugin boundary
                self.broken(plugin, f"import {part}", error)
                continue
            if module is not None:
                yield plugin, module

    def broken(self, plugin: str, point: str, error: BaseException) -> None:
        """Set a plugin aside at once: its code cannot be used as it is."""
        log.error("plugin %s is broken at %s", plugin, point, exc_info=error)
        self.unload(plugin)
        self._stand(plugin, PluginState.ERROR, describe(error), point, REPAIR_LOAD)

    def install_pages(self, app: Any, installation: Any) -> None:
        """Add the pages of every loaded plugin to the web application: ``web.install(app, …)``.

        Pages of all loaded plugins are there; `gate` answers 404 where a plugin is not on.
        """
        from dougong.plugins.gating import guard_views

        for plugin, module in self.modules("web"):
            install = getattr(module, "install", None)
            try:
                if install is not None:
                    install(app, installation)
            except Exception as error:  # noqa: BLE001 - the plugin boundary
                self.broken(plugin, "import web", error)
        guard_views(app, installation)

    # --- where plugins are on ---------------------------------------------------------------

    def enablement(self, session: Session, place: Any) -> Mapping[UUID, Enablement]:
        """Return what is switched on in each community of a place: id → buildings, None for all.

        A plugin counts only where what it needs is on, too. Called whenever something changed, so
        this is where a process learns what others have recorded.
        """
        self._learn(session)
        communities = [c.id for c in getattr(place, "communities", ())] or [place.id]
        found: dict[UUID, dict[str, frozenset[UUID] | None]] = {c: {} for c in communities}
        for community, plugin, buildings in records.enabled_rows(session, communities):
            if plugin in self.loaded:
                only = None if buildings is None else frozenset(buildings)
                found[community][plugin] = only
        return {c: self._with_dependencies(enabled) for c, enabled in found.items()}

    def _learn(self, session: Session) -> None:
        self.standings = records.standings(session)
        self.hooks.silenced = {
            plugin for plugin, standing in self.standings.items() if standing.state in OUT_OF_USE
        }

    def _with_dependencies(self, enabled: dict[str, frozenset[UUID] | None]) -> Enablement:
        kept: dict[str, frozenset[UUID] | None] = {}
        for plugin in self.loaded:
            if plugin in enabled and all(n in kept for n in self.manifest(plugin).depends):
                kept[plugin] = enabled[plugin]
        return kept

    def enable_everything(self, session: Session, community_id: UUID) -> None:
        """Enable every installed plugin in a community; for tests and demonstrations."""
        from dougong.plugins.operations import write_enablements

        write_enablements(session, self.installed, community_id)

    # --- failures ---------------------------------------------------------------------------

    def failed(self, plugin: str, point: str, error: BaseException) -> None:
        """Count a failure of a plugin's code; quarantine it when failures repeat.

        Called by the hook caller, and by whoever else runs a plugin's code: jobs, views,
        templates, drivers. Never raises: the failure at hand matters more.
        """
        if is_away(error):
            return  # the database went away in the middle: no fault of the plugin's
        self._count(plugin, point, error, REPAIR_FAILURES, (1, self.failures_until_quarantine))

    def _took_too_much(self, spent: Spent, taken_s: float) -> None:
        """Count a call over its budget; one that was over its deadline is a failure."""
        error = TookTooLong(
            f"it took {taken_s:.1f} s, its budget is {spent.budget_s:g} s"
            f" and its deadline {spent.deadline_s:g} s"
        )
        if taken_s > spent.deadline_s:
            spent.failures += 1
            self.failed(spent.plugin, spent.point, error)
        else:
            limits = (self.slow_until_repair, self.slow_until_quarantine)
            self._count(spent.plugin, f"{spent.point} (time)", error, REPAIR_SLOW, limits)

    def _count(
        self, plugin: str, point: str, error: BaseException, advice: str, limits: tuple[int, int]
    ) -> None:
        """Count something at a point; from ``limits`` on it is to be repaired, and quarantined."""
        if plugin == KERNEL.id or self._installation is None or plugin in self.hooks.silenced:
            return
        reason = describe(error)
        try:
            with self._installation.access() as session:
                times = records.count_failure(session, plugin, point, reason)
                if times >= limits[1]:
                    self._quarantine(session, plugin, point, reason)
                elif times >= limits[0]:
                    records.open_repair(session, plugin, point, reason, advice)
        except Exception:
            log.exception("a failure of plugin %s could not be recorded", plugin)

    def _quarantine(self, session: Session, plugin: str, point: str, reason: str) -> None:
        known = self.standing(plugin)
        standing = Standing(
            PluginState.QUARANTINED, f"{point}: {reason}", known.version, known.content_hash
        )
        records.name_verb(session, "quarantine", reason)
        records.write_standing(session, plugin, standing)
        records.open_repair(session, plugin, point, reason, REPAIR_FAILURES)
        self.standings[plugin] = standing
        self.hooks.silenced.add(plugin)
        log.error("plugin %s is quarantined for %s: %s", plugin, point, reason)

    @contextmanager
    def boundary(self, plugin: str, point: str) -> Iterator[None]:
        """Count what a plugin's code raises inside the block by mistake, and pass it on.

        Errors that it raises on purpose (`DougongError`, an HTTP status) are answers, not failures.
        """
        spent = self.usage.of(plugin, point)
        with Call(self.usage) as call:
            call.spent = spent
            try:
                yield
            except (DougongError, HTTPException):
                raise
            except Exception as error:
                spent.failures += 1
                call.end()
                self.failed(plugin, point, error)
                raise
            finally:
                call.end()

    def watch(self, stop: threading.Event) -> None:
        """Report calls that hang and write down what all took, until told to stop."""
        from dougong.plugins.watching import watch

        watch(self._installation, stop)

    # --- migrating --------------------------------------------------------------------------

    def migrate(self, installation: Any, report: Report | None = None) -> None:
        """Bring the kernel, then every installed plugin, to the code's state."""
        from dougong.plugins.upgrades import upgrade_everything

        upgrade_everything(self, installation, report)


def _look(settings: Settings) -> Discovered:
    return discover((*settings.plugin_paths, settings.paths.plugins))


__all__ = ["Enablement", "Found", "Manifest", "PluginState", "Plugins", "Standing"]
