"""The drivers of an installation: found in manifests, imported one by one, none harming another."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module

from dougong.devices.contract import Driver

log = logging.getLogger(__name__)

API_VERSION = 1


@dataclass
class Drivers:
    """The drivers that work, by id, and why the others do not."""

    working: dict[str, Driver] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        declared: Iterable[tuple[str, str]],
        failed: Callable[[str, Exception], None] = lambda driver, error: None,
    ) -> "Drivers":
        """Return the drivers of (id, ``module:attribute``) pairs, as manifests declare them.

        failed: told about each one that does not load.
        """
        drivers = cls()
        for driver_id, path in declared:
            try:
                drivers.working[driver_id] = _import(driver_id, path)
            except Exception as error:  # the boundary to a plugin's code
                log.exception("driver %s does not load", driver_id)
                drivers.broken[driver_id] = f"{type(error).__name__}: {error}"
                failed(driver_id, error)
        return drivers


def _import(driver_id: str, path: str) -> Driver:
    module, _, attribute = path.partition(":")
    driver = getattr(import_module(module), attribute)
    if not isinstance(driver, Driver):
        raise TypeError(f"{path} is no Driver")
    if driver.id != driver_id:
        raise ValueError(f"{path} calls itself {driver.id}")
    if driver.api_version != API_VERSION:
        raise ValueError(f"{path} is made for version {driver.api_version} of the contract")
    return driver
