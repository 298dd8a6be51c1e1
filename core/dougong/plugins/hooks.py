"""The hook caller: asks the plugins that are switched on, each isolated from the others.

pluggy registers and checks the implementations; calling is our own loop, because pluggy's loses
every answer when one implementation raises.
"""

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter
from types import GeneratorType, ModuleType
from typing import Any, NamedTuple

import pluggy

from dougong import hookspecs
from dougong.errors import Conflict, DougongError
from dougong.i18n import N_
from dougong.plugins.rounds import Asker, Rounds, finished
from dougong.plugins.savepoint import LazySavepoint
from dougong.plugins.usage import DEADLINE_S, LONG_S, Call, Spent, Usage

log = logging.getLogger(__name__)

KERNEL = "dougong"
ONLY_SCOPE = ("scope",)
MOST_KEPT = 1000


class Implementation(NamedTuple):
    """One plugin's answer to one hook."""

    plugin: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    spent: Spent

    def call(self, given: Mapping[str, Any]) -> Any:
        """Call it with those of the arguments that it takes."""
        return self.function(*[given[name] for name in self.arguments])


class Hooks:
    """The implementations that one process knows.

    on_failure: told ``(plugin, point, error)`` of each failure; counts and quarantines.
    usage: where the time of each call is counted.
    """

    def __init__(
        self,
        on_failure: Callable[[str, str, BaseException], None] | None = None,
        usage: Usage | None = None,
    ) -> None:
        self.on_failure = on_failure or (lambda plugin, point, error: None)
        self.usage = usage or Usage()
        self._deadlines_s: dict[str, float] = {}
        self.silenced: set[str] = set()
        self.to_ask_apart: set[str] = set()
        self._manager = pluggy.PluginManager("dougong")
        self._owner_of_spec: dict[str, str] = {}
        self._implementations: dict[str, tuple[Implementation, ...]] = {}
        self._chosen: dict[
            tuple[str, int], tuple[Mapping[str, Any], tuple[Implementation, ...]]
        ] = {}
        self.declare(KERNEL, hookspecs)

    # --- registering ------------------------------------------------------------------------

    def declare(self, plugin: str, module: ModuleType) -> None:
        """Add the hooks that a module declares; raises Conflict when a name is taken.

        The module's ``DEADLINES_S`` holds the deadline of each hook that may take its time.
        """
        found = [
            name
            for name, function in inspect.getmembers(module, inspect.isroutine)
            if getattr(function, "dougong_spec", None)
        ]
        for name in found:
            owner = self._owner_of_spec.get(name, plugin)
            if owner != plugin:
                raise Conflict(N_("%(owner)s already asks %(hook)s."), owner=owner, hook=name)
        self._manager.add_hookspecs(module)
        self._owner_of_spec |= dict.fromkeys(found, plugin)
        self._deadlines_s |= getattr(module, "DEADLINES_S", {})
        self._refresh()

    def register(self, plugin: str, module: ModuleType) -> None:
        """Add a plugin's implementations.

        Raises Conflict for a hook that nobody asks or an argument that it does not have.
        """
        for name, function in inspect.getmembers(module, inspect.isroutine):
            options = getattr(function, "dougong_impl", None)
            if not options or options["optionalhook"]:
                continue
            if (options["specname"] or name) not in self._owner_of_spec:
                raise Conflict(N_("Nobody asks the hook %(hook)s."), hook=name)
        try:
            self._manager.register(module, name=plugin)
        except pluggy.PluginValidationError as error:
            self.unregister(plugin)
            raise Conflict(N_("A hook is not right: %(reason)s"), reason=str(error)) from error
        self._refresh()

    def unregister(self, plugin: str) -> None:
        """Forget a plugin's implementations and the hooks that it declared."""
        if self._manager.has_plugin(plugin):
            self._manager.unregister(name=plugin)
        for name in [n for n, owner in self._owner_of_spec.items() if owner == plugin]:
            del self._owner_of_spec[name]
            delattr(self._manager.hook, name)
        self._refresh()

    def _refresh(self) -> None:
        self._chosen.clear()
        self._implementations = {
            name: tuple(
                self._implementation(name, found)
                for found in sorted(
                    getattr(self._manager.hook, name).get_hookimpls(),
                    key=lambda found: found.trylast - found.tryfirst,
                )
            )
            for name in self._owner_of_spec
        }

    def _implementation(self, name: str, found: Any) -> Implementation:
        spent = self.usage.of(found.plugin_name, f"hook {name}", self.deadline_s(name))
        return Implementation(found.plugin_name, found.function, found.argnames, spent)

    def deadline_s(self, name: str) -> float:
        """Return the seconds within which an implementation of a hook must answer."""
        return self._deadlines_s.get(name, DEADLINE_S)

    @property
    def names(self) -> Mapping[str, str]:
        """Return who declares each hook, by name."""
        return dict(self._owner_of_spec)

    def implementations(self, name: str) -> tuple[Implementation, ...]:
        """Return who answers a hook, in order of loading; raises LookupError for an unknown one."""
        return self._implementations[name]

    # --- asking -----------------------------------------------------------------------------

    def ask(self, scope: Any, name: str, /, **arguments: Any) -> list[Any]:
        """Return the answers of the plugins that are switched on in ``scope``; None is left out.

        One that raises is undone, counted and left out; the caller's transaction goes on.
        """
        if not self._implementations[name]:
            return []
        arguments["scope"] = scope
        scope.session.flush()
        with LazySavepoint(scope.session, self.usage) as savepoint:
            answers, is_asking = self._answers(savepoint, name, scope, arguments)
        return self._in_rounds(scope, name, answers) if is_asking else answers

    def _answers(
        self, savepoint: LazySavepoint, name: str, scope: Any, arguments: Mapping[str, Any]
    ) -> tuple[list[Any], bool]:
        """Return the answers, and whether some are still to be made in rounds."""
        session, silenced, answers, is_asking = scope.session, self.silenced, [], False
        for plugin, function, names, spent in self._asked(name, scope.enablement):
            if plugin in silenced:
                continue
            savepoint.spent = spent
            try:
                answer = (
                    function(scope)
                    if names == ONLY_SCOPE
                    else function(*[arguments[n] for n in names])
                )
                if savepoint.is_open or not session._is_clean():
                    savepoint.keep()
                now = perf_counter()
                if (taken_s := now - savepoint.since) < LONG_S:
                    savepoint.since = now
                    spent.calls += 1
                    spent.seconds += taken_s
                else:
                    savepoint.end()
            except Exception as error:  # noqa: BLE001 - the plugin boundary
                self._lost(savepoint, spent, name, error)
                continue
            if answer is not None:
                answers.append(answer)
                if answer.__class__ is GeneratorType:
                    answers[-1] = Asker(spent, answer)
                    is_asking = True
        return answers, is_asking

    def _in_rounds(self, scope: Any, name: str, answers: list[Any]) -> list[Any]:
        """Return the answers, those included that are made in rounds."""
        askers = [answer for answer in answers if isinstance(answer, Asker)]
        Rounds(self, scope, name).drive(askers)
        made = (each.answer if isinstance(each, Asker) else each for each in answers)
        return [answer for answer in made if answer is not None]

    def _lost(
        self, savepoint: LazySavepoint, spent: Spent, name: str, error: BaseException
    ) -> None:
        """Undo what a failed implementation wrote, and count it."""
        savepoint.undo()
        savepoint.end()
        self.failed(spent, name, error)

    def _asked(self, name: str, enablement: Mapping[str, Any]) -> tuple[Implementation, ...]:
        """Return the implementations of what is switched on; kept as long as the switches are.

        What is kept holds on to the switches, so that their identity cannot be taken by others.
        """
        known = self._chosen.get((name, id(enablement)))
        if known is None:
            if len(self._chosen) >= MOST_KEPT:
                self._chosen.clear()
            chosen = tuple(i for i in self._implementations[name] if i.plugin in enablement)
            known = self._chosen[name, id(enablement)] = (enablement, chosen)
        return known[1]

    def tell(self, scope: Any, plugin: str, name: str, /, **arguments: Any) -> Any:
        """Call one plugin's implementation, enabled or not; errors pass, after being counted.

        An error that it raises on purpose (`DougongError`) is an answer and is not counted.
        For facts that have a transaction of their own: switching on, delivery of an event.
        """
        arguments["scope"] = scope
        for found in self._implementations[name]:
            if found.plugin == plugin and plugin not in self.silenced:
                try:
                    return self._timed(found, arguments)
                except DougongError:
                    raise
                except Exception as error:
                    self.failed(found.spent, name, error)
                    raise
        return None

    def _timed(self, found: Implementation, arguments: Mapping[str, Any]) -> Any:
        with Call(self.usage) as call:
            call.spent = found.spent
            try:
                return finished(arguments.get("scope"), found.call(arguments))
            finally:
                call.end()

    def collect(self, name: str, /, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Yield (plugin, answer) of every loaded plugin, for hooks that have no scope."""
        for found in self._implementations[name]:
            if found.plugin in self.silenced:
                continue
            try:
                answer = self._timed(found, arguments)
            except Exception as error:  # noqa: BLE001 - the plugin boundary
                self.failed(found.spent, name, error)
                continue
            if answer is not None:
                yield found.plugin, answer

    def failed(self, spent: Spent, name: str, error: BaseException) -> None:
        """Count a failure, and tell whoever decides on quarantine."""
        spent.failures += 1
        log.error("hook %s of plugin %s failed", name, spent.plugin, exc_info=error)
        self.on_failure(spent.plugin, f"hook {name}", error)
