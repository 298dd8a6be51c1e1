"""The conformance suite: one test per promise, for every plugin, in three lines.

A plugin's ``tests/test_conformance.py``::

    from dougong.testing.conformance import PluginConformance

    class TestConformance(PluginConformance):
        plugin = "lifts"

The plugin must be installed (``pip install -e .``), lie in the folder where pytest runs, or in a
folder that ``DOUGONG_PLUGIN_PATH`` names. What is promised is in `dougong.testing.promises`.
"""

from typing import ClassVar

import pytest

from dougong.installation import Installation
from dougong.testing.promises import Promise, Subject, every_promise


class PluginConformance:
    """Tests that hold one plugin to the kernel's promises; subclass it and name the plugin.

    excused: names of promises that the plugin does not keep, each with the reason.
    """

    plugin: ClassVar[str]
    excused: ClassVar[dict[str, str]] = {}

    @pytest.fixture(scope="class")
    @classmethod
    def subject(cls, installation: Installation, kernel_database: str) -> Subject:
        """Return the plugin as this test run has installed it."""
        if cls.plugin not in installation.plugins.found:
            pytest.fail(f"{cls.plugin} is not found: install it or set DOUGONG_PLUGIN_PATH")
        if cls.plugin not in installation.plugins.loaded:
            standing = installation.plugins.standing(cls.plugin)
            reason = installation.plugins.errors.get(cls.plugin, standing.reason)
            pytest.fail(f"{cls.plugin} is {standing.state}: {reason}")
        return Subject(installation, cls.plugin, kernel_database)

    @pytest.mark.parametrize("promise", every_promise(), ids=lambda promise: promise.__name__)
    def test_promise(self, subject: Subject, promise: Promise) -> None:
        if promise.__name__ in self.excused:
            pytest.skip(self.excused[promise.__name__])
        broken = list(promise(subject))
        assert not broken, "\n".join([promise.__name__.replace("_", " "), *broken])
