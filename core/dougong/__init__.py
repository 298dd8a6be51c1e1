"""Dougong (斗拱): an open platform on which property groups run their communities."""

__version__ = "0.1.0.dev0"
