"""The demonstration: a property group whose communities people of the trade recognise."""

from dougong.demo.load import is_loaded, load

__all__ = ["is_loaded", "load"]
