"""What a plugin's code may do: only what its manifest declares.

A hook in Python's audit events refuses a connection or a program that a plugin's own code starts
without having declared it. It stops mistakes and forgotten declarations, not malice: code in our
process can get around it. ``needs`` marks the kernel's own entry points for files, jobs, mail and
devices in the same spirit; ``refuse_undeclared`` is what reading personal values asks.
"""

import logging
import sys
from collections.abc import Callable, Iterable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

log = logging.getLogger(__name__)

CONNECTIONS = ("socket.connect", "socket.sendto", "socket.sendmsg")
PROGRAMS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "pty.spawn",
)
WATCHED = dict.fromkeys(CONNECTIONS, "net") | dict.fromkeys(PROGRAMS, "subprocess")
PREFIX, KERNEL = "dougong_", "dougong"
# They pass on what somebody else asks for: who asks is further up the stack.
PASSING_ON = frozenset(
    f"dougong.{name}" for name in ("capabilities", "services", "db.scope", "installation", "jobs")
)

P = ParamSpec("P")
R = TypeVar("R")
Allowed = Callable[[str], Iterable[str]]


class NotDeclared(PermissionError):
    """A plugin does what its manifest does not declare."""


_allowed: list[Allowed] = []


def watch_capabilities(allowed: Allowed) -> None:
    """Refuse from now on what plugins have not declared; the latest ``allowed`` counts.

    allowed: returns the capabilities of a plugin, by the name of its package.
    """
    if not _allowed:
        _installed()
    _allowed[:] = [allowed]


@cache
def _installed() -> None:
    sys.addaudithook(_look)


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    capability = WATCHED.get(event)
    if capability is None or not _allowed:
        return
    if capability == "net" and not _is_internet(arguments):
        return
    package = _package_of(sys._getframe(1))
    if package is None or capability in _allowed[0](package):
        return
    log.error("%s did %s without declaring %s", package, event, capability)
    raise NotDeclared(
        f"{package} does not declare the capability {capability} ({event}); hosts named in"
        " net:<host> are reached with dougong.plugins.outbound"
    )


def needs(capability: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Refuse an entry point ``(scope, …)`` to plugins that do not declare ``capability``.

    What counts is the code that is nearest on the stack: what the kernel does for a plugin is the
    kernel's, what another plugin's service does is that plugin's. Raises NotDeclared.
    """

    def declare(function: Callable[P, R]) -> Callable[P, R]:
        where = f"{function.__module__}.{function.__qualname__}"

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            refuse_undeclared(args[0] if args else kwargs["scope"], capability, where)
            return function(*args, **kwargs)

        run.capability = capability  # type: ignore[attr-defined]
        return run

    return declare


def refuse_undeclared(scope: Any, capability: str, where: str) -> None:
    """Raise NotDeclared when plugin code calls this without declaring ``capability``.

    where: what it called, for the error, which names the line that is missing in the manifest.
    """
    package = _package_of(sys._getframe(2), PASSING_ON)
    if package is None:
        return
    declared = scope.installation.plugins.capabilities_of(package)
    if capability in declared:
        return
    log.error("%s called %s without declaring %s", package, where, capability)
    raise _undeclared(package, declared, capability, where)


def check_declared(manifest: Any, capability: str, what: str) -> None:
    """Raise NotDeclared when a manifest has ``what``, for which it must declare ``capability``."""
    if capability not in manifest.capabilities:
        log.error("%s has %s without declaring %s", manifest.package, what, capability)
        raise _undeclared(manifest.package, manifest.capabilities, capability, what)


def _undeclared(package: str, declared: Iterable[str], capability: str, where: str) -> NotDeclared:
    line = ", ".join(f'"{name}"' for name in sorted({*declared, capability}))
    return NotDeclared(
        f"{package} does not declare the capability {capability} ({where});"
        f" write into [plugin] of its manifest.toml: capabilities = [{line}]"
    )


def _is_internet(arguments: tuple[Any, ...]) -> bool:
    """Tell whether an address is one of the internet's, not a socket in the file system."""
    return len(arguments) > 1 and isinstance(arguments[1], tuple)


def _package_of(frame: Any, passing_on: frozenset[str] = frozenset()) -> str | None:
    """Return the plugin whose code is nearest on the stack, None when that is the kernel's."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        package = module.partition(".")[0]
        if package.startswith(PREFIX):
            return package
        if package == KERNEL and module not in passing_on:
            return None
        frame = frame.f_back
    return None
