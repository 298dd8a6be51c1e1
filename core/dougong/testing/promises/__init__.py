"""What the kernel expects of every plugin, one promise per function.

A promise looks at a `Subject` and yields a sentence for each way in which it is broken. The class
`dougong.testing.conformance.PluginConformance` makes a test of each. A vendor's plugin and our own
are held to the same.
"""

from collections.abc import Callable, Iterator
from importlib import import_module

from dougong.testing.promises.subject import Subject

Promise = Callable[[Subject], Iterator[str]]
PROMISES: list[Promise] = []
PARTS = ("declarations", "tables", "verbs", "texts", "pages", "life")


def promise(function: Promise) -> Promise:
    """Add a function to what every plugin is held to."""
    PROMISES.append(function)
    return function


def every_promise() -> list[Promise]:
    """Return all promises, in the order in which an author would like to hear of them."""
    for part in PARTS:
        import_module(f"{__name__}.{part}")
    return PROMISES


__all__ = ["PROMISES", "Promise", "Subject", "every_promise", "promise"]
