"""Libraries that a process imports when it first uses them, not when it starts.

Every process imports every module of the kernel; an outgoing request, a passkey, a workbook and a
migration are rare, and what they need would be a fifth of the start.
"""

from importlib import import_module
from typing import Any


class Later:
    """A module that is imported when something is taken from it.

    Unlike `importlib.util.LazyLoader`, which two threads may run twice before Python 3.12, it
    leaves the waiting to the import system's own lock.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)
