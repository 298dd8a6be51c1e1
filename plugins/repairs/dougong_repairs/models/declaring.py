"""What all models of the plugin are declared with."""

from dougong.db import label, plugin_base

Base = plugin_base("repairs")


def read_only(english: str, chinese: str) -> dict[str, object]:
    """Return the ``info`` of a column that only services set."""
    return {**label(english, chinese), "api": "read"}
