"""Hooks that are asked in rounds: what many plugins want to know goes out as one statement.

An implementation that is a generator yields selects and is given their rows; it ends by returning
its answer. All selects of a round are one statement, so a page's statements grow with the rounds
(one, as a rule) and not with the plugins. When that statement fails or takes too long, each plugin
is asked alone, so that the one to blame is found, and the others answer.
"""

import logging
from collections.abc import Generator, Sequence
from time import perf_counter
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from sqlalchemy.sql.selectable import SelectBase

from dougong.db.together import answer_alone, fetch_together
from dougong.plugins.savepoint import LazySavepoint
from dougong.plugins.usage import Spent

if TYPE_CHECKING:
    from dougong.plugins.hooks import Hooks

log = logging.getLogger(__name__)

MOST_ROUNDS = 3


class Asker:
    """A plugin's answer in the making. wants: the selects that it waits for, None at its end."""

    __slots__ = ("answer", "given", "is_alone", "making", "spent", "wants")

    def __init__(self, spent: Spent, making: Generator[Any, Any, Any]) -> None:
        self.spent, self.making = spent, making
        self.answer: Any = None
        self.given: Any = None
        self.wants: list[Any] | None = []
        self.is_alone = False

    def go_on(self) -> None:
        """Give the rows that were asked for, and take what is asked next or the answer."""
        try:
            wants = self.making.send(self.given)
        except StopIteration as end:
            self.answer, self.wants = end.value, None
            return
        self.is_alone = not isinstance(wants, list | tuple)
        self.wants = [wants] if self.is_alone else list(wants)
        for each in self.wants:
            if not isinstance(each, SelectBase):
                raise TypeError(f"a hook yields selects, not {type(each).__name__}")

    def take(self, results: Sequence[Any]) -> None:
        """Keep the rows of its selects until it goes on."""
        self.given = results[0] if self.is_alone else list(results)


def finished(scope: Any, answer: Any) -> Any:
    """Return an answer that is there, or what a generator comes to when it is asked alone."""
    if answer.__class__ is not GeneratorType:
        return answer
    return answer_alone(scope.session, answer)


class Rounds:
    """One question to the plugins that answer it in rounds."""

    def __init__(self, hooks: "Hooks", scope: Any, name: str) -> None:
        self.hooks, self.scope, self.name = hooks, scope, name
        self.is_apart = name in hooks.to_ask_apart
        hooks.to_ask_apart.discard(name)

    def drive(self, askers: Sequence[Asker]) -> None:
        """Bring each to its answer; one that fails is undone, counted, and has none."""
        waiting = list(askers)
        for _ in range(MOST_ROUNDS + 1):
            self._step(waiting)
            waiting = [asker for asker in waiting if asker.wants is not None]
            if not waiting:
                return
            self._fetch(waiting)
        for asker in waiting:
            self._fail(asker, RuntimeError(f"asks more than {MOST_ROUNDS} times"))

    def _step(self, askers: Sequence[Asker]) -> None:
        with LazySavepoint(self.scope.session, self.hooks.usage) as savepoint:
            for asker in askers:
                savepoint.spent = asker.spent
                try:
                    asker.go_on()
                    savepoint.keep()
                except Exception as error:  # noqa: BLE001 - the plugin boundary
                    savepoint.undo()
                    self._fail(asker, error)
                savepoint.end()

    def _fetch(self, askers: Sequence[Asker]) -> None:
        """Ask for all in one statement, or for each alone where that went wrong before."""
        asking = [asker for asker in askers if asker.wants is not None]
        if self.is_apart or not self._fetch_all(asking):
            for asker in asking:
                self._fetch_alone(asker)

    def _fetch_all(self, askers: Sequence[Asker]) -> bool:
        """Ask for all in one statement; False when it fails. They share its time."""
        selects = [each for asker in askers for each in asker.wants or ()]
        began = perf_counter()
        with LazySavepoint(self.scope.session, self.hooks.usage) as savepoint:
            savepoint.spent = askers[0].spent  # for its deadline, which is the hook's
            try:
                results = fetch_together(self.scope.session, selects)
                savepoint.keep()
            except Exception:
                log.info("hook %s: its statement failed", self.name, exc_info=True)
                savepoint.undo()
                return False
        taken_s = perf_counter() - began
        for asker in askers:
            count = len(asker.wants or ())
            asker.take(results[:count])
            results = results[count:]
            asker.spent.seconds += taken_s / len(askers)
        if taken_s > askers[0].spent.budget_s:
            self.hooks.to_ask_apart.add(self.name)
        return True

    def _fetch_alone(self, asker: Asker) -> None:
        with LazySavepoint(self.scope.session, self.hooks.usage) as savepoint:
            savepoint.spent = asker.spent
            try:
                asker.take(fetch_together(self.scope.session, asker.wants or ()))
                savepoint.keep()
            except Exception as error:  # noqa: BLE001 - the plugin boundary
                savepoint.undo()
                self._fail(asker, error)
            savepoint.end()

    def _fail(self, asker: Asker, error: BaseException) -> None:
        asker.making.close()
        asker.answer = asker.wants = None
        self.hooks.failed(asker.spent, self.name, error)
