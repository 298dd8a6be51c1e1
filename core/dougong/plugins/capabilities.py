"""What a plugin's code may do outside of Dougong: call declared hosts, or start programs.

A hook in Python's audit events refuses a connection or a program that a plugin's own code starts
without having declared it. It stops mistakes and forgotten declarations, not malice: code in our
process can get around it.
"""

import logging
import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

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


def _is_internet(arguments: tuple[Any, ...]) -> bool:
    """Tell whether an address is one of the internet's, not a socket in the file system."""
    return len(arguments) > 1 and isinstance(arguments[1], tuple)


def _package_of(frame: Any) -> str | None:
    """Return the plugin whose code is nearest on the stack, None when that is the kernel's."""
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package.startswith(PREFIX):
            return package
        if package == KERNEL:
            return None
        frame = frame.f_back
    return None
