"""The plugin gate: broken plugins of every kind, beside which everything else must answer.

Usage: python -m dougong.plugins.gate. For each fault an installed, sound plugin is replaced by a
broken version; then the kernel, two other plugins and their pages are asked. It also switches
plugins on and off and looks from a second process' installation, and puts rows aside and back.
It first shows, with the protection switched off, that the same probes count misses. Prints one
JSON line; exits 1 on any miss.
"""

import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch
from uuid import UUID

import structlog
from flask.testing import FlaskClient

from dougong.db.embedded import EmbeddedPostgres
from dougong.db.scope import Actor
from dougong.errors import DougongError
from dougong.installation import Installation
from dougong.plugins import PluginState, archive, operations, records
from dougong.plugins.loader import load
from dougong.services import create
from dougong.settings import Settings
from dougong.testing.factories import Place, make_place
from dougong.testing.faults import FAULTS, Fault
from dougong.testing.people import make_login, sign_in
from dougong.testing.planting import kernel_template, plant, workshop
from dougong.web.app import create_app

ACTOR = Actor.system("gate")
BROKEN, SOUND = "broken", ("lifts", "pumps")
PAGES = ("admin/", "admin/lifts/item/", "admin/pumps/item/", "admin/dougong/room/", "plugins/")
Misses = list[str]


class Gate:
    """One run: a server, a database that is copied for each fault, and what was counted."""

    def __init__(self, server: EmbeddedPostgres, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.template = kernel_template(server)
        self.probes = 0

    # --- faults ---------------------------------------------------------------------------------

    def break_one(self, fault: Fault, name: str, *, protected: bool = True) -> Misses:
        """Return what does not answer beside one broken plugin."""
        old, new = self.folder / f"{name}-old", self.folder / f"{name}-new"
        for plugin in (BROKEN, *SOUND):
            plant(old, plugin)
        with workshop(self.server, old, template=self.template) as first:
            for plugin in (BROKEN, *SOUND):
                operations.install(first, ACTOR, plugin)
            place = make_place(first)
            fault.plant(new, BROKEN)
            for plugin in reversed(list(first.plugins.loaded)):
                first.plugins.unload(plugin)
            settings = first.settings.__class__(
                paths=first.settings.paths,
                database=first.settings.database,
                plugin_paths=(old, new),
            )
            if not protected:
                return self._unprotected(settings, place)
            with _opened(settings) as installation:
                return self._beside(installation, place, fault)

    def _beside(self, installation: Installation, place: Place, fault: Fault) -> Misses:
        installation.migrate()
        actor = make_login(installation, place, "community_manager")
        browser = sign_in(create_app(installation), installation, actor)
        misses: Misses = []
        for _ in range(installation.plugins.failures_until_quarantine):
            self._provoke(installation, place, browser, fault)
            misses += self._ask_everybody(installation, place, browser)
        point = fault.point.replace("{plugin}", BROKEN)
        entries = {(i.plugin, i.point) for i in operations.repairs(installation)}
        misses += self._probe("repair entry", lambda: (BROKEN, point) in entries)
        state = installation.plugins.standing(BROKEN).state
        misses += self._probe(f"{state} is out of use", lambda: state != PluginState.INSTALLED)
        return misses

    @staticmethod
    def _provoke(
        installation: Installation, place: Place, browser: FlaskClient, fault: Fault
    ) -> None:
        """Make the broken code run where it does not run by itself."""
        if fault.place == "view":
            browser.get(f"/c/{place.community_id}/{BROKEN}/page")
        elif fault.place == "driver":
            from dougong.devices.configuration import drivers_of

            drivers_of(installation)
        elif fault.place == "job":
            service = f"{BROKEN}.item.remind"
            with (
                _passing_over(RuntimeError, DougongError),
                installation.plugins.boundary(BROKEN, f"job {service}"),
                installation.scope(ACTOR, community=place.community_id) as scope,
            ):
                scope.call(service)

    def _ask_everybody(
        self, installation: Installation, place: Place, browser: FlaskClient
    ) -> Misses:
        misses: Misses = []
        for page in PAGES:
            path = f"/c/{place.community_id}/{page}"
            misses += self._probe(page, partial(_opens, browser, path))
        for plugin in SOUND:
            misses += self._probe(plugin, partial(_writes, installation, place, plugin))
        misses += self._probe("hooks", lambda: _answers(installation, place) >= len(SOUND))
        return misses

    def _probe(self, name: str, ask: Callable[[], bool]) -> Misses:
        self.probes += 1
        try:
            return [] if ask() else [name]
        except Exception as error:  # noqa: BLE001 - whatever is raised is a miss
            return [f"{name}: {type(error).__name__}"]

    def _unprotected(self, settings: Any, place: Place) -> Misses:
        """Return what does not answer when failures of plugins pass."""

        def unguarded(plugins: Any, plugin: str) -> None:
            load(plugins.found[plugin], plugins.hooks)
            plugins.loaded.append(plugin)
            plugins.hashes[plugin] = plugins.found[plugin].content_hash()

        def plain(hooks: Any, scope: Any, name: str, **arguments: Any) -> list[Any]:
            return [i.call({**arguments, "scope": scope}) for i in hooks.implementations(name)]

        with (
            patch("dougong.plugins.Plugins._load_one", unguarded),
            patch("dougong.plugins.hooks.Hooks.ask", plain),
        ):
            try:
                with _opened(settings) as installation:
                    return self._probe("hooks", lambda: _answers(installation, place) >= len(SOUND))
            except Exception as error:  # noqa: BLE001 - nothing answers at all
                return [f"start: {type(error).__name__}"]

    # --- switches and archives ------------------------------------------------------------------

    def switch(self, times: int, *, protected: bool = True) -> Misses:
        """Switch plugins at random; return each time when another process did not honour it."""
        folder = self.folder / f"switch-{protected}"
        for plugin in SOUND:
            plant(folder, plugin)
        chance, misses = Random(7), []
        with workshop(self.server, folder, template=self.template) as one:
            for plugin in SOUND:
                operations.install(one, ACTOR, plugin)
            here, other = make_place(one).community_id, Installation.open(one.settings)
            with patch.object(operations, "bump_version") if not protected else _passing_over():
                for _ in range(times):
                    plugin, on = chance.choice(SOUND), chance.random() < 0.5
                    is_honoured = _is_honoured(one, other, here, plugin, on)
                    misses += self._probe(f"{plugin} {on}", partial(bool, is_honoured))
            other.close()
        return misses

    def put_aside(self, number: int) -> Misses:
        """Archive and restore a plugin with so many rows; return what came back different."""
        folder = self.folder / "archive"
        plant(folder, "lifts")
        with workshop(self.server, folder, template=self.template) as installation:
            operations.install(installation, ACTOR, "lifts")
            place = make_place(installation)
            with installation.scope(ACTOR, community=place.community_id) as scope:
                scope.session.connection().exec_driver_sql(
                    "insert into lifts.item (community_id, name, found_on, state)"
                    " select %s, 'item ' || n, '2026-11-24', 'kept' from generate_series(1, %s) n",
                    (place.community_id, number),
                )
            made = archive.uninstall(installation, ACTOR, "lifts")
            result = archive.restore(installation, ACTOR, "lifts")
        misses = self._probe("rows", lambda: made.tables["item"]["rows"] == number)
        return misses + self._probe("content", lambda: not result.changed and not result.orphans)


def _opens(browser: FlaskClient, path: str) -> bool:
    return browser.get(path).status_code == 200


def _answers(installation: Installation, place: Place) -> int:
    with installation.scope(ACTOR, community=place.community_id) as scope:
        return len(scope.ask("dashboard_cards"))


def _writes(installation: Installation, place: Place, plugin: str) -> bool:
    model = sys.modules[f"dougong_{plugin}.models"].Item
    with installation.scope(ACTOR, community=place.community_id) as scope:
        return create(scope, model, {"name": "雨伞", "found_on": scope.today}).id is not None


@contextmanager
def _opened(settings: Settings) -> Iterator[Installation]:
    installation = Installation.open(settings)
    try:
        yield installation
    finally:
        for plugin in reversed(list(installation.plugins.loaded)):
            installation.plugins.unload(plugin)
        installation.close()


def _is_honoured(
    one: Installation, other: Installation, community_id: UUID, plugin: str, on: bool
) -> bool:
    """Switch a plugin in one process; tell whether the other follows."""
    act = operations.enable if on else operations.disable
    act(one, ACTOR, plugin, community_id)
    with other.scope(ACTOR, community=community_id) as scope:
        return (plugin in scope.enabled) == on


@contextmanager
def _passing_over(*errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors:
        return


def gate(
    server: EmbeddedPostgres,
    folder: Path,
    faults: Iterable[str] = tuple(FAULTS),
    switches: int = 300,
    rows: int = 50_000,
) -> dict[str, Any]:
    """Return the counts of the whole gate; ``misses`` must be empty and ``unprotected`` not."""
    run, started, misses, wanted = Gate(server, folder), time.monotonic(), {}, list(faults)
    bare = {"boot", "hook"}
    unprotected = run.switch(min(switches, 40), protected=False)
    for name in [n for n in wanted if FAULTS[n].place in bare]:
        unprotected += run.break_one(FAULTS[name], f"bare {name}", protected=False)
    run.probes = 0
    for name in wanted:
        misses[name] = run.break_one(FAULTS[name], name)
    misses["switches"] = run.switch(switches)
    misses["archive"] = run.put_aside(rows)
    found = {name: missed for name, missed in misses.items() if missed}
    return {
        "gate": "plugins",
        "faults": len(wanted),
        "probes": run.probes,
        "misses": found,
        "unprotected_misses": len(unprotected),
        "quarantine_window_s": records.WINDOW_S,
        "seconds": round(time.monotonic() - started, 1),
        "passed": not found and bool(unprotected),
    }


def silence() -> None:
    """Log nothing below CRITICAL: what the planted plugins raise is expected."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)


def main() -> int:
    """Run the gate on a server of its own."""
    silence()
    home = Path(tempfile.mkdtemp(prefix="dougong-gate-"))
    home.chmod(0o755)
    server = EmbeddedPostgres(home, home / "keys", fast=True)
    server.start()
    try:
        result = gate(server, home / "planted")
    finally:
        server.destroy()
    print(json.dumps(result, ensure_ascii=False))
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
