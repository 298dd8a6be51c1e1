"""Runs every check, the installation's first, then those of the plugins."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import OperationalError

from dougong.doctor import configuration, database, machine, work
from dougong.hookspecs import HealthFinding
from dougong.i18n import N_, gettext
from dougong.settings import Settings

if TYPE_CHECKING:
    from dougong.installation import Installation

log = structlog.get_logger(__name__)

Check = Callable[["Installation"], Iterable[HealthFinding]]
ON_THE_MACHINE: tuple[Callable[[Settings], Iterable[HealthFinding]], ...] = (
    machine.disk,
    machine.permissions,
    machine.keys,
    machine.documents,
    machine.processes,
    machine.port,
    configuration.settings,
    configuration.backups,
)
IN_THE_DATABASE: tuple[Check, ...] = (
    database.server,
    database.storage,
    database.upkeep,
    database.zones,
    database.clock,
    database.protection,
    database.scopes,
    database.migrations,
    database.months,
    work.plugins,
    work.keyring,
    work.workers,
    work.jobs,
    work.events,
    work.messages,
    work.webhooks,
    work.audit,
    work.devices,
    configuration.mail,
)


def examine(installation: "Installation") -> list[HealthFinding]:
    """Return what every check found, in order; one that raises is a finding of its own."""
    found: list[HealthFinding] = []
    for check in ON_THE_MACHINE:
        found += _guarded(check, lambda check=check: check(installation.settings))  # type: ignore[misc]
    for each in IN_THE_DATABASE:
        found += _guarded(each, lambda each=each: each(installation))  # type: ignore[misc]
        if each is database.server and not found[-1].is_well:
            return found  # nothing else can be asked
    for plugin, findings in installation.plugins.hooks.collect(
        "health_checks", installation=installation
    ):
        found += list(findings)
        log.debug("health checks", plugin=plugin)
    return found


def away(reason: str) -> HealthFinding:
    """Return the finding that the database does not answer."""
    return HealthFinding(
        gettext(N_("Database")),
        False,
        reason.strip().splitlines()[0][:200] if reason.strip() else "",
        gettext(N_("Start it: `make up`, or look at the server that DOUGONG_DATABASE names.")),
    )


def _guarded(
    check: Callable[..., object], run: Callable[[], Iterable[HealthFinding]]
) -> list[HealthFinding]:
    try:
        return list(run())
    except OperationalError as error:
        return [away(str(error.orig))]
    except Exception as error:
        name = getattr(check, "__name__", "check")
        log.warning("a health check failed", check=name, exc_info=error)
        return [
            HealthFinding(
                name,
                False,
                f"{type(error).__name__}: {error}"[:300],
                gettext(N_("This check itself failed; send its message to the makers.")),
            )
        ]
